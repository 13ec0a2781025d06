"""The linear machine on features: what chooses its penalty, and what it answers."""

import numpy as np
import pytest
from support.small_pairs import corpus, training_settings, unit

from bci_m2s.training.methods.svm import (
    STRENGTHS,
    USUAL,
    Seen,
    chances,
    every_direction,
    fit_svm,
    standardised,
)


def seen(n=60, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return Seen(rng.normal(size=(n, 3)) + labels[:, None], labels, np.arange(n) % 4)


def nobody():
    return Seen(np.empty((0, 3)), np.empty(0, np.int64), np.empty(0, np.int64))


def test_penalties_are_the_released_ones():
    assert (STRENGTHS[0], STRENGTHS[-1], len(STRENGTHS)) == (2**-10, 2**9, 20)


def test_validation_chooses_the_penalty_and_of_equals_the_strongest():
    labels = np.arange(40) % 2
    near = Seen(10 + 0.2 * labels[:, None], labels, np.zeros(40, np.int64))  # needs a large bias
    wrong = Seen(near.features, 1 - labels, near.subjects)
    far = Seen(near.features * 100 - 1010, labels, near.subjects)
    assert fit_svm(near, nobody(), "balanced").C == USUAL
    assert min(STRENGTHS) == fit_svm(far, far, "balanced").C
    best, worst = (fit_svm(near, validation, "balanced") for validation in (near, wrong))
    assert (best.predict(near.features) == labels).all()
    assert (worst.predict(near.features) == labels).mean() == 0.5
    assert best.C > worst.C


@pytest.mark.parametrize("classes", [2, 3])
def test_the_likeliest_class_is_the_machine_s_and_an_unseen_one_has_no_chance(classes):
    training = seen(classes=classes)
    machine = fit_svm(training, nobody(), "balanced")
    given = chances(machine, training.features, 5)
    np.testing.assert_array_equal(given.argmax(axis=1), machine.predict(training.features))
    np.testing.assert_allclose(given.sum(axis=1), 1)
    assert (given[:, classes:] == 0).all()


def test_classes_of_unlike_size_weigh_the_same_where_asked():
    rng = np.random.default_rng(0)
    labels = (np.arange(100) >= 90).astype(np.int64)
    rows = Seen(rng.normal(size=(100, 3)) + 0.7 * labels[:, None], labels, np.zeros(100, np.int64))
    rare = [
        (fit_svm(rows, nobody(), kind).predict(rows.features) == 1).mean() for kind in ("none", "balanced")
    ]
    assert rare[0] < 0.05 < 0.2 < rare[1]


def test_directions_of_a_pair():
    assert every_direction("a", "b") == (
        (("a",), ("a",)),
        (("b",), ("b",)),
        (("a",), ("b",)),
        (("b",), ("a",)),
        (("a", "b"), ("a", "b")),
    )


def test_each_view_is_standardised_like_the_one_that_is_named():
    rng = np.random.default_rng(0)
    windows = unit(training_settings(), corpus()).parts["train"]
    rows = {name: rng.normal(size=(len(windows), 2)) * size for name, size in (("eeg", 3.0), ("eye", 9.0))}

    def features(_, modalities):
        return rows[modalities[0]] + 5

    own = standardised(features, windows, {("eeg",): ("eeg",), ("eye",): ("eye",)})
    for name in ("eeg", "eye"):
        given = own(windows, [name])
        np.testing.assert_allclose(given.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(given.std(axis=0), 1)
    other = standardised(features, windows, {("eye",): ("eeg",)})
    assert 2 < other(windows, ["eye"]).std() < 4
