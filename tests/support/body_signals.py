"""Synthetic signals of the body whose truth is known, for tests of features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Waves of a heart beat: delay from R, s; width (standard deviation), s; height, share of R. P and T move
# with the square root of the interval, as QT does (Bazett 1920); they stand here for 1 s.
WAVES = (
    (-0.17, 0.022, 0.12),  # P
    (-0.028, 0.009, -0.12),  # Q
    (0.0, 0.011, 1.0),  # R
    (0.03, 0.011, -0.25),  # S
    (0.26, 0.05, 0.3),  # T
)


def beat_times(
    seconds: float,
    rate_bpm: float = 70.0,
    respiration_s: float = 0.03,
    jitter_s: float = 0.01,
    seed: int = 0,
) -> Array:
    """R peaks, s: a breath of 0.25 Hz (amplitude `respiration_s`) and chance in their intervals."""
    rng = np.random.default_rng(seed)
    times = [0.31]
    while times[-1] < seconds + 2:
        sway = respiration_s * np.sin(2 * np.pi * 0.25 * times[-1])
        times.append(times[-1] + 60 / rate_bpm + sway + jitter_s * rng.normal())
    return np.array(times)


def ecg_of(
    beats_s: Array, seconds: float, rate_hz: float, noise: float = 0.0, wander: float = 0.0, seed: int = 0
) -> Array:
    """ECG in microvolts, (n,); R is 1000 high, `noise` (white, SD) and `wander` are shares of R."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    out = np.zeros(len(times))
    for beat_s, stretch in zip(beats_s, np.sqrt(np.diff(beats_s, append=np.inf).clip(0.2, 2)), strict=True):
        near = slice(*np.searchsorted(times, (beat_s - 0.4, beat_s + 0.7)))
        for delay_s, width_s, height in WAVES:
            moved_s = beat_s + delay_s * (stretch if abs(delay_s) > 0.1 else 1.0)
            out[near] += height * np.exp(-0.5 * ((times[near] - moved_s) / width_s) ** 2)
    out += wander * (np.sin(2 * np.pi * 0.23 * times) + 0.5 * np.sin(2 * np.pi * 0.07 * times + 1))
    return 1000 * (out + noise * np.random.default_rng(seed + 1).normal(size=len(times)))


def ecg(seconds: float, rate_hz: float, seed: int = 0) -> tuple[Array, Array]:
    """Stamps and an ordinary ECG, (n,) and (n, 1)."""
    samples = ecg_of(beat_times(seconds, seed=seed), seconds, rate_hz, noise=0.03, wander=0.1, seed=seed)
    return 1000 + np.arange(len(samples)) / rate_hz, samples[:, None]


BODY_LABELS = ("hEOG", "vEOG", "zEMG", "tEMG", "GSR", "Resp", "Plet", "Temp")  # DEAP's, at DEAP's 128 Hz
BODY_PARAMS = {
    "columns": {
        "gsr": "GSR",
        "respiration": "Resp",
        "plethysmograph": "Plet",
        "temperature": "Temp",
        "emg": ["zEMG", "tEMG"],
        "eog": ["hEOG", "vEOG"],
    }
}


def breath(seconds: float, rate_hz: float, per_min: float = 15.0, depth: float = 2.0) -> Array:
    """A belt, (n,): `depth` from full to empty, with a second harmonic and a slow drift."""
    phase = 2 * np.pi * per_min / 60 * np.arange(int(seconds * rate_hz)) / rate_hz
    return depth / 2 * (np.sin(phase) + 0.1 * np.sin(2 * phase)) + 0.0005 * np.arange(len(phase)) / rate_hz


def pulse_of(beats_s: Array, seconds: float, rate_hz: float, height: float = 50.0) -> Array:
    """A plethysmogram, (n,): steep rise, slower fall, a dicrotic wave."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    out = np.zeros(len(times))
    for beat_s in beats_s:
        since = np.maximum(times - beat_s, 0.0)
        out += (since / 0.1) ** 2 * np.exp(2 - 2 * since / 0.1)
        later = np.maximum(since - 0.25, 0.0)
        out += 0.25 * (later / 0.08) ** 2 * np.exp(2 - 2 * later / 0.08)
    return height * out


def skin(seconds: float, rate_hz: float, responses_s: Array, slope_per_s: float = 0.0) -> Array:
    """Skin conductance, microsiemens, (n,): 5, a slope, and responses of 0.5 that begin at given times."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    since = np.maximum(times[:, None] - np.asarray(responses_s), 0.0)
    return 5 + slope_per_s * times + 0.9 * (np.exp(-since / 3.0) - np.exp(-since / 0.8)).sum(axis=1)


def blinking(seconds: float, rate_hz: float, blinks_s: Array, height: float = 150.0) -> Array:
    """Vertical EOG, microvolts, (n,): noise of 5 and blinks of 0.2 s."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    out = np.random.default_rng(8).normal(0, 5, len(times))
    for blink_s in blinks_s:
        out += height * np.exp(-0.5 * ((times - blink_s) / 0.06) ** 2)
    return out


def body(seconds: float, seed: int = 0) -> tuple[Array, Array]:
    """Stamps and eight channels in the order of ``BODY_LABELS`` at 128 Hz, (n,) and (n, 8)."""
    rng, rate_hz = np.random.default_rng(seed), 128.0
    n = int(seconds * rate_hz)
    columns = (
        blinking(seconds, rate_hz, np.array([]), 0.0),
        blinking(seconds, rate_hz, np.arange(1.5, seconds, 3.7)),
        rng.normal(0, 4, n),
        rng.normal(0, 9, n),
        skin(seconds, rate_hz, np.arange(2.0, seconds, 6.0)) + rng.normal(0, 0.002, n),
        breath(seconds, rate_hz) + rng.normal(0, 0.02, n),
        pulse_of(beat_times(seconds, seed=seed), seconds, rate_hz) + rng.normal(0, 0.5, n),
        33 + 0.001 * np.arange(n) / rate_hz + rng.normal(0, 0.01, n),
    )
    return 1000 + np.arange(n) / rate_hz, np.column_stack(columns)
