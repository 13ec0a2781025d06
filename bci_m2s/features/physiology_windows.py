"""What ``physiology`` computes from the trailing window of one signal; plain functions of past samples."""

from __future__ import annotations

import math

import numpy as np
import scipy

from bci_m2s.features.ecg import plausible_intervals
from bci_m2s.types import BoolArray, FloatArray

TINY = 1e-300  # keeps logarithms finite
SMOOTH_S = 1.0
PEAK_SHARE = 0.1  # of the window's range, by which a skin response stands out
BREATH_HZ = (0.1, 0.7)  # 6 to 42 breaths per minute
SLOW_HZ, QUICK_HZ = (0.05, 0.25), (0.25, 2.0)
PADDED = 8  # the spectrum's grid is this many times finer than the window's own resolution
PULSE_S, BEAT_S, PULSE_OFFSET = 0.111, 0.667, 0.02  # Elgendi et al. 2013
FEWEST_INTERVALS = 4
BLINK_SPREADS = 5.0  # robust standard deviations by which a blink stands out
BLINK_S = (0.04, 0.5)  # width at half its height
BLINK_APART_S = 0.2


def slope_per_s(values: FloatArray, bin_s: float) -> float:
    """Slope of the straight line through (k,) values, `bin_s` apart; k >= 2."""
    time_s = (np.arange(len(values)) - (len(values) - 1) / 2) * bin_s
    return float(time_s @ values / (time_s @ time_s))


def skin_values(level: FloatArray, bin_s: float) -> list[float]:
    """Mean, slope, range, falling share and peaks per minute of (k,) skin conductance.

    All but the mean are taken after a moving mean of 1 s.
    """
    width = max(1, round(SMOOTH_S / bin_s))
    sums = np.cumsum(np.append(0.0, level - level[0]))
    smooth = (sums[width:] - sums[:-width]) / width + level[0]
    change, extent = np.diff(smooth), float(smooth.max() - smooth.min())
    least = max(PEAK_SHARE * extent, 1e-9 * abs(float(level.mean())), TINY)
    peaks = scipy.signal.find_peaks(smooth, prominence=least)[0]
    minutes = len(smooth) * bin_s / 60
    falling = float(np.mean(change < 0))
    return [float(level.mean()), slope_per_s(smooth, bin_s), extent, falling, len(peaks) / minutes]


def breath_values(belt: FloatArray, bin_s: float) -> list[float] | None:
    """Rate per minute, spectral centroid, depth, SD and ln(slow / quick energy) of (k,); None when flat."""
    count = len(belt)
    time = np.arange(count) - (count - 1) / 2
    swing = belt - belt.mean() - time * (time @ belt / (time @ time))
    deviation = float(swing.std())
    if deviation <= 1e-9 * max(abs(float(belt.mean())), TINY):
        return None
    power = np.abs(np.fft.rfft(swing * np.hanning(count), PADDED * count)) ** 2
    frequency_hz = np.fft.rfftfreq(PADDED * count, bin_s)
    slow, quick, breath, all_of_it = (
        (frequency_hz >= low) & (frequency_hz < high)
        for low, high in (SLOW_HZ, QUICK_HZ, BREATH_HZ, (SLOW_HZ[0], QUICK_HZ[1]))
    )
    rate_hz = frequency_hz[breath][np.argmax(power[breath])]
    centroid_hz = power[all_of_it] @ frequency_hz[all_of_it] / max(power[all_of_it].sum(), TINY)
    low, high = np.percentile(swing, (5, 95))
    least = min(float(power[slow].sum()), float(power[quick].sum()))
    ratio = math.log(power[slow].sum() / power[quick].sum()) if least > TINY else math.nan
    return [60 * float(rate_hz), float(centroid_hz), float(high - low), deviation, ratio]


def pulse_peaks(wave: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Find the systolic peaks of a plethysmogram at 0.5–8 Hz, whichever way up.

    Two moving means of the squared positive part (Elgendi et al. 2013, "Systolic peak detection in
    acceleration photoplethysmograms", PLoS ONE 8(10), e76585). The pulse rises faster than it falls, so
    the side on which its slope has the longer tail is up.

    Parameters
    ----------
    wave : (k,) filtered samples
    rate_hz : their rate

    Returns
    -------
    (p,) positions in samples, fractional, and (p,) heights above the lowest point since the peak before
    """
    wave = wave if np.mean(np.diff(wave) ** 3) >= 0 else -wave
    squared = np.maximum(wave, 0.0) ** 2
    pulse = scipy.ndimage.uniform_filter1d(squared, max(1, round(PULSE_S * rate_hz)))
    beat = scipy.ndimage.uniform_filter1d(squared, max(1, round(BEAT_S * rate_hz)))
    above = pulse > beat + PULSE_OFFSET * squared.mean()
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False)).reshape(-1, 2)
    whole = (edges[:, 0] > 0) & (edges[:, 1] < len(wave) - 1)
    edges = edges[whole & (edges[:, 1] - edges[:, 0] >= PULSE_S * rate_hz)]
    tops = np.array([first + np.argmax(wave[first:last]) for first, last in edges], dtype=np.int64)
    if len(tops) < 2:
        return np.empty(0), np.empty(0)
    before, peak, after = wave[tops - 1], wave[tops], wave[tops + 1]
    bend = np.minimum(before - 2 * peak + after, -TINY)
    positions: FloatArray = tops.astype(np.float64) + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    lows = np.minimum.reduceat(wave[: tops[-1]], np.append(0, tops[:-1]))
    return positions, peak - lows


def pulse_values(wave: FloatArray, broken: BoolArray, rate_hz: float) -> list[float] | None:
    """Rate, SDNN, RMSSD and ln amplitude of (k,) plethysmogram; None when no regular pulse is there.

    broken : (k,), true where samples were lost; the intervals around are left out
    """
    positions, heights = pulse_peaks(wave, rate_hz)
    if len(positions) <= FEWEST_INTERVALS:
        return None
    lost_before = np.append(0, np.cumsum(broken))[positions.astype(np.int64) + 1]
    whole = np.diff(lost_before) == 0
    rr_s = np.diff(positions) / rate_hz
    accepted = plausible_intervals(rr_s, whole, 0.3)
    differences_s = np.diff(rr_s)[accepted[1:] & accepted[:-1]]
    covered = rr_s[accepted].sum() >= 0.5 * len(wave) / rate_hz
    regular = accepted.sum() >= 0.7 * whole.sum()
    if accepted.sum() < FEWEST_INTERVALS or not covered or not regular or not len(differences_s):
        return None
    rr_ms = 1000 * rr_s[accepted]
    rmssd_ms = 1000 * math.sqrt(float(np.mean(differences_s**2)))
    height = float(np.median(heights[1:][accepted]))
    log_height = math.log(height) if height > TINY else math.nan
    return [60_000 / float(rr_ms.mean()), float(rr_ms.std(ddof=1)), rmssd_ms, log_height]


def blinks(wave: FloatArray, rate_hz: float) -> int:
    """Count the blink-like pulses in (k,) EOG at 1–10 Hz, on the side of the largest deflection."""
    wave = wave if wave.max() >= -wave.min() else -wave
    spread = 1.4826 * float(np.median(np.abs(wave - np.median(wave))))
    width = (BLINK_S[0] * rate_hz, BLINK_S[1] * rate_hz)
    least = max(BLINK_SPREADS * spread, TINY)
    apart = max(1.0, BLINK_APART_S * rate_hz)
    return len(scipy.signal.find_peaks(wave, height=least, distance=apart, width=width)[0])
