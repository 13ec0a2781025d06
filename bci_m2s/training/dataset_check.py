"""A report on a copy of a data set before any training: what is there, missing or damaged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.signal.plausible import SHORTEST_S, amplitude_limits
from bci_m2s.signal.quality import say_never_used
from bci_m2s.signal.units import find_unit
from bci_m2s.text import printable
from bci_m2s.training.data.sessions import in_all
from bci_m2s.training.datasets import RAW, find_dataset
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Problem, RawSegment, RawStream, Trial
from bci_m2s.types import FloatArray, StreamInfo

Key = tuple[int, int, int]  # subject, session, trial
StepCounts = dict[Key, dict[str, int]]  # by modality
Counts = dict[str, Counter[int]]  # head → number of trials of each class
MOST_LABELS = 8  # channels listed by name
JUDGED_S = 10.0  # of a stream: its amplitude there says whether its unit can be right
FEWEST_SAMPLES = 8  # that have a standard deviation worth the name


def check_dataset(root: Path, format: str, feature: str = "") -> list[str]:
    """Read every file of a data set and report on it in lines to print.

    A file that cannot be used is a line of the report and does not end it. Of own recordings every stream
    and every label is listed, whatever model they may be for.

    Parameters
    ----------
    feature : which of the distributed features, "raw" for the signals; "" for the usual one

    Raises
    ------
    UsageError
        For an unknown format or feature.
    RecordingError
        When `root` is not a copy of this data set.
    """
    data, chosen = find_dataset(format, feature)
    if not data.needs_root:
        raise UsageError(f"format {format!r} is made, not read: there is no copy to check")
    if data.of_copy is not None:
        data = data.of_copy(root, None, None)
    return _check_raw(root, data) if chosen == RAW else _check_features(root, data, chosen)


def _check_features(root: Path, data: DataSet, feature: str) -> list[str]:
    problems: list[Problem] = []
    steps: StepCounts = {}
    counts: Counts = defaultdict(Counter)
    for trial in data.read(root, feature, problems.append) if data.read else ():
        steps[trial.subject, trial.session, trial.trial] = {
            modality: len(rows) for modality, rows in trial.steps.items()
        }
        _count(counts, trial.labels)
    by_subject = _by_subject(problems)
    lines = [f"{data.name}, feature {feature}, steps of {data.step_s[feature]:g} s: {root}"]
    for subject in sorted({*data.subjects, *(key[0] for key in steps), *map(int, by_subject)}):
        lines += _subject_lines(data, subject, steps)
        lines += by_subject[str(subject)]
    return [*lines, *_caveats(data), *_summary(data, steps, counts, problems)]


def _caveats(data: DataSet) -> list[str]:
    return [f"note: {caveat}" for caveat in data.caveats]


def _count(counts: Counts, labels: Mapping[str, int]) -> None:
    for head, label in labels.items():
        counts[head][label] += 1


def _by_subject(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Lines of the problems of each subject."""
    lines = defaultdict(list)
    for problem in problems:
        lines[str(problem.subject)].append(f"  {'' if problem.left_out else 'note: '}{problem}")
    return lines


def _subject_lines(data: DataSet, subject: int, steps: StepCounts) -> list[str]:
    if data.subjects and subject not in data.subjects:
        return []
    if not any(key[0] == subject for key in steps):
        return [f"subject {subject}: nothing found"]
    lines = []
    for session, labels in enumerate(data.labels, 1):
        trials = [steps.get((subject, session, trial), {}) for trial in range(1, len(labels) + 1)]
        parts = [_modality(name, trials) for name in data.modalities if _distributed(data, name, subject)]
        lines.append(f"subject {subject}, session {session}: {'; '.join(parts)}")
    return lines


def _modality(name: str, trials: list[dict[str, int]]) -> str:
    missing = [number for number, trial in enumerate(trials, 1) if name not in trial]
    if len(missing) == len(trials):
        return f"{name} missing"
    text = f"{name} {len(trials) - len(missing)} of {len(trials)} trials"
    text += f", {sum(trial.get(name, 0) for trial in trials)} steps"
    return text + (f", missing {_ranges(missing)}" if missing else "")


def _distributed(data: DataSet, modality: str, subject: int) -> bool:
    return modality != "eye" or not data.with_eye or subject in data.with_eye


def _ranges(values: Iterable[int]) -> str:
    """Ascending numbers as "1-3, 7"."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def _summary(data: DataSet, steps: StepCounts, counts: Counts, problems: list[Problem]) -> list[str]:
    per_subject = sum(len(row) for row in data.labels)
    shares = "; ".join(_shares(names, counts.get(head, Counter())) for head, names in data.heads.items())
    complete = sum(
        all(name in trial for name in data.modalities if _distributed(data, name, key[0]))
        for key, trial in steps.items()
    )
    expected = per_subject * (len(data.subjects) or len({key[0] for key in steps}))
    return [
        f"trials: {len(steps)} of {expected} found, {complete} complete ({shares})",
        _problem_count(problems),
    ]


def _shares(names: tuple[str, ...], count: Counter[int]) -> str:
    return ", ".join(f"{name} {count[index]}" for index, name in enumerate(names)) or "no label"


def _problem_count(problems: list[Problem]) -> str:
    bad = sum(problem.left_out for problem in problems)
    return f"problems: {bad}; notes: {len(problems) - bad}"


def _check_raw(root: Path, data: DataSet) -> list[str]:
    problems: list[Problem] = []
    by_subject: dict[str, list[str]] = defaultdict(list)
    counts: Counts = defaultdict(Counter)
    n_sessions = n_trials = 0
    for segments in data.read_raw(root, problems.append) if data.read_raw else ():
        by_subject[segments[0].subject] += _session_lines(segments, data.heads, problems.append)
        trials = [trial for segment in segments for trial in segment.trials]
        for trial in trials:
            _count(counts, trial.labels)
        n_sessions, n_trials = n_sessions + 1, n_trials + len(trials)
    reported = _by_subject(problems)
    lines = [f"{data.name}, raw signals: {root}"]
    for subject in sorted({*by_subject, *reported}, key=_by_number):
        lines += by_subject.get(subject) or [f"subject {subject}: nothing found"]
        lines += reported[subject]
    absent = [subject for subject in data.subjects if str(subject) not in {*by_subject, *reported}]
    lines += [f"subjects {_ranges(absent)}: nothing found"] if absent else []
    people = f"{len(by_subject)}{f' of {len(data.subjects)}' if data.subjects else ''}"
    lines.append(f"people: {people}; sessions: {n_sessions}; trials: {n_trials}")
    lines += [f"{head}: {_shares(names, counts[head])}" for head, names in data.heads.items()]
    lines += _caveats(data)
    return [*lines, _problem_count(problems)]


def _by_number(subject: str) -> tuple[int, str]:
    return (int(subject) if subject.isdecimal() else -1), subject


def _session_lines(
    segments: list[RawSegment], heads: Mapping[str, tuple[str, ...]], on_problem: OnProblem
) -> list[str]:
    subject, session = segments[0].subject, segments[0].session
    streams: dict[str, RawStream] = {}
    lengths_s: dict[str, float] = defaultdict(float)
    trial_lines = []
    doubted = set[str]()  # one line of the session is enough
    dead: dict[str, dict[str, str]] = {}  # by modality: channels without a signal, and why
    for segment in segments:
        times = {}
        for modality, stream in segment.streams.items():
            try:
                times[modality], begin, never = _read(stream)
            except BciM2sError as problem:
                on_problem(Problem(Path(stream.info.name), subject, session, 0, f"{modality}: {problem}"))
                continue
            if modality not in doubted and (doubt := _implausible(stream.info, begin)):
                doubted.add(modality)
                text = f"{modality}: {doubt}"
                on_problem(Problem(Path(stream.info.name), subject, session, 0, text))
            dead[modality] = never if modality not in dead else in_all([dead[modality], never])
            streams.setdefault(modality, stream)
            lengths_s[modality] += len(times[modality]) / (stream.info.rate_hz or np.inf)
        trial_lines += [f"    {segment.contents}"] if segment.contents else []
        trial_lines += [_trial_line(trial, segment, times, heads, on_problem) for trial in segment.trials]
    for modality, never in dead.items():
        if said := say_never_used(never):
            file, text = Path(streams[modality].info.name), f"{modality}: {said}"
            on_problem(Problem(file, subject, session, 0, text, left_out=False))
    listed = "; ".join(_stream(name, stream, lengths_s[name]) for name, stream in streams.items())
    return [f"subject {subject}, session {session}: {listed or 'nothing readable'}", *trial_lines]


def _read(stream: RawStream) -> tuple[FloatArray, FloatArray, dict[str, str]]:
    """Stamps (n,) of a stream's samples that hold a finite value, its first ``JUDGED_S``, (m, C), and its
    channels that are missing throughout, with the reason.
    """
    wanted = round(JUDGED_S * stream.info.rate_hz)
    times, begin, taken = [np.empty(0)], [np.empty((0, stream.info.n_channels))], 0
    low, high = np.full((2, stream.info.n_channels), np.nan)
    for chunk in stream.chunks():
        samples = np.asarray(chunk.samples, dtype=np.float64)
        finite = np.isfinite(samples)
        times.append(chunk.times[finite.any(axis=1)])
        low = np.fmin(low, samples.min(axis=0, initial=np.inf, where=finite))
        high = np.fmax(high, samples.max(axis=0, initial=-np.inf, where=finite))
        if taken < wanted:
            begin.append(samples[: wanted - taken])
            taken += len(begin[-1])
    return np.concatenate(times), np.concatenate(begin), _never_used(stream.info, low, high)


def _never_used(info: StreamInfo, low: FloatArray, high: FloatArray) -> dict[str, str]:
    """Channels that hold nothing from least to largest value, (C,), that could be a signal, and why."""
    if not (low <= high).any():  # the stream holds nothing; its trials say so
        return {}
    units = [find_unit(unit) for unit in info.units]
    flat = [unit is not None and unit.is_voltage for unit in units] & (low == high)
    why = dict.fromkeys(np.flatnonzero(flat).tolist(), "flat")
    why |= dict.fromkeys(np.flatnonzero(~(low <= high)).tolist(), "no samples")
    return {info.labels[column]: why[column] for column in sorted(why)}


def _implausible(info: StreamInfo, samples: FloatArray) -> str:
    """Channels whose amplitude cannot be in most of a stream's beginning, (n, C), and why; "" for none."""
    size = max(FEWEST_SAMPLES, round(SHORTEST_S * info.rate_hz))
    blocks = samples[: len(samples) // size * size].reshape(-1, size, info.n_channels)
    limits = amplitude_limits(info.type, info.labels, info.units)
    live = np.isfinite(blocks).all(axis=1)
    live &= (blocks != blocks[:, :1]).any(axis=1) | ~limits.are_voltages
    outside = np.array([limits.outside(block) for block in blocks], bool).reshape(live.shape) & live
    wrong = np.flatnonzero(2 * outside.sum(axis=0) > live.sum(axis=0))
    texts = []
    for unit in dict.fromkeys(info.units[channel] for channel in wrong):
        channels = [channel for channel in wrong.tolist() if info.units[channel] == unit]
        block = int(outside[:, channels].sum(axis=1).argmax())
        shown = [channel for channel in channels if outside[block, channel]]
        names = ", ".join(info.labels[channel] for channel in channels[:MOST_LABELS])
        more = ", ..." if len(channels) > MOST_LABELS else ""
        texts.append(f"{names}{more}: {limits.explain(blocks[block], shown)}")
    return "; ".join(texts)


def _stream(modality: str, stream: RawStream, length_s: float) -> str:
    info = stream.info
    labels = ", ".join(info.labels[:MOST_LABELS]) + (", ..." if info.n_channels > MOST_LABELS else "")
    rate = f"{info.rate_hz:g} Hz, {length_s:.1f} s" if info.rate_hz else "irregular"
    plural = "" if info.n_channels == 1 else "s"
    return f"{modality} {info.n_channels} channel{plural} ({labels}), {rate}"


def _trial_line(
    trial: Trial,
    segment: RawSegment,
    times: Mapping[str, FloatArray],
    heads: Mapping[str, tuple[str, ...]],
    on_problem: OnProblem,
) -> str:
    length_s = trial.stop_s - trial.start_s
    parts = [f"    trial {trial.name}: {length_s:.1f} s"]
    parts += [f"{head} {heads[head][label]}" for head, label in trial.labels.items()]
    for modality, stamps in times.items():
        rate_hz = segment.streams[modality].info.rate_hz
        inside = np.count_nonzero((stamps >= trial.start_s) & (stamps < trial.stop_s))
        if rate_hz and inside / rate_hz < length_s - 1.0:
            parts.append(f"{modality} has {inside / rate_hz:.1f} s of it")
        if not inside:
            name = Path(segment.streams[modality].info.name)
            text = f"{modality} has no sample in it: are its stamps and the markers of one clock?"
            on_problem(Problem(name, segment.subject, segment.session, trial.name, text))
    return ", ".join(parts)


def print_dataset_check(root: Path, format: str, feature: str = "") -> bool:
    """Print the report of `check_dataset` on the terminal, problems in yellow; whether there are none."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    with console.status(Text(f"reading {printable(root)}")):
        lines = check_dataset(root, format, feature)
    for line in lines:
        line = printable(line)  # labels come from files
        is_problem = line.startswith("  ") and not line.startswith("    ")
        marked = is_problem or "missing" in line or "nothing found" in line
        console.print(Text(line, style="yellow" if marked else ""), soft_wrap=True)
    return any(line.startswith("problems: 0;") for line in lines)
