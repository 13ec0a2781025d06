"""What the head map of one session shows: band power of its stream, and evidence for its estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bci_m2s.panel.client.client import EvidenceSample
from bci_m2s.panel.client.facts import SessionFacts, StreamFacts
from bci_m2s.panel.head.band_power import BandPower
from bci_m2s.panel.head.feature_grid import grid_of
from bci_m2s.panel.head.topography import TopographyView


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
        if not fitting or not self._grid:
            return
        values = self._grid.pick(fitting[-1].values)  # (channels, bands), in the model's order of channels
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
