"""What people ask of a guided session: keys, answers, waits, and markers of an experiment program."""

import itertools
import threading

import pytest

from bci_m2s.engine.health import StreamHealth
from bci_m2s.errors import CommandError
from bci_m2s.session.protocol.controls import Controls, Ended, refused_in
from bci_m2s.session.protocol.external import MarkerTrials
from bci_m2s.session.protocol.keyboard import HELP, Keys
from bci_m2s.session.protocol.settings import RatingSettings, TrialSettings
from bci_m2s.session.protocol.signal_check import check_streams

SAM = RatingSettings(scale="valence")
CHOICE = RatingSettings(scale="emotion", kind="choice", choices=["sad", "happy"])
TEXT = RatingSettings(scale="note", kind="text")


def ticking():
    ticks = itertools.count()
    return lambda: next(ticks) * 0.5


@pytest.mark.parametrize(
    ("question", "value", "answer"),
    [
        (SAM, " 7 ", "7"),
        (SAM, "9", "9"),
        (CHOICE, "2", "happy"),
        (CHOICE, "sad", "sad"),
        (TEXT, "a\nb", "a b"),
    ],
)
def test_an_answer_on_its_scale(question, value, answer):
    controls = Controls(ticking(), speed=1000.0)
    threading.Timer(0.05, lambda: controls.request("answer", value)).start()
    while controls.question is None:
        if (got := controls.wait_for_answer(question, 0.0)) is not None:
            break
    assert got == answer


@pytest.mark.parametrize(
    ("question", "value"), [(SAM, "0"), (SAM, "10"), (SAM, "x"), (SAM, ""), (CHOICE, "3")]
)
def test_an_answer_beside_its_scale_is_refused(question, value):
    controls = Controls(ticking())
    controls.question = question
    with pytest.raises(CommandError, match=f"{question.scale}: got"):
        controls.request("answer", value)


def test_an_answer_that_does_not_come_is_missing():
    assert Controls(ticking(), speed=1000.0).wait_for_answer(SAM, 2.0) is None


def test_waits_end_with_the_session():
    controls = Controls(ticking(), is_over=lambda: True)
    for wait in (lambda: controls.wait(9.0), lambda: controls.wait_for_answer(SAM, 0.0)):
        with pytest.raises(Ended):
            wait()


def test_a_repeat_cuts_a_wait_short_and_is_taken_once():
    controls = Controls(ticking(), speed=1000.0)
    controls.request("repeat")
    assert controls.interrupted.is_set()
    assert not controls.wait(100.0)
    assert controls.take_repeat()
    assert not controls.take_repeat()
    assert not controls.interrupted.is_set()


def test_unknown_actions_are_refused_with_the_nearest():
    with pytest.raises(CommandError, match="nearest: 'repeat'"):
        Controls(ticking()).request("repaet")


def test_keys_are_commands_and_answers_while_a_question_waits():
    lines = []
    remarks = []
    controls = Controls(ticking(), on_remark=lambda *remark: remarks.append(remark))
    keys = Keys(controls, lines.append)
    for sign in "p?x":
        keys.press(sign)
    assert controls.is_paused
    assert lines == ["a pause, once this trial is over", HELP, "the trial is excluded"]
    assert remarks == [("exclude", "")]
    keys.press("p")
    assert not controls.is_paused
    controls.question = TEXT
    for sign in "pa\x7f r\n":
        keys.press(sign)
    assert lines[-1] == "answer: p r"
    controls.question = SAM
    keys.press("0")
    assert "expected 1 to 9" in lines[-1]
    for sign in "x ":
        keys.press(sign)
    assert lines[-2:] == ["the trial is excluded", "on to the next step"]


@pytest.mark.parametrize(
    ("step", "trial", "is_external", "refused"),
    [
        ("signal check", 0, False, {"repeat", "exclude", "include"}),
        ("trial", 1, False, {"skip"}),
        ("rest", 1, False, set()),
        ("pause", 1, False, {"skip"}),
        ("live", 3, False, {"pause", "repeat"}),
        ("trial", 1, True, {"pause", "repeat"}),
    ],
)
def test_what_means_nothing_in_a_step_is_refused_with_why(step, trial, is_external, refused):
    controls = Controls(ticking())
    controls.refused = refused_in(step, trial, is_external)
    assert set(controls.refused) == refused
    for action in refused:
        with pytest.raises(CommandError, match=f"^{action}: (an?|no|the) "):
            controls.request(action)


def test_a_skip_between_two_looks_is_taken_and_one_of_the_step_before_is_not():
    controls = Controls(ticking(), speed=1000.0)
    controls.request("skip")
    assert not controls.wait(0.0)
    controls.request("skip")
    controls.begin_step()
    assert controls.wait(1.0)


def test_a_repeat_ends_the_wait_for_an_answer():
    controls = Controls(ticking(), speed=1000.0)
    controls.request("repeat")
    assert controls.wait_for_answer(SAM, 0.0) is None
    assert controls.take_repeat()


def test_the_check_says_which_channel_is_bad_and_what_to_do():
    health = [
        StreamHealth("eeg", "cap", 250.0, 250.0, 2000, 0, 0.01, "", {"Cz": "railed", "X1": "flat"}),
        StreamHealth("eye", "tracker", 60.0, 60.0, 600, 0, 7.0),
        StreamHealth("skin", "band", 4.0, 4.0, 600, 0, 0.1),
    ]
    eeg, eye = check_streams(health, {"eeg": ["Fz", "cz"], "eye": ["x", "y"]})
    assert (eeg.n_good, eeg.n, eeg.share) == (1, 2, 0.5)
    assert eeg.describe()[0] == "EEG: 1 of 2 channels good"
    assert "Cz railed: beyond the amplifier's range" in eeg.describe()[1]
    assert eye.share == 0.0
    assert eye.describe() == ["eye: silent for 7 s: is the device on and its program sending?"]


def test_trials_of_an_experiment_program_are_found_by_its_markers():
    came = []
    settings = TrialSettings(show="markers", start="go/(?P<label>.+)", stop="end", count=2)
    trials = MarkerTrials(settings, lambda most: came[-most:])
    came += [(1.0, "go/sad", "operator"), (2.0, "go/sad", "psychopy"), (2.0, "noise", "psychopy")]
    assert list(trials.news(3.0)) == [("start", 2.0, "sad")]
    assert list(trials.news(3.1)) == []
    came.append((8.0, "end", "psychopy"))
    assert list(trials.news(9.0)) == [("stop", 8.0, "")]
    assert not trials.is_over(1, runs=False)
    assert trials.is_over(2, runs=False)
    came.append((9.0, "experiment/done", "psychopy"))
    assert list(trials.news(9.5)) == []
    assert trials.is_over(1, runs=False)


def test_a_beginning_that_comes_twice_is_one_and_one_before_the_trials_is_counted():
    came = [(1.0, "trial/start/sad", "psychopy"), (1.5, "trial/start/sad", "operator")]
    trials = MarkerTrials(TrialSettings(show="markers"), lambda most: came[-most:])
    assert trials.n_early == 1
    came += [(2.0, "trial/start/sad", "a"), (2.001, "trial/start/sad", "b"), (4.0, "trial/start/ ", "a")]
    assert list(trials.news(5.0)) == [("start", 2.0, "sad"), ("start", 4.0, "unlabelled")]


def test_a_question_that_waits_sees_that_the_program_goes_on():
    came = []
    trials = MarkerTrials(TrialSettings(show="markers", duration_s=2.0), lambda most: came[-most:])
    came += [(1.0, "trial/start/sad", "a"), (9.0, "tick", "a"), (9.5, "trial/start/sad", "operator")]
    assert list(trials.news(9.6)) == [("start", 1.0, "sad"), ("stop", 3.0, "")]
    assert not trials.goes_on()
    came.append((10.0, "trial/start/glad", "a"))
    assert trials.goes_on()
    came += [(10.0 + n, "tick", "a") for n in range(1, 1001)]  # it is kept
    assert next(trials.news(10.1)) == ("start", 10.0, "glad")


def test_a_trial_of_known_length_ends_by_itself():
    came = []
    settings = TrialSettings(show="markers", duration_s=5.0)
    trials = MarkerTrials(settings, lambda most: came[-most:])
    came.append((2.0, "trial/start/sad", "psychopy"))
    assert list(trials.news(3.0)) == [("start", 2.0, "sad")]
    assert list(trials.news(6.9)) == []
    assert list(trials.news(7.1)) == [("stop", 7.0, "")]
