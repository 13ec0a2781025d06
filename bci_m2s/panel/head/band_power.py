"""Band power of the newest two seconds, by Welch's method (Welch 1967): for the eye, not for a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import signal

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.signal.units import MICROVOLTS, find_unit
from bci_m2s.types import FloatArray

BANDS = tuple(SEED_BANDS_HZ)
UNIT = "dB re 1 µV²"
KEEP_S = 2.0
SEGMENT_S = 1.0
LEAST_UV2 = 1e-6  # below it a channel does not move: (1 nV)², less than any amplifier's noise


class BandPower:
    """Power of each channel in each of ``BANDS``.

    Parameters
    ----------
    units : of the channels, (channels,); one that is not stated or no voltage is taken for microvolts
    rate_hz : nominal sampling rate, at least 4 Hz
    """

    def __init__(self, units: Sequence[str], rate_hz: float) -> None:
        self._gain_uv = np.array([_gain_uv(unit) for unit in units], dtype=np.float32)
        self._rate_hz = rate_hz
        self._segment = round(SEGMENT_S * rate_hz)
        self._keep = round(KEEP_S * rate_hz)
        frequencies = np.fft.rfftfreq(self._segment, 1.0 / rate_hz)
        inside = [(low <= frequencies) & (frequencies < high) for low, high in SEED_BANDS_HZ.values()]
        self._sums = np.array(inside, dtype=np.float32) * np.float32(rate_hz / self._segment)
        self._beyond = np.array([high > rate_hz / 2 for _, high in SEED_BANDS_HZ.values()])
        self._samples = np.full((self._keep, len(units)), np.nan, dtype=np.float32)
        self._next = 0

    def push(self, samples: np.ndarray) -> None:
        """Take samples (n, channels) in the channels' units; NaN where one was lost.

        Samples of another number of channels are none of this stream's: they are left out.
        """
        if samples.shape[1:] != self._samples.shape[1:]:
            return
        samples = samples[-self._keep :]
        first = min(len(samples), self._keep - self._next)
        self._samples[self._next : self._next + first] = samples[:first]
        self._samples[: len(samples) - first] = samples[first:]
        self._next = (self._next + len(samples)) % self._keep

    def powers(self) -> FloatArray:
        """Power in dB re 1 µV², (channels, bands).

        Hann segments of one second that overlap by half; those with a lost sample are left out. NaN for
        a channel without a whole segment or that does not move, and for bands beyond half the rate.
        """
        ordered = np.roll(self._samples, -self._next, axis=0) * self._gain_uv
        size, overlap = self._segment, self._segment - self._segment // 2
        _, _, density = signal.spectrogram(ordered, self._rate_hz, "hann", size, overlap, axis=0)
        power = np.einsum("bf,fcs->scb", self._sums, density)  # NaN spreads over its segment
        whole = np.isfinite(power)
        mean = np.where(whole, power, 0.0).sum(axis=0) / np.maximum(whole.sum(axis=0), 1)
        unmoved = mean.sum(axis=1, keepdims=True) < LEAST_UV2
        mean = np.maximum(mean.astype(np.float64), LEAST_UV2)
        mean[unmoved | self._beyond] = np.nan
        powers: FloatArray = 10.0 * np.log10(mean)
        return powers


def _gain_uv(unit: str) -> float:
    known = find_unit(unit)
    return known.factor / MICROVOLTS.factor if known is not None and known.is_voltage else 1.0
