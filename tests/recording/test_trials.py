"""The markers of a guided session, written and read."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bci_m2s.recording.trials import (
    GuidedTrial,
    begin_text,
    end_text,
    is_guided,
    kept_trials,
    rating_text,
    read_trials,
)


def shown(number: int, label: str, at_s: float, attempt: int = 1) -> list[tuple[float, str]]:
    return [
        (at_s, begin_text(GuidedTrial(number, attempt, label, item=f"{label}.mp4", block=2))),
        (at_s + 0.1, f"trial/start/{label}"),
        (at_s + 9.1, f"trial/stop/{label}"),
        (at_s + 9.2, end_text(number, attempt, ("onset uncertain",), 0.03)),
    ]


def test_a_trial_comes_back_with_all_that_its_markers_say():
    events = [*shown(3, "tr/auer", 10.0), (20.0, rating_text(3, "valence", "7"))]
    (trial,) = read_trials(events)
    assert trial == GuidedTrial(
        3, 1, "tr/auer", 10.1, 19.1, "tr/auer.mp4", 2, "", ("onset uncertain",), 0.03, {"valence": "7"}
    )
    assert math.isclose(trial.duration_s, 9.0)


def test_a_later_attempt_replaces_the_one_before():
    events = [*shown(1, "calm", 0.0), *shown(1, "calm", 20.0, attempt=2), *shown(2, "happy", 40.0)]
    assert [trial.excluded for trial in read_trials(events)] == ["repeated", "", ""]
    assert [trial.start_s for trial in kept_trials(events)] == [20.1, 40.1]


def test_what_was_not_shown_to_its_end_does_not_count():
    (trial,) = read_trials(shown(1, "calm", 0.0)[:2])
    assert trial.excluded == "not finished"
    assert math.isnan(trial.duration_s)


def test_the_experimenter_excludes_and_takes_it_back():
    events = [*shown(1, "calm", 0.0), (10.0, "trial/exclude/1/coughed / twice")]
    assert read_trials(events)[0].excluded == "coughed / twice"
    assert not read_trials([*events, (11.0, "trial/include/1")])[0].excluded


def test_sessions_are_known_by_their_first_markers():
    assert is_guided(["rest/start", "session/resume/4"])
    assert not is_guided(["trial/start/calm", "session/stop"])


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from(["trial/begin/", "trial/end/", "x"]), st.text()))
)
def test_foreign_markers_are_passed_over(events):
    texts = [(time_s, prefix + text) for time_s, prefix, text in events]
    texts += [
        (1.0, 'trial/begin/{"number": 1e400}'),
        (1.0, "trial/rating/9/valence/7"),
        (1.0, "trial/exclude/x"),
    ]
    assert read_trials(texts) == []


def test_an_experiment_programs_own_markers_among_the_events_change_no_trial():
    events = []
    for number, at_s in ((1, 10.0), (2, 20.0)):  # twice the same class
        begin, end = begin_text(GuidedTrial(number, 1, "sad", at_s)), end_text(number, 1, stop_s=at_s + 5.0)
        events += [(at_s, "trial/start/sad"), (at_s + 0.01, begin)]
        events += [(at_s + 5.0, "trial/stop/sad"), (at_s + 5.01, end)]
    kept = kept_trials(events)
    assert [(trial.number, trial.start_s, trial.stop_s) for trial in kept] == [
        (1, 10.0, 15.0),
        (2, 20.0, 25.0),
    ]
