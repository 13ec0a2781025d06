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
    r"((sample|packet|package|frame|seq|sequence)[ _-]*)?(counter|cnt|count|index|idx)"
    r"|(sample|packet|package|frame|seq|sequence)[ _-]*(number|num|no|nr|id)"
    r"|(packet|package|frame)?[ _-]*(seq|sequence)"
)
USUAL_MODULI = (100, 128, 129, 200, 256, 1000, 1024, 4096, 10_000, 32_768, 65_536, 2**24, 2**31, 2**32)
LONGEST_LOSS = 100_000  # counts; a longer jump is a restart
EXACT = 2.0**24  # beyond it float32 skips whole numbers
SURE_AFTER = 4  # equal steps in a row are how the counter counts
STILL_S = 2.0  # of one value: no packet is as long
LARGEST_WRAP = 0.25  # of the modulus, from a value to one behind the counter's end; else it has begun anew


def counter_columns(labels: Sequence[str], taken: Sequence[int] = ()) -> list[int]:
    """Columns whose label names a sample counter, but for those that are `taken` as signals."""
    return [
        column
        for column, label in enumerate(labels)
        if column not in taken and NAMES.fullmatch(label.strip().casefold())
    ]


class SampleCounter:
    """Follows one counter over a stream, however it is cut into chunks.

    A counter goes up by a step that is always the same, usually 1, per sample or per packet of several
    samples; at its end it begins again. Before that step was seen ``SURE_AFTER`` times in a row no loss is
    counted. One that stands still for long counts nothing: neither then nor with its next step.

    Parameters
    ----------
    still_n : samples of one value after which it stands still

    Attributes
    ----------
    still_at : number of the sample, since the beginning, with which it first stood still; None if never
    """

    def __init__(self, still_n: int = 2**62) -> None:
        self._still_n, self._n = still_n, 0
        self.still_at: int | None = None
        self._last = np.nan
        self._same = 1  # samples that had the last value so far
        self._per_count = 1  # samples per step, as the newest whole packet had them
        self._top = 0.0
        self._step = self._newest_step = 0.0  # the usual step, 0 as long as it is not known; the newest one
        self._in_row = 0  # steps like the newest one
        self._modulus = 0.0  # by the newest clean end; 0 as long as none was seen

    def lost(self, values: FloatArray) -> list[tuple[int, int]]:
        """Take the next values, (n,); return (index of the first sample behind a loss, samples lost)."""
        values = np.asarray(values, dtype=np.float64)
        if not len(values):
            return []
        with np.errstate(invalid="ignore"):
            steps: NDArray[np.float64] = np.diff(values, prepend=self._last)
            changes = np.flatnonzero(steps != 0)  # NaN differs from everything
        losses = []
        last_change = -self._same  # where the running value began, counted from this chunk
        for index in changes.tolist():
            step, same = float(steps[index]), index - last_change
            self._learn(step)
            missing = self._missing(step, float(values[index - 1]) if index else self._last)
            if self._stood_still(last_change, same):
                pass  # what it missed meanwhile came all the same, and this was no packet
            elif missing:
                losses.append((index, missing * self._per_count))
            elif step == self._step:
                self._per_count = same
            last_change = index
            self._top = max(self._top, float(values[index]) if np.isfinite(values[index]) else 0.0)
        self._last, self._same = float(values[-1]), len(values) - last_change
        self._stood_still(last_change, self._same)
        self._n += len(values)
        return losses

    def _stood_still(self, first: int, same: int) -> bool:
        """Whether `same` samples of one value, from one of this chunk or before, are too many."""
        is_still = same >= self._still_n
        if is_still and self.still_at is None:
            self.still_at = self._n + first + self._still_n - 1
        return is_still

    def _learn(self, step: float) -> None:
        """Take a step for the usual one once it came often in a row; a larger one later is a loss."""
        self._in_row = self._in_row + 1 if step == self._newest_step else 1
        self._newest_step = step
        if self._in_row >= SURE_AFTER and step > 0 and step == round(step):
            self._step = min(step, self._step or step)

    def _missing(self, step: float, before: float) -> int:
        """Steps of the counter that are missing in this one."""
        if not self._step or not np.isfinite(step) or self._top >= EXACT:
            return 0
        if step < 0:
            step = self._over_end(before, before + step)
        is_loss = self._step < step <= LONGEST_LOSS and step % self._step == 0
        return int(step / self._step) - 1 if is_loss else 0

    def _over_end(self, before: float, after: float) -> float:
        """Counts from a value to a lower one over the counter's end; 0 where it has begun anew."""
        if after in (0, 1) and self._modulus - before + after < self._step:  # not by the end that is known
            self._modulus = before + self._step - after
            return 0.0
        span = max(self._top, before) * (2 if after < 0 else 1)  # a signed one goes as far below 0
        usual = next((modulus for modulus in USUAL_MODULI if modulus > span), 0)
        for modulus in (self._modulus, usual):
            step = modulus - before + after
            if self._step <= step <= LARGEST_WRAP * modulus:
                return step
        return 0.0
