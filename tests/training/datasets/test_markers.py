"""Trials from marker texts."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.markers import trial_spans
from bci_m2s.training.datasets.markers import MarkerSettings, marked_trials


def trials(events, end_s=100.0, **settings):
    said = []
    found = marked_trials(events, end_s, MarkerSettings(**settings), said.append)
    return found, said


def test_the_defaults_fit_the_simulator():
    made = SimulatedSession(SimulatorSettings(montage="muse", n_trials=5))
    events = made.markers(0.0, math.inf)
    found, said = trials(events)
    assert said == []
    assert found == trial_spans(events)
    assert found == made.trials


def test_a_trial_without_a_stop_ends_at_the_next_start_or_with_the_file():
    events = [
        (30.0, "trial/start/c"),
        (1.0, "trial/start/a"),
        (9.0, "trial/start/b"),
        (12.0, "trial/stop/b"),
    ]
    found, said = trials(events, end_s=41.5)
    assert found == [(1.0, 9.0, "a"), (9.0, 12.0, "b"), (30.0, 41.5, "c")]
    assert said == []


def test_a_stop_of_another_trial_or_of_none_is_told():
    found, said = trials(
        [(1, "trial/stop/a"), (2, "trial/start/a"), (3, "trial/stop/b"), (4, "trial/stop/a")]
    )
    assert found == [(2, 4, "a")]
    assert said == [
        "marker 'trial/stop/a' at 1.000 s ends no trial",
        "marker 'trial/stop/b' at 3.000 s ends no trial",
    ]


def test_own_expressions_with_and_without_stops():
    events = [(1, "S 11"), (5, "S 99"), (6, "S 12"), (7, "S  1"), (20, "boundary")]
    found, _ = trials(events, start=r"S (?P<label>1\d)", stop="S 99")
    assert found == [(1, 5, "11"), (6, 100.0, "12")]
    found, said = trials(events, start=r"S (?P<label>1\d)", stop="S 99", duration_s=10.0)
    assert (found, said) == ([(1, 6, "11"), (6, 16.0, "12")], [])
    found, _ = trials(events, start=r"S (?P<label>1\d)", stop="", end_s=8.0)
    assert found == [(1, 6, "11"), (6, 8.0, "12")]


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from(["start/a", "start/b", "stop/a", "stop/b", "x"]))
    ),
    st.sampled_from([None, 0.5, 20.0]),
)
def test_trials_never_overlap_and_none_is_lost(events, duration_s):
    found, _ = trials([(when_s, f"trial/{text}") for when_s, text in events], duration_s=duration_s)
    assert [label for _, _, label in found] == [
        text[-1] for _, text in sorted(events, key=lambda event: event[0]) if text.startswith("start")
    ]
    assert all(start_s <= stop_s <= 100.0 for start_s, stop_s, _ in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"start": "("}, "a regular expression"),
        ({"stop": "("}, "a regular expression"),
        ({"start": "trial"}, "group"),
        ({"duration_s": 0.0}, "greater than 0"),
        ({"duration_s": float("nan")}, "finite"),
        ({"begin": "x"}, "begin"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        MarkerSettings(**settings)
