"""Smoothers: the Kalman filter against its textbook recursion, phases, missing values."""

import numpy as np
import pytest

from bci_m2s.signal.smoothing import SMOOTHERS, Kalman, MovingAverage, PhasedSmoother


def test_kalman_follows_the_recursion():
    values = np.random.default_rng(0).normal(size=30)
    smoother = Kalman()
    got = [smoother.push(np.array([value]))[0] for value in values]
    mean, variance, expected = values[0], 0.1, [values[0]]
    for value in values[1:]:
        prior = variance + 0.001
        gain = prior / (prior + 1)
        mean += gain * (value - mean)
        variance = (1 - gain) * prior
        expected.append(mean)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


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
