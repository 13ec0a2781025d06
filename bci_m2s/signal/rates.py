"""The sampling rate of a stream whose sender states none, from its first stamps."""

from __future__ import annotations

import numpy as np

from bci_m2s.types import FloatArray

MEASURE_S = 5.0  # of stamps that a rate is measured by
FEWEST = 5  # stamps that differ
TOLERANCE = 0.001  # of a nominal rate: 199.9997 Hz is 200 Hz
WHOLE = 0.01  # a rate this near to a whole number is that number
STEADY = 0.1  # relative: rates over a second or so may spread this far and still be one


def beginning(stamps: FloatArray) -> FloatArray:
    """The stamps that a rate is measured by, however many more are there; [] while they are too few."""
    known = stamps[np.isfinite(stamps)]
    if not len(known):
        return known
    changes = np.append(False, np.diff(known) != 0).cumsum()
    enough = np.flatnonzero((known >= known[0] + MEASURE_S) & (changes >= FEWEST))
    return known[: enough[0] + 1] if len(enough) else known[:0]


def steady_rate(stamps: FloatArray) -> float:
    """Samples per second by the first stamps: the median over spans of about a second.

    Samples that came under one stamp count from one change of it to the next; a pause or a false stamp
    moves few of the spans. What is within a percent of a whole number is that number.

    Raises
    ------
    ValueError
        There are too few stamps, or they are of no one rate; in words.
    """
    first = beginning(stamps)
    if not len(first):
        raise ValueError(f"{len(stamps)} stamps, fewer than {MEASURE_S:g} s of them")
    places = np.flatnonzero(np.diff(first) != 0) + 1
    apart = max(1, len(places) // int(MEASURE_S))
    spans_s = first[places[apart:]] - first[places[:-apart]]
    with np.errstate(divide="ignore"):
        rates = (places[apart:] - places[:-apart]) / spans_s
    low, rate_hz, high = np.percentile(rates, (30, 50, 70))
    if not (np.isfinite([low, high]).all() and high - low <= STEADY * rate_hz):
        raise ValueError(f"stamps of {low:.3g} to {high:.3g} Hz")
    whole = round(rate_hz)
    return float(whole) if abs(rate_hz - whole) <= WHOLE * rate_hz and whole else float(f"{rate_hz:.4g}")
