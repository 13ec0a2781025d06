"""Drift of one modality in a session: which windows are refused or noted, and the events about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bci_m2s.features import Couples, Extractor
from bci_m2s.features.coupling import coupling_names
from bci_m2s.model.contract import DriftContract
from bci_m2s.signal.drift import Drift, DriftWatch, Reference
from bci_m2s.types import Emit, Event, FloatArray, Status, Window

LASTING_S = 10.0  # shorter ones pass by themselves, also of people like those trained on
PUT_RIGHT = {
    "eeg": "electrodes, plugs and reference",
    "eye": "the eye tracker (its calibration, place and light)",
}
WHAT_TO_DO = (
    "the signal is unlike the training's; put {what} right "
    "(a new baseline accepts only what has changed during the session)"
)


class DriftStage:
    """Measures every valid window. One thread feeds it.

    Parameters
    ----------
    modality : whose
    watch : measures
    hop_s : time between two windows
    refuses : whether a window beyond the limit gets no estimate, or one with a note
    emit : gets an event where a drift begins and where it ends

    Attributes
    ----------
    note : what to do, from the first drift on that lasts; "" before
    """

    def __init__(self, modality: str, watch: DriftWatch, hop_s: float, refuses: bool, emit: Emit) -> None:
        self._watch, self._refuses, self._emit = watch, refuses, emit
        self._what = PUT_RIGHT.get(modality, "the sensor")
        self._beyond_n, self._lasting_n = 0, round(LASTING_S / hop_s)
        self.note = ""

    @property
    def newest(self) -> Drift:
        """Drift of the newest valid window. Any thread."""
        return self._watch.newest

    def measure(self, window: Window, measured: FloatArray, coupling: FloatArray | None = None) -> None:
        """Take a valid window, whether or not there will be an estimate.

        measured : (T, F), as measured; coupling : (T, K), where that is measured
        """
        before, now = self._watch.newest, self._watch.push(measured, coupling)
        if now.is_beyond != before.is_beyond:
            self._note(window.last_index, now, before)
        self._beyond_n = self._beyond_n + 1 if now.is_beyond else 0
        if self._beyond_n > self._lasting_n and not self.note:
            self.note = f"drift ({now.drivers}): {WHAT_TO_DO.format(what=self._what)}"

    def judged(self, window: Window) -> Window:
        """The window that was measured, with its drift; without features where it is beyond the limit and
        that is refused."""
        now = self._watch.newest
        if not now.is_beyond:
            return replace(window, drift=now.distance)
        reason = f"drift ({now.drivers})"
        if not self._refuses:
            return replace(window, drift=now.distance, reason=reason)
        reason = f"unknown: {reason}"
        return replace(window, status=Status.DRIFT, reason=reason, features=None, drift=now.distance)

    def reset(self, at_sample: int, why: str) -> None:
        """Begin anew: what was is no measure of what comes."""
        if self._watch.newest.is_beyond:
            self._event("drift_ended", at_sample, f"drift ended: {why}", self._watch.newest)
        self._watch.reset()
        self._beyond_n = 0

    def _note(self, at_sample: int, now: Drift, before: Drift) -> None:
        if now.is_beyond:
            words = f"drift: {now.drivers}: {now.distance:.2f} of the limit"
            self._event("drift_started", at_sample, words, now)
        else:
            self._event("drift_ended", at_sample, "drift ended", replace(now, drivers=before.drivers))

    def _event(self, kind: str, at_sample: int, message: str, drift: Drift) -> None:
        fields = {"at_sample": at_sample, "distance": round(drift.distance, 4), "drivers": drift.drivers}
        self._emit(Event(kind, message, fields=fields))


def references(drift: DriftContract, tensors: Mapping[str, FloatArray]) -> dict[str, Reference]:
    """What a model holds drift against, by view. tensors : of the modality, "drift.VIEW.mean" and so on."""
    found = {}
    for view, limits in drift.views.items():
        mean, scale, precision, usual = (
            tensors[f"drift.{view}.{part}"] for part in ("mean", "scale", "precision", "usual")
        )
        found[view] = Reference(mean, scale, precision, usual, limits.whole, limits.channel)
    return found


def coupling_names_of(
    extractor: Extractor, channels: Sequence[str], pairs: NDArray[np.intp] | None
) -> tuple[str, ...]:
    """What each number of a step's coupling is, in words; () where it is not measured.

    pairs : (P, 2) places of channels
    """
    if pairs is None or not isinstance(extractor, Couples):
        return ()
    return coupling_names(channels, pairs, extractor.coupled)
