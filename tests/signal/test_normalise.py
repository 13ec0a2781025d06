"""Normalisers: what they wait for, what they compute, recorded statistics."""

import numpy as np
import pytest

from bci_m2s.signal.normalise import NORMALISERS, SHORTEST_BASELINE_S, Baseline, Rolling, pooled

PRIOR = np.ones(2)


def steps(n, seed=0, mean=5.0, std=2.0):
    return np.random.default_rng(seed).normal(mean, std, size=(n, 2))


def test_baseline_counts_down_and_then_is_fixed():
    baseline = Baseline(PRIOR, step_s=1.0, hop_s=0.25, duration_s=10.0, prior_s=0.0)
    assert baseline.seconds_left == 10
    data = steps(37)  # 1 s, then 36 hops of 0.25 s: 10 s
    for number, step in enumerate(data):
        assert baseline.seconds_left == pytest.approx(10 if number == 0 else 9 - (number - 1) * 0.25)
        assert baseline.statistics() is None
        baseline.observe(step)
    assert baseline.seconds_left == 0
    mean, std = baseline.statistics()
    np.testing.assert_allclose(mean, data.mean(axis=0))
    np.testing.assert_allclose(std, data.std(axis=0))
    baseline.observe(np.full(2, 1e6))
    np.testing.assert_array_equal(baseline.statistics()[0], mean)
    np.testing.assert_allclose(baseline.apply(data).mean(axis=0), 0, atol=1e-12)
    baseline.restart()
    assert baseline.seconds_left == 10


def test_short_baselines_lean_on_the_training_peoples_spread():
    quiet = np.full((5, 2), 3.0)
    _, std = pooled(quiet, np.array([2.0, 4.0]), hop_s=1.0, prior_s=15.0)
    np.testing.assert_allclose(std, np.array([2.0, 4.0]) * np.sqrt(15 / 20))


def test_unknown_features_stay_unknown():
    data = steps(20)
    data[:, 1] = np.nan
    data[3, 0] = np.nan
    mean, std = pooled(data, PRIOR, 0.25, 10.0)
    assert mean[0] == pytest.approx(np.nanmean(data[:, 0]))
    assert np.isnan(mean[1])
    assert np.isfinite(std).all()


def test_rolling_follows_and_forgets():
    rolling = Rolling(PRIOR, 1.0, 0.25, duration_s=20.0, ready_s=5.0, prior_s=0.0)
    for step in steps(17):
        rolling.observe(step)
    assert rolling.seconds_left == 0
    later = steps(200, seed=1, mean=-3)
    for step in later:
        rolling.observe(step)
    n = round((20 - 1) / 0.25) + 1
    np.testing.assert_allclose(rolling.statistics()[0], later[-n:].mean(axis=0))


@pytest.mark.parametrize("name", ["baseline", "rolling"])
def test_recorded_statistics_are_used_at_once(name):
    normaliser = NORMALISERS[name](PRIOR, 1.0, 0.25)
    normaliser.adopt(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert normaliser.seconds_left == 0
    np.testing.assert_array_equal(normaliser.apply(np.array([[3.0, 6.0]])), [[1.0, 1.0]])
    normaliser.restart()
    assert normaliser.seconds_left > 0


def test_training_changes_nothing():
    normaliser = NORMALISERS["training"](PRIOR, 1.0, 0.25)
    normaliser.observe(np.ones(2))
    assert normaliser.seconds_left == 0
    assert normaliser.statistics() is None
    np.testing.assert_array_equal(normaliser.apply(np.ones((5, 2))), np.ones((5, 2)))


def test_a_baseline_can_be_ended_before_its_time():
    data = steps(60)
    ended = Baseline(PRIOR, step_s=1.0, hop_s=0.25, duration_s=60.0)
    assert ended.finish() == "got 0.0 s of usable signal, expected at least 10 s; it goes on"
    for step in data[:36]:
        ended.observe(step)
    assert ended.finish() == "got 9.8 s of usable signal, expected at least 10 s; it goes on"
    assert ended.statistics() is None
    ended.observe(data[36])  # 10 s: 1 s, then 36 hops
    assert ended.finish() == ""
    assert ended.seconds_left == 0
    short = Baseline(PRIOR, step_s=1.0, hop_s=0.25, duration_s=SHORTEST_BASELINE_S)
    for step in data[:37]:
        short.observe(step)
    for early, whole in zip(ended.statistics(), short.statistics(), strict=True):
        np.testing.assert_array_equal(early, whole)
    ended.observe(np.full(2, 1e6))
    np.testing.assert_array_equal(ended.statistics()[0], short.statistics()[0])
    assert ended.finish() == "complete already"
    ended.restart()
    assert ended.seconds_left == 60


@pytest.mark.parametrize("name", sorted(NORMALISERS))
def test_each_says_whether_there_is_a_baseline_to_end(name):
    made = NORMALISERS[name](PRIOR, 1.0, 0.25)
    for step in steps(100):
        made.observe(step)
    assert bool(made.no_baseline) == (name != "baseline")
    assert made.finish() == made.no_baseline
    assert (made.seconds_left == 0.0) is True
