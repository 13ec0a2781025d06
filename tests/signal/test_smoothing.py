"""Smoothers: the Kalman filter against its textbook recursion, phases, missing values."""

import numpy as np
import pytest

from bci_m2s.signal.smoothing import SMOOTHERS, Kalman, MovingAverage, PhasedSmoother


def test_kalman_follows_the_recursion():
    values = np.random.default_rng(0).normal(size=30)
    smoother = Kalman()
    got = [smoother.push(np.array([value]))[0] for value in values]
    mean, variance, expected = values[0], 1.0, [values[0]]  # the first value is an observation too
    for value in values[1:]:
        prior = variance + 0.001
        gain = prior / (prior + 1)
        mean += gain * (value - mean)
        variance = (1 - gain) * prior
        expected.append(mean)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_first_value_weighs_like_any_other():
    """Of a constant under noise of variance 1: nearly the mean of what was seen."""
    smoother, errors = Kalman(), []
    for values in np.random.default_rng(0).normal(size=(21, 4000)):
        errors.append(smoother.push(values).std())
    assert [errors[n] for n in (5, 10, 20)] == pytest.approx([0.412, 0.303, 0.220], rel=0.05)


def test_a_late_first_value_is_a_beginning():
    late, plain = Kalman(noise=4.0), Kalman(noise=4.0)
    late.push(np.array([np.nan]))
    for value in (3.0, 1.0, 2.0):
        assert late.push(np.array([value])) == plain.push(np.array([value]))


def test_moving_average_and_missing_values():
    smoother = MovingAverage(3)
    assert smoother.push(np.array([1.0])) == 1
    assert np.isnan(smoother.push(np.array([np.nan])))
    assert smoother.push(np.array([3.0])) == 2
    assert smoother.push(np.array([4.0])) == 3.5


@pytest.mark.parametrize("name", SMOOTHERS)
def test_each_phase_is_smoothed_as_if_alone(name):
    steps = np.random.default_rng(1).normal(size=(24, 2))
    phased = PhasedSmoother(name, {}, 4)
    together = np.array([phased.push(step) for step in steps])
    for phase in range(4):
        alone = SMOOTHERS[name]()
        np.testing.assert_array_equal(together[phase::4], [alone.push(step) for step in steps[phase::4]])
    phased.reset()
    np.testing.assert_array_equal(phased.push(steps[0]), together[0])


@pytest.mark.parametrize("name", SMOOTHERS)
def test_a_missing_value_is_missing_and_does_no_lasting_harm(name):
    smoother = SMOOTHERS[name]()
    assert np.isnan(smoother.push(np.array([np.nan, 1.0]))).tolist() == [True, False]
    assert np.isfinite(smoother.push(np.array([2.0, 1.0]))).all()
