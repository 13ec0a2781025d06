"""Accounts of a recorded session: every sample that a sender numbered is in the file or in a logged gap.

What is missing by the numbers is compared with the gaps that the session logged, and every estimate with
the samples that it was made from: none may use a window with a hole, a sender that had to be refused, or
more false channels than the bad ones that the model allows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.soak.fault_spec import COUNTERS, Sent
from bci_m2s.soak.faulty_stream import FaultyStream
from bci_m2s.types import BoolArray, Status

SAME_S = 1e-6  # stamps that differ by less are the same
STAMPS_N = 1  # samples by which a gap's length, from stamps, may differ from the counters
MAX_MISSING = 0.25  # share of bad channels that the rig's model allows
FALSE_S = 0.75  # a step and a hop: a channel may be false for this long before it is noticed
INTRUDER_RUN = 1_000_000  # runs from here on are of intruders
MOST_NOTED = 8


@dataclass(frozen=True, slots=True)
class LoggedGap:
    """A gap as logged. at_sample : the first one after it, or later; breaks : number summed up."""

    after_s: float
    lost: int
    at_sample: int
    breaks: int


@dataclass(slots=True)
class Account:
    """The account of one stream.

    recorded : samples; in_gaps, outside : samples that are missing inside and outside logged gaps
    repeated : samples that came twice or in the wrong order
    windows : estimates with probabilities made from the stream
    broken : promises that were not kept
    """

    modality: str
    recorded: int = 0
    runs: int = 0
    gaps: int = 0
    in_gaps: int = 0
    outside: int = 0
    repeated: int = 0
    windows: int = 0
    broken: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """One line."""
        return (
            f"{self.modality}: {self.recorded} samples of {self.runs} runs recorded, {self.in_gaps} "
            f"missing inside {self.gaps} logged gaps, {self.outside} outside, {self.repeated} repeated; "
            f"{self.windows} estimates made from it"
        )

    def note(self, words: str) -> None:
        """Add a broken promise; the first few are kept."""
        if len(self.broken) < MOST_NOTED:
            self.broken.append(f"{self.modality}: {words}")


def settle_accounts(path: Path, sent: Mapping[str, Sent]) -> list[Account]:
    """Read a finished recording and check the account of every stream.

    Parameters
    ----------
    path : XDF of a session whose streams number their samples
    sent : what the senders sent, by modality; the stream has the name of their spec

    Raises
    ------
    RecordingError
        The file cannot be read.
    """
    recording = open_recording(path)
    gaps = logged_gaps(recording)
    accounts = []
    for modality, known in sent.items():
        name = next(iter(known.specs.values())).name
        stream = next(stream for stream in recording.raw_streams if stream.info.name == name)
        samples = stream.read(0, stream.n_samples)
        account = Account(modality, recorded=len(samples), gaps=len(gaps.get(modality, [])))
        holes = _find_holes(account, stream, samples, known, gaps.get(modality, []))
        _check_windows(account, recording, samples, holes, known)
        accounts.append(account)
    return accounts


def logged_gaps(recording: Recording) -> dict[str, list[LoggedGap]]:
    """The gaps that a session logged, by modality, in order."""
    gaps: dict[str, list[LoggedGap]] = {}
    for line in event_lines(recording):
        if line.get("kind") == "gap":
            after_s = line["after_s"] if line["after_s"] is not None else np.nan
            gap = LoggedGap(
                after_s, line["lost_samples"], line.get("at_sample", 2**62), line.get("breaks", 1)
            )
            gaps.setdefault(line["modality"], []).append(gap)
    return gaps


def event_lines(recording: Recording) -> list[dict[str, Any]]:
    """Every event of a recorded session, as in ``events.jsonl``."""
    streams = [stream for stream in recording.streams if stream.info.type == EVENTS_TYPE]
    return [json.loads(row[0]) for stream in streams for row in stream.read(0, stream.n_samples)]


# ---- samples ----


def _find_holes(
    account: Account, stream: RecordedStream, samples: NDArray[Any], known: Sent, gaps: list[LoggedGap]
) -> BoolArray:
    """Account for missing samples; return (n,): whether a sample does not follow the one before."""
    counters, runs = samples[:, 0].astype(np.int64), samples[:, 1].astype(np.int64)
    account.runs = len(np.unique(runs))
    holes = np.ones(len(samples), dtype=bool)
    holes[1:] = (np.diff(counters) != 1) | (np.diff(runs) != 0)
    for after in np.flatnonzero(holes[1:]).tolist():
        run, counter, next_counter = runs[after], counters[after], counters[after + 1]
        same_run = run == runs[after + 1]
        missing = int(next_counter - counter - 1) if same_run else _between_runs(known, samples, after)
        if missing < 0:
            account.repeated += 1
            account.note(f"run {run}: sample {next_counter} came after {counter}")
            continue
        gap = _gap_at(gaps, float(stream.times[after]), after + 1)
        if missing and gap is None:
            account.outside += missing
            account.note(f"run {run}: {missing} samples after {counter} are missing and in no logged gap")
        else:
            account.in_gaps += missing
        if gap and same_run and gap.breaks == 1 and abs(gap.lost - missing) > STAMPS_N:
            account.note(
                f"run {run}: gap after {counter}: {gap.lost} samples logged as lost, {missing} missing"
            )
    return holes


def _between_runs(known: Sent, samples: NDArray[Any], after: int) -> int:
    """Samples missing between two runs: the last of one, as far as known, and the first of the next."""
    (counter, run), (next_counter, next_run) = samples[after, :2], samples[after + 1, :2]
    tail = known.pushed.get(int(run), 0) - 1 - int(counter)
    head = int(next_counter) if next_run < INTRUDER_RUN and next_run > run else 0
    return max(0, tail) + head


def _gap_at(gaps: list[LoggedGap], stamp_s: float, next_sample: int) -> LoggedGap | None:
    """The logged gap in which a break lies, after the sample with this stamp, before this one."""
    for gap in gaps:
        if gap.breaks == 1 and abs(gap.after_s - stamp_s) <= SAME_S:
            return gap
        if gap.breaks > 1 and gap.after_s - SAME_S <= stamp_s and next_sample <= gap.at_sample:
            return gap
    return None


# ---- estimates ----


def _check_windows(
    account: Account, recording: Recording, samples: NDArray[Any], holes: BoolArray, known: Sent
) -> None:
    first, last = _windows(recording, account.modality)
    account.windows = len(first)
    inside = (first >= 0) & (last < len(samples))
    if not inside.all():
        account.note(f"{np.count_nonzero(~inside)} estimates use samples that are not recorded")
    first, last = first[inside], last[inside]
    rate_hz = known.specs[min(known.specs)].rate_hz
    problems = {
        "a hole": _sum(holes, first + 1, last) > 0,
        "a refused sender": _sum(np.isin(samples[:, 1], list(known.refused)), first, last) > 0,
        "false channels": _false_channels(samples, known, first, last, rate_hz),
    }
    for problem, windows in problems.items():
        if windows.any():
            index = int(np.flatnonzero(windows)[0])
            account.note(
                f"{np.count_nonzero(windows)} estimates use {problem}, the first one samples "
                f"{first[index]} to {last[index]}"
            )


def _windows(recording: Recording, modality: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last sample of every window of a modality that gave probabilities."""
    spans = []
    for stream in recording.streams:
        if stream.info.type == ESTIMATES_TYPE and f"first_sample.{modality}" in stream.info.labels:
            rows, column = stream.read(0, stream.n_samples), stream.info.labels.index
            span = rows[:, [column(f"first_sample.{modality}"), column(f"last_sample.{modality}")]]
            ok = (rows[:, column("status")] == Status.OK) & np.isfinite(span).all(axis=1)
            spans.append(span[ok])
    every = np.concatenate(spans).astype(np.int64) if spans else np.empty((0, 2), np.int64)
    return every[:, 0], every[:, 1]


def _sum(true: NDArray[Any], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of true values in ``true[first:last + 1]``, for every window."""
    total = np.concatenate([[0], np.cumsum(true, dtype=np.int64)])
    counts: NDArray[np.int64] = total[last + 1] - total[first]
    return counts


def _false_channels(
    samples: NDArray[Any],
    known: Sent,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    rate_hz: float,
) -> BoolArray:
    """Whether more channels than allowed differ for longer than ``FALSE_S`` from the true samples."""
    false = samples[:, COUNTERS:] != _truth(samples, known)[:, COUNTERS:]
    most = FALSE_S * rate_hz
    channels = sum((_sum(column, first, last) > most).astype(int) for column in false.T)
    too_many: BoolArray = np.asarray(channels > MAX_MISSING * false.shape[1])
    return too_many


def _truth(samples: NDArray[Any], known: Sent) -> NDArray[Any]:
    """Each recorded sample without its sender's faults; labels and units are not compared."""
    truth = np.full_like(samples, np.nan)
    for run, spec in known.specs.items():
        rows = samples[:, 1] == run
        if rows.any() and len(spec.labels) == samples.shape[1]:
            truth[rows] = FaultyStream(spec, 0.0).true_samples(samples[rows, 0].astype(np.int64))
    return truth
