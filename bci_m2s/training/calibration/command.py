"""``bci-m2s calibrate``: read, judge, say it, and write what is promoted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bci_m2s.errors import TrainingError, UsageError, nearest
from bci_m2s.model.training_people import is_trained_on
from bci_m2s.pipeline.recorded_windows import RecordedRun
from bci_m2s.recording.file_names import named_subject
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.blocks import fewest_of_each
from bci_m2s.training.calibration.candidates import MEANINGS
from bci_m2s.training.calibration.decide import ALPHA, PERMUTATIONS, Verdict, decide
from bci_m2s.training.calibration.material import Material, counted, gather
from bci_m2s.training.calibration.problems import make_problems, suffices
from bci_m2s.training.calibration.same_session import holds_same_moments
from bci_m2s.training.calibration.unlabelled import Unlabelled, unlabelled
from bci_m2s.training.calibration.write import write_calibrated

Report = Callable[[int, int], None]
Result = TypeVar("Result")
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Calibrated:
    """What a calibration found.

    verdicts : of the signals that were judged; left : those that could not be
    is_written : whether there is a model file
    """

    material: Material
    verdicts: Mapping[str, Verdict]
    left: Mapping[str, Unlabelled]
    is_written: bool


def run_calibration(
    runs: Sequence[RecordedRun], base: Base, output: Path, head: str, console: Console
) -> Calibrated:
    """Calibrate on the trials of some sessions of one participant; print figures and decision.

    Parameters
    ----------
    head : which answer the labels are classes of; "" for the model's first

    Raises
    ------
    BciM2sError
        What the sessions hold cannot be used, or the file cannot be written.
    """
    begun_s = time.monotonic()
    head = _head(base, head)
    _refuse_strangers(runs)
    _refuse_learnt(runs, base)

    def check(labels: Indices) -> None:
        _refuse_few(labels, base.contract.heads[head].classes, runs)

    material = _reported(
        console,
        "signals to windows",
        lambda report: gather(runs, base.contract, base.tensors, head, _say(console), report, check),
    )
    console.print(f"trials: {material.counted()}; signal and markers of {_files(runs)}")
    _refuse_few_with_windows(material, runs)
    problems = make_problems(material, base)
    verdicts = _reported(
        console,
        "candidates and permutations",
        lambda report: decide(problems, material.labels, on_fit=report),
    )
    left = unlabelled(material, base, problems, verdicts)
    _print(console, verdicts)
    for name, one in left.items():
        console.print(one.sentence(name), markup=False, soft_wrap=True)
    promoted = any(verdict.is_promoted for verdict in verdicts.values())
    if promoted:
        write_calibrated(output, base, material, problems, verdicts, left, runs)
        console.print(
            f"{output}: {', '.join(_changed(verdicts, left))} calibrated. "
            f"Next: bci-m2s run PIPELINE.yaml --model {output}"
        )
    else:
        console.print("nothing is promoted, no file is written: go on with the base model")
    console.print(f"took {time.monotonic() - begun_s:.0f} s")
    return Calibrated(material, verdicts, left, promoted)


def _head(base: Base, head: str) -> str:
    if head and head not in base.contract.heads:
        raise UsageError(
            f"--head: got {head!r}, expected an answer of the model{nearest(head, base.contract.heads)}"
        )
    return head or base.contract.first_head


def _refuse_strangers(runs: Sequence[RecordedRun]) -> None:
    described = [run.participant for run in runs]
    in_paths = [named_subject(run.path.absolute()) for run in runs]
    for names in (described, in_paths):  # two ways to write one name are not compared
        different = list(dict.fromkeys(name for name in names if name))
        if len(different) > 1:
            raise UsageError(
                f"sessions: got those of {', '.join(different)}, expected those of one participant"
            )
    paths = [run.path.resolve() for run in runs]
    if len(set(paths)) < len(paths):
        raise UsageError(f"sessions: got {runs[0].path} twice, expected each once")
    for first, second in combinations(runs, 2):
        if holds_same_moments(first, second):
            raise UsageError(
                f"{second.path}: got the same moments as {first.path}, expected another session; "
                "its trials would be judged by what has learnt them"
            )


def _refuse_learnt(runs: Sequence[RecordedRun], base: Base) -> None:
    for run in runs:
        if is_trained_on(base.contract, run.path):
            raise UsageError(
                f"{run.path}: the base model {base.path.name} was trained on it, and would be judged on "
                "what it has learnt; expected --base with the model from before, or other sessions"
            )


def _refuse_few(labels: Indices, classes: Sequence[str], runs: Sequence[RecordedRun]) -> None:
    if not suffices(labels, len(classes)):
        got = counted(labels, classes)
        raise TrainingError(f"{runs[0].path}: trials: got {got}, {_expected(len(classes))}")


def _expected(n_classes: int) -> str:
    fewest = fewest_of_each(n_classes, ALPHA)
    return f"expected {fewest} or more of each class: with fewer even a perfect answer could be chance"


def _refuse_few_with_windows(material: Material, runs: Sequence[RecordedRun]) -> None:
    n_classes = len(material.classes)
    labelled = {name: np.unique(windows.trials) for name, windows in material.windows.items()}
    if any(suffices(material.labels[kept], n_classes) for kept in labelled.values()):
        return
    got = "; ".join(
        f"{name}: {len(kept)} with usable windows"
        + (f", others: {material.windows[name].why_none}" if material.windows[name].why_none else "")
        for name, kept in labelled.items()
    )
    raise TrainingError(f"{runs[0].path}: trials: got {got}, {_expected(n_classes)}")


def _reported(console: Console, words: str, work: Callable[[Report], Result]) -> Result:
    """The result of some work, with its progress."""
    if not console.is_terminal:
        console.print(f"{words} …")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(words, total=None)
        return work(lambda done, total: progress.update(task, completed=done, total=total))


def _say(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(f"note: {text}", style="yellow", markup=False)


def _files(runs: Sequence[RecordedRun]) -> str:
    return ", ".join(str(run.path) for run in runs)


def _changed(verdicts: Mapping[str, Verdict], left: Mapping[str, Unlabelled]) -> list[str]:
    taught = [name for name, one in left.items() if one.is_taught]
    return [name for name, verdict in verdicts.items() if verdict.is_promoted] + taught


def _print(console: Console, verdicts: Mapping[str, Verdict]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("balanced accuracy")
    for name in verdicts:
        table.add_column(name, justify="right")
    for key, meaning in MEANINGS.items():
        values = [verdict.each.get(key) for verdict in verdicts.values()]
        if any(value is not None for value in values):
            table.add_row(meaning, *("" if value is None else f"{value:.2f}" for value in values))
    console.print(table)
    console.print(
        "(of trials held out; a choice among these is judged on trials that played no part in it:)"
    )
    for name, verdict in verdicts.items():
        console.print(
            f"{name}: {verdict.accuracy:.2f} [{verdict.low:.2f}, {verdict.high:.2f}] over {verdict.trials} "
            f"trials; "
            f"chance {verdict.chance:.2f}, one permutation in 50 exceeds {verdict.high_chance:.2f}; "
            f"p = {verdict.p:.3f}, wanted {ALPHA:g} or less ({PERMUTATIONS} permutations); "
            f"base model {verdict.base:.2f}, gain {verdict.gain:+.2f} "
            f"[{verdict.gain_low:+.2f}, {verdict.gain_high:+.2f}]",
            markup=False,
            soft_wrap=True,
        )
    for name, verdict in verdicts.items():
        console.print(verdict.sentence(name), markup=False, soft_wrap=True)
