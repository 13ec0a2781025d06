"""Trials from marker texts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.markers import trial_spans
from bci_m2s.training.datasets.markers import MarkerSettings, marked_trials


def trials(events, end_s=100.0, **settings):
    notices = []
    spans = marked_trials(events, end_s, MarkerSettings(**settings), notices.append)
    return [span[:3] for span in spans], notices


def test_the_defaults_fit_the_simulator():
    made = SimulatedSession(SimulatorSettings(montage="muse", n_trials=5))
    events = [made.marker(index) for index in range(made.n_markers)]
    spans, notices = trials(events)
    assert notices == []
    assert spans == trial_spans(events)
    assert spans == made.trials


def test_a_trial_without_a_stop_ends_at_the_next_start_or_with_the_file():
    events = [
        (30.0, "trial/start/c"),
        (1.0, "trial/start/a"),
        (9.0, "trial/start/b"),
        (12.0, "trial/stop/b"),
    ]
    spans, notices = trials(events, end_s=41.5)
    assert spans == [(1.0, 9.0, "a"), (9.0, 12.0, "b"), (30.0, 41.5, "c")]
    assert notices == []


def test_a_stop_of_another_trial_or_of_none_is_told():
    spans, notices = trials(
        [(1, "trial/stop/a"), (2, "trial/start/a"), (3, "trial/stop/b"), (4, "trial/stop/a")]
    )
    assert spans == [(2, 4, "a")]
    assert notices == [
        "marker 'trial/stop/a' at 1.000 s ends no trial",
        "marker 'trial/stop/b' at 3.000 s ends no trial",
    ]


def test_own_expressions_with_and_without_stops():
    events = [(1, "S 11"), (5, "S 99"), (6, "S 12"), (7, "S  1"), (20, "boundary")]
    spans, _ = trials(events, start=r"S (?P<label>1\d)", stop="S 99")
    assert spans == [(1, 5, "11"), (6, 100.0, "12")]
    spans, notices = trials(events, start=r"S (?P<label>1\d)", stop="S 99", duration_s=10.0)
    assert (spans, notices) == ([(1, 6, "11"), (6, 16.0, "12")], [])
    spans, _ = trials(events, start=r"S (?P<label>1\d)", stop="", end_s=8.0)
    assert spans == [(1, 6, "11"), (6, 8.0, "12")]


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from(["start/a", "start/b", "stop/a", "stop/b", "x"]))
    ),
    st.sampled_from([None, 0.5, 20.0]),
)
def test_trials_never_overlap_and_none_is_lost(events, duration_s):
    spans, _ = trials([(when_s, f"trial/{text}") for when_s, text in events], duration_s=duration_s)
    assert [label for _, _, label in spans] == [
        text[-1] for _, text in sorted(events, key=lambda event: event[0]) if text.startswith("start")
    ]
    assert all(start_s <= stop_s <= 100.0 for start_s, stop_s, _ in spans)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"start": "("}, "a regular expression"),
        ({"stop": "("}, "a regular expression"),
        ({"start": "trial"}, "group"),
        ({"duration_s": 0.0}, "greater than 0"),
        ({"duration_s": float("nan")}, "finite"),
        ({"begin": "x"}, "begin"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, expected):
    with pytest.raises(ValidationError, match=expected):
        MarkerSettings(**settings)


def test_a_group_names_the_clip():
    markers = MarkerSettings(
        start=r"clip/(?P<stimulus>[^/]+)/(?P<label>\w+)", stop="end", labels={"h": "happy"}
    )
    found = marked_trials([(1.0, "clip/a 1.mp4/h"), (5.0, "end")], 9.0, markers, lambda _text: None)
    assert found == [(1.0, 5.0, "happy", "a 1.mp4")]
