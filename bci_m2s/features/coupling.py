"""How channels go together in one band: another reference, a shifted electrode and swapped leads change it.

A reference is taken from every channel alike, so it moves what channels have in common far more than it
moves their power; an electrode at another place is more like its new neighbours. People differ in this by
less than in power, so it tells from the first window on. Per step:

- for each of a fixed set of pairs of channels their correlation r, as artanh r (Fisher 1915);
- for each channel that with the mean of all good channels;
- how much of the channels' mean power their mean has, as ½ ln of the share: about 0 where all are alike,
  far below for an average reference, where the mean is none.

Correlations are of the filtered samples, about 0 (a band-pass leaves no offset).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import BoolArray, FloatArray

CENTRE_HZ = 10.0  # of the band that is taken: rhythms that reach many electrodes, few blinks, little muscle
LARGEST_R = 0.999
SMALLEST_SHARE = 1e-4  # of power in the mean; below it there is none


class CouplingSums(NamedTuple):
    """Sums over a block. squares : (C,); products : (P,); with_mean : (C,); mean_square : of the mean

    good : (C,) channels that were used
    """

    squares: FloatArray
    products: FloatArray
    with_mean: FloatArray
    mean_square: float
    good: BoolArray


class MeasuresBand(Protocol):
    """Measures something of one band of all channels, block by block; see ``Coupling``."""

    def sums(self, band: FloatArray, squares: FloatArray, good: BoolArray) -> Any:
        """What a block adds."""

    def measure(self, blocks: Sequence[Any]) -> FloatArray:
        """The step of these blocks."""


class Coupling:
    """Measures how channels go together, block by block.

    Parameters
    ----------
    pairs : (P, 2) places of channels
    """

    def __init__(self, pairs: NDArray[np.intp]) -> None:
        self._one, self._other = np.ascontiguousarray(pairs.T, dtype=np.intp)

    def sums(self, band: FloatArray, squares: FloatArray, good: BoolArray) -> CouplingSums:
        """Sums of a block. band : (C, n), filtered; squares : (C,) Σx²; good : (C,) channels to be used"""
        weights = good / max(1, int(good.sum()))
        mean = np.einsum("c,cn->n", weights, band)
        products = np.einsum("pn,pn->p", band[self._one], band[self._other])
        with_mean, mean_square = np.einsum("cn,n->c", band, mean), float(np.einsum("n,n->", mean, mean))
        return CouplingSums(squares, products, with_mean, mean_square, good)

    def measure(self, blocks: Sequence[CouplingSums]) -> FloatArray:
        """The step of these blocks, (P + C + 1,), NaN where a channel is not good throughout."""
        squares = np.add.reduce([block.squares for block in blocks])
        products = np.add.reduce([block.products for block in blocks])
        with_mean = np.add.reduce([block.with_mean for block in blocks])
        mean_square = sum(block.mean_square for block in blocks)
        known = reduce(np.logical_and, [block.good for block in blocks]) & (squares > 0)
        found = np.full(len(products) + len(squares) + 1, np.nan)
        if not known.any():
            return found
        power = float(squares[known].mean())
        squares = np.where(known, squares, np.nan)
        found[: len(products)] = products / np.sqrt(squares[self._one] * squares[self._other])
        mean_square = max(mean_square, SMALLEST_SHARE * power)  # else rounding alone would be looked at
        found[len(products) : -1] = with_mean / np.sqrt(squares * mean_square)
        found[:-1] = np.arctanh(np.minimum(np.maximum(found[:-1], -LARGEST_R), LARGEST_R))
        found[-1] = 0.5 * np.log(mean_square / power)
        return found


def coupling_band(bands_hz: Mapping[str, tuple[float, float]]) -> int:
    """Which band is taken: the first that holds 10 Hz, else the one whose middle is nearest to it."""
    limits = list(bands_hz.values())
    for number, (low, high) in enumerate(limits):
        if low <= CENTRE_HZ <= high:
            return number
    return min(range(len(limits)), key=lambda number: abs(sum(limits[number]) / 2 - CENTRE_HZ))


def coupling_names(channels: Sequence[str], pairs: NDArray[np.intp], band: str) -> tuple[str, ...]:
    """What each number of a step is, in words: "F3 with FC3 alpha", "F3 with all alpha" …"""
    return (
        *(f"{channels[one]} with {channels[other]} {band}" for one, other in pairs.tolist()),
        *(f"{channel} with all {band}" for channel in channels),
        f"all channels together {band}",
    )
