"""The trials of a guided session are those of its own markers, whoever else sends some beside it."""

import pytest
from support.guided_files import START_S, write_guided
from support.raw_files import xdf, xdf_markers

import bci_m2s
from bci_m2s.handover.axis import whole_axis
from bci_m2s.handover.marks import marks_of
from bci_m2s.handover.report_sections import _told
from bci_m2s.handover.whole import whole_of
from bci_m2s.pipeline.recorded_windows import markers_of, trial_markers
from bci_m2s.recording.guided import guided_markers, own_markers, trial_streams
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.trials import GuidedTrial, begin_text, end_text, kept_trials
from bci_m2s.review.facts import recording_facts
from bci_m2s.review.labelled import takes_of_session
from bci_m2s.training.datasets.recordings import find_recordings

SIMULATOR = [(2.5, "trial/start/calm"), (4.5, "trial/stop/calm"), (15.5, "trial/start/happy")]
OTHERS = [(START_S + time_s, text) for time_s, text in SIMULATOR]


@pytest.fixture
def beside(tmp_path):
    """A guided session of which two trials count, at 6 and 15 s, and another sender's markers in it."""
    path = write_guided(tmp_path / "P1").path
    path.write_bytes(path.read_bytes() + xdf_markers(5, "PsychoPy", OTHERS))
    return path


def times(trials):
    return [(round(one.start_s, 6), round(one.stop_s, 6)) for one in trials if not one.excluded]


def test_everybody_finds_the_same_trials(beside):
    expected = [(START_S + 6.0, START_S + 9.0), (START_S + 15.0, START_S + 18.0)]
    recording = open_recording(beside)
    assert times(bci_m2s.open_recording(beside).trials()) == expected
    assert times(kept_trials(trial_markers(recording))) == expected
    (segments,) = find_recordings(beside.parent).read_raw(beside.parent, lambda _problem: None)
    assert times(replace_none(segments[0].trials)) == expected
    facts = recording_facts(recording)
    assert times(facts.guided_trials()) == [(6.0, 9.0), (15.0, 18.0)]
    assert [(one.start_s, one.stop_s) for one in whole_of([facts]).labelled] == [(6.0, 9.0), (15.0, 18.0)]


def replace_none(trials):
    """Spans with the field that says why a trial does not count."""
    return [GuidedTrial(1, 1, "", trial.start_s, trial.stop_s) for trial in trials]


def test_what_others_sent_is_not_lost(beside):
    recording = open_recording(beside)
    facts = recording_facts(recording)
    rows = marks_of(facts, whole_axis(list(facts.raw_streams)), "")
    shown = [(mark.onset_s, mark.text) for mark in rows if mark.text.startswith("trial/st")]
    assert shown == SIMULATOR  # as markers; those of the session itself are rows of trials
    texts = [text for _, text in _told(whole_of([facts]).takes[0]).markers]
    assert [text for text in texts if text.startswith("trial/")] == [text for _, text in SIMULATOR]
    assert len(markers_of(recording)) == len(trial_markers(recording)) + len(OTHERS)


def test_times_that_an_experiment_program_said_are_on_the_clock_of_the_report(tmp_path):
    begin, end = begin_text(GuidedTrial(1, 1, "calm", START_S + 2.0)), end_text(1, 1, stop_s=START_S + 5.0)
    samples = [[0.0]] * 64
    stream = ("cap", "EEG", 8, ("TP9",), ("uV",), [START_S + number / 8 for number in range(64)], samples)
    marks = [(START_S, "session/start/x"), (START_S + 2.1, begin), (START_S + 5.1, end)]
    (tmp_path / "a.xdf").write_bytes(xdf([stream], marks))
    facts = recording_facts(open_recording(tmp_path / "a.xdf"))
    assert times(facts.guided_trials()) == [(2.0, 5.0)]


def test_what_the_session_wrote_itself_comes_before_an_older_one_that_is_played(tmp_path):
    played = xdf_markers(2, "older", [(1.0, "session/start/older")])
    own = xdf_markers(3, "bci_m2s-operator", [(1.0, "session/start/own")])  # its source id too
    (tmp_path / "a.xdf").write_bytes(xdf([]) + played + own)
    assert [text for _, text in guided_markers(open_recording(tmp_path / "a.xdf"))] == ["session/start/own"]


def test_a_summary_counts_the_spans_of_the_session_itself():
    came = [(1.0, "session/start/x", "operator"), (2.0, "trial/start/a", "psychopy")]
    assert own_markers(came) == [(1.0, "session/start/x")]
    assert own_markers(came[1:]) == [(2.0, "trial/start/a")]


def test_two_streams_that_both_mark_trials_are_named(tmp_path):
    eeg = ("cap", "EEG", 8, ("TP9",), ("uV",), [number / 8 for number in range(200)], [[0.0]] * 200)
    content = (
        xdf([eeg], SIMULATOR) + xdf_markers(3, "PsychoPy", SIMULATOR) + xdf_markers(4, "x", [(1, "x")])
    )
    (tmp_path / "a.xdf").write_bytes(content)
    expected = "trials begin in the markers of 2 streams, which are taken together: 'marks' 2, 'PsychoPy' 2"
    said = []
    list(find_recordings(tmp_path).read_raw(tmp_path, said.append))
    assert any(problem.text == expected for problem in said)
    said = []
    takes_of_session(tmp_path / "a.xdf", said.append)
    assert said == [f"note: {tmp_path / 'a.xdf'}: {expected}"]
    assert len(trial_streams(open_recording(tmp_path / "a.xdf"))) == 3
