"""Intervals, differences and corrected p values against closed forms and tables worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from bci_m2s.training.results.statistics import (
    bootstrap,
    compare,
    holm,
    independent_p,
    interval,
    mean_of,
    permutation_p,
    spread_over_people,
    spread_over_seeds,
)


def test_the_mean_is_over_people_each_the_mean_of_their_seeds():
    grid = np.array([[0.8, 0.4], [0.6, 0.2]])  # seeds, people
    assert mean_of(grid) == pytest.approx(0.5)
    assert spread_over_people(grid) == pytest.approx(np.std([0.7, 0.3], ddof=1))
    assert spread_over_seeds(grid) == pytest.approx(np.std([0.6, 0.4], ddof=1))
    assert spread_over_people(grid[:, :1]) is None
    assert spread_over_seeds(grid[:1]) is None


@pytest.mark.parametrize("n", [3, 12])
def test_a_bootstrap_over_people_has_the_variance_of_their_mean(n):
    """s² / n, however few people: a plain bootstrap has (n - 1) / n of it."""
    values = np.random.default_rng(1).normal(size=(1, n))
    (means,) = bootstrap([values])
    assert means.mean() == pytest.approx(values.mean(), abs=0.03)
    assert means.std() == pytest.approx(values.std(ddof=1) / math.sqrt(n), rel=0.03)


def test_a_bootstrap_over_people_and_seeds_adds_their_variances():
    """Of a sum of a person's and a seed's part: s_people² / P + s_seeds² / S."""
    rng = np.random.default_rng(2)
    people, seeds = rng.normal(size=(1, 15)), 3 * rng.normal(size=(4, 1))
    (means,) = bootstrap([people + seeds])
    expected = people.var(ddof=1) / 15 + seeds.var(ddof=1) / 4
    assert means.var() == pytest.approx(expected, rel=0.05)
    apart, _ = bootstrap([people + 0 * seeds, people])
    assert apart.var() == pytest.approx(people.var(ddof=1) / 15, rel=0.05)


def test_one_bad_seed_of_three_counts_once_and_not_as_eighteen_people():
    """Audited case: a frozen random crossing looked five standard errors above chance."""
    seeds = np.array([0.54, 0.665, 0.73])[:, None] + np.zeros((3, 18))
    low, high = interval(seeds)
    assert low < 0.54 < 0.73 < high


def test_an_interval_of_normal_means_is_two_standard_errors_wide():
    values = np.random.default_rng(3).normal(size=(1, 60))
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / math.sqrt(60), rel=0.06)
    assert all(math.isnan(end) for end in interval(values[:, :1]))


def test_a_paired_difference_leaves_out_what_people_have_in_common():
    rng = np.random.default_rng(4)
    people = rng.normal(size=(1, 20))
    gain = 0.1 + 0.02 * rng.normal(size=(1, 20))
    found = compare(people + gain, people)
    assert found.mean == pytest.approx(gain.mean())
    assert found.low > 0.08
    assert found.high < 0.12
    assert found.p == pytest.approx(2 / 10_001)  # no draw of ten thousand is beyond 0
    back = compare(people, people + gain)
    assert (back.mean, back.low, back.high, back.p) == pytest.approx(
        (-found.mean, -found.high, -found.low, found.p), abs=1e-9
    )


def test_what_does_not_differ_has_a_p_of_one_and_one_person_has_none():
    same = np.full((3, 8), 0.7)
    assert compare(same, same[:1]).p == 1.0
    assert math.isnan(compare(same[:, :1], same[:, :1]).p)


@pytest.mark.parametrize("people", [2, 5])
def test_few_people_cannot_make_a_small_p(people):
    """All agree: by their signs alone that is 2 / 2ⁿ, whatever a bootstrap of the same few says."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.05, 0.1, size=(3, people))
    assert compare(values, np.zeros_like(values)).p == pytest.approx(2 / 2**people)


def test_p_is_that_of_a_normal_test():
    values = np.random.default_rng(5).normal(size=(1, 80))
    values += 0.2 - values.mean()
    z = 0.2 / (values.std(ddof=1) / math.sqrt(80))
    expected = math.erfc(z / math.sqrt(2))
    assert compare(values, np.zeros((1, 80))).p == pytest.approx(expected, abs=0.02)


def test_rows_of_the_same_label_draws_are_compared_draw_by_draw():
    """Whose labels a seed draws moves both rows alike: nothing of it is in their difference.

    Of a difference of a draw's part and a person's the variance is s_draws² / S + s_people² / P: three
    draws are three observations, however many people each judges.
    """
    rng = np.random.default_rng(8)
    draws, people = rng.normal(size=(3, 1)), rng.normal(size=(1, 12))
    level = compare(draws + people + 0.1, draws + people, same_seeds=True)
    assert (level.low, level.mean, level.high) == pytest.approx((0.1, 0.1, 0.1))
    apart = compare(draws + people + 0.1, draws + people)
    assert apart.low < 0 < apart.high
    ours, theirs = 0.5 * draws + people, -0.5 * draws + 0.4 * people
    (drawn,) = bootstrap([ours - theirs])
    expected = draws.var(ddof=1) / 3 + (0.6 * people).var(ddof=1) / 12
    assert drawn.var() == pytest.approx(expected, rel=0.05)
    found = compare(ours, theirs, same_seeds=True)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_two_rows_may_have_different_numbers_of_seeds():
    people = np.random.default_rng(6).normal(size=(1, 10))
    assert compare(people + np.zeros((10, 1)), people).mean == pytest.approx(0.0)


def test_holm_by_hand():
    """.01 × 4, .03 × 3, .04 × 2 but not below the one before, .5; one that is unknown does not count."""
    assert holm([0.04, 0.01, 0.5, 0.03]) == pytest.approx([0.09, 0.04, 0.5, 0.09])
    some = holm([0.04, math.nan, 0.01])
    assert some[0] == pytest.approx(0.04)
    assert math.isnan(some[1])
    assert some[2] == pytest.approx(0.02)
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_permutation_p_is_a_rank_and_never_zero():
    assert permutation_p(0.8, [0.5] * 20) == pytest.approx(1 / 21)
    assert permutation_p(0.8, [0.5] * 18 + [0.8, 0.9]) == pytest.approx(3 / 21)


@pytest.mark.nightly
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 12 people and 10 seeds with parts of both and of each alone."""
    rng, held = np.random.default_rng(7), 0
    for _ in range(400):
        grid = rng.normal(size=(1, 12)) + 0.7 * rng.normal(size=(10, 1)) + 0.5 * rng.normal(size=(10, 12))
        low, high = interval(grid)
        held += low < 0 < high
    assert 0.89 < held / 400 < 0.99


def test_the_t_test_of_independent_samples_is_over_peoples_means():
    rng = np.random.default_rng(3)
    ours, theirs = rng.uniform(0.5, 0.9, (3, 12)), rng.uniform(0.4, 0.8, (1, 9))
    expected = ttest_ind(ours.mean(axis=0), theirs[0]).pvalue
    assert independent_p(ours, theirs) == pytest.approx(expected)
    assert math.isnan(independent_p(ours[:, :1], theirs))
    assert math.isnan(independent_p(np.full((1, 4), 0.5), np.full((1, 4), 0.7)))
    assert independent_p(np.full((1, 4), 0.5), theirs) < 1
