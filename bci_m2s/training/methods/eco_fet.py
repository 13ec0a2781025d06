"""ECO-FET: EEG with its connectivity helps another signal, first without labels, then with few.

After the description in Jiang, Li, Zheng, Lu, "ECO-FET", ICASSP 2024, pp. 1841-1845: contrastive
pre-training of EEG and eye signals without labels, EEG as functional connectivity and as spectral, spatial
and temporal features, then fine-tuning. No code was released. Ours: two tokens per electrode, one of its
features in all steps and one of its correlations with the others over steps and bands; a transformer of the
size of M2S's, whose encoder the other signal has; InfoNCE and projections of ``pairwise``; fine-tuning of
the encoders with a head, of each signal and of both.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method
from bci_m2s.training.methods.own_networks import (
    EegAndOther,
    eeg_and_other,
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
)
from bci_m2s.training.methods.own_pretraining import fit_head
from bci_m2s.training.methods.pairwise import Encoders, Head, pretrain_encoders, subsets
from bci_m2s.training.methods.pretrain import Job, fresh_networks
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

LAYERS, HEADS, DROPOUT = 1, 4, 0.1  # ours; a layer, as the networks of M2S have in the training files
SMALLEST = 1e-6  # of an electrode that never varies


def connectivity(electrodes: Tensor) -> Tensor:
    """Correlations between electrodes: (B, C, values) → (B, C, C)."""
    centred = electrodes - electrodes.mean(dim=2, keepdim=True)
    unit = functional.normalize(centred, dim=2, eps=SMALLEST)
    return unit @ unit.transpose(1, 2)


class Connectivity(nn.Module):
    """EEG windows (B, T, C·K) to tokens (B, 2·C, width). steps : T; sizes : of the EEG"""

    def __init__(self, steps: int, sizes: EegAndOther, width: int) -> None:
        super().__init__()
        self.by_electrode = (sizes.channels, sizes.bands)
        self.of_features = nn.Linear(steps * sizes.bands, width)
        self.of_rows = nn.Linear(sizes.channels, width)
        positions = nn.init.trunc_normal_(torch.empty(1, 2 * sizes.channels, width), std=0.02)
        self.positions = nn.Parameter(positions)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, gcd(HEADS, width), 2 * width, DROPOUT, batch_first=True)
            for _ in range(LAYERS)
        )

    def forward(self, windows: Tensor) -> Tensor:
        electrodes = windows.unflatten(2, self.by_electrode).transpose(1, 2).flatten(2)
        parts = [self.of_features(electrodes), self.of_rows(connectivity(electrodes))]
        tokens: Tensor = torch.cat(parts, dim=1) + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class Tuned(nn.Module):
    """Encoders of some signals and a head, trained together. numbers : of the signals in the encoders"""

    def __init__(self, encoders: Encoders, numbers: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        self.encoders, self.numbers = encoders, numbers
        self.head = Head([width] * len(numbers), classes)

    def forward(self, *windows: Tensor) -> Tensor:
        """windows : (B, T, F) of each signal → (B, classes)"""
        seen = [
            self.encoders.features(number, one) for number, one in zip(self.numbers, windows, strict=True)
        ]
        logits: Tensor = self.head(*seen)
        return logits


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Pre-train both encoders, then fine-tune them for each signal and for both.

    Raises
    ------
    NotPossible
        Other signals than EEG by electrode and one more; no two windows with both; labels of one class.
    """
    width, encoders = _pretrained(job, data)
    found = {}
    for names in subsets(job.pair):
        networks = {
            head: _tuned(job, data, settings, encoders, width, names, head) for head in job.contract.heads
        }
        found[names, names] = partial(_answer, networks, names)
    return found


def _pretrained(job: Job, data: UnitData) -> tuple[int, Encoders]:
    """The width of the other signal's encoder, which the EEG's has too, and both encoders."""
    sizes = eeg_and_other(job.contract, job.pair)
    other = fresh_networks(job)[sizes.other]
    width = other.projection.linear.in_features
    seed_torch(named_seed(job.seed, "eco-fet"))
    both = {
        sizes.eeg: Connectivity(job.contract.window.steps, sizes, width),
        sizes.other: other.encoder,
    }
    encoders = Encoders([both[name] for name in job.pair], [width] * 2)
    pretrain_encoders(job, data, encoders)
    return width, encoders


def _tuned(
    job: Job,
    data: UnitData,
    settings: FinetuneSettings,
    encoders: Encoders,
    width: int,
    names: tuple[str, ...],
    head: str,
) -> Tuned:
    rows = labelled_rows(data.parts["train"], names, head)
    validation = rows_of(data.parts["validation"], names, head)
    seed_torch(named_seed(job.seed, f"eco-fet {head} {' '.join(names)}"))
    classes = len(job.contract.heads[head].classes)
    numbers = tuple(job.pair.index(name) for name in names)
    network = Tuned(copy.deepcopy(encoders), numbers, width, classes)
    fit_head(network, rows, validation, classes, _one_setting(settings), job.seed)
    return network


def _one_setting(settings: FinetuneSettings) -> FinetuneSettings:
    """The first rate and decay, as other methods have whose labels train encoders too."""
    first = {"learning_rates": settings.learning_rates[:1], "weight_decays": settings.weight_decays[:1]}
    return settings.model_copy(update=first)


def _answer(
    networks: Mapping[str, Tuned], names: tuple[str, ...], windows: WindowSet, head: str
) -> FloatArray:
    seen = rows_of(windows, names).features
    return probabilities(in_parts(networks[head], *(seen[name] for name in names)))


ECO_FET = Method(
    learn=learn, takes=eeg_and_other, pretrained=False, approximate=True, passes=("pretrain", "finetune")
)
