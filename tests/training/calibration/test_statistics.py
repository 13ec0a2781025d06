"""Blocks, permutations, the nested choice and its figures, against plain loops and known truth."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.training.calibration.blocks import fewest_of_each, make_blocks, permuted, smallest_p
from bci_m2s.training.calibration.candidates import _fold
from bci_m2s.training.calibration.figures import interval, p_value, trials_needed
from bci_m2s.training.calibration.nested import balanced, choose, n_fits, nested
from bci_m2s.training.calibration.ridge import fit_ridge, targets

CLASSES = 3


def trials_of(rng, n_trials=12, n_features=6, effect=0.0, windows=4):
    """Windows (n, D), their trials, and labels of the trials."""
    labels = np.concatenate([rng.permutation(CLASSES) for _ in range(n_trials // CLASSES)])
    centres = effect * rng.standard_normal((CLASSES, n_features))
    trials = np.repeat(np.arange(n_trials), windows)
    own = rng.standard_normal((n_trials, n_features))  # windows of a trial are alike
    rows = centres[labels[trials]] + own[trials] + 0.3 * rng.standard_normal((len(trials), n_features))
    return rows, trials, labels


def candidates_of(rows, trials):
    return {
        "all": lambda train: _fold(rows, trials, train),
        "half": lambda train: _fold(rows[:, :3], trials, train),
    }


@pytest.mark.parametrize("n_features", [3, 40])  # fewer and more features than windows
def test_a_ridge_is_the_weighted_least_squares_of_targets(n_features):
    rng = np.random.default_rng(1)
    rows, trials, labels = trials_of(rng, n_features=n_features)
    keep = np.flatnonzero((trials > 0) | (np.arange(len(trials)) < 1))  # a trial of one window
    rows, trials = rows[keep], trials[keep]
    target = targets(labels, CLASSES)
    weights, bias = fit_ridge(rows, trials, 12, penalty=0.7).linear(target)
    weight = 1 / np.bincount(trials)[trials] / 12
    mean = weight @ rows
    std = np.sqrt(weight @ (rows - mean) ** 2)
    design = (rows - mean) / std
    gram = design.T @ (design * weight[:, None]) + 0.7 * np.eye(n_features)
    expected = np.linalg.solve(gram, design.T @ (weight[:, None] * target[trials]))
    np.testing.assert_allclose(rows @ weights + bias, design @ expected, atol=1e-9)


def test_targets_weigh_rare_classes_up():
    made = targets(np.array([0, 0, 0, 1]), 2)
    np.testing.assert_allclose(made[:, 1], [-1, -1, -1, 3])
    np.testing.assert_allclose(made.sum(axis=0), 0, atol=1e-12)


def test_blocks_are_stretches_of_time_with_every_class():
    labels = np.array([0, 1, 2] * 5 + [0])
    blocks = make_blocks(labels)
    assert blocks.max() + 1 == 5
    for label in range(3):
        own = blocks[labels == label]
        assert (np.diff(own) >= 0).all()
        assert set(own) == set(range(5))


def test_permutations_stay_inside_blocks():
    labels = np.array([0, 1, 2] * 4)
    blocks = make_blocks(labels)
    sets = permuted(labels, blocks, 50, np.random.default_rng(0))
    assert len({tuple(row) for row in sets.tolist()}) > 30
    for block in range(4):
        assert (np.sort(sets[:, blocks == block], axis=1) == [0, 1, 2]).all()


@pytest.mark.parametrize(("n_classes", "count"), [(2, 7), (3, 4), (4, 3)])
def test_with_fewer_trials_a_perfect_answer_could_be_chance(n_classes, count):
    assert fewest_of_each(n_classes, 0.02) == count
    rng = np.random.default_rng(4)
    labels = np.tile(np.arange(n_classes), count)
    trials = np.arange(len(labels))
    rows = np.eye(n_classes)[labels]  # nothing is easier
    blocks = make_blocks(labels)
    sets = np.concatenate([labels[None], permuted(labels, blocks, 2000, rng)])
    made = nested({"all": lambda train: _fold(rows, trials, train)}, trials, blocks, sets, n_classes)
    scores = balanced(made.outer, sets, n_classes)
    assert scores[0] == 1.0
    assert p_value(1.0, scores[1:]) == pytest.approx(smallest_p(labels, blocks), abs=0.006)


def test_balanced_accuracy_counts_trials_alike():
    shares = np.array([1.0, 0.0, 0.5])
    assert balanced(shares, np.array([0, 0, 1]), 2) == pytest.approx(0.5)


def test_nested_is_the_plain_loop_with_true_and_permuted_labels():
    rng = np.random.default_rng(2)
    rows, trials, labels = trials_of(rng, effect=0.7)
    blocks = make_blocks(labels)
    sets = np.concatenate([labels[None], permuted(labels, blocks, 3, rng)])
    made = nested(candidates_of(rows, trials), trials, blocks, sets, CLASSES)
    for row, own in enumerate(sets):
        np.testing.assert_allclose(made.outer[row], plain(rows, trials, blocks, own), atol=1e-12)


def plain(rows, trials, blocks, labels):
    """Shares of right windows by loops over blocks, one set of labels."""
    parts = [rows, rows[:, :3]]

    def shares(part, out, tested):
        train = ~np.isin(blocks, out)
        inside = train[trials]
        numbers = (np.cumsum(train) - 1)[trials[inside]]
        ridge = fit_ridge(part[inside], numbers, int(train.sum()))
        weights, bias = ridge.linear(targets(labels[train], CLASSES))
        found = {}
        for trial in np.flatnonzero(blocks == tested):
            guesses = (part[trials == trial] @ weights + bias).argmax(axis=1)
            found[trial] = (guesses == labels[trial]).mean()
        return found

    outer = np.zeros(len(labels))
    for block in np.unique(blocks):
        seen = []
        for part in parts:
            found = {}
            for inner in np.unique(blocks[blocks != block]):
                found |= shares(part, (block, inner), inner)
            seen.append(found)
        for trial, share in shares(parts[near_best(seen, labels)], (block,), block).items():
            outer[trial] = share
    return outer


def near_best(seen, labels):
    """The first of some {trial: share} within a standard error of the best one."""

    def of_classes(found, statistic):
        parts = [[found[t] for t in found if labels[t] == label] for label in range(CLASSES)]
        return np.array([statistic(part) for part in parts])

    scores = [of_classes(found, np.mean).mean() for found in seen]
    best = int(np.argmax(np.round(scores, 9)))
    for number, found in enumerate(seen):
        apart = {trial: seen[best][trial] - found[trial] for trial in found}
        errors = of_classes(apart, lambda part: np.var(part, ddof=1) / len(part) if len(part) > 1 else 0.0)
        if scores[best] - scores[number] <= np.sqrt(errors.sum()) / CLASSES + 1e-9:
            return number
    raise AssertionError


def test_of_equal_candidates_the_simplest_is_chosen():
    rng = np.random.default_rng(3)
    rows, trials, labels = trials_of(rng, effect=2.0)
    same = {"first": candidates_of(rows, trials)["all"], "second": candidates_of(rows, trials)["all"]}
    fits = []
    made = nested(same, trials, make_blocks(labels), labels[None], CLASSES, on_fit=lambda: fits.append(1))
    assert (made.chosen == 0).all()
    assert choose(np.stack([one[0] for one in made.single.values()]), labels, CLASSES) == 0
    assert len(fits) == n_fits(2, make_blocks(labels))


def test_a_candidate_replaces_a_safer_one_when_it_is_clearly_better():
    labels = np.tile([0, 1], 10)
    safe = np.tile([0.5, 0.5, 0.6, 0.6], 5)
    some = safe + np.tile([0.4, 0.4, -0.3, -0.3], 5)  # 0.05 better, in half of the trials only
    clear = safe + 0.1
    assert choose(np.stack([safe, some]), labels, 2) == 0
    assert choose(np.stack([safe, clear]), labels, 2) == 1
    assert choose(np.stack([safe, some, clear]), labels, 2) == 1  # not clearly worse than the best
    sets = np.stack([labels, 1 - labels])
    both = np.stack([np.stack([safe, safe]), np.stack([some, clear])])
    assert choose(both, sets, 2).tolist() == [0, 1]


def test_figures_of_known_cases():
    assert p_value(0.9, np.array([0.5, 0.9, 0.3])) == 0.5
    labels = np.repeat([0, 1], 20)
    low, high = interval(np.ones(40), labels, np.random.default_rng(0))
    assert (low, high) == (1.0, 1.0)
    rng = np.random.default_rng(0)
    shares = rng.integers(0, 2, 40).astype(float)
    low, high = interval(shares, labels, rng)
    half = 1.96 * np.sqrt((shares[:20].var() + shares[20:].var()) / 20) / 2
    assert high - low == pytest.approx(2 * half, rel=0.15)


def test_trials_needed_is_the_usual_formula_for_a_share():
    """Two classes, 65 % right: 67 trials at 5 % and power 0.8 (one-sided normal approximation)."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 1000)
    shares = np.tile([1.0] * 65 + [0.0] * 35, 20)
    null = rng.binomial(2000, 0.5, 20_000) / 2000
    assert abs(trials_needed(shares, labels, 2, null, 0.05) - 67) <= 4
    assert trials_needed(np.full(2000, 0.5), labels, 2, null, 0.05) is None
