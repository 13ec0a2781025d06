"""MAET: one transformer for EEG, for another signal, and for both, with feed-forward parts of their own.

Source: Jiang, Liu, Zheng, Lu, "Multimodal Adaptive Emotion Transformer with Flexible Modality Inputs on A
Novel Dataset with Continuous Labels", ACM Multimedia 2023, and the authors' released network. How it was
trained is not known: here with Adam on the sum of three cross-entropies (EEG alone, the other alone, both),
so that one network answers for whatever is there. Its adversary of domains is left out. A step gives five
tokens per signal, which are views of it, not moments; a window is judged by the mean of its steps' logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.own_networks import (
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
    train_selected,
    two_signals,
    weighted_cross_entropy,
)
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

WIDTH, VIEWS, HEADS, BLOCKS, HIDDEN = 32, 5, 4, 3, 128
SCALE, EPS = 0.1, 1e-6  # of LayerScale at first; of every layer norm
RATE, DECAY = 1e-3, 1e-4  # of Adam; ours
TOGETHER = 2  # the feed-forward part for both signals, in the last block


class Views(nn.Module):
    """A step's features, (B, F), as five gated views of them, (B, 5, 32)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.values, self.gates = nn.Linear(features, WIDTH), nn.Linear(features, VIEWS * WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        gates = torch.sigmoid(self.gates(features)).unflatten(1, (VIEWS, WIDTH))
        gated = self.values(features)[:, None, :] * gates
        normalised: Tensor = self.norm(gated.transpose(1, 2)).transpose(1, 2)
        return normalised


class Block(nn.Module):
    """Attention over all tokens, then a feed-forward part that depends on the signal.

    parts : number of feed-forward parts; the third of three is for both signals at once
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.projected = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.query_bias, self.value_bias = (nn.Parameter(torch.zeros(WIDTH)) for _ in range(2))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feeds = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(WIDTH, eps=EPS),
                nn.Linear(WIDTH, HIDDEN),
                nn.GELU(),
                nn.Linear(HIDDEN, WIDTH),
            )
            for _ in range(parts)
        )
        self.scales = nn.ParameterList(torch.full((WIDTH,), SCALE) for _ in range(2))

    def forward(self, tokens: Tensor, signals: Sequence[int]) -> Tensor:
        """tokens : (B, 6 or 12, 32), of one signal or of both; signals : which"""
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        projected = functional.linear(self.norm(tokens), self.projected.weight, bias)
        query, key, value = projected.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.scales[0] * self.out(seen)
        if len(signals) == 2 and len(self.feeds) > TOGETHER:
            fed = self.feeds[TOGETHER](tokens)
        else:
            parts = zip(signals, tokens.split(VIEWS + 1, dim=1), strict=True)
            fed = torch.cat([self.feeds[signal](part) for signal, part in parts], dim=1)
        return tokens + self.scales[1] * fed


class Maet(nn.Module):
    """The network. features : of a step of each of the two signals; classes : of each of the three heads"""

    def __init__(self, features: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.views = nn.ModuleList(Views(n) for n in features)
        self.first = nn.ParameterList(nn.init.trunc_normal_(torch.empty(WIDTH), std=0.02) for _ in features)
        self.types = nn.ParameterList(nn.init.trunc_normal_(torch.empty(WIDTH), std=0.02) for _ in features)
        self.positions = nn.ParameterList(
            nn.init.trunc_normal_(torch.empty(VIEWS + 1, WIDTH), std=0.02) for _ in features
        )
        self.blocks = nn.ModuleList(Block(3 if number == BLOCKS - 1 else 2) for number in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(WIDTH), std=0.02))
        self.heads = nn.ModuleList(nn.Linear(WIDTH, classes) for _ in range(3))

    def tokens(self, signal: int, features: Tensor) -> Tensor:
        """Of a step of one signal: its summary token first, then five views, (B, 6, 32)."""
        first = self.first[signal].expand(len(features), 1, WIDTH)
        views = torch.cat([first, self.views[signal](features)], dim=1)
        return views + self.positions[signal] + self.types[signal]

    def forward(self, steps: dict[int, Tensor]) -> Tensor:
        """Logits (B, classes) of a step. steps : 0 for the first signal, 1 for the other, → (B, F)"""
        tokens = torch.cat([self.tokens(signal, features) for signal, features in steps.items()], dim=1)
        for block in self.blocks:
            tokens = block(tokens, list(steps))
        tokens = self.norm(tokens)
        if len(steps) == 1:
            logits: Tensor = self.heads[next(iter(steps))](tokens[:, 1:].mean(dim=1))
            return logits
        summaries = tokens[:, :: VIEWS + 1]  # (B, 2, 32)
        shares = torch.softmax(summaries @ self.weight, dim=1)
        fused: Tensor = self.heads[2]((shares[:, :, None] * summaries).sum(dim=1))
        return fused

    def of_windows(self, signals: Sequence[int], *windows: Tensor) -> Tensor:
        """Logits (B, classes) of windows (B, T, F) of these signals: the mean of their steps'."""
        n_steps = windows[0].shape[1]
        steps = {signal: one.flatten(0, 1) for signal, one in zip(signals, windows, strict=True)}
        logits: Tensor = self(steps)
        return logits.unflatten(0, (-1, n_steps)).mean(dim=1)


WAYS = ((0,), (1,), (0, 1))  # which signals are there


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train on windows that have both signals; it answers for either one, and for both.

    Raises
    ------
    NotPossible
        Another number of signals than two; labels of one class.
    """
    two_signals(job.contract, job.pair)
    networks = {head: _train(job, data, settings, head) for head in job.contract.heads}

    def answer(way: tuple[int, ...], windows: WindowSet, head: str) -> FloatArray:
        names = [job.pair[signal] for signal in way]
        rows = rows_of(windows, names)
        seen = (rows.features[name] for name in names)
        return probabilities(in_parts(partial(networks[head].of_windows, way), *seen))

    found = {}
    for way in WAYS:
        names = tuple(job.pair[signal] for signal in way)
        found[names, names] = partial(answer, way)
    return found


def _train(job: Job, data: UnitData, settings: FinetuneSettings, head: str) -> Maet:
    classes = len(job.contract.heads[head].classes)
    rows = labelled_rows(data.parts["train"], job.pair, head)
    validation = rows_of(data.parts["validation"], job.pair, head)
    seed_torch(named_seed(job.seed, f"maet {head}"))
    a, b = (job.contract.modalities[name].feature.n_features for name in job.pair)
    network = Maet((a, b), classes)
    of_logits = weighted_cross_entropy(rows, classes, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        windows = [rows.features[name][chosen] for name in job.pair]
        of_ways = [network.of_windows(way, *(windows[signal] for signal in way)) for way in WAYS]
        return torch.stack([of_logits(one, rows.labels[chosen]) for one in of_ways]).sum()

    def judge() -> Tensor:
        seen = (validation.features[name] for name in job.pair)
        return in_parts(partial(network.of_windows, WAYS[-1]), *seen)

    optimisers = [Adam(network.parameters(), lr=RATE, weight_decay=DECAY)]
    train_selected(network, optimisers, loss, len(rows), judge, validation, settings, job.seed)
    return network


MAET = Method(learn=learn, takes=two_signals, pretrained=False)
