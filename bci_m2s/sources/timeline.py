"""When sources that belong together begin: all at the first pull of any of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bci_m2s.recording.recorded import RecordedStream

PAUSE_S = 1.0  # between two passes of a recording


class Timeline:
    """The time that all streams of one recording, or of one simulated person, share.

    When paced, the moment of the first pull of any stream is the moment of the earliest sample. Recorded
    times are in the recorder's clock: a stamp plus its clock offset.

    Parameters
    ----------
    streams : recorded streams that are played together; () for simulated ones
    clock : local clock, s
    """

    def __init__(
        self, streams: Sequence[RecordedStream] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        shared = [stream.times + stream.offsets_s() for stream in streams]
        finite = [times[np.isfinite(times)] for times in shared]
        self.start_s = min((float(times.min()) for times in finite if len(times)), default=0.0)
        self.end_s = max((float(times.max()) for times in finite if len(times)), default=0.0)
        self.clock = clock
        self._begun_s = math.nan
        self._lock = Lock()

    @property
    def pass_s(self) -> float:
        """Seconds from the start of one pass to the start of the next."""
        return self.end_s - self.start_s + PAUSE_S

    def begin(self) -> float:
        """Return the local time of the earliest sample: now, at the first call of any thread."""
        with self._lock:
            if math.isnan(self._begun_s):
                self._begun_s = self.clock()
            return self._begun_s
