"""ETF: two signals fused by attention alone, trained by labels; both are needed to judge.

After the description in Wang et al., "ETF", BIBM 2021, pp. 1575-1578: attention alone, within and between
EEG and eye signals. No code was released. Ours: tokens of 64, one per step, two layers for each signal, one
layer of attention in each direction, mean and a linear map; Adam and its rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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

WIDTH, LAYERS, HEADS, HIDDEN, DROPOUT = 64, 2, 4, 128, 0.1  # all ours, as are
RATE, DECAY = 1e-3, 1e-4  # of Adam


class Within(nn.Module):
    """Attention between the steps of one signal: (B, T, F) → (B, T, 64)."""

    def __init__(self, steps: int, features: int) -> None:
        super().__init__()
        self.tokens = nn.Linear(features, WIDTH)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, steps, WIDTH), std=0.02))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, DROPOUT, batch_first=True)
            for _ in range(LAYERS)
        )

    def forward(self, windows: Tensor) -> Tensor:
        tokens: Tensor = self.tokens(windows) + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class Between(nn.Module):
    """Attention of one signal's tokens to the other's, then the sum of both normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, DROPOUT, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """tokens, others : (B, T, 64) → (B, T, 64)"""
        seen, _ = self.attention(tokens, others, others, need_weights=False)
        fused: Tensor = self.norm(tokens + seen)
        return fused


class Etf(nn.Module):
    """Windows of both signals to logits. steps : T; features : of a step of each signal"""

    def __init__(self, steps: int, features: Sequence[int], classes: int) -> None:
        super().__init__()
        self.within = nn.ModuleList(Within(steps, n) for n in features)
        self.between = nn.ModuleList(Between() for _ in features)
        self.out = nn.Linear(len(features) * WIDTH, classes)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """a, b : (B, T, F) → (B, classes)"""
        a, b = self.within[0](a), self.within[1](b)
        fused = [self.between[0](a, b), self.between[1](b, a)]
        logits: Tensor = self.out(torch.cat([one.mean(dim=1) for one in fused], dim=1))
        return logits


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train for each head of the contract.

    Raises
    ------
    NotPossible
        Another number of signals than two; labels of one class.
    """
    two_signals(job.contract, job.pair)
    networks = {head: _train(job, data, settings, head) for head in job.contract.heads}

    def answer(windows: WindowSet, head: str) -> FloatArray:
        seen = rows_of(windows, job.pair).features
        return probabilities(in_parts(networks[head], *(seen[name] for name in job.pair)))

    return {(job.pair, job.pair): answer}


def _train(job: Job, data: UnitData, settings: FinetuneSettings, head: str) -> Etf:
    classes = len(job.contract.heads[head].classes)
    rows = labelled_rows(data.parts["train"], job.pair, head)
    validation = rows_of(data.parts["validation"], job.pair, head)
    seed_torch(named_seed(job.seed, f"etf {head}"))
    features = [job.contract.modalities[name].feature.n_features for name in job.pair]
    network = Etf(job.contract.window.steps, features, classes)
    of_logits = weighted_cross_entropy(rows, classes, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        logits = network(*(rows.features[name][chosen] for name in job.pair))
        return of_logits(logits, rows.labels[chosen])

    def judge() -> Tensor:
        return in_parts(network, *(validation.features[name] for name in job.pair))

    optimisers = [Adam(network.parameters(), lr=RATE, weight_decay=DECAY)]
    train_selected(network, optimisers, loss, len(rows), judge, validation, settings, job.seed)
    return network


ETF = Method(learn=learn, takes=two_signals, pretrained=False, approximate=True)
