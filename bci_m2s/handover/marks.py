"""What happened in a session as rows: trials with their ratings, markers, bad spans, events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from bci_m2s.handover.axis import TimeAxis
from bci_m2s.recording import BAD_GAP
from bci_m2s.recording.trials import TRIAL_BEGIN, TRIAL_END, GuidedTrial
from bci_m2s.review.facts import RecordedEvent, RecordingFacts
from bci_m2s.text import printable
from bci_m2s.types import TRIAL_START, TRIAL_STOP

LONGEST_TEXT = 500
TRIAL_GRAMMAR = (TRIAL_BEGIN, TRIAL_START, TRIAL_STOP, TRIAL_END)  # what a row of a trial says
EVENTS = (  # of the session's, those that say something of the signals
    *("baseline_started", "baseline_complete", "baseline_adopted", "baseline_ended"),
    *("stale", "sender", "filled", "counter", "stamps_repaired"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of the events.

    onset_s : on the axis of the samples; duration_s : NaN where it has none
    kind : "trial", "marker", "bad" or "event"; text : label of a trial, text of a marker
    channel : the only one that is concerned, "" for all
    told : further columns, of trials
    """

    onset_s: float
    duration_s: float
    kind: str
    text: str
    channel: str = ""
    told: Mapping[str, str] = field(default_factory=dict)


def marks_of(facts: RecordingFacts, axis: TimeAxis, leading: str) -> list[Mark]:
    """Every row of a session, in the order of time.

    leading : the modality of the axis' stream, whose bad channels are rows; "" where it has none
    """
    trials, own = facts.guided_trials(), set(facts.guided_markers)
    rows = [_trial(trial, axis) for trial in trials if math.isfinite(trial.start_s)]
    for time_s, text in facts.markers:
        if not (trials and (time_s, text) in own and text.startswith(TRIAL_GRAMMAR)):
            rows.append(Mark(_at(axis, time_s), math.nan, "marker", printable(text, LONGEST_TEXT)))
    rows += [Mark(float(at), float(lasts), "bad", BAD_GAP) for at, lasts in axis.gaps]
    rows += bad_channels(facts.events, leading, axis, facts.end_s)
    for event in facts.events:
        if event.kind in EVENTS and math.isfinite(event.time_s):
            text = printable(f"{event.kind}: {event.message}", LONGEST_TEXT)
            rows.append(Mark(_at(axis, event.time_s), math.nan, "event", text))
    return sorted(rows, key=lambda mark: mark.onset_s)


def rating_scales(trials: Iterable[GuidedTrial]) -> list[str]:
    """Names of the scales, in the order in which they were first answered."""
    return list(dict.fromkeys(scale for trial in trials for scale in trial.ratings))


def bad_channels(
    events: Iterable[RecordedEvent], modality: str, axis: TimeAxis, end_s: float
) -> Iterator[Mark]:
    """``BAD_noisy`` and its like: from the event that says so to the one that takes it back."""
    since: dict[str, tuple[float, str]] = {}
    found = []
    for event in events:
        if event.kind != "quality" or event.modality != modality or not math.isfinite(event.time_s):
            continue
        channel, state = str(event.fields.get("channel")), str(event.fields.get("state"))
        if channel in since:
            found.append((channel, *since.pop(channel), event.time_s))
        if state != "good":
            since[channel] = (event.time_s, state)
    found += [(channel, *begun, end_s) for channel, begun in since.items()]
    for channel, start_s, state, stop_s in found:
        onset_s = _at(axis, start_s)
        yield Mark(
            onset_s, max(0.0, _at(axis, stop_s) - onset_s), "bad", f"BAD_{printable(state, 20)}", channel
        )


def _trial(trial: GuidedTrial, axis: TimeAxis) -> Mark:
    onset_s = _at(axis, trial.start_s)
    lasts_s = _at(axis, trial.stop_s) - onset_s if trial.duration_s > 0 else math.nan
    told = {
        "trial": str(trial.number),
        "attempt": str(trial.attempt),
        "block": str(trial.block),
        "item": printable(trial.item, LONGEST_TEXT),
        "excluded": printable(trial.excluded, LONGEST_TEXT),
        "flags": printable(", ".join(trial.flags), LONGEST_TEXT),
        "onset_spread": f"{trial.onset_spread_s:.6f}" if math.isfinite(trial.onset_spread_s) else "",
    }
    ratings = {f"rating_{scale}": printable(value, LONGEST_TEXT) for scale, value in trial.ratings.items()}
    return Mark(onset_s, lasts_s, "trial", printable(trial.label, LONGEST_TEXT), "", told | ratings)


def _at(axis: TimeAxis, time_s: float) -> float:
    return float(axis.at(np.array([time_s]))[0])
