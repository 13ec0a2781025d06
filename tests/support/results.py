"""Results as ``evaluate`` makes them, of confusion matrices that a test states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.metrics import balanced_accuracy


def result(
    counts: Mapping[str, Any], split: str = "fold-1", seed: int = 0, method: str = "m", **changes: Any
) -> Result:
    """One split's result. counts : person → matrix, rows the truth"""
    matrices = {person: np.array(matrix) for person, matrix in counts.items()}
    total = np.sum(list(matrices.values()), axis=0)
    figures = {
        "by_subject": {person: balanced_accuracy(matrix) for person, matrix in matrices.items()},
        "counts_by_subject": {person: matrix.tolist() for person, matrix in matrices.items()},
        "confusion": total.tolist(),
    }
    return Result(method, "eeg", "eye", "emotion", split, seed, figures, **changes)


def of(right: float, n: int = 100) -> list[list[int]]:
    """A matrix with this share of both classes right."""
    hit = round(right * n)
    return [[hit, n - hit], [n - hit, hit]]
