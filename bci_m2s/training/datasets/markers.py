"""Trials from marker texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bci_m2s.simulator.markers import MarkedTrial
from bci_m2s.types import LONGEST_MARKER

Event = tuple[float, str]  # time, s, and text


class MarkerSettings(BaseModel):
    """How the markers of own recordings name trials.

    The defaults fit the markers of the simulator: "trial/start/happy", "trial/stop/happy".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start: str = r"trial/start/(?P<label>.+)"
    """Regular expression for the whole marker that begins a trial; its group `label` is the class."""
    stop: str = r"trial/stop/(?P<label>.+)"
    """The same for a trial's end; empty when there is none. With a group `label`, of that class only."""
    duration_s: float | None = Field(default=None, gt=0, le=86_400)
    """Length of every trial; stop markers are then ignored."""
    stamps: Literal["sent", "arrival"] = "sent"
    """Stamps of samples: as sent, or of when they came into the file, for senders of another clock."""
    head: str = ""
    """What the labels are classes of; empty for the contract's first head."""

    @field_validator("start", "stop")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as problem:
            raise ValueError(f"a regular expression: {problem}") from None
        return pattern

    @field_validator("start")
    @classmethod
    def _has_label(cls, pattern: str) -> str:
        if "label" not in re.compile(pattern).groupindex:
            raise ValueError("a regular expression with a group (?P<label>...)")
        return pattern


def marked_trials(
    events: Sequence[Event], end_s: float, markers: MarkerSettings, notify: Callable[[str], None]
) -> list[MarkedTrial]:
    """Trials in the order of their starts; none overlaps the next.

    A trial ends at its stop marker or after ``duration_s``, at the latest at the next start and at the end
    of the recording. Stop markers that end no trial are reported to `notify`.

    Parameters
    ----------
    events : time (s) and text of every marker, any order
    end_s : when the recording ends
    """
    start, stop = re.compile(markers.start), re.compile(markers.stop or r"(?!)")
    trials: list[MarkedTrial] = []
    running = False
    for time_s, text in sorted(events, key=lambda event: event[0]):
        text = text[:LONGEST_MARKER]
        if match := start.fullmatch(text):
            if running:
                trials[-1] = _ended(trials[-1], time_s)
            length_s = float("inf") if markers.duration_s is None else markers.duration_s
            trials.append(MarkedTrial(time_s, time_s + length_s, match["label"] or ""))
            running = True
        elif markers.duration_s is None and (match := stop.fullmatch(text)):
            label = match["label"] if "label" in stop.groupindex else None
            if running and label in (None, trials[-1].label):
                trials[-1] = _ended(trials[-1], time_s)
                running = False
            else:
                notify(f"marker {text[:80]!r} at {time_s:.3f} s ends no trial")
    return [_ended(trial, end_s) for trial in trials]


def _ended(trial: MarkedTrial, time_s: float) -> MarkedTrial:
    return trial._replace(stop_s=min(trial.stop_s, time_s))
