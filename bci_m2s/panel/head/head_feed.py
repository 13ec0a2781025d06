"""What the head map of one session shows: band power of its stream, and evidence for its estimates.

Differential entropy names its features ``CHANNEL.BAND``, channel by channel, each with the same bands (see
``features.de``). Every other extractor gives quantities of the whole person (a heart rate, the length of a
fixation), which have no place on the head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.panel.client.client import EvidenceSample
from bci_m2s.panel.client.facts import SessionFacts, StreamFacts
from bci_m2s.panel.head.band_power import BandPower
from bci_m2s.panel.head.topography import TopographyView

SEPARATOR = "."


class HeadFeed:
    """Feeds the head map for one session.

    stream : whose channels are drawn on the head
    """

    def __init__(self, view: TopographyView, facts: SessionFacts, stream: StreamFacts) -> None:
        self._view, self._stream = view, stream
        self.modality = stream.modality
        self._powers = BandPower(stream.labels, stream.units, stream.rate_hz)
        self._n_features = len(facts.features.get(stream.modality, ()))
        self._grid = grid_of(facts.features.get(stream.modality, ()))
        self._classes = next(iter(facts.heads.values()), ())
        view.set_bands(self._powers.bands)
        view.set_montage(stream.labels)

    def push(self, samples: np.ndarray) -> None:
        """Take samples of the stream, (n, channels)."""
        self._powers.push(samples)

    def show(self, evidence: Sequence[EvidenceSample]) -> None:
        """Show the power of now, and the newest evidence for the first head."""
        self._view.show_power(self._powers.powers())
        fitting = [sample for sample in evidence if self._fits(sample)]
        if not fitting or self._grid is None:
            return
        values = fitting[-1].values[
            self._grid.places
        ]  # (channels, bands), in the model's order of channels
        rows = {channel.casefold(): row for row, channel in enumerate(self._grid.channels)}
        shown = np.full((len(self._stream.labels), values.shape[1]), math.nan)
        for place, label in enumerate(self._stream.labels):
            if label.casefold() in rows:
                shown[place] = values[rows[label.casefold()]]
        self._view.show_evidence(shown, self._classes[fitting[-1].class_index])

    def _fits(self, sample: EvidenceSample) -> bool:
        return (
            sample.modality == self.modality
            and sample.head == 0
            and 0 <= sample.class_index < len(self._classes)
            and len(sample.values) == self._n_features
        )


class FeatureGrid(NamedTuple):
    """Which feature stands for which channel and band: places, (channels, bands), among the features."""

    channels: tuple[str, ...]
    bands: tuple[str, ...]
    places: NDArray[np.intp]


def grid_of(names: Sequence[str]) -> FeatureGrid | None:
    """Arrange features by channel and band.

    All of them must be ``CHANNEL.BAND``, each channel with the same bands, in any order; otherwise None.
    A name is split at its last dot, for channels may have dots in their names ("Fc5."); where that gives no
    grid, at its first, for bands may too ("1.5-4").
    """
    names = [str(name) for name in names]  # from the network
    if names and all(SEPARATOR in name for name in names):
        for split in (str.rpartition, str.partition):
            grid = _arranged([(channel, band) for channel, _, band in (split(n, SEPARATOR) for n in names)])
            if grid is not None:
                return grid
    return None


def _arranged(cells: list[tuple[str, str]]) -> FeatureGrid | None:
    """The grid whose cells are these, each once; None where some are missing, twice or without a name."""
    channels, bands = (tuple(dict.fromkeys(part)) for part in zip(*cells, strict=True))
    if "" in channels or "" in bands or len(cells) != len(channels) * len(bands):
        return None
    places = {cell: place for place, cell in enumerate(cells)}
    if len(places) != len(cells):
        return None
    index = [[places[channel, band] for band in bands] for channel in channels]
    return FeatureGrid(channels, bands, np.array(index, np.intp))
