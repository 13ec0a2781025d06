"""Modality-pairwise contrastive learning with the loss and the optimiser that its authors released.

Source: the released code of Franceschini et al., ICPR 2022 (see ``pairwise``): two random crops of each
modality, a loss in which the same crop of the same window counts neither for nor against, halved;
stochastic gradient descent, its rate, momentum, weight decay and batch. Its rate falls after 100 epochs and
more, which no run here has. Ours: a crop is all steps of a window but one; heads see the whole window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.methods import Method
from bci_m2s.training.methods.pairwise import (
    TEMPERATURE,
    Encoders,
    fresh_encoders,
    learn,
    pretrain_encoders,
    some_signals,
)
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.sgd import SGD

CROPS = 2
RATE, MOMENTUM, WEIGHT_DECAY, BATCH = 1e-3, 0.9, 1e-3, 32


def two_crop_loss(a: Tensor, b: Tensor) -> Tensor:
    """The released loss of one ordered pair of modalities, ().

    Every crop of `a` is held against every crop of `b`. The pair of the same crop of the same window is no
    positive and is left out of the denominator too; the positives are the window's other crops.

    a, b : (crops, B, P), two crops as released; with one there is no positive, and the loss is 0
    """
    crops, n = a.shape[:2]
    unit_a, unit_b = (functional.normalize(one.flatten(0, 1), dim=-1) for one in (a, b))
    same = torch.eye(crops * n, dtype=torch.bool)
    logits = (unit_a @ unit_b.T / TEMPERATURE).masked_fill(same, -math.inf)
    windows = torch.arange(n).repeat(crops)
    positive = (windows[:, None] == windows[None, :]) & ~same
    chances = torch.log_softmax(logits, dim=1).masked_fill(~positive, 0.0)
    return -chances.sum(dim=1).mean() / crops


def crops_of(windows: Tensor, generator: torch.Generator | None) -> list[Tensor]:
    """Two crops (B, T - 1, F) of windows (B, T, F), each without the first or the last step.

    A window of one step is not cropped. generator : of what is drawn; None for torch's own
    """
    steps = windows.shape[1]
    if steps == 1:
        return [windows] * CROPS
    starts = torch.randint(2, (CROPS, len(windows)), generator=generator)
    parts = torch.stack([windows[:, :-1], windows[:, 1:]])
    return [parts[of_crop, torch.arange(len(windows))] for of_crop in starts]


class CroppedEncoders(Encoders):
    """Encoders whose loss is the released one."""

    def forward(self, windows: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Mean of the loss over all ordered pairs of modalities of which two windows have both, ()."""
        generator = None if self.training else torch.Generator().manual_seed(0)  # all epochs judged alike
        projected = [
            torch.stack([projection(self.features(number, crop)) for crop in crops_of(one, generator)])
            for number, (projection, one) in enumerate(zip(self.projections, windows, strict=True))
        ]
        losses = []
        for a, b in permutations(range(len(windows)), 2):
            both = present[a] & present[b]
            if int(both.sum()) > 1:
                losses.append(two_crop_loss(projected[a][:, both], projected[b][:, both]))
        return torch.stack(losses).mean() if losses else projected[0].sum() * 0


def pretrained(job: Job, data: UnitData) -> Encoders:
    """M2S's encoders, of the epoch with the lowest loss on validation windows."""
    networks, widths = fresh_encoders(job)
    seed_torch(named_seed(job.seed, "pairwise"))
    encoders = CroppedEncoders(networks, widths)
    optimiser = SGD(encoders.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    pretrain_encoders(job, data, encoders, optimiser, BATCH)
    return encoders


PAIRWISE_RELEASED = Method(
    learn=partial(learn, pretraining=pretrained), takes=some_signals, pretrained=False, passes=("pretrain",)
)
