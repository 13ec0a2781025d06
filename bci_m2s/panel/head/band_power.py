"""Band power of the newest two seconds, by Welch's method (Welch 1967): for the eye, not for a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
        self._segment = round(SEGMENT_S * rate_hz)
        window = np.hanning(self._segment + 1)[:-1]  # periodic, as for every spectrum
        self._taper = (window / np.sqrt((window**2).mean())).astype(np.float32)  # keeps the power of noise
        self._keep = round(KEEP_S * rate_hz)
        frequencies = np.fft.rfftfreq(self._segment, 1.0 / rate_hz)
        inside = [(low <= frequencies) & (frequencies < high) for low, high in SEED_BANDS_HZ.values()]
        self._sums = np.array(inside, dtype=np.float32) * np.float32(2 / self._segment**2)  # both sides
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
        ordered = np.ascontiguousarray(np.roll(self._samples, -self._next, axis=0).T)
        segments = sliding_window_view(ordered, self._segment, axis=1)[:, :: max(1, self._segment // 2)]
        segments = (segments - segments.mean(axis=2, keepdims=True)) * self._taper
        spectra = np.fft.rfft(segments * self._gain_uv[:, None, None])
        density = spectra.real**2 + spectra.imag**2
        power = (density @ self._sums.T).transpose(1, 0, 2)  # NaN spreads over its segment
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
