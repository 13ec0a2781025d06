"""Material and base model together: what candidates are made of, modality by modality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.blocks import FEWEST_BLOCKS, make_blocks, smallest_p
from bci_m2s.training.calibration.candidates import Scale, Situation
from bci_m2s.training.calibration.decide import ALPHA, Problem
from bci_m2s.training.calibration.material import Material
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]


def make_problems(material: Material, base: Base) -> dict[str, Problem]:
    """What is to be judged for each modality that has windows in enough trials of every class."""
    problems = {}
    for name, windows in material.windows.items():
        kept = np.unique(windows.trials)
        labels = material.labels[kept]
        if suffices(labels, len(material.classes)):
            trials = np.searchsorted(kept, windows.trials)
            problems[name] = Problem(
                situation_of(base, name, material.head, windows.features, trials, labels), kept
            )
    return problems


def situation_of(
    base: Base, modality: str, head: str, features: FloatArray, trials: Indices, labels: Indices
) -> Situation:
    """A modality's windows beside the base model's network for it; parameters as ``Situation`` has them."""
    contract = base.contract
    calibration = contract.modalities[modality].calibration.get(head)
    return Situation(
        base.network(modality),
        Scale(base.array(f"{modality}.scaler.mean"), base.array(f"{modality}.scaler.std")),
        features,
        trials,
        labels,
        head,
        len(contract.heads[head].classes),
        len(contract.heads),
        calibration.temperature if calibration is not None else 1.0,
    )


def suffices(labels: Indices, n_classes: int) -> bool:
    """Whether trials with these labels can be told from chance at all."""
    if len(np.unique(labels)) < n_classes or np.bincount(labels).min() < FEWEST_BLOCKS:
        return False
    return smallest_p(labels, make_blocks(labels)) <= ALPHA
