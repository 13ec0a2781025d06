"""Recordings of several people side by side: a row of figures for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.facts import Answers, RecordingFacts, recording_facts

COLUMNS = (
    "participant",
    "begun (UTC)",
    "length",
    "samples",
    "gaps",
    "estimates",
    "none",
    "classes",
    "confidence",
)
NUMBERS = ("length", "samples", "gaps", "estimates", "none", "confidence")
NOTHING = "–"


def rows_of(people: Mapping[str, Sequence[Path]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """A row of ``COLUMNS`` for each recording, and what is wrong with its file in a line, "" for nothing.

    people : as ``people_in`` has them
    """
    for name, path in named(people):
        try:
            facts = recording_facts(open_recording(path))
        except RecordingError as problem:
            row = (name, "unreadable", *[NOTHING] * (len(COLUMNS) - 2))
            yield row, f"{name}: cannot be read: {problem}"
        else:
            damage = facts.recording.damage
            yield _row(name, facts), f"{name}: {damage}" if damage else ""


def named(people: Mapping[str, Sequence[Path]]) -> Iterator[tuple[str, Path]]:
    """Each recording, and what it is called: by the person, and by the take where that is not the first."""
    for name, recordings in people.items():
        for path in recordings:
            yield name if path.parent.name == name else f"{name}/{path.parent.name}", path


def _row(name: str, facts: RecordingFacts) -> tuple[str, ...]:
    raw, answers = facts.raw_streams, facts.answers
    begun = facts.session.begun_utc.replace("T", " ").partition("+")[0] if facts.session is not None else ""
    made = sum(int(one.made.sum()) for one in answers)
    return (
        name,
        begun or NOTHING,
        f"{facts.end_s:.1f} s",
        str(sum(stream.n_samples for stream in raw if stream.is_regular)),
        _gaps(facts),
        str(made),
        str(sum(len(one.times_s) for one in answers) - made),
        _classes(answers) or NOTHING,
        _confidence(answers),
    )


def _gaps(facts: RecordingFacts) -> str:
    count = sum(len(stream.gaps) for stream in facts.raw_streams if stream.is_regular)
    lost_s = sum(stream.lost_s for stream in facts.raw_streams if stream.is_regular)
    return f"{count}, {lost_s:.1f} s" if count or lost_s else "none"


def _known(answers: Answers) -> np.ndarray:
    return answers.made & ~answers.unknown & np.isfinite(answers.probabilities).all(axis=1)


def _classes(answers: Sequence[Answers]) -> str:
    """How often each class was answered, of every head."""
    words = []
    for one in answers:
        known = _known(one)
        best = Counter(np.argmax(one.probabilities[known], axis=1).tolist()) if known.any() else Counter()
        parts = [f"{name} {best[index]}" for index, name in enumerate(one.classes) if best[index]]
        unknown = int((one.made & one.unknown).sum())
        words.append(", ".join([*parts, *([f"unknown {unknown}"] if unknown else [])]))
    return "; ".join(filter(None, words))


def _confidence(answers: Sequence[Answers]) -> str:
    """Mean probability of the answered class."""
    values = np.concatenate(
        [one.probabilities[_known(one)].max(axis=1, initial=0.0) for one in answers] or [np.empty(0)]
    )
    mean = float(values.mean()) if len(values) else math.nan
    return NOTHING if math.isnan(mean) else f"{mean:.2f}"
