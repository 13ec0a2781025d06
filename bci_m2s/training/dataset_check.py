"""What a copy of a data set holds, lacks and has wrong, before any training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from bci_m2s.training.datasets import find_dataset
from bci_m2s.training.datasets.layout import DataSet, Problem

Key = tuple[int, int, int]  # subject, session, trial
Found = dict[Key, dict[str, int]]  # steps by modality


def check_dataset(root: Path, format: str, feature: str = "") -> list[str]:
    """Read every file of a data set and say what was found: lines to print.

    One bad file is a line of the report and never ends it.

    Raises
    ------
    UsageError
        For an unknown format or feature.
    RecordingError
        When `root` is not a copy of this data set at all.
    """
    data, chosen = find_dataset(format, feature)
    problems: list[Problem] = []
    found: Found = {}
    labels: Counter[int] = Counter()
    for trial in data.read(root, chosen, problems.append):
        found[trial.subject, trial.session, trial.trial] = {
            modality: len(rows) for modality, rows in trial.steps.items()
        }
        labels[trial.label] += 1
    by_subject = defaultdict(list)
    for problem in problems:
        by_subject[problem.subject].append(problem)
    lines = [f"{data.name}, feature {chosen}, steps of {data.step_s[chosen]:g} s: {root}"]
    for subject in sorted({*data.subjects, *by_subject}):
        lines += _subject_lines(data, subject, found)
        lines += [f"  {'' if one.left_out else 'note: '}{one}" for one in by_subject[subject]]
    return lines + _summary(data, found, labels, problems)


def _subject_lines(data: DataSet, subject: int, found: Found) -> list[str]:
    if subject not in data.subjects:
        return []
    if not any(key[0] == subject for key in found):
        return [f"subject {subject}: nothing found"]
    lines = []
    for session, labels in enumerate(data.labels, 1):
        trials = [found.get((subject, session, trial), {}) for trial in range(1, len(labels) + 1)]
        parts = [_modality(name, trials) for name in data.modalities if _distributed(data, name, subject)]
        lines.append(f"subject {subject}, session {session}: {'; '.join(parts)}")
    return lines


def _modality(name: str, trials: list[dict[str, int]]) -> str:
    missing = [number for number, trial in enumerate(trials, 1) if name not in trial]
    if len(missing) == len(trials):
        return f"{name} missing"
    said = f"{name} {len(trials) - len(missing)} of {len(trials)} trials"
    said += f", {sum(trial.get(name, 0) for trial in trials)} steps"
    return said + (f", missing {_ranges(missing)}" if missing else "")


def _distributed(data: DataSet, modality: str, subject: int) -> bool:
    return modality != "eye" or subject in data.with_eye


def _ranges(values: Iterable[int]) -> str:
    """Ascending numbers as "1-3, 7"."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def _summary(data: DataSet, found: Found, labels: Counter[int], problems: list[Problem]) -> list[str]:
    per_subject = sum(len(row) for row in data.labels)
    shares = ", ".join(f"{name} {labels[index]}" for index, name in enumerate(data.classes))
    complete = sum(
        all(name in steps for name in data.modalities if _distributed(data, name, key[0]))
        for key, steps in found.items()
    )
    bad = sum(problem.left_out for problem in problems)
    expected = per_subject * len(data.subjects)
    return [
        f"trials: {len(found)} of {expected} found, {complete} complete ({shares})",
        f"problems: {bad}; notes: {len(problems) - bad}",
    ]


def print_dataset_check(root: Path, format: str, feature: str = "") -> None:
    """Print the report of `check_dataset` on the terminal; problems in yellow."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    for line in check_dataset(root, format, feature):
        marked = line.startswith("  ") or "missing" in line or "nothing found" in line
        console.print(Text(line, style="yellow" if marked else ""), soft_wrap=True)
