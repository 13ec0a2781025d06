"""The time axis of a Raw: one rate for a stream whose stamps jitter, pause or follow another rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.signal.quality import rate_verdict
from bci_m2s.types import FloatArray

LONGEST_GAP_S = 60.0  # in a Raw: a stamp can lie years away
LARGEST_SHIFT_S = 1.0  # of a sample on the time axis, while nothing is said


def time_axis(stream: RecordedStream) -> tuple[FloatArray, float, str]:
    """Stamps (n,), the rate of a Raw, and what is to be said of it: the stated rate, unless it is false."""
    rate_hz, name = stream.info.rate_hz, repr(stream.info.name)
    times = _finite(stream.times + stream.offsets_s(), rate_hz)
    verdict = rate_verdict(rate_hz, times)
    if verdict.reversed_share:
        return times, rate_hz, f"stream {name}: {verdict.describe(rate_hz)}"
    if verdict.doubtful:
        rate_hz = round(verdict.effective_hz, 3)
        return times, rate_hz, f"stream {name}: its Raw has the effective rate, {rate_hz:.4g} Hz"
    steps_s = np.diff(times) - 1 / rate_hz
    ahead_s = np.cumsum(np.where(_is_gap(steps_s, rate_hz), 0.0, steps_s))
    off_s = float(np.ptp(np.append(ahead_s, 0.0)))
    if off_s > LARGEST_SHIFT_S:
        text = f"stream {name}: its stamps leave the even time axis of a Raw by up to {off_s:.2g} s"
        return times, rate_hz, f"{text} ({verdict.describe(rate_hz)})"
    return times, rate_hz, ""


def _finite(times: FloatArray, rate_hz: float) -> FloatArray:
    """Stamps (n,) with those that are no number put between their neighbours."""
    known = np.isfinite(times)
    if not known.any():
        return np.asarray(np.arange(len(times)) / rate_hz)
    places = np.arange(len(times))
    return np.asarray(np.interp(places, places[known], times[known]))


def _is_gap(late_s: FloatArray, rate_hz: float) -> NDArray[np.bool_]:
    """Which steps, (n,) s beyond the sampling interval, are gaps."""
    return np.asarray(np.abs(late_s) > max(GAP_S, 0.5 / rate_hz))


def place(times: FloatArray, rate_hz: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Where each sample stands on an even grid; of each gap its first place and how many are missing.

    A jump backwards is a gap in which nothing is missing.
    """
    late = np.diff(times) - 1 / rate_hz
    before = np.flatnonzero(_is_gap(late, rate_hz))
    missing = np.rint(np.clip(late[before], 0.0, LONGEST_GAP_S) * rate_hz).astype(np.intp)
    shift = np.zeros(len(times), np.intp)
    shift[before + 1] = missing
    index = np.arange(len(times)) + np.cumsum(shift)
    return index, index[before] + 1, missing
