"""When sources that belong together begin: all at the first pull of any of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from bci_m2s.recording.recorded import RecordedStream

PAUSE_S = 1.0  # between two passes of a recording
LONGEST_WAIT_S = 5.0  # nobody waits out a longer pause of all streams, nor a false stamp hours away


class Timeline:
    """The time that all streams of one recording, or of one simulated person, share.

    When paced, the moment of the first pull of any stream is the moment of the earliest sample. Recorded
    times are in the recorder's clock: a stamp plus its clock offset.

    Parameters
    ----------
    streams : recorded streams that are played together; () for simulated ones
    clock : local clock, s

    Attributes
    ----------
    left_out_s : of pauses in which no stream has a sample, what lasts longer than ``LONGEST_WAIT_S``
    """

    def __init__(
        self, streams: Sequence[RecordedStream] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        shared = [stream.times + stream.offsets_s() for stream in streams]
        known = np.sort(np.concatenate([np.zeros(0), *(times[np.isfinite(times)] for times in shared)]))
        self.start_s, self.end_s = (float(known[0]), float(known[-1])) if len(known) else (0.0, 0.0)
        too_long = np.flatnonzero(np.diff(known) > LONGEST_WAIT_S)
        self._behind_s = known[too_long + 1]  # stamps behind the pauses
        cuts = known[too_long + 1] - known[too_long] - LONGEST_WAIT_S
        self._cut_s = np.concatenate([[0.0], np.cumsum(cuts)])
        self.left_out_s = float(self._cut_s[-1])
        self.clock = clock
        self._begun_s = math.nan
        self._lock = Lock()

    def pass_s(self, is_paced: bool) -> float:
        """Seconds from the start of one pass to the start of the next."""
        return self.end_s - self.start_s + PAUSE_S - (self.left_out_s if is_paced else 0.0)

    def into_s(self, shared: FloatArray) -> FloatArray:
        """Seconds into a pass at which samples are played. shared : (n,) their recorded times"""
        cut_s = self._cut_s[np.searchsorted(self._behind_s, shared, side="right")]
        return np.asarray(shared - self.start_s - cut_s)

    def begin(self) -> float:
        """Return the local time of the earliest sample: now, at the first call of any thread."""
        with self._lock:
            if math.isnan(self._begun_s):
                self._begun_s = self.clock()
            return self._begun_s
