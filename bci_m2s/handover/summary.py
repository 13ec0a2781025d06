"""Everything that the report says, as plain data: found once, then put into words and tables."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bci_m2s.errors import BciM2sError
from bci_m2s.handover.axis import whole_axis
from bci_m2s.handover.marks import Mark, bad_channels
from bci_m2s.handover.votes import Labelled, Votes, count_votes, labelled_trials
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file
from bci_m2s.model.training_people import training_remark
from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.review.draw_answers import lines_of
from bci_m2s.review.facts import Answers, RecordingFacts, RecordingStream
from bci_m2s.review.session_model import find_session_model
from bci_m2s.types import FloatArray, Status

STAGES = ("age", "transport", "features", "inference", "publish")
MOST_ROWS = 2_000_000
USUAL_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Ages:
    """Of ``estimates.csv``: published_s (n,) of the session; by stage (n,) ms, NaN where not known."""

    published_s: FloatArray
    stages_ms: Mapping[str, FloatArray]

    def percentiles_ms(self, stage: str) -> list[float]:
        """50th, 95th and 99th percentile; NaN where nothing is known."""
        values = self.stages_ms[stage]
        known = values[np.isfinite(values)]
        return np.percentile(known, (50, 95, 99)).tolist() if len(known) else [math.nan] * 3


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What there is to be said of a session.

    bad : by modality, spans of bad channels on the session's axis; lines : of answers, with their names
    trials : every attempt of a guided session; labelled : those that count
    contract : of the model, None where its file is not found; doubt : why its votes say little, or ""
    take : its number, 0 where the session has one
    """

    facts: RecordingFacts
    modalities: Mapping[str, RecordingStream]
    bad: Mapping[str, list[Mark]]
    lines: Sequence[tuple[str, Answers]]
    trials: Sequence[GuidedTrial]
    labelled: Sequence[Labelled]
    votes: Sequence[Votes]
    ages: Ages | None
    contract: Contract | None
    doubt: str
    notes: list[str] = field(default_factory=list)
    take: int = 0

    def titled(self, title: str) -> str:
        """The title of a section, with the take where there are several."""
        return f"Take {self.take}: {title[:1].lower()}{title[1:]}" if self.take else title

    @property
    def window_s(self) -> float:
        """Length of a window."""
        session = self.facts.session
        window = session.window if session is not None else {}
        try:
            return float(window["steps"]) * float(window["step_s"])
        except (KeyError, TypeError, ValueError):
            return USUAL_WINDOW_S

    @property
    def label_order(self) -> list[str]:
        """Labels of the trials, those that the model knows first and in its order: colours follow it."""
        classes = self.lines[0][1].classes if self.lines else ()
        return list(dict.fromkeys([*classes, *(trial.label for trial in self.trials)]))

    def bad_share(self, modality: str) -> float:
        """Share of channel seconds in which a channel was bad."""
        stream = self.modalities[modality]
        total = stream.info.n_channels * stream.length_s
        return (
            sum(mark.duration_s for mark in self.bad.get(modality, [])) / total if total > 0 else math.nan
        )


def summarise(facts: RecordingFacts, take: int = 0) -> Summary:
    """Find all that the report says of a take; what is missing or odd is noted, nothing is refused.

    take : its number, 0 where the session has one
    """
    modalities, axis = facts.modality_streams(), whole_axis(list(facts.raw_streams))
    bad = {name: list(bad_channels(facts.events, name, axis, facts.end_s)) for name in modalities}
    notes: list[str] = []
    contract, doubt = _contract(facts, notes)
    lines = lines_of(facts)
    found = Summary(
        facts,
        modalities,
        bad,
        lines,
        facts.guided_trials(),
        labelled_trials(facts),
        (),
        _ages(facts, notes),
        contract,
        doubt,
        notes,
        take,
    )
    return replace(found, votes=count_votes(lines, found.labelled, found.window_s))


def bad_shares(takes: Sequence[Summary]) -> dict[str, float]:
    """Share of channel seconds in which a channel was bad, by modality, of takes in which a model ran."""
    total: dict[str, float] = {}
    bad: dict[str, float] = {}
    for take in takes:
        for name, stream in take.modalities.items() if take.lines else ():
            lasts_s = stream.info.n_channels * stream.length_s
            total[name] = total.get(name, 0.0) + (0.0 if math.isnan(lasts_s) else lasts_s)
            bad[name] = bad.get(name, 0.0) + sum(mark.duration_s for mark in take.bad.get(name, []))
    return {name: bad[name] / seconds if seconds > 0 else math.nan for name, seconds in total.items()}


def refusals(answers: Answers) -> list[tuple[str, int]]:
    """Why there was no estimate, and how often."""
    names = {int(status): status.name.lower().replace("_", " ") for status in Status}
    counts = Counter(answers.status[~answers.made].tolist())
    return [(names.get(code, f"code {code}"), count) for code, count in counts.most_common()]


def label_counts(answers: Answers) -> dict[str, int]:
    """Estimates by class, and those that are unknown."""
    known = answers.made & ~answers.unknown & np.isfinite(answers.probabilities).all(axis=1)
    best = np.argmax(answers.probabilities[known], axis=1) if known.any() else np.empty(0, int)
    counts = {name: int(np.count_nonzero(best == number)) for number, name in enumerate(answers.classes)}
    return counts | {"unknown": int(np.count_nonzero(answers.made & answers.unknown))}


def start_of(facts: RecordingFacts) -> float:
    """What is 0 s of the session on the clock that all streams share; NaN for a file without samples."""
    for stream in facts.streams:
        known = np.flatnonzero(np.isfinite(stream.times_s))
        if len(known):
            return float((stream.times + stream.offsets_s() - stream.times_s)[known[0]])
    return math.nan


def _contract(facts: RecordingFacts, notes: list[str]) -> tuple[Contract | None, str]:
    if facts.session is None or facts.session.model is None:
        return None, ""
    try:
        path = find_session_model(facts.recording.path, facts.session)
        contract, _ = load_model_file(path)
        return contract, training_remark(contract, facts.recording.path)
    except (BciM2sError, OSError) as problem:
        notes.append(f"the model's contract is not shown: {problem}")
        return None, ""


def _ages(facts: RecordingFacts, notes: list[str]) -> Ages | None:
    """Ages of the estimates, from the table beside the recording."""
    path, start_s = facts.recording.path.with_name("estimates.csv"), start_of(facts)
    if not path.is_file() or not facts.answers:
        return None
    try:
        rows = _read_ages(path)
    except (OSError, ValueError, csv.Error) as problem:
        notes.append(f"estimates.csv cannot be read: {problem}")
        return None
    if not len(rows) or not np.isfinite(rows[:, 1]).any():
        return None
    columns = dict(zip(STAGES, rows[:, 1:].T, strict=True))
    return Ages(rows[:, 0] - start_s, columns)


def _read_ages(path: Path) -> FloatArray:
    """(n, 1 + stages): when each estimate was published, s, and its stages, ms."""
    made: list[list[float]] = []
    with path.open(encoding="utf-8", newline="", errors="replace") as file:
        for row in csv.DictReader(file):
            if row.get("status") == "ok" and len(made) < MOST_ROWS:
                names = ("local_s", *(f"{stage}_ms" for stage in STAGES))
                made.append([_number(row.get(name)) for name in names])
    return np.array(made, np.float64).reshape(-1, 1 + len(STAGES))


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
