"""What a run of a benchmark leaves: the figures of every round, and where, when and how they were made.

JSON keeps it whole, one file per benchmark. Not a number is written as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.commands.bench.benchmark import Figure, Setting
from bci_m2s.errors import OutputError, UsageError
from bci_m2s.files.whole import write_whole

LAYOUT = 1


@dataclass(frozen=True)
class Result:
    """One run of one benchmark.

    date : ISO 8601, UTC
    load : of the machine before the run and at its highest
    rounds : [ours] or [ours, reference] of each figure
    notes : what the benchmark said beside its figures
    missing : what was not there, in words
    """

    benchmark: str
    command: str
    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    load: tuple[float, float]
    settings: Mapping[str, Setting]
    rounds: Sequence[Mapping[str, Sequence[float]]]
    notes: Sequence[str] = ()
    missing: Sequence[str] = ()
    layout: int = field(default=LAYOUT)

    def save(self, folder: Path) -> Path:
        """Write it as ``NAME.json``. Raises OutputError."""
        path = folder / f"{self.benchmark}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(_without_nan(asdict(self)), indent=1, ensure_ascii=False) + "\n")
        except OSError as problem:
            raise OutputError(f"{path}: cannot be written: {problem.strerror}") from None
        return path


def read_result(path: Path) -> Result:
    """Read a result. Raises UsageError where the file is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["layout"] != LAYOUT:
            raise UsageError(f"{path}: layout: got {values['layout']}, expected {LAYOUT}")
        rounds = [
            {name: [_number(part) for part in parts] for name, parts in one.items()}
            for one in values["rounds"]
        ]
        before, highest = values["load"]
        return Result(**{**values, "rounds": rounds, "load": (_number(before), _number(highest))})
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise UsageError(f"{path}: is no result of a benchmark ({type(problem).__name__})") from None


def read_results(place: Path) -> dict[str, Result]:
    """The results of a folder, or the one in a file, by benchmark. Raises UsageError."""
    paths = sorted(place.glob("*.json")) if place.is_dir() else [place]
    return {result.benchmark: result for result in map(read_result, paths)}


def difference(ours: Result, theirs: Result) -> str:
    """The first field that forbids to hold two results against each other: got, expected; "" for none."""
    one: dict[str, Any] = {**ours.machine, **{f"setting {key}": at for key, at in ours.settings.items()}}
    other = {**theirs.machine, **{f"setting {key}": at for key, at in theirs.settings.items()}}
    for name in dict.fromkeys((*one, *other)):
        got, expected = other.get(name, "nothing"), one.get(name, "nothing")
        if got != expected:
            return f"{name}: got {got}, expected {expected}"
    return ""


@dataclass(frozen=True)
class Summary:
    """The rounds of one figure. ratios : (median, lowest, highest); NaN where there is no reference."""

    ours: float
    reference: float
    ratios: tuple[float, float, float]
    is_reached: bool | None


def summarise(figure: Figure, result: Result) -> Summary | None:
    """Medians over the rounds; None where no round has the figure."""
    values = [one[figure.name] for one in result.rounds if figure.name in one]
    if not values:
        return None
    ours = float(np.median([value[0] for value in values]))
    pairs = [(value[0], value[1]) for value in values if len(value) > 1]
    reference, ratios = math.nan, (math.nan, math.nan, math.nan)
    if pairs:
        reference = float(np.median([pair[1] for pair in pairs]))
        each = [figure.ratio(*pair) for pair in pairs]
        ratios = float(np.median(each)), min(each), max(each)
    goal = figure.goal
    is_reached = None if goal is None else goal.is_reached(ratios[0] if goal.of_ratio else ours)
    return Summary(ours, reference, ratios, is_reached)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
