"""Heart rate and its variability from an electrocardiogram, live; docs/features.md defines each feature.

Every step looks back over the newest `window_s` at the intervals between heart beats (RR) whose second
beat lies there; ``ecg_beats`` finds the beats. Only differences between neighbours that are both accepted
count. Losses up to 20 ms are bridged.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bci_m2s.features.ecg_beats import LONGEST_RR_S, Beat, BeatDetector
from bci_m2s.features.losses import Joiner
from bci_m2s.features.parameters import blocks_per_step, check_known, check_rate, column, numbers
from bci_m2s.types import BoolArray, FloatArray, Step

WHERE = "feature ecg"
RATES_HZ = (100.0, 4000.0)
SHORTEST_RR_S = 60.0 / 220.0
FEWEST_INTERVALS = 5
BRIDGED_S = 0.02
SILENCE_S = 3.0
LEAST_TRACKED = 0.5
LEAST_CLARITY = 6.0  # noise has 2 to 5, a good ECG 20 to 1000
LEAST_REGULAR = 0.7
RESPIRATION_HZ = np.arange(0.15, 0.4001, 0.025)

# Parameters that are numbers: default, smallest, largest.
NUMBERS: dict[str, tuple[float, float, float]] = {
    "window_s": (15.0, 8.0, 300.0),
    "rr_tolerance": (0.3, 0.05, 1.0),
    "min_covered": (0.5, 0.1, 1.0),
}
NAMES = (
    "heart_rate_bpm",
    "rr_mean_ms",
    "sdnn_ms",
    "rmssd_ms",
    "pnn50_percent",
    "sd2_ms",
    "cv_percent",
    "heart_rate_min_bpm",
    "heart_rate_max_bpm",
    "heart_rate_slope_bpm_s",
    "rr_respiration_ms",
    "r_amplitude_ln",
)


class Electrocardiogram:
    """Extractor of heart-rate features; docs/features.md defines each.

    Settings
    --------
    channel : label of the ECG's channel; required when the modality has several channels
    window_s : how far the values look back
    rr_tolerance : intervals that differ from the window's median by a larger fraction are rejected
    min_covered : smallest share of the window that accepted intervals must cover

    Parameters
    ----------
    params : the settings above that differ from their defaults
    labels : channel labels, in the order of the samples' columns
    rate_hz : 100 to 4000 Hz
    step_s, hop_s : length of a step, a whole number of hops and at most `window_s`; a block is one hop

    Raises
    ------
    ContractError
        For an unknown or impossible parameter, a channel that is not there, an impossible rate or timing.
    """

    names = NAMES

    def __init__(
        self, params: dict[str, Any], labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float
    ) -> None:
        check_known(WHERE, params, ("channel", *NUMBERS))
        number = numbers(WHERE, params, NUMBERS)
        check_rate(WHERE, rate_hz, *RATES_HZ)
        self._blocks_per_step = blocks_per_step(WHERE, step_s, hop_s, number["window_s"])
        only = labels[0] if len(labels) == 1 else None
        self._column = column(WHERE, "channel", params.get("channel", only), labels)
        self._window_s, self._rr_tolerance = number["window_s"], number["rr_tolerance"]
        self._min_covered, self._rate_hz = number["min_covered"], rate_hz
        self._detector = BeatDetector(rate_hz, hop_s)
        self._joiner = Joiner(round(BRIDGED_S * rate_hz))
        # The window begins that much before the step, and its first interval up to 2 s before that.
        self.settle_s = self._window_s - step_s + self._detector.settle_s + LONGEST_RR_S
        self.reset()

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """See ``Counts``."""
        del params, labels
        return len(NAMES)

    def reset(self) -> None:
        """Begin a new segment."""
        self._detector.reset()
        self._joiner.reset()
        self._n = 0
        self._beats: deque[Beat] = deque()
        self._recent: deque[tuple[int, int, bool]] = deque(maxlen=self._blocks_per_step)

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; see ``Extractor.push``."""
        signal, lost = samples[:, self._column], missing[:, self._column]
        lost = lost | ~np.isfinite(signal)
        joined, broken = self._joiner.push(signal, lost)
        self._beats.extend(self._detector.push(joined, broken))
        self._n += len(signal)
        flat = not np.any(joined != joined[0])
        self._recent.append((len(signal), int(np.count_nonzero(lost)), flat))
        horizon = self._n - (self._window_s + LONGEST_RR_S) * self._rate_hz
        while self._beats and self._beats[0].position < horizon:
            self._beats.popleft()
        return self._step() if len(self._recent) == self._blocks_per_step else None

    def _step(self) -> Step:
        problem = self._signal_problem()
        if not problem:
            values, problem = self._values()
        crc = self._detector.crc
        return Step(np.full(len(NAMES), np.nan), problem, crc) if problem else Step(values, "", crc)

    def _signal_problem(self) -> str:
        taken, lost = sum(block[0] for block in self._recent), sum(block[1] for block in self._recent)
        if lost >= LEAST_TRACKED * taken:
            return f"ECG: {100 * lost / taken:.0f} % of the step's samples lost"
        if all(flat for _, _, flat in self._recent):
            return "ECG is flat"
        if not self._beats or self._n - self._beats[-1].position > SILENCE_S * self._rate_hz:
            return f"ECG: no heart beat for {SILENCE_S:g} s"
        if self._detector.clarity() < LEAST_CLARITY:
            return "ECG: heart beats do not stand out from the noise"
        return ""

    def _values(self) -> tuple[FloatArray, str]:
        position, height, joined = (np.array(part) for part in zip(*self._beats, strict=True))
        time_s = (position - self._n) / self._rate_hz  # 0 is now
        limits = (self._window_s, self._rr_tolerance, self._min_covered)
        measures, accepted, problem = beat_measures(time_s, joined, *limits)
        if problem:
            return np.empty(0), f"ECG: {problem}"
        height_v = float(np.median(height[1:][accepted]))
        amplitude = math.log(height_v) if height_v > 0 else math.nan  # a floor says nothing
        return np.append(measures, amplitude), ""


def beat_measures(
    time_s: FloatArray,
    joined: BoolArray,
    window_s: float = NUMBERS["window_s"][0],
    rr_tolerance: float = NUMBERS["rr_tolerance"][0],
    min_covered: float = NUMBERS["min_covered"][0],
) -> tuple[FloatArray, BoolArray, str]:
    """Measures of the beats of a window, whoever found them.

    Parameters
    ----------
    time_s : (k,) when each beat was, ascending; 0 is the end of the window
    joined : (k,) whether the interval from the beat before is whole
    window_s, rr_tolerance, min_covered : see ``Electrocardiogram``

    Returns
    -------
    (11,) measures in the order of ``NAMES`` without the amplitude, (k - 1,) which intervals were used, and
    why there are no measures, "" where there are some
    """
    rr_s, end_s = np.diff(time_s), time_s[1:]
    whole = (end_s > -window_s) & joined[1:]
    accepted = plausible_intervals(rr_s, whole, rr_tolerance)
    regular = accepted.sum() / max(int(whole.sum()), 1)
    covered = rr_s[accepted].sum() / window_s
    differences = np.diff(rr_s)[accepted[1:] & accepted[:-1]]
    if np.count_nonzero(accepted) < FEWEST_INTERVALS or covered < min_covered or not len(differences):
        problem = f"whole beat intervals cover {100 * covered:.0f} % of the window"
        return np.empty(0), accepted, problem
    if regular < LEAST_REGULAR:
        return np.empty(0), accepted, f"{100 * (1 - regular):.0f} % of the beat intervals are irregular"
    return rr_measures(rr_s[accepted], end_s[accepted], differences), accepted, ""


def plausible_intervals(rr_s: FloatArray, whole: BoolArray, tolerance: float) -> BoolArray:
    """Which of the whole intervals a heart can have made, (k,); docs/features.md has the rules."""
    accepted = whole & (rr_s >= SHORTEST_RR_S) & (rr_s <= LONGEST_RR_S)
    if not accepted.any():
        return accepted
    typical = np.median(rr_s[accepted])
    return accepted & (np.abs(rr_s - typical) <= tolerance * typical)


def rr_measures(rr_s: FloatArray, end_s: FloatArray, differences_s: FloatArray) -> FloatArray:
    """The features that come from RR intervals.

    Parameters
    ----------
    rr_s, end_s : (k,) accepted intervals and when each ended, s; k >= 2
    differences_s : (d,) between accepted neighbours, s; d >= 1

    Returns
    -------
    (11,) in the order and units of ``NAMES``, without the amplitude
    """
    rr_ms, differences_ms = 1000 * rr_s, 1000 * differences_s
    mean, sdnn = rr_ms.mean(), rr_ms.std(ddof=1)
    rate = 60.0 / rr_s
    centred_s = end_s - end_s.mean()
    return np.array(
        [
            60_000.0 / mean,
            mean,
            sdnn,
            np.sqrt(np.mean(differences_ms**2)),
            100.0 * np.mean(np.abs(differences_ms) > 50.0),
            np.sqrt(max(2 * sdnn**2 - 0.5 * differences_ms.var(), 0.0)),
            100.0 * sdnn / mean,
            rate.min(),
            rate.max(),
            centred_s @ rate / (centred_s @ centred_s),
            respiratory_rms(rr_ms, centred_s),
        ]
    )


def respiratory_rms(rr_ms: FloatArray, time_s: FloatArray) -> float:
    """Root mean square of the strongest sinusoid of 0.15–0.4 Hz in unevenly spaced RR.

    A straight line is taken out of RR and of the sinusoids first, which makes it a joint fit.

    Parameters
    ----------
    rr_ms, time_s : (k,) intervals and their times less the mean time

    Returns
    -------
    float, in the unit of `rr_ms`
    """
    line = np.stack((np.full(len(time_s), len(time_s) ** -0.5), time_s / np.sqrt(time_s @ time_s)))
    phase = 2 * np.pi * RESPIRATION_HZ[:, None] * time_s
    waves = np.concatenate((np.cos(phase), np.sin(phase)))  # (2 x frequencies, k)
    waves -= waves @ line.T @ line
    rest = rr_ms - rr_ms @ line.T @ line
    cosine, sine = waves.reshape(2, len(RESPIRATION_HZ), -1)
    cc, ss, cs = (
        (first * second).sum(axis=1) for first, second in ((cosine, cosine), (sine, sine), (cosine, sine))
    )
    with_cosine, with_sine = cosine @ rest, sine @ rest
    # What a least-squares fit of both explains: b' G^-1 b, with the 2 x 2 Gram matrix G.
    explained = ss * with_cosine**2 - 2 * cs * with_cosine * with_sine + cc * with_sine**2
    determinant = np.maximum(cc * ss - cs**2, 1e-9 * len(rr_ms) ** 2)
    return math.sqrt(max(float((explained / determinant).max()), 0.0) / len(rr_ms))
