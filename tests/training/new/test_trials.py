"""Expressions for trials, from the markers of recordings."""

from __future__ import annotations

import re

import pytest

from bci_m2s.training.new.trials import find_scheme

CASES = [
    # markers, classes asked for, classes found, label of a start, text of a stop
    (
        "trial/start/happy trial/stop/happy trial/start/sad trial/stop/sad rest/start",
        "",
        "happy sad",
        "trial/stop/sad",
    ),
    ("happy_onset happy_offset sad_onset sad_offset baseline_onset", "", "happy sad", "sad_offset"),
    ("stim/happy/on stim/happy/off stim/sad/on stim/sad/off", "", "happy sad", "stim/sad/off"),
    ("START_calm STOP START_stressed response", "", "calm stressed", "STOP"),
    (
        "rest_start rest_stop arithmetic_start arithmetic_stop",
        "rest arithmetic",
        "rest arithmetic",
        "arithmetic_stop",
    ),
    ("S__1 S__2 New", "", "1 2", ""),
    ("1 2 99", "1 2", "1 2", ""),
    ("calm stressed key", "calm stressed", "calm stressed", ""),
]


@pytest.mark.parametrize(("texts", "asked", "expected", "stop"), CASES)
def test_starts_stops_and_classes_are_found(texts, asked, expected, stop):
    scheme = find_scheme(3 * texts.split(), tuple(asked.split()))
    assert scheme is not None
    assert scheme.classes == tuple(expected.split())
    found = [match["label"] for text in texts.split() if (match := re.fullmatch(scheme.start, text))]
    assert set(found) == set(expected.split())
    assert bool(scheme.stop) == bool(stop)
    assert not stop or re.fullmatch(scheme.stop, stop)
    for label in scheme.classes:  # what the protocol sends is what training reads
        assert re.fullmatch(scheme.start, scheme.start_text.format(label=label))["label"] == label


@pytest.mark.parametrize("texts", [[], ["hello"], ["rest/start", "rest/stop"], ["a", "b"]])
def test_where_nothing_looks_like_trials_none_are_made_up(texts):
    assert find_scheme(texts) is None


def test_classes_that_no_marker_names_are_not_found():
    assert find_scheme(3 * ["trial/start/happy", "trial/start/sad"], ("calm", "stressed")) is None
