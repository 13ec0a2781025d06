"""DCCA-AM: two correlated branches, fused by attention, trained on labels.

Source: Liu, Zheng, Li, Wu, Gan, Lu, "Identifying similarities and differences in emotion recognition with
EEG and eye movements among Chinese, German, and French People", J. Neural Eng. 2022, and the authors'
released code: widths, loss, rates, batch are theirs. They draw widths at random, 100 times, and the epoch
with the best test score is kept; here they are drawn once per seed, and validation people choose the epoch.
Their gradient of the correlation errs for the second branch; here it is autograd's. Ours: inputs are
standardised by training rows, where theirs are scaled to [0, 1], train and test each by themselves; a
window is judged by the mean of its steps' logits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method
from bci_m2s.training.methods.deep_cca import branch, correlation
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

FIRST, SECOND, WIDTH = (100, 200), (20, 50), 12  # limits of the drawn widths, the upper one excluded
RIDGE, WEIGHT = 1e-3, 0.1  # of the correlation
RATE, BRANCH_RATE = 1e-4, 5e-5  # of RMSprop: of all parameters, and of another one of the branches
BATCH = 30  # windows, as released: with its rate, larger batches end their epochs long before it has learnt


class DccaAm(nn.Module):
    """A step of two signals, (B, F) each, to logits.

    Parameters
    ----------
    features : of each signal; widths : of the layers of a branch; classes : of the head
    """

    def __init__(self, features: tuple[int, int], widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branch(n, widths, lambda _: nn.Sigmoid()) for n in features)
        self.weight = nn.Parameter(torch.randn(widths[-1]))
        self.head = nn.Linear(widths[-1], classes)

    def outputs(self, one: Tensor, other: Tensor) -> Tensor:
        """Of the two branches, (2, B, 12)."""
        return torch.stack([net(rows) for net, rows in zip(self.branches, (one, other), strict=True)])

    def fused(self, outputs: Tensor) -> Tensor:
        """Logits (B, classes) of the branches' outputs, each weighted by its attention."""
        shares = torch.softmax(outputs @ self.weight, dim=0)
        logits: Tensor = self.head((shares[:, :, None] * outputs).sum(dim=0))
        return logits

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Of windows (B, T, F) logits (B, classes), the mean of their steps', and outputs (2, B·T, 12)."""
        outputs = self.outputs(one.flatten(0, 1), other.flatten(0, 1))
        return self.fused(outputs).unflatten(0, one.shape[:2]).mean(dim=1), outputs

    def of_windows(self, one: Tensor, other: Tensor) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = self(one, other)[0]
        return logits


def widths_of(seed: int) -> tuple[int, int, int]:
    """Widths of a branch's layers, drawn."""
    rng = np.random.default_rng(seed)
    return int(rng.integers(*FIRST)), int(rng.integers(*SECOND)), WIDTH


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train for each head of the contract. Both signals are needed to answer.

    Raises
    ------
    NotPossible
        Another number of signals than two; labels of one class.
    """
    two_signals(job.contract, job.pair)
    networks = {head: _train(job, data, settings, head) for head in job.contract.heads}

    def answer(windows: WindowSet, head: str) -> FloatArray:
        rows = rows_of(windows, job.pair)
        return probabilities(in_parts(networks[head].of_windows, *(rows.features[n] for n in job.pair)))

    return {(job.pair, job.pair): answer}


def _train(job: Job, data: UnitData, settings: FinetuneSettings, head: str) -> DccaAm:
    classes = len(job.contract.heads[head].classes)
    rows = labelled_rows(data.parts["train"], job.pair, head)
    validation = rows_of(data.parts["validation"], job.pair, head)
    seed = named_seed(job.seed, f"dcca-am {head}")
    seed_torch(seed)
    a, b = (job.contract.modalities[name].feature.n_features for name in job.pair)
    network = DccaAm((a, b), widths_of(seed), classes)
    of_logits = weighted_cross_entropy(rows, classes, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        logits, (one, other) = network(*(rows.features[name][chosen] for name in job.pair))
        return of_logits(logits, rows.labels[chosen]) - WEIGHT * correlation(one, other, RIDGE)

    def judge() -> Tensor:
        return in_parts(network.of_windows, *(validation.features[name] for name in job.pair))

    optimisers = [
        torch.optim.RMSprop(network.branches.parameters(), lr=BRANCH_RATE),
        torch.optim.RMSprop(network.parameters(), lr=RATE),
    ]
    train_selected(network, optimisers, loss, len(rows), judge, validation, settings, job.seed, BATCH)
    return network


DCCA_AM = Method(learn=learn, takes=two_signals, pretrained=False)
