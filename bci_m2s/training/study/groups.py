"""What the cells of a study gave, method by method, for each comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bci_m2s.training.check.training_file import count
from bci_m2s.training.methods import METHODS
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.summary import Difference, Row, Summary, differences, rows_of, summarise
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import Cell, Outcome, read_outcome
from bci_m2s.training.study.settings import APPROXIMATE
from bci_m2s.training.study.variants import Variant

Outcomes = Mapping[Variant, Sequence[tuple[Cell, Outcome]]]


@dataclass(frozen=True)
class OfHead:
    """The figures of one head in a comparison.

    rows : by method and direction; main, summaries, differences : see ``summarise`` and ``differences``
    """

    head: str
    classes: Sequence[str]
    main: str
    rows: Mapping[tuple[str, str], Row]
    summaries: Sequence[Summary]
    differences: Sequence[Difference]

    @property
    def methods(self) -> list[str]:
        """In order of the tables."""
        return list(dict.fromkeys(one.method for one in self.summaries))

    @property
    def directions(self) -> list[str]:
        """Each signal's own, those across, and of several signals together."""
        found = list(dict.fromkeys(one.direction for one in self.summaries))
        # across signals in the order of those that give the labels, labels of several behind them
        own = {name.split(" → ")[0]: place for place, name in enumerate(found) if kind_of(name) == OWN}
        return sorted(found, key=lambda name: (kind_of(name), own.get(name.split(" → ")[0], len(found))))

    def summary(self, method: str, direction: str) -> Summary | None:
        """One row; None where the method does not answer."""
        wanted = (method, direction)
        return next((one for one in self.summaries if (one.method, one.direction) == wanted), None)


OWN, ACROSS, TOGETHER = range(3)  # kinds of direction


def kind_of(direction: str) -> int:
    """Whether a direction is a signal's own, across signals, or of several together."""
    source, target = direction.split(" → ")
    if source != target:
        return ACROSS
    return TOGETHER if source in ("both", "all") or " + " in source else OWN


@dataclass(frozen=True)
class Group:
    """The methods of one data set, protocol and point of the grid, as far as their cells are done.

    main : row that is compared with each other; classes : by head; lines : the protocol
    members : training file and settings of each row, by its name
    """

    data: str
    protocol: str
    point: tuple[tuple[str, Any], ...]
    main: str
    classes: Mapping[str, Sequence[str]]
    results: list[Result]
    lines: list[str]
    members: Mapping[str, tuple[Variant, TrainingSettings]]

    @property
    def settings(self) -> TrainingSettings:
        """Of the first row."""
        return next(iter(self.members.values()))[1]

    @cached_property
    def heads(self) -> list[OfHead]:
        """Heads that have results. Drawing intervals takes a while, so it is done once."""
        found = []
        for head, classes in self.classes.items():
            results = [result for result in self.results if result.head == head]
            if results:
                rows = {
                    (method, direction): row for (_, method, direction), row in rows_of(results).items()
                }
                compared = summarise(results, self.main), differences(results, self.main)
                found.append(OfHead(head, classes, self.main, rows, *compared))
        return found

    @property
    def title(self) -> str:
        """A heading."""
        point = "".join(f", {key} {value}" for key, value in self.point)
        return f"{self.data}, {self.protocol}{point}"


def read_outcomes(variants: Mapping[Variant, TrainingSettings], cells: Sequence[Cell]) -> Outcomes:
    """What the cells of each training file gave, as far as they are done. Raises UsageError."""
    found: dict[Variant, list[tuple[Cell, Outcome]]] = {variant: [] for variant in variants}
    by_file = {variant.file.absolute(): variant for variant in variants}
    for cell in cells:
        outcome = read_outcome(cell)
        if outcome is not None:
            found[by_file[cell.training]].append((cell, outcome))
    return found


def row_name(variant: Variant, settings: TrainingSettings) -> str:
    """What tables call a method: rows without released code behind them are marked."""
    is_approximate = METHODS[settings.finetune.method].approximate
    return f"{variant.method}{APPROXIMATE if is_approximate else ''}"


def groups_of(variants: Mapping[Variant, TrainingSettings], found: Outcomes) -> list[Group]:
    """Every comparison of which a cell is done, in the order of the study file."""
    keys = dict.fromkeys((one.data, one.protocol, one.point) for one in variants)
    groups = []
    for key in keys:
        members = [one for one in variants if (one.data, one.protocol, one.point) == key]
        results = [
            replace(result, method=row_name(variant, variants[variant]))
            for variant in members
            for _, outcome in found[variant]
            for result in outcome.results
        ]
        if results:
            first = members[0]
            classes = variants[first].contract.class_names
            outcomes = [outcome for variant in members for _, outcome in found[variant]]
            lines = outcomes[0].protocol.get(next(iter(classes)), [])
            main = row_name(first, variants[first])
            rows = {row_name(one, variants[one]): (one, variants[one]) for one in members if found[one]}
            said = [*_who(results, lines), *_how(lines)]
            groups.append(Group(*key, main, classes, results, said, rows))
    return groups


def _who(results: Sequence[Result], lines: Sequence[str]) -> Iterator[str]:
    """Who tested over all parts. lines : the protocol of one part"""
    n_parts = len({result.split for result in results})
    people = {person for result in results for person in result.figures["by_subject"]}
    yield f"Tested: {count(len(people), 'person', 'people')}."
    of_one = next((line.removeprefix("People: ") for line in lines if line.startswith("People:")), "")
    if of_one:
        turns = f"{n_parts} parts test in turn, of one: " if n_parts > 1 else ""
        yield f"{turns}{of_one}"


def _how(lines: Sequence[str]) -> list[str]:
    """The lines of a protocol that do not differ from part to part."""
    return [line for line in lines if not line.startswith(("People:", "Tested:", "Seeds:"))]
