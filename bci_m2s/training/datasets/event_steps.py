"""Step features from events that somebody else found: fixations, saccades, blinks, heart beats.

They are computed as the live ones are from events of their own (``features.eye``, ``features.ecg``), with
the same limits, as far as events can tell: not the pupil, how wide a fixation was, the height of R.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bci_m2s.features.ecg import NAMES as ECG_NAMES
from bci_m2s.features.ecg import beat_measures
from bci_m2s.features.ecg_beats import LONGEST_RR_S
from bci_m2s.features.eye import EVENT_NAMES, event_values
from bci_m2s.features.eye_events import NEVER, EventLimits, Events, IntArray, Spans
from bci_m2s.types import BoolArray, FloatArray

RATE_HZ = 1000.0  # of the grid on which events are laid
HISTORY_S = 4.0  # an event counts with at most so much of what was before its step
HEART_WINDOW_S = 30.0
LEAST_TRACKED = 0.5
LIMITS = EventLimits()
# Not known of events alone, or twice in the list of the live feature.
_KEPT = [
    index
    for index, name in enumerate(EVENT_NAMES)
    if "dispersion" not in name and name not in ("saccade_duration_average", "saccade_amplitude_average")
]
EYE_NAMES = (*(EVENT_NAMES[index] for index in _KEPT), "gaze_spread_x_deg", "gaze_spread_y_deg")
HEART_NAMES = ECG_NAMES[:-1]


class EyeEvents(NamedTuple):
    """Events of a recording, in order of time; all times in s from its beginning.

    fixations : (f, 4) start, end, mean gaze x and y in degrees
    saccades : (s, 3) start, end, amplitude in degrees, NaN where it is not known
    blinks : (b, 2) start, end; longer ones than a blink are losses of the track
    """

    fixations: FloatArray
    saccades: FloatArray
    blinks: FloatArray


def eye_steps(events: EyeEvents, step_s: float, count: int) -> FloatArray:
    """Features of each step, (count, len(EYE_NAMES)); NaN where half of it or more is not tracked.

    Saccades that hold a blink are none: the eye does not move where the lid covers it.
    """
    fixations, blinks = events.fixations, events.blinks
    length_s = blinks[:, 1] - blinks[:, 0]
    counted = blinks[(length_s >= LIMITS.blink_min_s) & (length_s <= LIMITS.blink_max_s)]
    saccades = events.saccades[~_holds(events.saccades, blinks)]
    seen = np.concatenate([part[:, :2] for part in (fixations, saccades, counted)])
    fixations = fixations[fixations[:, 1] - fixations[:, 0] >= LIMITS.fixation_min_s]
    long_enough = saccades[:, 1] - saccades[:, 0] >= LIMITS.saccade_min_s
    saccades = saccades[long_enough & (saccades[:, 2] >= LIMITS.saccade_min_deg)]
    rows = np.full((count, len(EYE_NAMES)), np.nan)
    for step in range(count):
        begin_s, end_s = step * step_s, (step + 1) * step_s
        inside_s = np.minimum(seen[:, 1], end_s) - np.maximum(seen[:, 0], begin_s)
        if np.maximum(inside_s, 0.0).sum() <= LEAST_TRACKED * step_s:
            continue
        near = [
            part[(part[:, 0] < end_s) & (part[:, 1] > begin_s - HISTORY_S)]
            for part in (fixations, saccades, counted)
        ]
        spans = [_spans(part, begin_s - HISTORY_S, end_s) for part in near]
        found = Events(spans[0], np.zeros((len(near[0]), 2)), spans[1], near[1][:, 2], spans[2])
        values = event_values(found, round(begin_s * RATE_HZ), round(end_s * RATE_HZ), RATE_HZ, step_s)
        in_step = near[0][near[0][:, 1] > begin_s, 2:]
        spread = in_step.std(axis=0) if len(in_step) > 1 else np.zeros(2)
        rows[step] = [*(values[index] for index in _KEPT), *spread]
    return rows


def _holds(outer: FloatArray, inner: FloatArray) -> BoolArray:
    """Which of the outer spans overlap one of the inner ones, which follow each other."""
    if not len(inner):
        return np.zeros(len(outer), dtype=bool)
    after = np.searchsorted(inner[:, 1], outer[:, 0], side="right")
    nearest = inner[np.minimum(after, len(inner) - 1), 0]
    return np.asarray((after < len(inner)) & (nearest < outer[:, 1]))


def _spans(part: FloatArray, from_s: float, end_s: float) -> Spans:
    """Events as they are known at the end of a step, one that goes on with its length so far."""

    def samples(times_s: FloatArray) -> IntArray:
        return np.round(times_s * RATE_HZ).astype(np.int64)

    known = samples(part[:, 1])
    known[part[:, 1] >= end_s] = NEVER
    return Spans(samples(np.maximum(part[:, 0], from_s)), samples(np.minimum(part[:, 1], end_s)), known)


def heart_steps(beats_s: FloatArray, step_s: float, count: int) -> FloatArray:
    """Measures of the beats in the ``HEART_WINDOW_S`` before the end of each step, (count, 11).

    NaN until the first such time has passed, and where too few beats are plausible.

    beats_s : (k,) ascending, s from the beginning of the recording
    """
    rows = np.full((count, len(HEART_NAMES)), np.nan)
    for step in range(math.ceil(HEART_WINDOW_S / step_s) - 1, count):
        end_s = (step + 1) * step_s
        first = np.searchsorted(beats_s, end_s - HEART_WINDOW_S - LONGEST_RR_S)
        time_s = beats_s[first : np.searchsorted(beats_s, end_s, side="right")] - end_s
        if len(time_s) > 1:
            measures, _, problem = beat_measures(time_s, np.ones(len(time_s), dtype=bool), HEART_WINDOW_S)
            rows[step] = math.nan if problem else measures
    return rows
