"""Figures of merit against scikit-learn and against cases worked out by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from bci_m2s.training.results.metrics import (
    N_BINS,
    balanced_accuracy,
    calibration_error,
    confusion,
    figures,
    kappa,
    macro_f1,
    mean_over_subjects,
    pooled,
    reliability,
)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_figures_are_those_of_scikit_learn(seed, n_classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, 60)
    guesses = np.where(rng.random(60) < 0.5, labels, rng.integers(0, n_classes, 60))
    labels[:n_classes] = np.arange(n_classes)  # all classes occur
    found = figures(labels, guesses, np.zeros(60, dtype=np.int64), n_classes)
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, guesses))
    assert found["kappa"] == pytest.approx(reference.cohen_kappa_score(labels, guesses))
    assert found["f1"] == pytest.approx(reference.f1_score(labels, guesses, average="macro"))
    expected = reference.confusion_matrix(labels, guesses, labels=range(n_classes))
    assert found["confusion"] == expected.tolist()
    assert found["support"] == expected.sum(axis=1).tolist()


def test_classes_that_do_not_occur_do_not_count():
    labels, guesses = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    counts = confusion(labels, guesses, 4)
    assert balanced_accuracy(counts) == (0.5 + 1.0) / 2
    # F1 of class 0: precision 1, recall 1/2; of class 2: 1; class 1 is guessed but never true
    assert macro_f1(counts) == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_that_is_never_guessed_counts_zero():
    counts = confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 2)
    assert balanced_accuracy(counts) == 0.5
    assert macro_f1(counts) == pytest.approx((4 / 5 + 0) / 2)
    assert kappa(counts) == 0.0


def test_one_class_only_and_no_window_at_all():
    assert kappa(confusion(np.zeros(3, int), np.zeros(3, int), 2)) == 0.0  # chance alone agrees
    none = confusion(np.zeros(0, int), np.zeros(0, int), 2)
    assert all(math.isnan(figure(none)) for figure in (balanced_accuracy, kappa, macro_f1))


def test_people_count_alike_however_many_windows_they_have():
    labels = np.array([0, 1] + [0, 1] * 5)
    guesses = np.array([0, 1] + [0] * 10)  # the first person all right, the second half
    subjects = np.array([7, 7] + [9] * 10)
    found = figures(labels, guesses, subjects, 2)
    assert found["by_subject"] == {7: 1.0, 9: 0.5}
    assert mean_over_subjects(labels, guesses, subjects, 2) == 0.75
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 6) / 2)


def test_bins_hold_what_the_calibration_error_needs():
    """Two windows that are 0.9 sure, one of them wrong; one that is 0.5 sure, and right."""
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])
    bins = reliability(chances, np.array([0, 1, 0]))
    assert [len(one) for one in bins.values()] == [N_BINS] * 3
    assert [(i, n) for i, n in enumerate(bins["windows"]) if n] == [(7, 1), (13, 2)]
    assert (bins["right"][13], bins["confidence"][13]) == (1, pytest.approx(1.8))
    assert calibration_error(bins) == pytest.approx((0.8 + 0.5) / 3)
    both = pooled([bins, bins])
    assert sum(both["windows"]) == 6
    assert calibration_error(both) == pytest.approx(calibration_error(bins))
    sure = reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert sure["windows"][-1] == 1
    assert math.isnan(calibration_error(reliability(np.zeros((0, 2)), np.zeros(0, int))))
