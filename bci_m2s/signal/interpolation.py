"""Channels that are missing, from those around them: spherical splines, a matrix per set of channels.

Perrin, Pernier, Bertrand & Echallier 1989 ("Spherical splines for scalp potential and current density
mapping", Electroenceph. Clin. Neurophysiol. 72), with the constants that MNE uses. Interpolation is a
weighted sum of channels at one moment, so it is causal, and it changes places with any filter: it is done
behind the filters, where channels have no offset and a set that changes makes no jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legval
from numpy.typing import NDArray

from bci_m2s.types import BoolArray, FloatArray

STIFFNESS, TERMS, SMOOTHING = 4, 50, 1e-5
FEWEST_SOURCES = 8  # a scalp's field from fewer is a guess
MOST_KEPT = 256  # matrices; a channel that flickers makes many sets


class Filling(NamedTuple):
    """What is filled from what. weights : (filled, sources); filled, sources : channels"""

    weights: FloatArray
    filled: NDArray[np.intp]
    sources: NDArray[np.intp]

    def apply(self, samples: FloatArray) -> FloatArray:
        """samples : (channels, n) → (filled, n). The same bits whatever BLAS there is, and its threads."""
        return np.asarray(np.einsum("fs,sn->fn", self.weights, samples[self.sources]))


class Interpolation:
    """Says which channels of a block are filled, and by what weights.

    Parameters
    ----------
    labels, positions : of the channels; (C, 3) on the unit sphere, NaN where one is not known
    absent : (C,) channels that the stream does not have
    bad_too : whether channels that are missing for another reason are filled too
    most : largest share of channels that is filled; beyond it none is
    """

    def __init__(
        self, labels: Sequence[str], positions: FloatArray, absent: BoolArray, bad_too: bool, most: float
    ) -> None:
        self.labels, self._positions, self._absent = tuple(labels), positions, absent
        self._bad_too, self._most = bad_too, most
        self._located = np.isfinite(positions).all(axis=1)
        self._made: dict[bytes, Filling] = {}

    def plan(self, missing: BoolArray) -> Filling | None:
        """What is filled where these channels are missing, (C,); None for nothing."""
        if not (self._absent.any() or (self._bad_too and missing.any())):
            return None
        wanted = (self._absent | missing if self._bad_too else self._absent) & self._located
        sources = self._located & ~missing & ~self._absent
        if not wanted.any() or wanted.mean() > self._most or sources.sum() < FEWEST_SOURCES:
            return None
        key = np.packbits([wanted, sources]).tobytes()
        if key not in self._made:
            if len(self._made) >= MOST_KEPT:
                self._made.clear()
            filled, known = np.flatnonzero(wanted), np.flatnonzero(sources)
            weights = spline_weights(self._positions[known], self._positions[filled])
            self._made[key] = Filling(weights, filled, known)
        return self._made[key]


def spline_weights(sources: FloatArray, filled: FloatArray) -> FloatArray:
    """Weights (filled, sources) of a spherical spline. sources, filled : (n, 3) on the unit sphere"""
    n = len(sources)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = _spline(sources @ sources.T) + SMOOTHING * np.eye(n)
    system[n, n] = 0.0
    towards = np.hstack([_spline(filled @ sources.T), np.ones((len(filled), 1))])
    return np.asarray((towards @ np.linalg.pinv(system))[:, :n])


def _spline(cosines: FloatArray) -> FloatArray:
    """The function g of Perrin et al., between points of which the cosine of the angle is given."""
    orders = np.arange(1, TERMS + 1)
    terms = (2 * orders + 1) / (orders**STIFFNESS * (orders + 1.0) ** STIFFNESS * 4 * np.pi)
    return np.asarray(legval(np.clip(cosines, -1, 1), np.append(0.0, terms)))
