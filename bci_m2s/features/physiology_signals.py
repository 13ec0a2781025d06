"""Signals of the body: each takes its blocks, keeps its trailing window, gives its values.

All have `names` of their values, `window_s` (how far these look back), `settle_s` (beyond that) and
`newest`: what the filters, or the bins, gave for the newest block.

Slow signals (skin, breath, temperature) are kept as means of about 1/8 s, or sample by sample, and are not
filtered, so they have no state but the window. Quick ones (pulse, muscle, eye) pass causal filters whose
state is carried.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bci_m2s.features.losses import Joiner
from bci_m2s.features.physiology_windows import (
    TINY,
    blinks,
    breath_values,
    pulse_values,
    skin_values,
    slope_per_s,
)
from bci_m2s.signal.filters import FilterBank
from bci_m2s.types import BoolArray, FloatArray

BIN_S = 0.125
KEPT_HZ = 100.0  # filtered waves are kept at about this rate, far above their bands
PULSE_BAND_HZ, BLINK_BAND_HZ = (0.5, 8.0), (1.0, 10.0)
EOG_BAND_HZ, EMG_BAND_HZ = (0.5, 35.0), (20.0, 200.0)
NYQUIST_SHARE = 0.45  # of the sampling rate, the highest cut-off
BRIDGED_S = 0.02
ORDER = 2
SKIN = tuple(f"gsr_{name}" for name in ("mean", "slope_per_s", "range", "falling_share", "peaks_per_min"))
BREATH = tuple(
    f"respiration_{name}" for name in ("rate_per_min", "centroid_hz", "depth", "sd", "slow_quick_ln")
)
WARMTH = ("temperature_mean", "temperature_slope_per_s")


class Timing(NamedTuple):
    """Sampling rate, length of a block, blocks per step, trailing window."""

    rate_hz: float
    hop_s: float
    blocks: int
    window_s: float


class SlowSignal:
    """Bins of a slow signal, and what `compute` makes of their levels and length; None when flat."""

    settle_s = 0.0

    def __init__(
        self,
        names: tuple[str, ...],
        timing: Timing,
        compute: Callable[[FloatArray, float], list[float] | None],
    ) -> None:
        self.names, self.window_s, self._compute = names, timing.window_s, compute
        # of a stream slower than 8 Hz, a bin is a sample
        self._bins = max(1, min(round(timing.hop_s / BIN_S), round(timing.rate_hz * timing.hop_s)))
        self._bin_s = timing.hop_s / self._bins
        self._kept = round(timing.window_s / self._bin_s)
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._levels = self.newest = np.empty(0)  # NaN where all samples of a bin were lost

    def push(self, samples: FloatArray, lost: BoolArray) -> None:
        """Append the means of the block's bins. samples, lost : (n,), as for the other signals"""
        edges = np.arange(self._bins) * len(samples) // self._bins
        count = np.add.reduceat(~lost, edges, dtype=np.float64)
        total = np.add.reduceat(np.where(lost, 0.0, samples), edges)
        self.newest = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        self._levels = np.concatenate((self._levels, self.newest))[-self._kept :]

    def values(self, min_tracked: float) -> list[float] | str:
        """A value for each name, or why there is none; lost bins are bridged by straight lines."""
        known = np.isfinite(self._levels)
        if known.sum() < max(min_tracked * len(known), 2 / self._bin_s):
            return f"lost {100 * (1 - known.mean()):.0f} % of the window"
        bins = np.arange(len(known))
        levels = np.interp(bins, bins[known], self._levels[known])
        return self._compute(levels, self._bin_s) or "is flat"


class _Wave:
    """A filtered channel over the trailing window, thinned to about ``KEPT_HZ``."""

    def __init__(self, band_hz: tuple[float, float], timing: Timing) -> None:
        self._bank = FilterBank([band_hz], timing.rate_hz, ORDER)
        self._joiner = Joiner(round(BRIDGED_S * timing.rate_hz))
        self._every = max(1, math.floor(timing.rate_hz / KEPT_HZ))
        self.rate_hz, self.window_s = timing.rate_hz / self._every, timing.window_s
        self._kept_n = round(timing.window_s * self.rate_hz)
        self.settle_s = self._bank.settle_s
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._bank.reset()
        self._joiner.reset()
        self._n = 0
        self.kept = self.newest = np.empty(0)
        self.broken = np.empty(0, dtype=bool)

    def push(self, samples: FloatArray, lost: BoolArray) -> None:
        """Filter and append."""
        joined, broken = self._joiner.push(samples, lost)
        wave = self.newest = self._bank.apply(joined[None])[0, 0]
        first = -self._n % self._every
        self._n += len(samples)
        self.kept = np.concatenate((self.kept, wave[first :: self._every]))[-self._kept_n :]
        self.broken = np.concatenate((self.broken, broken[first :: self._every]))[-self._kept_n :]

    def lost(self, min_tracked: float) -> str:
        """Why too little of the window is known; "" where it is enough."""
        share = self.broken.mean()
        return f"lost {100 * share:.0f} % of the window" if share > 1 - min_tracked else ""


class PulseSignal(_Wave):
    """Plethysmogram: band 0.5–8 Hz over the trailing window."""

    names: tuple[str, ...] = ("pulse_rate_bpm", "pulse_sdnn_ms", "pulse_rmssd_ms", "pulse_amplitude_ln")

    def __init__(self, timing: Timing) -> None:
        super().__init__(PULSE_BAND_HZ, timing)

    def values(self, min_tracked: float) -> list[float] | str:
        """Find the peaks and measure them."""
        return (
            self.lost(min_tracked)
            or pulse_values(self.kept, self.broken, self.rate_hz)
            or "shows no regular pulse"
        )


class EnergySignal:
    """Muscle or eye: ln of the mean square in a band over the step; of the eye also blinks per minute."""

    def __init__(
        self, kind: str, label: str, band_hz: tuple[float, float], notch_hz: list[float], timing: Timing
    ) -> None:
        self.names: tuple[str, ...] = (f"{kind}_{label}_energy_ln",)
        self.window_s = timing.blocks * timing.hop_s
        self._bank = FilterBank([band_hz], timing.rate_hz, ORDER, notch_hz)
        self.settle_s = self._bank.settle_s
        self._joiner = Joiner(round(BRIDGED_S * timing.rate_hz))
        self._blinks = _Wave(BLINK_BAND_HZ, timing) if kind == "eog" else None
        if self._blinks is not None:
            self.names += (f"{kind}_{label}_blinks_per_min",)
            self.window_s = timing.window_s
            self.settle_s = max(self.settle_s, self._blinks.settle_s)
        self._sums: deque[tuple[float, int, bool]] = deque(maxlen=timing.blocks)
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._bank.reset()
        self._joiner.reset()
        self._sums.clear()
        self.newest = np.empty(0)
        if self._blinks is not None:
            self._blinks.reset()

    def push(self, samples: FloatArray, lost: BoolArray) -> None:
        """Filter, and add up the squares of the samples that are there."""
        joined, broken = self._joiner.push(samples, lost)
        self.newest = self._bank.apply(joined[None])[0, 0]
        wave = self.newest[~broken]
        self._sums.append((float(wave @ wave), len(wave), bool(np.any(joined != joined[0]))))
        if self._blinks is not None:
            self._blinks.push(samples, lost)

    def values(self, min_tracked: float) -> list[float] | str:
        """Energy of the step, and the blinks of the window."""
        square, count = sum(block[0] for block in self._sums), sum(block[1] for block in self._sums)
        if not count:
            return "lost the whole step"
        if square <= TINY or not any(moved for _, _, moved in self._sums):
            return "is flat"
        energy = math.log(square / count)
        if self._blinks is None:
            return [energy]
        if problem := self._blinks.lost(min_tracked):
            return problem
        minutes = np.count_nonzero(~self._blinks.broken) / self._blinks.rate_hz / 60
        return [energy, blinks(self._blinks.kept, self._blinks.rate_hz) / minutes]


BodySignal = SlowSignal | PulseSignal | EnergySignal


def signals(kind: str, labels: list[str], notch_hz: list[float], timing: Timing) -> list[BodySignal]:
    """Build what computes the features of one kind, a signal for each label.

    Raises
    ------
    ValueError
        When the sampling rate is too low for a band or a notch is not below half of it.
    """
    if kind == "gsr":
        return [SlowSignal(SKIN, timing, skin_values)]
    if kind == "respiration":
        return [SlowSignal(BREATH, timing, breath_values)]
    if kind == "temperature":
        return [SlowSignal(WARMTH, timing, lambda x, bin_s: [float(x.mean()), slope_per_s(x, bin_s)])]
    if kind == "plethysmograph":
        return [PulseSignal(timing)]
    low_hz, high_hz = EMG_BAND_HZ if kind == "emg" else EOG_BAND_HZ
    band_hz = (low_hz, min(high_hz, NYQUIST_SHARE * timing.rate_hz))
    return [EnergySignal(kind, label, band_hz, notch_hz, timing) for label in labels]
