"""The order of trials: balanced where it is drawn, judged where it is given."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci_m2s.session.protocol import order
from bci_m2s.session.protocol.order import balanced_order, confounding, shared_with_time


def test_every_item_is_shown_once_and_the_seed_decides():
    labels = ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    drawn = balanced_order(labels, 7)
    assert sorted(drawn) == list(range(15))
    assert drawn == balanced_order(labels, 7)
    assert drawn != balanced_order(labels, 8)


def test_a_long_order_is_drawn_in_a_moment(monkeypatch):
    drawn = []
    monkeypatch.setattr(order, "_draw", lambda labels, _rng: drawn.append(1) or list(range(len(labels))))
    balanced_order(["a", "b"] * 1000, 1)
    assert len(drawn) == 20


@pytest.mark.parametrize("seed", range(5))
def test_classes_do_not_repeat_and_have_nothing_in_common_with_time(seed):
    labels = ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    ordered = [labels[index] for index in balanced_order(labels, seed)]
    assert all(a != b for a, b in itertools.pairwise(ordered))
    assert shared_with_time(ordered) < 0.02
    assert not confounding(ordered)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=12), st.integers(0, 2**31 - 1))
def test_unequal_classes_repeat_as_rarely_as_they_can(labels, seed):
    ordered = [labels[index] for index in balanced_order(labels, seed)]
    repeats = sum(a == b for a, b in itertools.pairwise(ordered))
    most = max(labels.count("a"), labels.count("b"))
    assert repeats == max(0, 2 * most - len(labels) - 1)


def test_eta_squared_is_that_of_its_definition():
    labels = np.array(list("abacbcabb"))
    position = np.arange(9.0)
    between = sum(
        np.sum(labels == label) * (position[labels == label].mean() - position.mean()) ** 2
        for label in "abc"
    )
    assert shared_with_time(list(labels)) == pytest.approx(between / np.sum((position - 4) ** 2))


def test_a_block_after_another_is_confounded_with_time():
    words = confounding(["rest"] * 5 + ["task"] * 5)
    assert "confounded" in words
    assert "rest 3.0" in words
    assert "task 8.0" in words


@pytest.mark.parametrize("labels", ["aabb", "aaabbb", "abbb", "aabbcc"])
def test_one_class_after_the_other_is_confounded_however_few_trials_there_are(labels):
    assert "confounded" in confounding(list(labels))


@pytest.mark.parametrize("labels", ["abab", "abba", "abcabc", "babb"])
def test_a_few_trials_that_take_turns_are_not(labels):
    assert "confounded" not in confounding(list(labels))


def test_an_order_that_everyone_can_guess_is_remarked():
    assert "always followed" in confounding(list("abcabcabc"))
    assert not confounding(["a", "b"])  # nothing can be said of two trials
