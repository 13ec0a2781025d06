"""Random processes that can be asked for at any time, whatever was asked before.

Each process is a pure function of a key and of time, so that samples do not depend on how a reader
cuts them, and an endless session needs no memory of its past. Two building blocks are enough:

*Slow noise.* Independent standard normal knots at a fixed spacing; between two knots the value is
``cos(πu/2)·left + sin(πu/2)·right`` with u from 0 to 1. Squared weights sum to one, so the variance
is 1 at every moment.

*Coloured noise.* One Gaussian segment of two blocks is synthesised in the frequency domain for each
block (Timmer & König 1995) and laid over its neighbour with sine and cosine windows. Squared windows
sum to one, so power is constant through a seam and the spectrum is that asked for, smoothed by the
window (about 1 Hz for blocks of 1 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]

KNOTS_AT_ONCE = 16  # drawn by one generator, because making a generator costs more than drawing
WHOLE_RANGE = 64


class Use(IntEnum):
    """What random numbers are for: one independent family of generators each."""

    PERSON_PUPIL = 1
    PERSON_BRAIN = 2
    PERSON_EYES = 3
    SESSION_BRAIN = 4
    SESSION_EYES = 5
    CLASS_ORDER = 6
    TRIAL = 7
    MOOD = 8
    NUISANCE = 9
    DRIFT = 10
    CORTEX = 11
    MUSCLE = 12
    MUSCLE_BURST = 13
    LINE = 14
    ELECTRODE = 15
    AMPLIFIER = 16
    BLINK = 17
    SCAN_PATH = 18
    SCAN_START = 19
    LUMINANCE = 20
    HIPPUS = 21
    TRACKER = 22
    TRACK_LOSS = 23
    GAZE_DRIFT = 24
    CLIP = 25
    PERSON_SKIN = 26
    SESSION_SKIN = 27
    SKIN_DRIFT = 28
    SKIN_NOISE = 29
    SKIN_RESPONSE = 30


@dataclass(frozen=True, slots=True)
class Seeds:
    """Names the random numbers of one subject and session in one population."""

    seed: int
    subject: int
    session: int

    def rng(self, use: Use, index: int = 0, part: int = 0) -> np.random.Generator:
        """Return the generator of one use in this session, at one index from -1 up."""
        return np.random.default_rng([self.seed, use, self.subject, self.session + 1, index + 1, part])

    def person(self, use: Use) -> np.random.Generator:
        """Return the generator of what a subject keeps over all sessions."""
        return np.random.default_rng([self.seed, use, self.subject, 0, 0, 0])


class SlowNoise:
    """Standard normal processes that change over seconds.

    spacing_s : time between knots, s; the correlation is gone after two of them
    shape : shape of one value
    """

    def __init__(
        self, seeds: Seeds, use: Use, spacing_s: float, shape: tuple[int, ...] = (), part: int = 0
    ):
        self.spacing_s = spacing_s
        self.shape = shape

        def draw(group: int) -> FloatArray:
            return seeds.rng(use, group, part).standard_normal((KNOTS_AT_ONCE, *shape))

        self._group = lru_cache(maxsize=8)(draw)

    def __call__(self, times: FloatArray) -> FloatArray:
        """Return the values at `times` (n,), s, not negative: (n, *shape)."""
        position = np.asarray(times, dtype=np.float64) / self.spacing_s
        left = np.floor(position).astype(np.int64)
        indices = distinct(left, left + 1)
        rows = [self._group(k // KNOTS_AT_ONCE)[k % KNOTS_AT_ONCE] for k in indices.tolist()]
        knots = np.array(rows).reshape(-1, *self.shape)
        row = np.searchsorted(indices, left)  # the right-hand knot follows the left-hand one
        angle = (0.5 * np.pi * (position - left)).reshape(-1, *[1] * len(self.shape))
        return np.cos(angle) * knots[row] + np.sin(angle) * knots[row + 1]


def distinct(first: IntArray, last: IntArray) -> IntArray:
    """Return, in order, whole numbers that hold all of `first` and `last`, elementwise ``first <= last``.

    A short range comes whole, which is quicker than sorting; a long one without its gaps.
    """
    if not len(first):
        return first
    low, high = int(first.min()), int(last.max())
    if high - low <= WHOLE_RANGE:
        return np.arange(low, high + 1)
    return np.unique(np.concatenate([first, last]))


class ColouredNoise:
    """Gaussian noise with a given spectrum, made block by block.

    density : (rows, bins) one-sided power spectral density, unit²/Hz, at the frequencies of
        ``scipy.fft.rfftfreq(2 * block, 1 / rate_hz)``
    bands : slices of bins; each band comes as a signal of its own, so that it can be modulated
    """

    def __init__(
        self, seeds: Seeds, use: Use, density: FloatArray, bands: list[slice], block: int, rate_hz: float
    ) -> None:
        # A bin of variance S·df needs |X|² = S·df·N²/2 = S·rate·N/2 with N = 2·block; half of it for
        # the real and half for the imaginary part.
        self._amplitude = np.sqrt(density * rate_hz * block / 2.0).astype(np.float32)
        self._seeds, self._use, self._bands, self._block = seeds, use, bands, block
        phase = 0.5 * np.pi * (np.arange(block) + 0.5) / block
        self._rise = np.sin(phase).astype(np.float32)
        self._fall = np.cos(phase).astype(np.float32)
        self._segment = lru_cache(maxsize=3)(self._draw)

    def block(self, index: int) -> Float32Array:
        """Return block `index` from 0 up: (bands, rows, block)."""
        own, before = self._segment(index), self._segment(index - 1)
        return own[..., : self._block] * self._rise + before[..., self._block :] * self._fall

    def _draw(self, index: int) -> Float32Array:
        rng = self._seeds.rng(self._use, index)
        rows, bins = self._amplitude.shape
        parts = rng.standard_normal((rows, bins, 2), dtype=np.float32)
        values = parts.view(np.complex64)[..., 0] * self._amplitude
        spectrum = np.zeros((len(self._bands), rows, bins), dtype=np.complex64)
        for target, band in zip(spectrum, self._bands, strict=True):
            target[:, band] = values[:, band]
        spectrum[..., 0] = 0.0  # no constant part
        segment: Float32Array = scipy.fft.irfft(spectrum, n=2 * self._block, axis=-1)
        return segment
