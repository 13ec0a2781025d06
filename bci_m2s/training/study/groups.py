"""What the cells of a study gave, method by method, for each comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bci_m2s.training.check.training_file import count
from bci_m2s.training.methods import METHODS
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.protocol import listed
from bci_m2s.training.results.summary import (
    Difference,
    Row,
    Summary,
    differences,
    not_counted,
    one_class_lines,
    rows_of,
    summarise,
)
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import Cell, Outcome, read_outcome
from bci_m2s.training.study.settings import APPROXIMATE
from bci_m2s.training.study.variants import Variant

# how lines of protocols begin, and what is in those on methods that cannot be tried
MISSING, LACKING = "Did not test, without a window that can be used", "Without a test window of "
NOT_POSSIBLE = ": not possible"
Outcomes = Mapping[Variant, Sequence[tuple[Cell, Outcome]]]


@dataclass(frozen=True)
class OfHead:
    """The figures of one head in a comparison.

    rows : by method and direction; main, summaries, differences : see ``summarise`` and ``differences``
    lines : the protocol
    """

    head: str
    classes: Sequence[str]
    main: str
    rows: Mapping[tuple[str, str], Row]
    summaries: Sequence[Summary]
    differences: Sequence[Difference]
    lines: Sequence[str]

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

    main : row that is compared with each other; classes, lines : of each head, the latter its protocol
    members : training file and settings of each row, by its name
    """

    data: str
    protocol: str
    point: tuple[tuple[str, Any], ...]
    main: str
    classes: Mapping[str, Sequence[str]]
    results: list[Result]
    lines: Mapping[str, list[str]]
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
                found.append(OfHead(head, classes, self.main, rows, *compared, self.lines[head]))
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
            main = row_name(first, variants[first])
            rows = {row_name(one, variants[one]): (one, variants[one]) for one in members if found[one]}
            lines = {head: _lines(head, results, outcomes) for head in classes}
            groups.append(Group(*key, main, classes, results, lines, rows))
    return groups


def without_figures(found: Outcomes) -> list[str]:
    """A line on each row with cells that are done and gave no figure, which no table shows."""
    lines = []
    for variant, cells in found.items():
        empty = [(cell, outcome) for cell, outcome in cells if not outcome.results]
        if empty:
            splits = dict.fromkeys(cell.split for cell, _ in empty)
            said = [line for _, outcome in empty for each in outcome.protocol.values() for line in each]
            why = dict.fromkeys(line for line in said if line.startswith(MISSING) or NOT_POSSIBLE in line)
            lines.append(f"{variant.name}: no figure of {', '.join(splits)}. {' '.join(why)}".strip())
    return lines


def _lines(head: str, results: Sequence[Result], outcomes: Sequence[Outcome]) -> list[str]:
    """The protocol of a head: who tested over all parts, and what does not differ from part to part."""
    results = [result for result in results if result.head == head]
    said = [outcome.protocol.get(head, []) for outcome in outcomes]
    first = next(filter(None, said), [])
    people = _people(results)
    one_class = not_counted(results, head)
    of_one = next((line.removeprefix("People: ") for line in first if line.startswith("People:")), "")
    n_parts = len({result.split for result in results})
    turns = f"{n_parts} parts test in turn, of one: " if n_parts > 1 else ""
    lines = [f"Tested: {count(len(people - set(one_class)), 'person', 'people')}."]
    lines += [f"{turns}{of_one}"] if of_one else []
    for lead, names in _absent(said).items():
        signal = lead.removeprefix(LACKING).partition(" ")[0] if lead.startswith(LACKING) else ""
        if absent := names - _people(one for one in results if signal in ("", one.tested_on)):
            lines.append(f"{lead}: {listed(absent)}.")
    if one_class:
        lines.append(f"Not counted, having test windows of one class alone: {listed(one_class)}.")
    return [*lines, *one_class_lines(results, head), *(line for line in first if not _is_of_part(line))]


def _people(results: Iterable[Result]) -> set[str]:
    return {person for result in results for person in result.figures["by_subject"]}


def _absent(said: Iterable[Sequence[str]]) -> Mapping[str, set[str]]:
    """Who did not test in some part: "Did not test, without a window that can be used" → names."""
    absent: dict[str, set[str]] = {}
    for line in (line for lines in said for line in lines if line.startswith((MISSING, LACKING))):
        lead, _, names = line.rstrip(".").rpartition(": ")
        absent.setdefault(lead, set()).update(names.split(", "))
    return absent


def _is_of_part(line: str) -> bool:
    """Whether a line of a protocol is of the people of one part, or of the method of one cell."""
    return line.startswith(("People:", "Tested:", "Seeds:", "Nobody", "Not ", MISSING, LACKING)) or (
        NOT_POSSIBLE in line
    )
