"""Trials from marker texts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bci_m2s.types import LONGEST_MARKER, TRIAL_START, TRIAL_STOP

ANNOTATED = "annotated"


class MarkerEvent(NamedTuple):
    """A marker: when, s, its text, and how long it lasts, s, NaN where it does not say."""

    time_s: float
    text: str
    lasts_s: float = math.nan


class ShownTrial(NamedTuple):
    """A trial as markers give it: s on their clock, the class in their words, the clip, "" for none."""

    start_s: float
    stop_s: float
    label: str
    stimulus: str = ""


class MarkerSettings(BaseModel):
    """How the markers of own recordings name trials.

    The defaults fit the markers of the simulator: "trial/start/happy", "trial/stop/happy".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start: str = TRIAL_START + "(?P<label>.+)"
    """Regular expression for the whole marker that begins a trial; its group `label` is the class, and a
    group `stimulus`, where there is one, the name of the clip."""
    stop: str = TRIAL_STOP + "(?P<label>.+)"
    """The same for a trial's end; empty when there is none. With a group `label`, of that class only."""
    duration_s: Annotated[float, Field(gt=0, le=86_400)] | Literal["annotated"] | None = None
    """Length of every trial, or `annotated`: as its annotation says; stop markers are then ignored."""
    column: str = ""
    """Column of `events.tsv`, or channel of a stream of texts, with the texts; empty for the usual one."""
    labels: dict[str, str] = {}
    """Class of a label, where it is not the label itself: `{"1": calm, "2": upset}`."""
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
    events: Iterable[MarkerEvent | tuple[float, str]],
    end_s: float,
    markers: MarkerSettings,
    notify: Callable[[str], None],
) -> list[ShownTrial]:
    """Trials in the order of their starts; none overlaps the next.

    A trial ends at its stop marker or after ``duration_s``, at the latest at the next start and at the end
    of the recording. Reported to `notify` are stop markers that end no trial, and markers that should say
    how long a trial lasts, but do not.

    Parameters
    ----------
    events : time (s), text and, where it has one, duration (s) of every marker, any order
    end_s : when the recording ends
    """
    start, stop = re.compile(markers.start), re.compile(markers.stop or r"(?!)")
    trials: list[ShownTrial] = []
    running = False
    silent: list[str] = []
    for time_s, text, lasts_s in sorted(
        (MarkerEvent(*event) for event in events), key=lambda event: event[0]
    ):
        text = text[:LONGEST_MARKER]
        if match := start.fullmatch(text):
            if running:
                trials[-1] = _ended(trials[-1], time_s)
            length_s = _length_s(markers, lasts_s)
            if not length_s > 0:
                silent.append(text)
                running = False
                continue
            label = match["label"] or ""
            clip = (match["stimulus"] or "") if "stimulus" in start.groupindex else ""
            trials.append(ShownTrial(time_s, time_s + length_s, markers.labels.get(label, label), clip))
            running = True
        elif markers.duration_s is None and (match := stop.fullmatch(text)):
            label = match["label"] if "label" in stop.groupindex else None
            label = markers.labels.get(label, label) if label is not None else None
            if running and label in (None, trials[-1].label):
                trials[-1] = _ended(trials[-1], time_s)
                running = False
            else:
                notify(f"marker {text[:80]!r} at {time_s:.3f} s ends no trial")
    if silent:
        count = f"{len(silent)} marker{'' if len(silent) == 1 else 's'} ({silent[0][:80]!r})"
        notify(f"{count} without a duration: no trial; see data.markers.duration_s")
    return [_ended(trial, end_s) for trial in trials]


def _length_s(markers: MarkerSettings, lasts_s: float) -> float:
    """How long a trial is that begins now, s; NaN where it should say so and does not."""
    if markers.duration_s == ANNOTATED:
        return lasts_s
    return math.inf if markers.duration_s is None else float(markers.duration_s)


def _ended(trial: ShownTrial, time_s: float) -> ShownTrial:
    return trial._replace(stop_s=min(trial.stop_s, time_s))
