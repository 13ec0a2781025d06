"""Signals with losses made fit for filters that let no offset through."""

from __future__ import annotations

import numpy as np

from bci_m2s.types import BoolArray, FloatArray


class Joiner:
    """Makes a signal without jumps out of one with losses; state is carried from block to block.

    A lost sample becomes the last good one, and what follows a loss is shifted to go on from there, so
    that neither NaN nor a changed offset shakes a high-pass.

    Parameters
    ----------
    bridged_n : a loss of at most this many samples counts as bridged
    """

    def __init__(self, bridged_n: int) -> None:
        self._bridged_n = bridged_n
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._held = self._shift = 0.0  # the last good sample, and what is taken off the signal
        self._lost_n = 0  # samples since then
        self._begun = False

    def push(self, samples: FloatArray, lost: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Take a block of one channel.

        samples, lost : (n,); a lost sample may have any value

        Returns
        -------
        (n,) the joined samples, finite, and (n,) where a loss is too long to count as bridged
        """
        if self._begun and not self._lost_n and not lost.any():
            self._held = float(samples[-1])
            return samples - self._shift, lost
        n, indices = len(samples), np.arange(len(samples))
        if not self._begun and not lost.all():
            self._held, self._begun = float(samples[np.argmin(lost)]), True
        good = np.maximum.accumulate(np.where(lost, -1, indices))  # -1 before the first good one
        filled = np.where(good >= 0, samples[np.maximum(good, 0)], self._held)
        before = np.append(self._held, filled[:-1])
        resumes = ~lost & np.append(self._lost_n > 0, lost[:-1])
        shift = self._shift + np.cumsum(np.where(resumes, filled - before, 0.0))
        run = np.where(good >= 0, indices - good, indices + 1 + self._lost_n)
        self._held, self._shift, self._lost_n = float(filled[-1]), float(shift[-1]), int(run[n - 1])
        return filled - shift, run > self._bridged_n
