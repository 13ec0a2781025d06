"""Band power of the newest two seconds, by Welch's method (Welch 1967): for the eye, not for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.signal.units import MICROVOLTS, find_unit
from bci_m2s.types import FloatArray

DEFAULT_BANDS: Mapping[str, tuple[float, float]] = SEED_BANDS_HZ
UNIT = "dB re 1 µV²"
KEEP_S = 2.0
SEGMENT_S = 1.0
LEAST_UV2 = 1e-6  # below it a channel does not move: (1 nV)², less than any amplifier's noise


class BandPower:
    """Power of each channel in each band.

    Parameters
    ----------
    labels : channel names, (channels,)
    units : of the channels; one that is not stated or no voltage is taken for microvolts
    rate_hz : nominal sampling rate
    bands : {name: (low, high)} in Hz, high exclusive

    Raises
    ------
    ValueError
        A rate below 4 Hz: there is no segment to speak of.
    """

    def __init__(
        self,
        labels: Sequence[str],
        units: Sequence[str],
        rate_hz: float,
        bands: Mapping[str, tuple[float, float]] = DEFAULT_BANDS,
    ) -> None:
        if not rate_hz >= 4:
            raise ValueError(f"band power: rate_hz: got {rate_hz:g}, expected at least 4 Hz")
        self.labels, self.bands = tuple(labels), tuple(bands)
        stated = [*units, *[""] * len(labels)][: len(labels)]
        self._gain_uv = np.array([_gain_uv(unit) for unit in stated], dtype=np.float32)
        self._segment = round(SEGMENT_S * rate_hz)
        self._keep = round(KEEP_S * rate_hz)
        self._window = np.hanning(self._segment + 1)[:-1].astype(np.float32)[:, None]  # periodic
        self._scale = np.float32(2.0 / (rate_hz * np.sum(self._window**2)))  # one-sided, µV²/Hz
        frequencies = np.fft.rfftfreq(self._segment, 1.0 / rate_hz)
        width_hz = rate_hz / self._segment
        inside = [(low <= frequencies) & (frequencies < high) for low, high in bands.values()]
        self._sums = np.array(inside, dtype=np.float32) * np.float32(width_hz)  # (bands, frequencies)
        self._beyond = np.array([high > rate_hz / 2 for _, high in bands.values()])
        self.reset()

    def reset(self) -> None:
        """Forget all samples: a gap, or another stream."""
        self._samples = np.full((self._keep, len(self.labels)), np.nan, dtype=np.float32)
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
        starts = range(0, self._keep - self._segment + 1, max(self._segment // 2, 1))
        segments = np.stack([ordered[start : start + self._segment] for start in starts])
        segments -= segments.mean(axis=1, keepdims=True)
        density = np.abs(np.fft.rfft(segments * self._window, axis=1)) ** 2 * self._scale
        power = np.einsum("bf,sfc->scb", self._sums, density)  # NaN spreads over its segment
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
