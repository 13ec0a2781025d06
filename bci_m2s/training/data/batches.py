"""Which windows share a batch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bci_m2s.errors import TrainingError


class Windows(Protocol):
    """n windows of some people. subjects, sessions : (n,)"""

    @property
    def subjects(self) -> NDArray[np.int64]: ...
    @property
    def sessions(self) -> NDArray[np.int64]: ...


def groups_of(windows: Windows, sampler: str) -> NDArray[np.int64]:
    """From which group each window is, (n,): a batch has windows of one group.

    sampler : "mixed" draws from everybody; "within-person" and "within-session" fill each batch from one
        person or one session
    """
    return {
        "mixed": np.zeros(len(windows.subjects), dtype=np.int64),
        "within-person": windows.subjects,
        "within-session": windows.sessions,
    }[sampler]


def epoch_batches(
    groups: NDArray[np.int64], size: int, last_batch: str, generator: torch.Generator
) -> list[Tensor]:
    """Indices of every batch of an epoch, in random order.

    Parameters
    ----------
    groups : see ``groups_of``
    size : windows per batch; a group with fewer makes one smaller batch
    last_batch : "merge" the windows left over into the batch before, "drop" them, or "keep" them as a batch

    Raises
    ------
    TrainingError
        There is no batch of two windows, or a batch of one is to be kept.
    """
    batches = [
        batch
        for group in np.unique(groups)
        for batch in batches_of(np.flatnonzero(groups == group), size, last_batch, generator)
    ]
    if not batches:
        raise TrainingError(
            f"{len(groups)} windows are too few for a batch of {size}: lower batch, "
            "or set last_batch: merge"
        )
    order = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[i] for i in order]


def batches_of(
    members: NDArray[np.int64], size: int, last_batch: str, generator: torch.Generator
) -> list[Tensor]:
    """`members` in random order, cut into batches; see ``epoch_batches``."""
    shuffled = torch.from_numpy(members)[torch.randperm(len(members), generator=generator)]
    parts = list(shuffled.split(size)) if len(members) else []
    if parts and len(parts[-1]) < size:
        if last_batch == "drop":
            parts.pop()
        elif last_batch == "merge" and len(parts) > 1:
            rest = parts.pop()
            parts[-1] = torch.cat([parts[-1], rest])
    if last_batch == "keep" and parts and len(parts[-1]) == 1:
        raise TrainingError("the last batch has one window, too few for the losses: set last_batch: merge")
    return [part for part in parts if len(part) > 1]
