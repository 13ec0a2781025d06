"""The marker buttons' usual texts: a recording that was marked with them is training data."""

import json

import pytest

from bci_m2s.panel.client.facts import parse_session
from bci_m2s.panel.controls.actions import usual_markers
from bci_m2s.training.datasets.markers import MarkerSettings, marked_trials


def facts(classes, **pipeline):
    text = {"heads": {"emotion": classes}, "pipeline": pipeline}
    return parse_session(json.dumps(text), "uid", "host", 0.0, "name")


def test_training_reads_them():
    *markers, baseline = usual_markers(facts(["calm", "tense"], baseline={"marker": "rest/now"}))
    assert baseline == "rest/now"
    order = [markers[0], markers[2], markers[1], markers[3]]
    said = []
    trials = marked_trials([*enumerate(map(str, order))], 9.0, MarkerSettings(), said.append)
    assert [(trial.start_s, trial.stop_s, trial.label) for trial in trials] == [
        (0, 1, "calm"),
        (2, 3, "tense"),
    ]
    assert said == []


@pytest.mark.parametrize(("n", "buttons"), [(0, 0), (1, 3), (4, 9), (5, 6), (8, 9), (12, 9)])
def test_many_classes_have_no_stops(n, buttons):
    made = usual_markers(facts([f"c{number}" for number in range(n)]))
    assert len(made) == buttons
    assert ("trial/stop/c0" in made) is (0 < n < 5)


def test_without_a_session_there_are_none():
    assert usual_markers(None) == ()
