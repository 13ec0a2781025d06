"""One stream of a simulated session as a source: the headset, the eye tracker, or the markers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import ConfigurationError, StreamError, nearest
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.sources import LocalSource
from bci_m2s.sources.timeline import Timeline
from bci_m2s.types import Chunk, FloatArray

USUAL = ("eeg", "eye", "markers")  # of a simulated person, where no streams are named
STREAMS = (*USUAL, "skin")


class SimulatedSource(LocalSource):
    """A source of simulated samples; see ``Source`` for the protocol.

    Sources that are built with equal `settings`, `subject` and `session` belong to one recording; with a
    `timeline` in common they are paced and stamped together.

    Parameters
    ----------
    settings : what is simulated
    stream : "eeg", "eye", "skin" or "markers"
    subject, session : which person and visit, from 0
    speed : None hands out chunks as fast as they are pulled; 1.0 in real time, 2.0 twice as fast. A
        paced chunk comes when the last of its samples is due, late ones one at a time without waiting.
    chunk_s : length of a chunk, s; at least one sample
    clock : where time comes from, the LSL clock for live use. Not with `timeline`.
    timeline : says when sample 0 is due, and what it is stamped when paced; else its stamp is 0.0. Sample i
        is stamped i / rate later, whatever the speed.
    sleep : replaces time.sleep, for a clock that runs faster
    person : the simulated session itself, in place of `subject` and `session`

    Raises
    ------
    ConfigurationError
        For an unknown stream, a speed or chunk length that is not positive, and by the simulator.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        stream: str = "eeg",
        subject: int = 0,
        session: int = 0,
        *,
        speed: float | None = None,
        chunk_s: float = 0.04,
        clock: Callable[[], float] = time.monotonic,
        timeline: Timeline | None = None,
        sleep: Callable[[float], None] = time.sleep,
        person: SimulatedSession | None = None,
    ) -> None:
        if stream not in STREAMS:
            raise ConfigurationError(f"simulated source: stream: got {stream!r}{nearest(stream, STREAMS)}")
        for name, value in (("speed", speed), ("chunk_s", chunk_s)):
            if value is not None and not 0.0 < value < math.inf:
                raise ConfigurationError(f"simulated source: {name}: got {value}, expected more than 0")
        self.session = person or SimulatedSession(settings, subject, session)
        self.finished = False
        self._stream, self._speed = stream, speed
        self.info = {
            "eeg": self.session.eeg_info,
            "eye": self.session.eye_info,
            "skin": self.session.skin_info,
            "markers": self.session.marker_info,
        }[stream]
        self._n_total = self._count()
        self._chunk_n = max(1, round(chunk_s * self.info.rate_hz))
        self._timeline, self._sleep = timeline or Timeline(clock=clock), sleep
        self._is_open = False

    def open(self) -> None:
        """Begin at sample 0; time counts from the first pull."""
        self._at = 0
        self._ahead: tuple[FloatArray, NDArray[Any]] | None = None
        self._is_open = True
        self.finished = False

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next chunk, waiting at most `timeout_s`; empty when none is due by then.

        Raises StreamError when the source is not open.
        """
        if not self._is_open:
            raise StreamError("simulated source: pulled while it was not open")
        if self.finished:
            return self._empty()
        # Made before the wait, not after, so that making it does not delay it.
        self._ahead = self._ahead or self._make()
        times, samples = self._ahead
        if not self._wait(float(times[-1]), timeout_s):
            return self._empty()
        self._ahead = None
        self._at += len(times)
        self.finished = self._at >= self._n_total
        if self._speed is None:
            return Chunk.of(times, samples)
        return Chunk.of(self._timeline.begin() + times, samples, self._timeline.clock())

    def close(self) -> None:
        """Hand out no more samples."""
        self._is_open = False

    def _wait(self, time_s: float, timeout_s: float) -> bool:
        """Sleep until a moment of the session is due, at most `timeout_s`; say whether it is."""
        if self._speed is None:
            return True
        wait_s = self._timeline.begin() + time_s / self._speed - self._timeline.clock()
        if wait_s > 0.0 and timeout_s > 0.0:
            self._sleep(min(wait_s, timeout_s))
        return wait_s <= timeout_s

    def _make(self) -> tuple[FloatArray, NDArray[Any]]:
        """Return session times (n,) and samples (n, channels) of the next chunk."""
        if self._stream == "markers":
            time_s, text = self.session.marker(self._at)
            return np.array([time_s]), np.array([[text]], dtype=object)
        read = {"eeg": self.session.eeg, "eye": self.session.eye, "skin": self.session.skin}[self._stream]
        samples = read(self._at, self._at + self._chunk_n)
        return np.arange(self._at, self._at + len(samples)) / self.info.rate_hz, samples

    def _empty(self) -> Chunk:
        return Chunk.empty(self.info.n_channels, object if self._stream == "markers" else np.float32)

    def _count(self) -> float:
        """Return how many samples or markers the session has; infinite when endless."""
        if self._stream == "markers":
            return self.session.n_markers
        length = self.session.settings.duration_s * self.info.rate_hz
        return length if math.isinf(length) else math.floor(length)
