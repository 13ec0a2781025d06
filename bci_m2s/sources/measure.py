"""The first stamps of a source, to measure the rate of a stream whose sender states none."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bci_m2s.signal.rates import beginning
from bci_m2s.sources import Source
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.types import FloatArray

LONGEST_S = 30.0


def first_stamps(source: Source, stopped: Callable[[], bool]) -> FloatArray:
    """Stamps of an opened stream's first seconds. What a live stream sends meanwhile is not given again.

    At most ``LONGEST_S`` are waited for them; `stopped` says whether to give up sooner.
    """
    if isinstance(source, ReplaySource):
        return source.stamps
    stamps, begun = np.empty(0), time.monotonic()
    while not (len(beginning(stamps)) or source.finished or stopped()):
        if time.monotonic() > begun + LONGEST_S:
            break
        stamps = np.append(stamps, source.pull(0.2).times)
    return stamps
