"""VigilanceNet: EEG bands and another signal's features decoupled, then fused by cross-attention.

Source: Cheng et al., "VigilanceNet: Decouple Intra- and Inter-Modality Learning for Multimodal Vigilance
Estimation in RSVP-Based BCI", ACM Multimedia 2022, and the authors' released code. It estimates vigilance,
a number; here the three heads give classes, and the losses are cross-entropies. A window of several steps
is judged by the mean of its steps' logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from bci_m2s.model.contract import Contract
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.own_networks import (
    EegAndOther,
    eeg_and_other,
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
    train_selected,
    weighted_cross_entropy,
)
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

WIDTH, HEADS, HIDDEN, GATES = 80, 4, 320, 8
KERNEL = 3
RATE, DECAY = 1e-3, 1e-5  # of Adam, as released
LEAST_FEATURES = 3 * (KERNEL - 1) + 1  # of the other signal: three convolutions without padding


class AttentionLayer(nn.Module):
    """Attention of some tokens to others, then a feed-forward part; both normalised afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """tokens : (B, N, 80), who ask; others : (B, M, 80), who are asked → (B, N, 80)"""
        query, key, value = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (self.query(tokens), self.key(others), self.value(others))
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = self.norms[0](tokens + self.out(seen.transpose(1, 2).flatten(2)))
        normalised: Tensor = self.norms[1](tokens + self.feed(tokens))
        return normalised


class VigilanceNet(nn.Module):
    """One step of EEG, (B, C, K), and of the other signal, (B, F), to logits of three heads.

    Parameters
    ----------
    channels, bands : C and K; features : F, at least 7; classes : of each head
    """

    def __init__(self, channels: int, bands: int, features: int, classes: int) -> None:
        super().__init__()
        self.bands = nn.Sequential(nn.Conv1d(channels, WIDTH, 1), nn.BatchNorm1d(WIDTH), nn.ReLU())
        self.positions = nn.Parameter(torch.zeros(1, bands, WIDTH))
        self.within = AttentionLayer()
        self.norm = nn.BatchNorm1d(features)
        self.values, self.gates = nn.Linear(features, features), nn.Linear(features, GATES)
        sizes = (GATES, 16, 32, WIDTH)
        layers: list[nn.Module] = [nn.BatchNorm1d(GATES)]
        for a, b in pairwise(sizes):
            layers += [nn.Conv1d(a, b, KERNEL, bias=False), nn.BatchNorm1d(b), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.across = AttentionLayer()
        self.heads = nn.ModuleList(
            nn.ModuleDict({"norm": nn.LayerNorm(WIDTH), "out": nn.Linear(WIDTH, classes)}) for _ in range(3)
        )

    def tokens(self, eeg: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Of the EEG, one per band, (B, K, 80), and of the other signal, (B, F - 6, 80)."""
        bands = self.bands(eeg).transpose(1, 2) + self.positions
        values = self.norm(other)
        gated = self.values(values)[:, None, :] * (1 + torch.sigmoid(self.gates(values)))[:, :, None]
        return self.within(bands, bands), self.convolutions(gated).transpose(1, 2)

    def forward(self, eeg: Tensor, other: Tensor) -> Tensor:
        """Logits (3, B, classes) of EEG, of the other signal, and of both fused."""
        of_eeg, of_other = self.tokens(eeg, other)
        parts = (of_eeg, of_other, self.across(of_eeg, of_other))
        logits = [
            head["out"](head["norm"](part).mean(dim=1))  # type: ignore[index]
            for head, part in zip(self.heads, parts, strict=True)
        ]
        return torch.stack(logits)


class _OfWindows(nn.Module):
    """Windows (B, T, C·K) and (B, T, F): the mean of their steps' logits, (3, B, classes)."""

    def __init__(self, sizes: EegAndOther, classes: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.network = VigilanceNet(sizes.channels, sizes.bands, sizes.features, classes)

    def forward(self, eeg: Tensor, other: Tensor) -> Tensor:
        steps = eeg.shape[1]
        bands = eeg.reshape(-1, self.sizes.channels, self.sizes.bands)
        logits: Tensor = self.network(bands, other.reshape(-1, self.sizes.features))
        return logits.unflatten(1, (-1, steps)).mean(dim=2)

    def fused(self, eeg: Tensor, other: Tensor) -> Tensor:
        """Logits of the head that answers, (B, classes)."""
        logits: Tensor = self(eeg, other)[2]
        return logits


def sizes_of(contract: Contract, pair: Sequence[str]) -> EegAndOther:
    """The signals. Raises NotPossible for what three convolutions cannot go over."""
    sizes = eeg_and_other(contract, pair)
    if sizes.features < LEAST_FEATURES:
        raise NotPossible(f"{sizes.other} has {sizes.features} features, and it takes {LEAST_FEATURES}")
    return sizes


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train for each head of the contract. Both signals are needed to answer.

    Raises
    ------
    NotPossible
        Other signals than EEG by electrode and one with at least 7 features; labels of one class.
    """
    sizes = sizes_of(job.contract, job.pair)
    networks = {head: _train(job, data, settings, sizes, head) for head in job.contract.heads}

    def answer(windows: WindowSet, head: str) -> FloatArray:
        rows = rows_of(windows, job.pair)
        logits = in_parts(networks[head].fused, rows.features[sizes.eeg], rows.features[sizes.other])
        return probabilities(logits)

    return {(job.pair, job.pair): answer}


def _train(
    job: Job, data: UnitData, settings: FinetuneSettings, sizes: EegAndOther, head: str
) -> _OfWindows:
    classes = len(job.contract.heads[head].classes)
    rows = labelled_rows(data.parts["train"], job.pair, head)
    validation = rows_of(data.parts["validation"], job.pair, head)
    seed_torch(named_seed(job.seed, f"vigilancenet {head}"))
    network = _OfWindows(sizes, classes)
    of_logits = weighted_cross_entropy(rows, classes, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        logits = network(*(rows.features[name][chosen] for name in (sizes.eeg, sizes.other)))
        return torch.stack([of_logits(one, rows.labels[chosen]) for one in logits]).sum()

    def judge() -> Tensor:
        seen = (validation.features[name] for name in (sizes.eeg, sizes.other))
        return in_parts(network.fused, *seen)

    optimisers = [Adam(network.parameters(), lr=RATE, weight_decay=DECAY)]
    train_selected(network, optimisers, loss, len(rows), judge, validation, settings, job.seed)
    return network


VIGILANCENET = Method(learn=learn, takes=sizes_of, pretrained=False)
