"""What a study will cost, told by the cells of another one: ``bci-m2s study STUDY --cost FOLDER``."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from rich.console import Console

from bci_m2s.errors import UsageError
from bci_m2s.text import printable
from bci_m2s.training.check.listing import list_sessions, published_sessions
from bci_m2s.training.check.training_file import count
from bci_m2s.training.data.splits import Listed, make_splits
from bci_m2s.training.datasets import find_dataset
from bci_m2s.training.datasets.layout import DataSet, Trial
from bci_m2s.training.experiment import begun_settings
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import RESULT
from bci_m2s.training.study.command import seeds_of
from bci_m2s.training.study.schedule import duration
from bci_m2s.training.study.settings import load_study
from bci_m2s.training.study.variants import make_variants

DASK_S = 0.016  # of the scheduler for a cell: bci-m2s bench study
WORKERS = (1, 10, 100)


@dataclass(frozen=True)
class Size:
    """What the seconds of a cell are proportional to. parts : that test in turn

    windows : of training, in the mean of the parts
    """

    parts: int
    windows: float


@dataclass(frozen=True)
class Measured:
    """A finished cell. cpu_s : of its stages"""

    settings: TrainingSettings
    windows: float
    cpu_s: Mapping[str, float]


class Priced(NamedTuple):
    """A cell of the study. row, method : as the study file calls it, and of the package"""

    row: str
    method: str
    seed: int
    seconds: float


def print_cost(path: Path, folder: Path, windows: int | None, console: Console) -> None:
    """Print cells × seconds of a study, by method, and what that is on several workers.

    Parameters
    ----------
    folder : holds a study whose cells are done
    windows : that the data set has altogether, where its listing does not tell; None for the listing

    Raises
    ------
    UsageError
        No cell is done there, or nothing tells how many windows there are.
    """
    study, measured = load_study(path), list(_finished(folder))
    if not measured:
        raise UsageError(f"--cost: {folder}: no cell of a study is done here")
    sizes: dict[str, Size] = {}
    cells: list[Priced] = []
    with tempfile.TemporaryDirectory() as name:
        for variant, settings in make_variants(study, path, Path(name), may_lack_data=True).items():
            key = settings.model_dump_json(include={"contract", "data", "split", "windows"})
            if key not in sizes:
                sizes[key] = _size(settings, windows)
            seconds = _seconds(settings, sizes[key], measured)
            cells += [
                Priced(variant.method, settings.finetune.method, seed, seconds)
                for seed in seeds_of(settings)
                for _ in range(sizes[key].parts)
            ]
    for line in _lines(cells, measured, folder):
        console.print(line, markup=False, soft_wrap=True)


def _finished(folder: Path) -> Iterator[Measured]:
    windows: dict[str, float] = {}
    for path in sorted(folder.rglob(RESULT)):
        try:
            settings, kept = begun_settings(path.parent), json.loads(path.read_text(encoding="utf-8"))
            key = settings.model_dump_json(include={"contract", "data", "split", "windows"})
            if key not in windows:
                windows[key] = _size(settings, None).windows
            yield Measured(settings, windows[key], {str(k): float(v) for k, v in kept["cpu_s"].items()})
        except (OSError, ValueError, KeyError, AttributeError) as problem:
            raise UsageError(f"--cost: {path}: cannot be read: {printable(problem)}") from None


def _size(settings: TrainingSettings, windows: int | None) -> Size:
    """By headers and markers; of data that are not here by what their owners published."""
    root = settings.data.root
    if root is None or root.exists():
        sessions = list_sessions(settings).sessions
    else:
        data_set, _ = find_dataset(settings.data.format, settings.data.feature)
        sessions = [*published_sessions(data_set), *_rated_sessions(data_set)]
    people = settings.data.subjects
    sessions = [session for session in sessions if not people or session.subject in people]
    if not sessions:
        raise UsageError(f"--cost: {root}: no such data, and nothing is published of who is in them")
    splits = make_splits(sessions, settings.split, settings.contract.first_head)
    of_trials = {key: n for session in sessions for key, n in _windows(settings, session)}
    if not any(of_trials.values()):
        if windows is None:
            raise UsageError(f"--cost: {settings.data.format}: its files alone tell windows; add --windows")
        of_trials = dict.fromkeys(of_trials, windows / len(of_trials))
    return Size(len(splits), mean(sum(of_trials[key] for key in split.train) for split in splits))


def _rated_sessions(data_set: DataSet) -> Iterator[Listed]:
    """The sessions of a complete copy whose classes are each person's ratings: here they take turns."""
    for subject in data_set.subjects if data_set.rated_trials else ():
        trials = tuple(
            Trial(str(i), 0.0, 0.0, {head: i % len(classes) for head, classes in data_set.heads.items()})
            for i in range(1, data_set.rated_trials + 1)
        )
        yield Listed(str(subject), "1", data_set.named("1", trials))


def _windows(settings: TrainingSettings, session: Listed) -> Iterator[tuple[str, float]]:
    """Of each trial: those that lie wholly inside it."""
    window = settings.contract.window
    for trial in session.trials:
        hops = (trial.stop_s - trial.start_s - window.steps * window.step_s) // window.hop_s + 1
        yield session.key(trial), max(0.0, hops // settings.windows.every_hops)


def _seconds(settings: TrainingSettings, size: Size, measured: Sequence[Measured]) -> float:
    """The mean of finished cells that are most like it: each stage times windows and epochs."""
    like = _like(settings, measured)
    return mean(
        sum(
            seconds * size.windows * _epochs(settings, stage) / (one.windows * _epochs(one.settings, stage))
            for stage, seconds in one.cpu_s.items()
        )
        for one in like
    )


def _like(settings: TrainingSettings, measured: Sequence[Measured]) -> Sequence[Measured]:
    """Cells of the method with its losses, else of the method, else all."""
    method, losses = settings.finetune.method, settings.pretrain.loss.weights
    of_method = [one for one in measured if one.settings.finetune.method == method]
    return (
        [one for one in of_method if one.settings.pretrain.loss.weights == losses] or of_method or measured
    )


def _epochs(settings: TrainingSettings, stage: str) -> int:
    """Of a stage; 1 where it fits without any, has a number of its own, or only tests."""
    method: Method = METHODS[settings.finetune.method]
    tuned = settings.finetune
    is_chosen = tuned.select == "validation"
    if stage == "pretrain":
        return settings.pretrain.epochs
    if stage == "finetune" and method.draws and tuned.classifier == "network":
        return tuned.epochs * (len(tuned.learning_rates) * len(tuned.weight_decays) if is_chosen else 1)
    if stage == "evaluate" and method.learn is not None:
        once = sum(getattr(settings, section).epochs for section in method.passes) or 1
        return once * (2 if tuned.oracle and is_chosen else 1)  # the oracle is learnt by itself
    return 1


def _lines(cells: Sequence[Priced], measured: Sequence[Measured], folder: Path) -> Iterator[str]:
    known = {one.settings.finetune.method for one in measured}
    by = f"{count(len(measured), 'cell')} in {folder}"
    yield f"{count(len(cells), 'cell')}; seconds are of one core, by {by}:"
    yield "each stage times windows and epochs. Training that ends early takes less."
    for row in dict.fromkeys(cell.row for cell in cells):
        of_row = [cell for cell in cells if cell.row == row]
        of_all = "" if of_row[0].method in known else "; not measured: the mean of all methods"
        took = mean(cell.seconds for cell in of_row)
        total = duration(sum(cell.seconds for cell in of_row))
        yield f"  {row}: {count(len(of_row), 'cell')} × {took:.1f} s = {total}{of_all}"
    seconds = [cell.seconds for cell in sorted(cells, key=lambda cell: (cell.seed, -cell.seconds))]
    for workers in WORKERS:
        yield f"{count(workers, 'worker')}: {duration(_spread_s(seconds, workers))}"
    in_all = duration(len(cells) * DASK_S)
    yield f"The longest cell: {duration(max(seconds))}. A Dask scheduler: {in_all} in all."


def _spread_s(seconds: Sequence[float], workers: int) -> float:
    """When the last is over where each worker takes the next one in turn."""
    free_s = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free_s, free_s[0] + one)
    return max(free_s)
