"""Temperature, calibration error and the threshold of "unknown", against known answers."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from bci_m2s.training.methods.model_files import (
    HIGHEST,
    LOWEST,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    unknown_threshold,
)


def drawn(n=20_000, temperature=1.0, n_classes=3, seed=0):
    """Logits whose softmax at `temperature` is how often each class is true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, n_classes)) * temperature
    chances = softmax(logits / temperature, axis=1)
    return logits, (chances.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_a_known_temperature_is_recovered(temperature):
    logits, labels = drawn(temperature=temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_has_the_least_loss_of_all():
    logits, labels = drawn(n=300, temperature=1.7, seed=4)
    temperature = fit_temperature(logits, labels)

    def loss(temperature):
        chances = softmax(logits / temperature, axis=1)
        return -np.log(chances[np.arange(300), labels]).mean()

    assert all(loss(temperature) <= loss(temperature * factor) for factor in (0.7, 0.95, 1.05, 1.4))


def test_the_temperature_stays_in_bounds():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 2))
    assert fit_temperature(logits, logits.argmax(axis=1)) == pytest.approx(LOWEST, rel=0.05)  # all right
    assert fit_temperature(logits, logits.argmin(axis=1)) == pytest.approx(HIGHEST, rel=0.05)  # all wrong
    assert fit_temperature(logits[:9], logits.argmax(axis=1)[:9]) == 1.0  # too few


def test_the_calibration_error_of_a_known_case():
    # two bins of 15: confidence 0.9 right 1 of 2 times, 0.6 right 2 of 2 times
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    assert expected_calibration_error(chances, labels) == pytest.approx((0.4 * 2 + 0.4 * 2) / 4)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([1])) == 1.0
    assert math.isnan(expected_calibration_error(np.empty((0, 2)), np.empty(0, dtype=int)))


def test_the_calibration_error_against_bins_counted_one_by_one():
    logits, labels = drawn(n=500, temperature=1.0, seed=2)
    chances = softmax(3 * logits, axis=1)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    total = 0.0
    for i in range(15):
        inside = (confidence >= i / 15) & ((confidence < (i + 1) / 15) | (i == 14))
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - right[inside].mean())
    assert expected_calibration_error(chances, labels) == pytest.approx(total / 500)


@pytest.mark.parametrize("most", [0.0, 0.1, 0.3])
def test_the_threshold_leaves_no_more_unknown_than_allowed_and_no_other_does_better(most):
    logits, labels = drawn(n=200, seed=5)
    chances = softmax(logits, axis=1)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    limit = unknown_threshold(chances, labels, most)
    answered = confidence >= limit  # live: unknown when below
    assert (~answered).mean() <= most
    best = right[answered].mean()
    for other in confidence:
        kept = confidence >= other
        if (~kept).mean() <= most:
            assert right[kept].mean() <= best + 1e-12
    assert best >= right.mean()
    if most == 0.3:
        assert limit > 0


def test_a_threshold_that_gains_nothing_is_zero():
    chances = np.column_stack([np.linspace(0.55, 0.95, 20), 1 - np.linspace(0.55, 0.95, 20)])
    assert unknown_threshold(chances, np.zeros(20, dtype=int), 0.5) == 0.0  # all right already
    assert unknown_threshold(chances[:9], np.ones(9, dtype=int), 0.5) == 0.0  # too few


def test_equal_confidences_fall_on_one_side():
    """Of ten at 0.6 (half of them wrong) and ten at 0.9 (right) all the first are unknown, or none."""
    chances = np.array([[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10)
    labels = np.array([0, 1] * 5 + [0] * 10)
    confidence = chances.max(axis=1)
    limit = unknown_threshold(chances, labels, 0.5)
    assert limit == 0.9
    assert (confidence < limit).sum() == 10
    less = unknown_threshold(chances, labels, 0.3)  # they are too many to leave out
    assert (confidence < less).sum() == 0


def test_all_that_a_contract_says_of_a_head():
    logits, labels = drawn(n=2000, temperature=4.0)
    calibration = calibrate(logits.astype(np.float32), labels, np.arange(2000) // 100, 0.25)
    assert calibration.temperature == pytest.approx(4.0, rel=0.15)
    assert calibration.ece_after < 0.05 < calibration.ece_before
    assert (calibration.windows, calibration.trials) == (2000, 20)
    chances = softmax(logits.astype(np.float32).astype(float) / calibration.temperature, axis=1)
    assert (chances.max(axis=1) < calibration.unknown_below).mean() <= 0.25
    none = calibrate(np.empty((0, 3)), np.empty(0, dtype=int), np.empty(0, dtype=int), 0.25)
    assert (none.temperature, none.unknown_below, none.windows) == (1.0, 0.0, 0)
    assert none.ece_before is None
    assert none.ece_after is None
