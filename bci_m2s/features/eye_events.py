"""Fixations, saccades and blinks in gaze, by a velocity threshold (I-VT; Salvucci & Goldberg 2000).

docs/features.md defines the events. At 120 Hz the speed is the central difference; at 1000 Hz it averages
noise away. Every duration is a number of samples over the sampling rate. All is decided from the samples up
to now: `known` of an event is the sample at which it is beyond doubt, and whatever follows that sample
leaves the event as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]

HALF_WINDOW_S = 0.01  # each side of the speed estimate
LOST, SLOW, FAST = 0, 1, 2
NEVER = np.iinfo(np.int64).max // 2  # `known` of an event that goes on


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Thresholds; defaults are those of Olsen 2012 for fixations, of the SEED features for the rest."""

    velocity_deg_s: float = 30.0
    saccade_min_s: float = 0.01
    saccade_min_deg: float = 0.5
    fixation_min_s: float = 0.06
    merge_gap_s: float = 0.075
    blink_min_s: float = 0.05
    blink_max_s: float = 0.4


class Spans(NamedTuple):
    """Events of one kind in order. Each holds the samples start to stop (not included)."""

    start: IntArray
    stop: IntArray
    known: IntArray  # first sample at which the event is certain, NEVER while a fixation goes on

    def pick(self, chosen: BoolArray) -> Spans:
        """Return the events where `chosen` (k,) is true."""
        return Spans(self.start[chosen], self.stop[chosen], self.known[chosen])


@dataclass(frozen=True, slots=True)
class Events:
    """What `detect_events` found. extent_deg : (k, 2) width and height of each fixation's gaze;
    amplitude_deg : (m,) of each saccade.
    """

    fixations: Spans
    extent_deg: FloatArray
    saccades: Spans
    amplitude_deg: FloatArray
    blinks: Spans


class _Runs(NamedTuple):
    start: IntArray
    stop: IntArray
    kind: NDArray[np.int8]


def half_window(rate_hz: float) -> int:
    """Samples on each side of the speed estimate, and how far events lag behind the newest sample."""
    return max(1, round(HALF_WINDOW_S * rate_hz))


def detect_events(gaze_deg: FloatArray, tracked: BoolArray, rate_hz: float, limits: EventLimits) -> Events:
    """Find the events in consecutive samples.

    Parameters
    ----------
    gaze_deg : (n, 2), degrees of visual angle; anything finite or not where `tracked` is false
    tracked : (n,) bool
    rate_hz : sampling rate
    limits : thresholds

    Returns
    -------
    Events
        Sample indices count from the first sample given. What began before it is cut there.
    """
    half, dip = half_window(rate_hz), _at_most(limits.saccade_min_s, rate_hz)
    before, after, speed = _local_gaze(gaze_deg, tracked, half, rate_hz)
    speed = speed[: max(len(speed) - half, 0)]  # later ones still depend on samples to come
    kinds = np.full(len(speed), SLOW, dtype=np.int8)
    kinds[speed >= limits.velocity_deg_s] = FAST
    kinds[np.isnan(speed)] = LOST
    runs = _runs_without_dips(kinds, dip)
    is_blink = _blinks(runs, limits, rate_hz)

    slow = (runs.kind == SLOW).nonzero()[0]
    leave, back = runs.stop[slow[:-1]], runs.start[slow[1:]]  # between two slow runs
    jump_deg = np.hypot(*(after[back] - before[leave - 1]).T)
    moved = jump_deg >= limits.saccade_min_deg
    one_fast = (slow[1:] - slow[:-1] == 2) & (runs.kind[slow[:-1] + 1] == FAST)
    is_saccade = moved & one_fast & (back - leave > dip)

    merge = _at_most(limits.merge_gap_s, rate_hz)
    blinks_before = is_blink.cumsum()[slow]
    blinked = blinks_before[1:] > blinks_before[:-1]
    joined = (back - leave <= merge) & ~moved & ~blinked
    first = np.concatenate(([0], (~joined).nonzero()[0] + 1))[: len(slow)]
    # Still to pass when an event seems over: a dip that may be filled, the look-ahead of the speed.
    fixations = _fixations(runs, slow, first, back[~joined], merge, dip + half)
    long_enough = fixations.stop - fixations.start >= _at_least(limits.fixation_min_s, rate_hz)
    return Events(
        fixations=fixations.pick(long_enough),
        extent_deg=_extent(gaze_deg[: len(kinds)], runs, slow, first)[long_enough],
        saccades=Spans(leave, back, back + dip + half).pick(is_saccade),
        amplitude_deg=jump_deg[is_saccade],
        blinks=Spans(runs.start, runs.stop, runs.stop + half).pick(is_blink),
    )


def _local_gaze(
    gaze_deg: FloatArray, tracked: BoolArray, half: int, rate_hz: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean gaze over i-half..i and over i..i+half, both (n, 2), and speed in deg/s (n,), NaN if lost."""
    n = len(tracked)
    table = np.zeros((4, n + 2 * half))  # one, sample number, x, y of each tracked sample, else 0
    inside = table[:, half : half + n]
    inside[0] = tracked
    inside[1] = np.arange(n) * tracked
    inside[2:] = np.where(tracked[:, None], gaze_deg, 0.0).T
    sums = np.zeros((4, n + 2 * half + 1))
    np.cumsum(table, axis=1, out=sums[:, 1:])
    past = sums[:, half + 1 : half + 1 + n] - sums[:, :n]
    coming = sums[:, 2 * half + 1 :] - sums[:, half : half + n]
    with np.errstate(divide="ignore", invalid="ignore"):
        past, coming = past[1:] / past[0], coming[1:] / coming[0]
        moved = coming - past  # (3, n): samples, degrees, degrees
        speed = np.hypot(moved[1], moved[2]) / moved[0] * rate_hz
    speed[~tracked | ~(moved[0] > 0)] = np.nan  # no tracked neighbour: no time between the means
    return past[1:].T, coming[1:].T, speed


def _blinks(runs: _Runs, limits: EventLimits, rate_hz: float) -> BoolArray:
    """Which runs are blinks: lost, of the right length, with tracked samples before and after."""
    length = runs.stop - runs.start
    chosen = (runs.kind == LOST) & (length >= _at_least(limits.blink_min_s, rate_hz))
    chosen &= length <= _at_most(limits.blink_max_s, rate_hz)
    chosen[:1] = chosen[-1:] = False
    return chosen


def _runs_without_dips(kinds: NDArray[np.int8], dip: int) -> _Runs:
    """Runs of equal kind, slow runs of at most `dip` samples between two fast ones made fast."""
    runs = _runs(kinds)
    length = runs.stop - runs.start
    is_dip = (runs.kind == SLOW) & (length <= dip)
    is_dip[:1] = is_dip[-1:] = False
    is_dip[1:-1] &= (runs.kind[:-2] == FAST) & (runs.kind[2:] == FAST)
    if not is_dip.any():
        return runs
    return _runs(np.where(np.repeat(is_dip, length), FAST, kinds).astype(np.int8))


def _runs(kinds: NDArray[np.int8]) -> _Runs:
    if not len(kinds):
        nothing = np.empty(0, dtype=np.int64)
        return _Runs(nothing, nothing, kinds)
    edges = (kinds[1:] != kinds[:-1]).nonzero()[0] + 1
    start = np.concatenate(([0], edges))
    return _Runs(start, np.concatenate((edges, [len(kinds)])), kinds[start])


def _fixations(
    runs: _Runs, slow: IntArray, first: IntArray, next_start: IntArray, merge: int, lag: int
) -> Spans:
    """Merged slow runs; a fixation is over when the next begins or when it is too late to go on."""
    last = np.concatenate((first[1:], [len(slow)]))[: len(first)] - 1
    start, stop = runs.start[slow[first]], runs.stop[slow[last]]
    known = np.minimum(np.concatenate((next_start, [NEVER]))[: len(first)], stop + merge) + lag
    if len(known) and stop[-1] == runs.stop[-1]:
        known[-1] = NEVER
    return Spans(start, stop, known)


def _extent(gaze_deg: FloatArray, runs: _Runs, slow: IntArray, first: IntArray) -> FloatArray:
    """Width and height of the slow samples of each fixation: (k, 2)."""
    if not len(slow):
        return np.empty((0, 2))
    length = runs.stop - runs.start
    gaze = gaze_deg[np.repeat(runs.kind == SLOW, length)]
    offsets = (np.cumsum(length[slow]) - length[slow])[first]
    return np.maximum.reduceat(gaze, offsets, axis=0) - np.minimum.reduceat(gaze, offsets, axis=0)


def _at_least(seconds: float, rate_hz: float) -> int:
    return math.ceil(seconds * rate_hz - 1e-9)


def _at_most(seconds: float, rate_hz: float) -> int:
    return math.floor(seconds * rate_hz + 1e-9)
