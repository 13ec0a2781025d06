"""What the head map of one session shows: band power of its stream, and evidence for its estimates.

Differential entropy names its features ``CHANNEL.BAND`` (see ``features.de``). Every other extractor gives
quantities of the whole person (a heart rate, the length of a fixation), which have no place on the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.panel.client.client import EvidenceSample
from bci_m2s.panel.client.facts import SessionFacts, ShownStream
from bci_m2s.panel.head.band_power import BANDS, BandPower
from bci_m2s.panel.head.topography import TopographyView


class HeadFeed:
    """Feeds the head map for one session.

    stream : whose channels are drawn on the head
    """

    def __init__(self, view: TopographyView, facts: SessionFacts, stream: ShownStream) -> None:
        self._view, self.modality = view, stream.modality
        self._powers = BandPower(stream.units, stream.rate_hz)
        features = facts.features.get(stream.modality, ())
        self._n_features, self._places = len(features), feature_places(features, stream.labels)
        self._classes = next(iter(facts.heads.values()), ())
        view.set_montage(stream.labels)

    def push(self, samples: np.ndarray) -> None:
        """Take samples of the stream, (n, channels)."""
        self._powers.push(samples)

    def show(self, evidence: Sequence[EvidenceSample]) -> None:
        """Show the power of now, and the newest evidence for the first head."""
        self._view.show_power(self._powers.powers())
        fitting = [sample for sample in evidence if self._fits(sample)]
        if fitting and (self._places >= 0).any():
            newest = fitting[-1]
            values = np.where(self._places >= 0, newest.values[self._places], np.nan)
            self._view.show_evidence(values, self._classes[newest.class_index])

    def _fits(self, sample: EvidenceSample) -> bool:
        return (
            sample.modality == self.modality
            and sample.head == 0
            and 0 <= sample.class_index < len(self._classes)
            and len(sample.values) == self._n_features
        )


def feature_places(names: Sequence[str], labels: Sequence[str]) -> NDArray[np.intp]:
    """Which of the features ``CHANNEL.BAND`` is of which channel and band.

    names : of the features, in any order; labels : of the channels, in any case; both may have dots

    Returns
    -------
    (channels, bands) places among the features, -1 where there is none: ``BANDS``, then the model's others
    """
    cells: dict[tuple[str, str], int] = {}
    for place, name in enumerate(names):
        starts = [label for label in labels if name.casefold().startswith(f"{label}.".casefold())]
        label = max(starts, key=len, default=name)
        cells[label.casefold(), name[len(label) + 1 :]] = place
    bands = dict.fromkeys([*BANDS, *(band for _, band in cells if band)])
    rows = [[cells.get((label.casefold(), band), -1) for band in bands] for label in labels]
    return np.array(rows, dtype=np.intp)
