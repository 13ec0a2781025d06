"""Intervals, paired differences and corrected p values of figures by person and seed.

People and seeds are both drawn: another study would have other people, and another training other seeds. A
row's figures stand in a grid (S, P), of every seed for every person. Its bootstrap draws people and seeds
independently, with replacement, and keeps whole lines of the grid together (Owen 2007, "The pigeonhole
bootstrap", Annals of Applied Statistics 1:386), so that a bad seed counts as one observation and not as one
for each person. What remains of person and seed together counts up to three times: rather too wide.

Two rows with the same seeds are compared seed by seed. A seed is one draw of everything: first weights and,
where a training file says so, whose labels or who validates. What it does to both rows is no difference
between them, and each draw counts as one observation.

A plain bootstrap of n values has a variance that is too small by (n - 1) / n, which matters with three
seeds; weights are stretched by √(n / (n - 1)) about 1 / n, after which it is exact for a mean (Rao & Wu
1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_ind_from_stats

from bci_m2s.types import FloatArray

N_BOOTSTRAP = 10_000
LEVEL = 0.95


class Interval(NamedTuple):
    """Of a mean, with `LEVEL` confidence; NaN where a single person leaves nothing to draw."""

    low: float
    high: float


class Compared(NamedTuple):
    """A mean difference, its interval, and the two-sided bootstrap p of no difference."""

    mean: float
    low: float
    high: float
    p: float


def mean_of(grid: FloatArray) -> float:
    """Mean over people, each the mean of its seeds. grid : (S, P)"""
    return float(grid.mean())


def spread_over_people(grid: FloatArray) -> float | None:
    """Standard deviation of people's means over seeds; None of one person. grid : (S, P)"""
    return _deviation(grid.mean(axis=0))


def spread_over_seeds(grid: FloatArray) -> float | None:
    """Standard deviation of seeds' means over people; None of one seed. grid : (S, P)"""
    return _deviation(grid.mean(axis=1))


def _deviation(values: FloatArray) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def bootstrap(grids: Sequence[FloatArray], seed: int = 0, n: int = N_BOOTSTRAP) -> list[FloatArray]:
    """Bootstrapped means (n,) of grids (S, P) of the same people: people drawn together, seeds apart."""
    rng = np.random.default_rng(seed)
    people = weights(grids[0].shape[1], n, rng)
    means = []
    for grid in grids:
        seeds = weights(grid.shape[0], n, rng)
        means.append(np.einsum("np,np->n", seeds @ grid, people))
    return means


def weights(n: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """Weights (draws, n) of a rescaled bootstrap of n people or seeds; each row sums to 1."""
    if n == 1:
        return np.ones((draws, 1))
    shares = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n
    return np.asarray(1 / n + (shares - 1 / n) * np.sqrt(n / (n - 1)))


def interval(grid: FloatArray) -> Interval:
    """Percentile interval of the mean of a grid (S, P)."""
    if grid.shape[1] < 2:
        return Interval(float("nan"), float("nan"))
    (means,) = bootstrap([grid])
    return Interval(*_percentiles(means))


def compare(ours: FloatArray, theirs: FloatArray, *, same_seeds: bool = False) -> Compared:
    """Paired difference of two rows on the same people.

    Parameters
    ----------
    ours, theirs : (S, P) and (S', P), people in the same order
    same_seeds : line by line of the same seeds, which are then drawn together

    Returns
    -------
    Compared : p is twice the share of the bootstrap on the other side of 0, one added to both counts
        (Davison & Hinkley 1997, section 4.2.5), and never below 2 / 2ⁿ of n people, what a sign test says
        when all agree: a bootstrap of a few people hardly leaves them. NaN, as the interval, of one person
    """
    mean, people = mean_of(ours) - mean_of(theirs), ours.shape[1]
    if people < 2:
        return Compared(mean, *(float("nan"),) * 3)
    if same_seeds:
        (drawn,) = bootstrap([ours - theirs])
    else:
        one, other = bootstrap([ours, theirs])
        drawn = one - other
    found = of_draws(mean, drawn)
    return found._replace(p=max(found.p, 2.0 ** (1 - people)))


def independent_p(ours: FloatArray, theirs: FloatArray) -> float:
    """Two-sided p of Student's t-test of independent samples: people's means of two rows, (S, P), (S', P').

    It is the test of the paper. Rows of the same people are paired, which it does not use. NaN where a row
    is of one person, or nobody differs from anybody.
    """
    one, other = ours.mean(axis=0), theirs.mean(axis=0)
    if min(len(one), len(other)) < 2 or not (np.ptp(one) or np.ptp(other)):
        return float("nan")
    found = ttest_ind_from_stats(
        one.mean(), one.std(ddof=1), len(one), other.mean(), other.std(ddof=1), len(other)
    )
    return float(found.pvalue)


def of_draws(mean: float, drawn: FloatArray) -> Compared:
    """A mean difference with the interval and p of its bootstrap. drawn : (n,)"""
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return Compared(mean, *_percentiles(drawn), min(1.0, 2 * (beyond + 1) / (len(drawn) + 1)))


def _percentiles(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979, Scand. J. Statistics 6:65); NaN stay."""
    known = [i for i, p in enumerate(p_values) if not np.isnan(p)]
    corrected = [float("nan")] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def permutation_p(true: float, permuted: Sequence[float]) -> float:
    """Share of figures at least as good as the true one, itself among them (Phipson & Smyth 2010)."""
    return (1 + sum(value >= true for value in permuted)) / (1 + len(permuted))
