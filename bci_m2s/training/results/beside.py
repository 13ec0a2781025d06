"""Results of another run, to stand beside those of this one: the same people and splits, another recipe."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bci_m2s.errors import UsageError
from bci_m2s.text import printable
from bci_m2s.training.data.splits import PARTS, Split
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.means import mean_name, method_of

RESULTS, ABOUT = "results.json", "run.json"


def read_beside(
    folder: Path, splits: Sequence[Split], heads: Collection[str], below: Path = Path()
) -> list[Result]:
    """What a run's method reached, under the name of its folder.

    Parameters
    ----------
    folder : of a run that has been evaluated
    below : where in it the results are
    splits : which its own have to agree with, person by person
    heads : which are wanted

    Raises
    ------
    UsageError
        There are no results, or other people trained, validated or tested.
    """
    found, about = (_read(folder / name) for name in (below / RESULTS, ABOUT))
    try:
        theirs = {
            name: {part: _people(parts[part]) for part in PARTS} for name, parts in about["splits"].items()
        }
        results = [Result(**entry) for entry in found["results"]]
        method = results[0].method  # it comes before its controls
        kept = [one for one in results if method_of(one.method) == method and one.head in heads]
        counted = all("counts_by_subject" in one.figures for one in kept)
    except (KeyError, TypeError, AttributeError, IndexError) as problem:
        raise UsageError(f"{folder / RESULTS}: no results of a run ({printable(problem)})") from None
    if not counted:
        raise UsageError(f"{folder / RESULTS}: of an earlier version; evaluate that run again")
    ours = {split.name: {part: _people(getattr(split, part)) for part in PARTS} for split in splits}
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            raise UsageError(f"{folder}: {name}: other people train, validate or test there than here")
    name = folder.resolve().name
    return [replace(one, method=name if one.method == method else mean_name(name)) for one in kept]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: missing; run bci-m2s evaluate there first") from None
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: cannot be read: {printable(problem)}") from None


def _people(keys: Collection[str]) -> set[str]:
    return {key.split("/")[0] for key in keys}
