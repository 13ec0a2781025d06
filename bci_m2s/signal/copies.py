"""Samples that were copied rather than measured: one channel in several, each sample several times, or a
piece of signal again and again.

A sender that writes one electrode into every channel, that fills a higher rate by repeating what it has, or
that plays a file in a loop gives signals that look sound. Noise makes such equality impossible in what was
measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import BoolArray, FloatArray

JUDGED_S = 10.0
REPEATED = 0.4  # share of samples that repeat the one before; half of them at twice the true rate
TOGETHER = 0.9  # of the repeats of one channel that all share; with a coarse converter each has its own
FEWEST = 2  # channels: one of whole numbers may well repeat itself
MOST_NAMED = 8


class Copies:
    """Follows a stream's channels of voltages, block by block.

    Parameters
    ----------
    labels : of all channels
    voltages : (C,), which of them can be judged
    rate_hz : nominal

    Attributes
    ----------
    notes : what was found in the first ``JUDGED_S``
    """

    def __init__(self, labels: Sequence[str], voltages: BoolArray, rate_hz: float) -> None:
        self._labels, self._voltages, self._rate_hz = tuple(labels), voltages, rate_hz
        self._left = round(JUDGED_S * rate_hz)  # samples to judge
        self._pairs = self._repeated = self._repeated_alone = 0
        self._same_as: dict[int, int] | None = None  # channel: an earlier one that it was equal to so far
        self.notes: tuple[str, ...] = ()
        self._loop = Loop(rate_hz)

    def push(self, samples: FloatArray, good: BoolArray) -> None:
        """Take a block, (n, C), and which channels are good in it, (C,)."""
        if said := self._loop.push(samples, self._voltages & good):
            self.notes = (*self.notes, said)
        if self._left <= 0:
            return
        columns = np.flatnonzero(self._voltages & good)
        if len(columns) < FEWEST:
            return
        picked = samples[:, columns]
        same = picked[1:] == picked[:-1]
        self._repeated += int(np.count_nonzero(same.all(axis=1)))
        self._repeated_alone += int(same.sum(axis=0).min())
        self._pairs += len(picked) - 1
        self._compare(samples, columns)
        self._left -= len(samples)
        if self._left <= 0:
            self.notes = (*self.notes, *self._rows(), *self._channels())

    def _compare(self, samples: FloatArray, columns: NDArray[np.intp]) -> None:
        if self._same_as is None:
            leaders: dict[bytes, int] = {}
            named = {column: leaders.setdefault(samples[:, column].tobytes(), column) for column in columns}
            self._same_as = {int(column): int(at) for column, at in named.items() if at != column}
        both = set(columns.tolist())
        for column, leader in list(self._same_as.items()):
            if {column, leader} <= both and not np.array_equal(samples[:, column], samples[:, leader]):
                del self._same_as[column]

    def _rows(self) -> list[str]:
        share = self._repeated / max(1, self._pairs)
        if share < REPEATED or self._repeated < TOGETHER * self._repeated_alone:
            return []
        return [
            f"{100 * share:.0f} % of the samples repeat the one before in every channel: the true sampling "
            f"rate may be {self._rate_hz * (1 - share):.3g} Hz, not {self._rate_hz:g} Hz"
        ]

    def _channels(self) -> list[str]:
        groups: dict[int, list[str]] = {}
        for column, leader in (self._same_as or {}).items():
            groups.setdefault(leader, []).append(self._labels[column])
        found = []
        for leader, labels in groups.items():
            more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
            named = ", ".join(labels[:MOST_NAMED]) + more
            found.append(f"the samples of {named} are exactly those of {self._labels[leader]}")
        return found


class Loop:
    """Finds the first good block of a stream again, bit for bit, however much later it comes."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._columns: NDArray[np.intp] = np.empty(0, np.intp)
        self._first: FloatArray | None = None  # block, (n, columns)
        self._before: FloatArray = np.empty((0, 0))  # the newest block but this, of all channels
        self._n = 0  # samples from the first block's beginning to that of the newest one
        self._is_over = False

    def push(self, samples: FloatArray, good: BoolArray) -> str:
        """Take a block, (n, C), and which channels may be compared; return once what repeats, in words."""
        if self._is_over:
            return ""
        if self._first is None:
            self._begin(samples, np.flatnonzero(good))
            return ""
        starts = np.flatnonzero(self._before[:, self._columns[0]] == self._first[0, 0])
        starts = starts[(starts > 0) | (self._n > 0)]  # at 0 the first block is itself
        if len(starts):
            both, length = np.concatenate([self._before, samples])[:, self._columns], len(self._first)
            found = next((at for at in starts if np.array_equal(both[at : at + length], self._first)), None)
            if found is not None:
                self._is_over = True
                length_s = (self._n + found) / self._rate_hz
                return f"the same {length_s:.4g} s of signal repeats: a test signal, or a file in a loop?"
        self._n, self._before = self._n + len(self._before), samples.copy()
        return ""

    def _begin(self, samples: FloatArray, columns: NDArray[np.intp]) -> None:
        """Take a block for the first one if its channels move in most of its samples."""
        picked = samples[:, columns]
        moving = np.count_nonzero((np.diff(picked, axis=0) != 0).any(axis=1))
        if len(columns) and moving > len(picked) / 2 and np.isfinite(picked).all():
            self._columns, self._first, self._before = columns, picked, samples.copy()
