"""Drift: distances that find what changed, whatever is missing, and words that name it."""

import numpy as np
import pytest

from bci_m2s.signal.drift import LAG_S, PAST_S, DriftWatch, Reference, groups_of, mean_over_steps

CHANNELS = ("C3", "C4", "Cz", "T7")
BANDS = ("alpha", "beta")
NAMES = tuple(f"{channel}.{band}" for channel in CHANNELS for band in BANDS)
F = len(NAMES)
# every pair of features correlates by 0.8: a channel is well told by the others
COVARIANCE = np.full((F, F), 0.8) + 0.2 * np.eye(F)
REFERENCE = Reference(np.zeros(F), np.ones(F), np.linalg.inv(COVARIANCE), np.ones(F), 4.0, 8.0)


def watch(smoothing_s=0.0, **references):
    return DriftWatch(references or {"profile": REFERENCE}, NAMES, CHANNELS, smoothing_s, 0.25)


def push(made, values):
    return made.push(np.tile(values, (3, 1)))


def test_whole_distance_is_mahalanobis_and_a_channels_is_that_given_the_others():
    values = np.random.default_rng(0).multivariate_normal(np.zeros(F), COVARIANCE)
    found = watch().measure(values[None])["profile"]
    assert found.whole == pytest.approx(values @ np.linalg.solve(COVARIANCE, values) / F)
    own, rest = slice(2, 4), np.r_[0:2, 4:F]
    told = COVARIANCE[own, rest] @ np.linalg.inv(COVARIANCE[np.ix_(rest, rest)])
    residual = values[own] - told @ values[rest]
    spread = COVARIANCE[own, own] - told @ COVARIANCE[rest, own]
    assert found.channels[1] == pytest.approx(residual @ np.linalg.solve(spread, residual) / 2)


def test_a_shift_of_everything_that_people_have_is_small_and_of_one_channel_large():
    together = push(watch(), np.full(F, 2.0))
    alone = np.full(F, 2.0)
    alone[7] += 2.0
    one = push(watch(), alone)
    assert together.distance < 0.5
    assert not together.is_beyond
    assert together.drivers == ""
    assert one.is_beyond
    assert one.drivers == "T7 beta"


def test_what_is_missing_says_nothing():
    values = np.random.default_rng(1).multivariate_normal(np.zeros(F), COVARIANCE)
    without = values.copy()
    without[4:6] = np.nan
    kept = np.r_[0:4, 6:F]
    expected = values[kept] @ np.linalg.solve(COVARIANCE[np.ix_(kept, kept)], values[kept]) / len(kept)
    found = watch().measure(without[None])["profile"]
    assert found.whole == pytest.approx(expected)
    assert found.channels[2] == pytest.approx(0, abs=1e-12)


def test_a_drift_ends_clearly_below_the_limit_and_forgets_on_reset():
    made = watch()
    size = np.zeros(F)
    size[0] = 1.0
    at_limit = 1.0 / push(made, size).distance
    said = [
        push(made, size * np.sqrt(at_limit * share)).is_beyond for share in (0.95, 1.05, 0.95, 0.85, 0.95)
    ]
    assert said == [False, True, True, False, False]
    push(made, 10 * size)
    made.reset()
    assert not made.newest.is_beyond


def test_smoothing_is_an_ewma_that_begins_with_the_first_window():
    made = watch(smoothing_s=1.0)
    first, second = np.zeros(F), np.zeros(F)
    second[0] = 3.0
    push(made, first)
    weight = 1 - np.exp(-0.25)
    assert push(made, second).distance == pytest.approx(push(watch(), weight * second).distance)


def test_a_channel_that_comes_back_says_nothing_before_it_is_smoothed_again():
    made = DriftWatch({"profile": REFERENCE}, NAMES, CHANNELS, 2.0, 0.25, wait_s=1.0)
    usual, without, single = np.zeros(F), np.zeros(F), np.zeros(F)
    without[6:] = np.nan
    single[6:] = 5.0, -5.0  # of one noisy window: far beyond where it is not smoothed
    for _ in range(20):
        push(made, usual)
    for _ in range(20):
        assert push(made, without).distance == pytest.approx(0)
    assert push(made, single).distance == pytest.approx(0)
    for _ in range(3):
        assert push(made, usual).distance == pytest.approx(0)
    lasting = [push(made, single).distance for _ in range(40)]
    assert lasting[-1] > 1  # what lasts is found


def test_the_view_with_the_larger_share_speaks():
    tight = Reference(np.full(F, 0.5), np.ones(F), REFERENCE.precision, np.ones(F), 1e-3, 1e-3)
    found = watch(profile=REFERENCE, own=tight).push(np.eye(1, F))
    assert found.is_beyond
    assert found.drivers.startswith("C3 alpha")


def test_the_course_is_against_what_was_and_forgets_no_sooner_than_a_drift_ends():
    made = watch(course=REFERENCE)
    size = np.zeros(F)
    size[0] = 3.0
    waiting = round((LAG_S + PAST_S) / 0.25)
    early = [made.push(np.full((1, F), 7.0)).distance for _ in range(waiting)]
    assert np.isnan(early[:-1]).all()
    assert early[-1] == 0.0
    assert all(made.push(7.0 + size[None]).is_beyond for _ in range(3 * waiting))
    assert not made.push(np.full((1, F), 7.0)).is_beyond


def test_features_of_no_channel_are_by_themselves_and_many_are_counted():
    assert groups_of(("C3.alpha", "pupil_x_mean"), ("C3",)) == ("C3", "pupil_x_mean")
    names = tuple(f"f{number}" for number in range(6))
    alone = Reference(np.zeros(6), np.ones(6), np.eye(6), np.ones(6))
    made = DriftWatch({"profile": alone}, names, (), 0.0, 1.0)
    values = np.array([[9.0, 2.0, 3.0, 4.0, 5.0, 0.0]])
    assert made.push(values).drivers == "f0; f4; f3; and 2 more"


def test_mean_over_steps_takes_what_is_known():
    window = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])
    np.testing.assert_array_equal(mean_over_steps(window), [2.0, 2.0, np.nan])
