"""The time axis of the samples that are handed over, and where on it everything else happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci_m2s.recording.raw_axis import place, time_axis
from bci_m2s.review.facts import RecordingStream
from bci_m2s.types import FloatArray

KNOT_S = 10.0  # stamps are averaged over this time: jitter goes, the drift of a clock is followed
FEWEST_OF_RUN = 10  # samples that show a rate


@dataclass(frozen=True, slots=True, eq=False)
class TimeAxis:
    """Even sampling times of the leading stream, 0 s at its first sample.

    rate_hz : of the even times; n_samples : of them, samples that stand for gaps included
    knots_s : (k,) seconds of the session; places_s : (k,) the same moments on the axis
    gaps : (g, 2) first moment and length of each gap, s on the axis
    note : what is to be said of the stamps, "" for nothing
    """

    rate_hz: float
    n_samples: int
    knots_s: FloatArray
    places_s: FloatArray
    gaps: FloatArray
    note: str = ""

    def at(self, times_s: FloatArray) -> FloatArray:
        """Moments of the session (n,), s, on the axis; they may lie before and behind it."""
        inside = np.interp(times_s, self.knots_s, self.places_s)
        before = np.minimum(times_s - self.knots_s[0], 0.0)
        return np.asarray(inside + before + np.maximum(times_s - self.knots_s[-1], 0.0))


def axis_of(stream: RecordingStream) -> TimeAxis:
    """The axis of a stream with a sampling rate and at least one sample.

    Within a run of samples without a gap the axis follows means over ``KNOT_S``, so that what came with
    jittering stamps does not put its jitter on what is placed beside it.
    """
    shared, rate_hz, note = time_axis(stream)
    index, first, missing = place(shared, rate_hz)
    known = np.isfinite(stream.times_s)
    shift_s = float(np.median(shared[known] - stream.times_s[known])) if known.any() else shared[0]
    times_s = shared - shift_s
    begins = np.searchsorted(index, first)
    knots = [
        _run_knots(times_s[start:stop], index[start:stop] / rate_hz)
        for start, stop in zip([0, *begins], [*begins, len(index)], strict=True)
    ]
    where = np.concatenate(knots)
    rising = np.flatnonzero(np.diff(where[:, 0], prepend=-np.inf) > 0)  # stamps may run backwards
    gaps = np.column_stack([first, np.maximum(missing, 1)]) / rate_hz
    return TimeAxis(rate_hz, int(index[-1]) + 1, where[rising, 0], where[rising, 1], gaps, note)


def _run_knots(times_s: FloatArray, places_s: FloatArray) -> FloatArray:
    """(k, 2) session time and axis time of a run without gaps; its ends continue the nearest mean."""
    n_knots = max(1, round(float(places_s[-1] - places_s[0]) / KNOT_S))
    parts = np.array_split(np.arange(len(times_s)), n_knots)
    means = np.array([[times_s[part].mean(), places_s[part].mean()] for part in parts])
    if len(times_s) < FEWEST_OF_RUN:
        return means
    slope = float(np.polyfit(places_s - means[0, 1], times_s - means[0, 0], 1)[0])
    ends_s = np.array([places_s[0] - means[0, 1], places_s[-1] - means[-1, 1]])
    ends = means[[0, -1]] + np.column_stack([slope * ends_s, ends_s])
    return np.concatenate([ends[:1], means, ends[1:]])


def whole_axis(streams: list[RecordingStream]) -> TimeAxis:
    """An axis for a session without a leading stream: seconds of the session as they are."""
    ends_s = [float(np.nanmax(one.times_s)) for one in streams if np.isfinite(one.times_s).any()]
    stop_s = max([*ends_s, 0.0])
    line = np.array([0.0, max(stop_s, 1e-3)])
    return TimeAxis(0.0, 0, line, line, np.empty((0, 2)))
