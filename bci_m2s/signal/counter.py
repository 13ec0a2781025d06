"""Losses that stamps hide: a channel in which a device counts its samples.

Radio links lose packets, and many senders stamp what comes with a regular clock all the same. Devices that
count (LiveAmp, actiCHamp, g.Nautilus, Unicorn, Emotiv) show it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

NAMES = re.compile(
    r"(sample|packet|package|frame)?[ _-]*(counter|cnt|count)"
    r"|(sample|packet|package|frame)[ _-]*(number|num|no|index)"
)
USUAL_MODULI = (100, 128, 129, 200, 256, 1000, 1024, 4096, 10_000, 32_768, 65_536, 2**24, 2**31, 2**32)
LONGEST_LOSS = 100_000  # counts; a longer jump is a restart
EXACT = 2.0**24  # beyond it float32 skips whole numbers


def counter_columns(labels: Sequence[str], taken: Sequence[int] = ()) -> list[int]:
    """Columns whose label names a sample counter, but for those that are `taken` as signals."""
    return [
        column
        for column, label in enumerate(labels)
        if column not in taken and NAMES.fullmatch(label.strip().casefold())
    ]


class SampleCounter:
    """Follows one counter over a stream, however it is cut into chunks.

    A counter goes up by one per sample, or per packet of several samples; at its end it begins again.
    """

    def __init__(self) -> None:
        self._last = np.nan
        self._same = 1  # samples that had the last value so far
        self._per_count = 1  # samples per count, as the newest whole packet had them
        self._top = 0.0

    def lost(self, values: FloatArray) -> list[tuple[int, int]]:
        """Take the next values, (n,); return (index of the first sample behind a loss, samples lost)."""
        values = np.asarray(values, dtype=np.float64)
        if not len(values):
            return []
        steps: NDArray[np.float64] = np.diff(values, prepend=self._last)
        losses = []
        last_change = -self._same  # where the running value began, counted from this chunk
        with np.errstate(invalid="ignore"):
            changes = np.flatnonzero(steps != 0)  # NaN differs from everything
        for index in changes.tolist():
            step, same = float(steps[index]), index - last_change
            missing = self._missing(step, float(values[index - 1]) if index else self._last)
            if missing:
                losses.append((index, missing * self._per_count))
            elif step == 1:
                self._per_count = same
            last_change = index
            self._top = max(self._top, float(values[index]) if np.isfinite(values[index]) else 0.0)
        self._last, self._same = float(values[-1]), len(values) - last_change
        return losses

    def _missing(self, step: float, before: float) -> int:
        """Counts that are missing in a step of the counter."""
        if not np.isfinite(step) or step != round(step) or self._top >= EXACT:
            return 0
        if step < 0:
            after = before + step
            if after in (0, 1):  # it began again; whatever its end is, nothing shows a loss
                return 0
            step += next((modulus for modulus in USUAL_MODULI if modulus > max(self._top, before)), 0)
        return int(step) - 1 if 1 < step <= LONGEST_LOSS else 0
