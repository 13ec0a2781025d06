"""Canonical correlations of two or more sets of rows, without who they are of.

Sources: Hotelling 1936; with a ridge Vinod 1976; of more than two sets as Kettenring 1971 ("MAXVAR"), which
for two are the canonical correlations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray


def less_person(rows: FloatArray, subjects: NDArray[np.int64]) -> FloatArray:
    """Rows (n, P) less the mean of their person's rows. subjects : (n,)"""
    people, whose = np.unique(subjects, return_inverse=True)
    means = np.stack([rows[whose == i].mean(axis=0) for i in range(len(people))])
    return np.asarray(rows - means[whose])


def canonical_maps(
    sets: Sequence[FloatArray], components: int, ridges: Sequence[float]
) -> tuple[list[FloatArray], FloatArray]:
    """Maps (P, K) of each set of centred rows (n, P), and each component's correlation (K,), from 0 to 1.

    Of more than two sets the correlation is the mean over pairs.

    Parameters
    ----------
    ridges : of each set, added to the variances
    """
    whiteners = [_whitener(rows, ridge) for rows, ridge in zip(sets, ridges, strict=True)]
    white = np.concatenate(
        [rows @ whitener for rows, whitener in zip(sets, whiteners, strict=True)], axis=1
    )
    places = np.repeat(np.arange(len(sets)), [rows.shape[1] for rows in sets])
    # With the ridge a set would be the identity beside itself: only what sets have in common counts.
    common = np.where(places[:, None] == places, 0.0, white.T @ white / len(white))
    values, vectors = np.linalg.eigh(common)
    best = np.argsort(values)[::-1][:components]
    blocks = [vectors[places == number][:, best] for number in range(len(sets))]
    maps = [whitener @ block for whitener, block in zip(whiteners, blocks, strict=True)]
    return maps, np.clip(values[best] / (len(sets) - 1), 0.0, 1.0)


def _whitener(rows: FloatArray, ridge: float) -> FloatArray:
    """Symmetric map (P, P) after which columns are uncorrelated and of variance 1, but for the ridge."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    return np.asarray((vectors / np.sqrt(np.maximum(values, 0.0) + ridge)) @ vectors.T)
