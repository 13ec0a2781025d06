"""One figure of several data sets: the mean difference to a rival, with an interval.

People and seeds are drawn anew in each data set, as in ``statistics``: in all directions of a set the
same people and, of rows that have the same seeds, the same seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.training.page.found import Found
from bci_m2s.training.results.statistics import N_BOOTSTRAP, of_draws, weights
from bci_m2s.training.results.summary import Difference, Draw, Row, rows_of
from bci_m2s.types import FloatArray


@dataclass(frozen=True)
class Pooled:
    """Mean over data sets of the mean over directions of a difference. p : two-sided, of the bootstrap"""

    mean: float
    low: float
    high: float
    p: float
    sets: int


def best_rivals(found: Found) -> dict[str, Difference]:
    """By direction, the rival beside which the method does worst."""
    best: dict[str, Difference] = {}
    for one in found.differences:
        if one.direction not in best or one.mean < best[one.direction].mean:
            best[one.direction] = one
    return best


def mean_difference(sets: Sequence[Found], crossed: bool, rival: str = "") -> Pooled | None:
    """The method less a rival, over data sets; None where no set has it.

    crossed : mean of the two crossed directions; else of those within a signal
    rival : "" for the best one of each set and direction
    """
    drawn, means = [], []
    for number, found in enumerate(sets):
        wanted = found.directions[2:4] if crossed else found.directions[:2]
        if rival:
            rivals = {one.direction: rival for one in found.differences if one.rival == rival}
        else:
            rivals = {name: one.rival for name, one in best_rivals(found).items()}
        rivals = {name: one for name, one in rivals.items() if name in wanted}
        if rivals:
            mean, draws = _of_set(found, rivals, np.random.default_rng(number))
            means.append(mean)
            drawn.append(draws)
    if not drawn:
        return None
    return Pooled(*of_draws(float(np.mean(means)), np.mean(drawn, axis=0)), len(drawn))


def _of_set(found: Found, rivals: dict[str, str], rng: np.random.Generator) -> tuple[float, FloatArray]:
    """Mean over directions of the difference, and its draws (n,). rivals : by direction"""
    rows = rows_of(found.results)
    everybody = list(dict.fromkeys(person for row in rows.values() for person in row.everybody))
    place = {person: number for number, person in enumerate(everybody)}
    people = weights(len(everybody), N_BOOTSTRAP, rng)
    of_seeds: dict[tuple[Draw, ...], FloatArray] = {}

    def seed_weights(row: Row) -> FloatArray:
        seeds = tuple(row.counts)
        if seeds not in of_seeds:
            of_seeds[seeds] = weights(len(seeds), N_BOOTSTRAP, rng)
        return of_seeds[seeds]

    means, draws = [], []
    for direction, rival in rivals.items():
        ours, theirs = (rows[found.head, name, direction] for name in (found.method, rival))
        shared = [person for person in ours.people if person in set(theirs.people)]
        drawn = people[:, [place[person] for person in shared]]
        drawn = drawn / drawn.sum(axis=1, keepdims=True)
        both = [
            np.einsum("np,np->n", seed_weights(row) @ row.grid(people=shared), drawn)
            for row in (ours, theirs)
        ]
        means.append(float(ours.grid(people=shared).mean() - theirs.grid(people=shared).mean()))
        draws.append(both[0] - both[1])
    return float(np.mean(means)), np.asarray(np.mean(draws, axis=0))
