"""The texts of the simulator's markers, and the trials that they mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bci_m2s.types import TRIAL_START, TRIAL_STOP

STREAM_NAME = "Simulated markers"
REST_START, REST_STOP = "rest/start", "rest/stop"


class MarkedTrial(NamedTuple):
    """A trial as its markers give it: seconds on the markers' clock, and the class in their words."""

    start_s: float
    stop_s: float
    label: str


def trial_spans(markers: Sequence[tuple[float, str]]) -> list[MarkedTrial]:
    """Find the trials among markers.

    Parameters
    ----------
    markers : time (s) and text of each marker, in order of time

    A trial whose end is not marked ends at infinity.
    """
    trials = []
    started_s: dict[str, float] = {}  # by class
    for time_s, text in markers:
        if label := _label(text, TRIAL_START):
            started_s[label] = time_s
        elif (label := _label(text, TRIAL_STOP)) in started_s:
            trials.append(MarkedTrial(started_s.pop(label), time_s, label))
    return trials + [MarkedTrial(start_s, math.inf, label) for label, start_s in started_s.items()]


def _label(text: str, prefix: str) -> str:
    return text.removeprefix(prefix) if text.startswith(prefix) else ""
