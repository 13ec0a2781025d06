"""Feature names to a grid of channels and bands, for a topographic map. No Qt here.

Differential entropy names its features ``CHANNEL.BAND``, channel by channel, each with the same bands (see
``features.de``). Every other extractor gives quantities of the whole person (a heart rate, the length of a
fixation), which have no place on the head: they stay a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

SEPARATOR = "."


@dataclass(frozen=True, slots=True)
class FeatureGrid:
    """Which feature stands for which channel and band.

    channels, bands : names; both () where the features belong to no channels
    index : (channels, bands) place of each among the features
    others : places of the features that are in no cell
    """

    channels: tuple[str, ...]
    bands: tuple[str, ...]
    index: NDArray[np.intp]
    others: tuple[int, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to draw on a head."""
        return bool(self.index.size)

    def pick(self, values: FloatArray) -> FloatArray:
        """Values of all features, (F,) or (..., F), as (..., channels, bands)."""
        return values[..., self.index]


def grid_of(names: Sequence[str]) -> FeatureGrid:
    """Arrange features by channel and band.

    All of them must be ``CHANNEL.BAND``, each channel with the same bands, in any order; otherwise all are
    ``others``. A name is split at its last dot, for channels may have dots in their names ("Fc5."); where
    that gives no grid, at its first, for bands may too ("1.5-4").
    """
    names = [str(name) for name in names]  # from the network
    if names and all(SEPARATOR in name for name in names):
        for split in (str.rpartition, str.partition):
            grid = _arranged([(channel, band) for channel, _, band in (split(n, SEPARATOR) for n in names)])
            if grid is not None:
                return grid
    return FeatureGrid((), (), np.empty((0, 0), np.intp), tuple(range(len(names))))


def _arranged(cells: list[tuple[str, str]]) -> FeatureGrid | None:
    """The grid whose cells are these, each once; None where some are missing, twice or without a name."""
    channels, bands = (tuple(dict.fromkeys(part)) for part in zip(*cells, strict=True))
    if "" in channels or "" in bands or len(cells) != len(channels) * len(bands):
        return None
    places = {cell: place for place, cell in enumerate(cells)}
    if len(places) != len(cells):
        return None
    index = [[places[channel, band] for band in bands] for channel in channels]
    return FeatureGrid(channels, bands, np.array(index, np.intp), ())
