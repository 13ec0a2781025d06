"""What the channels of an EEG are referred to, and re-referencing of it block by block.

A network learns from data of one reference, and the same brain looks different against the average of all
channels, against linked mastoids, or against a single electrode (Nunez and Srinivasan 2006, "Electric
Fields of the Brain", chapter 7). Everything here looks at one sample at a time, so that it is causal and
nothing depends on how samples were chunked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bci_m2s.types import BoolArray, FloatArray

AS_RECORDED, AVERAGE = "as recorded", "average"
NO_REFERENCE = "reference missing"  # why samples are missing
FEWEST_IN_AVERAGE = 3
_AVERAGES = ("average", "avg", "car", "commonaverage", "commonaveragereference", "averagereference", "ar")
_LINKED = {
    "linkedmastoids": ("m1", "m2"),
    "mastoids": ("m1", "m2"),
    "linkedears": ("a1", "a2"),
    "ears": ("a1", "a2"),
    "le": ("a1", "a2"),
}
_UNSTATED = ("", "ref", "reference", "unknown", "n/a", "na", "none", "no", "common")


def stated_reference(text: str) -> tuple[str, ...]:
    """What a sender's or a pipeline's words mean: labels in lower case, ("average",), or () for nothing.

    "A1+A2", "A1, A2", "linked ears" and ["A1", "A2"] joined by blanks are the same.
    """
    word = text.strip().casefold()
    plain = re.sub(r"[\s_-]+", "", word)
    if word in _UNSTATED:
        return ()
    if plain in _AVERAGES:
        return (AVERAGE,)
    if plain in _LINKED:
        return _LINKED[plain]
    return tuple(sorted(part for part in re.split(r"[\s,;+/&]+", word) if part))


class Rereference:
    """Refers channels to the mean of others, sample by sample.

    Parameters
    ----------
    n_channels : the first columns are those of the model
    n_reference : as many columns behind them are the reference; 0 for the average of the model's channels

    Notes
    -----
    Channels that are missing or flat have no part in an average, and are missing after it. Where a
    reference channel is missing or flat, or fewer than three are left to average, every channel is missing.
    Electrodes have offsets far above the signal: where a channel leaves an average or returns, a constant
    keeps the mean from jumping, which the filters of every channel would answer.
    """

    def __init__(self, n_channels: int, n_reference: int) -> None:
        self._n, self._n_reference = n_channels, n_reference
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._shift = 0.0
        self._members: BoolArray | None = None  # of the average so far, (C,)
        self._last = np.full(self._n, np.nan)  # newest sample of each channel

    def apply(
        self, samples: FloatArray, missing: BoolArray, flat: BoolArray
    ) -> tuple[FloatArray, BoolArray, bool]:
        """Re-reference a block.

        Parameters
        ----------
        samples, missing : (n, C + R)
        flat : (C + R,) channels that did not move in the block

        Returns
        -------
        tuple
            Samples and missing ones, (n, C), and whether the reference itself was missing anywhere.
        """
        unusable: BoolArray = missing | flat
        if self._n_reference:
            lost = np.asarray(unusable[:, self._n :].any(axis=1))
            mean = samples[:, self._n :].mean(axis=1)
            out_missing = missing[:, : self._n] | lost[:, None]
        else:
            good = ~unusable
            count = good.sum(axis=1)
            lost = np.asarray(count < min(FEWEST_IN_AVERAGE, self._n))
            mean = np.where(good, samples, 0.0).sum(axis=1) / np.maximum(count, 1)
            mean += self._shifts(samples, good, lost)
            out_missing = unusable | lost[:, None]
        return samples[:, : self._n] - mean[:, None], out_missing, bool(lost.any())

    def _shifts(self, samples: FloatArray, good: BoolArray, lost: BoolArray) -> FloatArray:
        """What keeps the mean from jumping, (n,), where its members change."""
        shifts = np.full(len(samples), self._shift)
        if self._members is None and not lost[0]:
            self._members = good[0].copy()
        before = good[0] if self._members is None else self._members
        changes = (good != np.vstack([before, good[:-1]])).any(axis=1) & ~lost
        for row in np.flatnonzero(changes).tolist():
            seen = self._newest(samples[:row], good[:row])
            if self._members is not None:
                arriving = np.where(self._members, seen, samples[row])
                self._shift += float(seen[self._members].mean() - arriving[good[row]].mean())
            self._members = good[row].copy()
            shifts[row:] = self._shift
        self._last = self._newest(samples, good)
        return shifts

    def _newest(self, samples: FloatArray, good: BoolArray) -> FloatArray:
        """The newest good sample of each channel, (C,), NaN where there was none."""
        rows = np.where(good, np.arange(len(samples))[:, None], -1).max(axis=0, initial=-1)
        if not len(samples):
            return self._last
        return np.where(rows >= 0, samples[rows, np.arange(self._n)], self._last)


def reference_of_labels(labels: Sequence[str]) -> str:
    """What labels such as "Fp1-A1" or "EEG Cz-LE" say, where all say the same; "" elsewhere."""
    said = {label.strip().rpartition("-")[2] if "-" in label.strip()[1:] else "" for label in labels}
    word = said.pop() if len(said) == 1 else ""
    return word if stated_reference(word) else ""
