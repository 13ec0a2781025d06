"""Streams that give no samples while trials are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bci_m2s.engine.health import StreamHealth
from bci_m2s.engine.stream_state import silent_after_s
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.text import modality_name

LONGEST_S = 2.0  # that a trial may be without a sample: headsets send in packets, radio has its pauses


class Outages:
    """Looks at the streams of a pipeline at the beginning and the end of each trial.

    Parameters
    ----------
    health : of the streams now
    clock : of the session; the faster it is, the sooner a busy computer seems silent
    """

    def __init__(self, health: Callable[[], Sequence[StreamHealth]], clock: FastClock) -> None:
        self._health, self._clock = health, clock
        self._before: dict[str, StreamHealth] = {}

    def begin_trial(self) -> None:
        """A trial is about to be shown."""
        self._before = {stream.modality: stream for stream in self._health()}

    def flags(self, onset_s: float) -> list[str]:
        """What is missing of the trial that ends now. onset_s : on the session's clock"""
        found = []
        for stream in self._health():
            name = modality_name(stream.modality)
            if self._is_silent(stream):
                since_s = self._clock() - stream.age_s - onset_s  # NaN where no sample ever came
                since = f"since {since_s:.1f} s after the onset" if since_s > 0 else "in the whole trial"
                found.append(f"{name}: no samples {since}")
            elif (lost_s := self._lost_s(stream)) > LONGEST_S:
                found.append(f"{name}: {lost_s:.1f} s without samples")
        return found

    def all_silent(self) -> list[str]:
        """Names of the streams, where none of them gives samples now; [] where one does."""
        health = self._health()
        is_total = all(self._is_silent(stream) for stream in health)
        return [modality_name(stream.modality) for stream in health] if is_total else []

    def _is_silent(self, stream: StreamHealth) -> bool:
        limit_s = silent_after_s(stream.rate_hz, LONGEST_S) * self._clock.speed
        return stream.rate_hz > 0 and not stream.age_s <= limit_s

    def _lost_s(self, stream: StreamHealth) -> float:
        """Seconds of gaps that ended in this trial, without what of them was before it."""
        before = self._before.get(stream.modality)
        if before is None or not stream.rate_hz > 0:
            return 0.0
        lost_s = (stream.lost - before.lost) / stream.rate_hz
        return lost_s - before.age_s if self._is_silent(before) else lost_s
