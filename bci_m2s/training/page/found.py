"""What the runs of a part's seeds gave, together as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bci_m2s.errors import UsageError
from bci_m2s.text import printable
from bci_m2s.training.page.plan import RELEASED, Part
from bci_m2s.training.page.work import RESULTS, run_folder, training_file
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.summary import Difference, Summary, differences, one_class_lines, summarise
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_file import load_training


@dataclass(frozen=True)
class Found:
    """The results of a part with those of the released recipe, where there are some.

    lines : the protocol, by head; seeds : which were evaluated
    """

    part: Part
    settings: TrainingSettings
    head: str
    results: list[Result]
    lines: list[str]
    seeds: tuple[int, ...]

    @property
    def method(self) -> str:
        """The one that has rivals."""
        return self.settings.finetune.method

    @property
    def directions(self) -> list[str]:
        """Of the method: within each signal, both, crossed."""
        a, b = self.settings.pair
        return [f"{a} → {a}", f"{b} → {b}", f"{a} → {b}", f"{b} → {a}", "both → both"]

    @property
    def crossed(self) -> list[str]:
        """The two directions from one signal to the other."""
        return self.directions[2:4]

    @cached_property
    def summaries(self) -> list[Summary]:
        """One for each method and direction of the first head; p of permuted labels is of their seeds."""
        permuted = {one.seed for one in self.results if one.permutation is not None}
        alike = summarise([one for one in self.results if one.seed in permuted], self.method)
        p_values = {one.direction: one.p for one in alike if one.permutations}
        return [
            replace(one, p=p_values[one.direction]) if one.permutations else one
            for one in summarise(self.results, self.method)
        ]

    @cached_property
    def differences(self) -> list[Difference]:
        """The method less each rival."""
        return differences(self.results, self.method)


def read_part(out: Path, part: Part, seeds: Sequence[int]) -> Found | None:
    """All seeds of a part that were evaluated; None where none was."""
    path = training_file(out, part)
    files = {seed: run_folder(out, part, seed) / RESULTS for seed in seeds}
    files = {seed: file for seed, file in files.items() if file.exists()}
    if not files or not path.exists():
        return None
    settings = load_training(path)
    head = settings.contract.first_head
    read = {seed: _read(file) for seed, file in files.items()}
    results = [Result(**entry) for one in read.values() for entry in one["results"]]
    lines = next(iter(read.values()))["protocol"][head]
    lines = [line for line in lines if not line.startswith("Seeds:")]
    results = [one for one in results if one.head == head]
    lines += [line for line in one_class_lines(results, head) if line not in lines]
    found = Found(part, settings, head, results, lines, tuple(files))
    if not part.recipe:
        found = _with_released(found, read_part(out, replace(part, recipe=RELEASED), tuple(files)))
    return found


def _with_released(found: Found, released: Found | None) -> Found:
    """With the released recipe's method as a rival, of those seeds that it has."""
    if released is None:
        return found
    theirs = [replace(one, method=RELEASED) for one in released.results if one.method == released.method]
    return replace(found, results=[*found.results, *theirs])


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: cannot be read: {printable(problem)}") from None
    return found
