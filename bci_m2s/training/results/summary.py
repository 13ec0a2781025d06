"""Rows of the table: each method in each direction over people and seeds, and its rivals beside it.

A figure of a person is of one confusion matrix over all of their folds and sessions. Who has windows of one
class alone is not counted: whatever is guessed, there is nothing to tell apart.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.means import mean_name, method_of
from bci_m2s.training.results.metrics import balanced_accuracy, kappa, macro_f1
from bci_m2s.training.results.statistics import (
    compare,
    holm,
    independent_p,
    interval,
    mean_of,
    permutation_p,
    spread_over_people,
    spread_over_seeds,
)
from bci_m2s.types import FloatArray

Counts = NDArray[np.int64]


class Draw(NamedTuple):
    """One training: its seed, and the number of the permutation of the labels, None of true ones."""

    seed: int
    permutation: int | None


@dataclass(frozen=True)
class Summary:
    """One row of the table.

    mean : balanced accuracy, mean over people, each the mean of the seeds
    low, high : its interval over people and seeds; of permuted labels that of the permutations; NaN of one
        person
    sd : spread over people; seeds_sd : of the seeds' means, or the permutations'; None where there is one
    kappa, f1 : mean over people, each the mean of the seeds
    people, seeds : their numbers; permutations : 0 of true labels
    support : windows of each class, of one seed; confusion : summed over splits and seeds
    oracle : mean over splits and seeds of what selecting on test gives; None unless requested
    p : of permuted labels, the share of permutations at least as good as the true labels
    by_person : balanced accuracy, mean of the seeds
    """

    method: str
    direction: str
    head: str
    mean: float
    low: float
    high: float
    sd: float | None
    seeds_sd: float | None
    kappa: float
    f1: float
    people: int
    seeds: int
    support: list[int]
    confusion: list[list[int]]
    oracle: float | None
    permutations: int = 0
    p: float | None = None
    by_person: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A method beside a rival in one direction, on the same people.

    mean : of the method less the rival, balanced accuracy; low, high : its interval over people and seeds
    p : two-sided, of the bootstrap; p_holm : corrected for all differences of the head
    p_independent : see ``independent_p``, of all people of both, uncorrected
    """

    head: str
    direction: str
    method: str
    rival: str
    mean: float
    low: float
    high: float
    p: float
    p_holm: float
    people: int
    p_independent: float = float("nan")


@dataclass(frozen=True)
class Row:
    """All results of one method, direction and head. counts : training → person → (classes, classes)"""

    results: list[Result]
    counts: dict[Draw, dict[str, Counts]]

    @property
    def people(self) -> list[str]:
        """Who is counted, in order of appearance."""
        found = self.everybody
        told = [person for person in found if self._n_classes(person) > 1]
        return told or found

    @property
    def everybody(self) -> list[str]:
        """Who has test windows, in order of appearance."""
        return list(dict.fromkeys(person for of_draw in self.counts.values() for person in of_draw))

    @property
    def has_two_classes(self) -> bool:
        """Whether somebody has test windows of more than one class."""
        return any(self._n_classes(person) > 1 for person in self.everybody)

    def _n_classes(self, person: str) -> int:
        matrix = next(of_draw[person] for of_draw in self.counts.values() if person in of_draw)
        return int(np.count_nonzero(matrix.sum(axis=1)))

    def grid(
        self, figure: Callable[[Counts], float] = balanced_accuracy, people: Sequence[str] | None = None
    ) -> FloatArray:
        """A figure of every person with every training, (S, P); one that is missing is their mean."""
        chosen = self.people if people is None else people
        values = np.array(
            [
                [figure(of_draw[person]) if person in of_draw else np.nan for person in chosen]
                for of_draw in self.counts.values()
            ]
        )
        return np.where(np.isnan(values), np.nanmean(values, axis=0), values)


def rows_of(results: Iterable[Result]) -> dict[tuple[str, str, str], Row]:
    """Results by head, method and direction, in order of appearance; each person's folds together."""
    groups: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.head, result.method, result.direction].append(result)
    return {key: Row(group, _pooled(group)) for key, group in groups.items()}


def not_counted(results: Iterable[Result], head: str) -> list[str]:
    """Who has test windows of one class alone in every row of a head."""
    true = (one for one in results if one.head == head and one.permutation is None)
    return _not_counted(list(rows_of(true).values()))


def _not_counted(rows: Sequence[Row]) -> list[str]:
    counted = {person for row in rows for person in row.people}
    return sorted({person for row in rows for person in row.everybody} - counted)


def one_class_lines(results: Iterable[Result], head: str) -> list[str]:
    """Who is counted in some rows alone, and where there is nothing to tell apart; a sentence per line."""
    rows = rows_of(one for one in results if one.head == head and one.permutation is None)
    by_tested: dict[str, list[Row]] = defaultdict(list)
    for (*_, direction), row in rows.items():
        by_tested[direction.rpartition(" → ")[2]].append(row)
    nothing = [name for name, of_it in by_tested.items() if not any(row.has_two_classes for row in of_it)]
    lines = []
    if nothing:
        where = "" if len(nothing) == len(by_tested) else f" on {' or '.join(nothing)}"
        lines.append(
            f"Nobody tests{where} with windows of two classes: a constant guess is always right, so such "
            "figures tell nothing."
        )
    nowhere = set(_not_counted(list(rows.values())))
    for name, of_it in by_tested.items():
        if lacking := sorted(set(_not_counted(of_it)) - nowhere, key=lambda person: (len(person), person)):
            lines.append(
                f"Not counted on {name}, having test windows of one class alone: {', '.join(lacking)}."
            )
    return lines


def _pooled(results: Iterable[Result]) -> dict[Draw, dict[str, Counts]]:
    counts: dict[Draw, dict[str, Counts]] = defaultdict(dict)
    for result in results:
        of_draw = counts[Draw(result.seed, result.permutation)]
        for person, matrix in result.figures["counts_by_subject"].items():
            of_draw[person] = of_draw.get(person, 0) + np.asarray(matrix, dtype=np.int64)
    return {
        draw: counts[draw] for draw in sorted(counts, key=lambda draw: (draw.seed, draw.permutation or 0))
    }


def summarise(results: Iterable[Result], method: str = "") -> list[Summary]:
    """One summary per method, direction and head, in order of appearance.

    method : with which permuted labels are compared
    """
    rows = rows_of(results)
    summaries = []
    for (head, _, direction), row in rows.items():
        true = rows.get((head, method, direction))
        is_permuted = row.results[0].permutation is not None
        summaries.append(_permuted_summary(row, true) if is_permuted else _summary(row))
    return summaries


def _summary(row: Row, people: Sequence[str] | None = None) -> Summary:
    """people : who is counted; None for ``Row.people``"""
    people = row.people if people is None else people
    grid, first = row.grid(people=people), row.results[0]
    low, high = interval(grid)
    matrices = [np.sum(list(of_draw.values()), axis=0) for of_draw in row.counts.values()]
    oracles = [result.oracle for result in row.results if result.oracle is not None]
    return Summary(
        method=first.method,
        direction=first.direction,
        head=first.head,
        mean=mean_of(grid),
        low=max(low, 0.0),  # a rescaled bootstrap of few people goes beyond what is possible
        high=min(high, 1.0),
        sd=spread_over_people(grid),
        seeds_sd=spread_over_seeds(grid),
        kappa=mean_of(row.grid(kappa, people)),
        f1=mean_of(row.grid(macro_f1, people)),
        people=len(people),
        seeds=len({draw.seed for draw in row.counts}),
        support=matrices[0].sum(axis=1).tolist(),
        confusion=np.sum(matrices, axis=0).tolist(),
        oracle=float(np.mean(oracles)) if oracles else None,
        by_person=dict(zip(people, grid.mean(axis=0).tolist(), strict=True)),
    )


def _permuted_summary(row: Row, true: Row | None) -> Summary:
    """Of permuted labels: one figure for each permutation, the mean of its seeds as the true one is.

    It is of the people of the true figure: a permutation may give two classes to somebody who has one.
    """
    people = row.people if true is None else [one for one in true.people if one in set(row.everybody)]
    by_permutation: dict[int | None, list[float]] = defaultdict(list)
    for draw, value in zip(row.counts, row.grid(people=people).mean(axis=1).tolist(), strict=True):
        by_permutation[draw.permutation].append(value)
    values = [float(np.mean(of_one)) for of_one in by_permutation.values()]
    plain = _summary(row, people)
    low, high = np.quantile(values, [0.025, 0.975])
    return replace(
        plain,
        low=float(low),
        high=float(high),
        sd=None,
        seeds_sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        permutations=len(values),
        p=None if true is None else permutation_p(mean_of(true.grid()), values),
    )


def differences(results: Iterable[Result], method: str) -> list[Difference]:
    """A method less each of its rivals, in each direction that both have; Holm's correction by head.

    The mean of its seeds stands beside the means of its rivals, and beside those that have one seed.
    """
    rows = rows_of(results)
    found: list[Difference] = []
    for our_name, (key, row) in itertools.product((method, mean_name(method)), rows.items()):
        head, rival, direction = key
        ours = rows.get((head, our_name, direction))
        if ours is None or method_of(rival) == method or row.results[0].permutation is not None:
            continue
        is_mean, rival_is_mean = our_name != method, method_of(rival) != rival
        draws_nothing = len(row.counts) == 1 and (head, mean_name(rival), direction) not in rows
        if is_mean != rival_is_mean and not (is_mean and draws_nothing):
            continue
        people = [person for person in ours.people if person in set(row.people)]
        if people:
            both = ours.grid(people=people), row.grid(people=people)
            compared = compare(*both, same_seeds=list(ours.counts) == list(row.counts))
            p = independent_p(ours.grid(), row.grid())
            found.append(Difference(head, direction, our_name, rival, *compared, np.nan, len(people), p))
    corrected: list[Difference] = []
    for head in dict.fromkeys(one.head for one in found):
        of_head = [one for one in found if one.head == head]
        p_values = holm([one.p for one in of_head])
        corrected += [replace(one, p_holm=p) for one, p in zip(of_head, p_values, strict=True)]
    return sorted(corrected, key=_place(rows))


def _place(rows: dict[tuple[str, str, str], Row]) -> Callable[[Difference], tuple[int, int, int]]:
    """Differences by method, then by direction, then by rival, each in order of appearance."""
    directions = list(dict.fromkeys(direction for _, _, direction in rows))
    methods = list(dict.fromkeys(method for _, method, _ in rows))
    return lambda one: (
        methods.index(one.method),
        directions.index(one.direction),
        methods.index(one.rival),
    )
