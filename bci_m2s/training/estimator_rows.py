"""scikit-learn's rows as windows, and which of them validate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d

from bci_m2s.training.data.windows import WindowSet

HEAD = "label"
Rows = NDArray[np.float32]
Indices = NDArray[np.int64]


def held_out(labels: Indices, groups: Indices | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows validate, (n,) bool: about `share` of them; every class keeps some for training.

    Parameters
    ----------
    labels : (n,) class index
    groups : (n,) whole groups are taken, at least one where that is possible; None takes rows of each class
    share : at least 0 and below 1; 0 takes none
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    if share == 0:
        return held
    if groups is None:
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            held[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
        return held
    names = rng.permutation(np.unique(groups))
    wanted = max(1, round(share * len(names)))
    for name in names:
        larger = held | (groups == name)
        if set(labels[~larger]) == set(labels):
            held, wanted = larger, wanted - 1
        if not wanted:
            break
    return held


def flattened(X: Any, steps: int) -> tuple[Any, int]:
    """X with one row per window, and T: the array's own where it has three dimensions."""
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if getattr(X, "ndim", 2) != 3:
        return X, steps
    X = np.asarray(X)
    return X.reshape(len(X), -1), X.shape[1]


def cut(rows: Rows, steps: int) -> Rows:
    """(n, T·F) as (n, T, F)."""
    if steps < 1 or rows.shape[1] % steps:
        raise ValueError(f"steps: got {steps}, expected to divide the {rows.shape[1]} features of a row")
    return rows.reshape(len(rows), steps, -1)


def numbered(groups: ArrayLike | None, n: int) -> Indices:
    """Groups as numbers from 0, (n,); all 0 without groups."""
    if groups is None:
        return np.zeros(n, dtype=np.int64)
    names = column_or_1d(groups)
    if len(names) != n:
        raise ValueError(f"groups: got {len(names)}, expected one for each of {n} rows")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def window_set(features: dict[str, Rows], labels: Indices, groups: Indices) -> WindowSet:
    """Rows (n, T, F) of each modality as a window set: all usable, each a trial of its own."""
    n = len(labels)
    present = {name: np.ones(n, dtype=bool) for name in features}
    return WindowSet(features, present, {HEAD: labels}, groups, groups, np.arange(n), np.zeros(n, np.int64))
