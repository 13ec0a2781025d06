"""Whether a recording fits: free space, how fast it fills, how long that lasts."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bci_m2s.errors import OutputError
from bci_m2s.recording.xdf_writer import NUMBERS
from bci_m2s.types import StreamInfo

LEAST_FREE_BYTES = 50_000_000
WARN_BELOW_S = 3600.0
STAMP_BYTES = 9  # a stamp and the byte with its length
GROWTH_SPAN_S = 10.0


def check_disk(folder: Path, infos: Iterable[StreamInfo]) -> str:
    """Return a warning when less than an hour of these streams fits, else "".

    Irregular streams and texts count as nothing.

    Raises
    ------
    OutputError
        Below 50 MB of free space, or when the folder cannot be read.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as problem:
        raise OutputError(f"{folder}: cannot be used: {problem.strerror}") from None
    if free < LEAST_FREE_BYTES:
        least = f"{LEAST_FREE_BYTES / 1e6:.0f} MB"
        raise OutputError(f"{folder}: free space: got {free / 1e6:.0f} MB, expected at least {least}")
    bytes_per_s = sum(
        info.rate_hz * (STAMP_BYTES + info.n_channels * np.dtype(NUMBERS[info.channel_format]).itemsize)
        for info in infos
        if info.channel_format in NUMBERS
    )
    lasts_s = free / bytes_per_s if bytes_per_s > 0 else math.inf
    if lasts_s >= WARN_BELOW_S:
        return ""
    return f"{folder}: {free / 1e6:.0f} MB free: the recording fits for about {lasts_s / 60:.0f} minutes"


class Growth:
    """How fast a size grows, over the last ten seconds. One thread adds, one reads."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[float, int]] = deque()
        self.rate = math.nan  # bytes/s, NaN until a second is known

    def add(self, time_s: float, size: int) -> None:
        """Note the size at a moment."""
        self._sizes.append((time_s, size))
        while self._sizes[0][0] < time_s - GROWTH_SPAN_S:
            self._sizes.popleft()
        first_s, first = self._sizes[0]
        if time_s - first_s >= 1.0:
            self.rate = (size - first) / (time_s - first_s)

    def seconds_left(self, free_bytes: float) -> float:
        """How long `free_bytes` last; infinite when nothing grows, NaN when not known."""
        return math.inf if self.rate == 0 else free_bytes / self.rate
