"""A guided session whose recording cannot be written: said at once, trials flagged, the next one waits."""

from __future__ import annotations

import io
import math
import threading
from pathlib import Path

import pytest
from rich.console import Console
from support.stages import FakeRecorder, made

from bci_m2s.errors import CommandError
from bci_m2s.recording.trials import GuidedTrial, read_trials
from bci_m2s.session.protocol.controls import Ended
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.terminal.recording_notice import RecordingNotice


def test_a_trial_that_is_not_on_the_disk_has_a_flag(tmp_path: Path) -> None:
    recorder = FakeRecorder()
    stage, marks, said = made(tmp_path, recorder)
    for number, (problem, lost) in enumerate([("", 0), ("disk full", 0), ("disk full", 7), ("", 7)], 1):
        stage.begin_trial(GuidedTrial(number, 1, "calm"))
        recorder.problem, recorder.lost = problem, lost
        stage.end_trial(number, 1, ["late"] if number == 1 else [], stop_s=2.0)
    flags = [trial.flags for trial in read_trials(marks)]
    words = "the recording could not be written"
    assert flags == [("late",), (words,), ("7 samples are not recorded",), ()]
    assert said[1] == f"trial 2: {words}"


def test_the_next_trial_waits_until_there_is_room(tmp_path: Path) -> None:
    recorder = FakeRecorder()
    stage, marks, said = made(tmp_path, recorder)
    stage.pause()
    assert marks == []
    recorder.problem = "No space left on device"
    waiting = threading.Thread(target=stage.pause, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    assert stage.state()["step"] == "waiting for the disk"
    with pytest.raises(CommandError, match="once the recording can be written"):
        stage.controls.request("skip")
    assert "waits until it can" in said[0]
    recorder.problem = ""
    waiting.join(120.0)
    assert [text for _, text in marks] == ["pause/start", "pause/stop"]


def test_a_session_that_waits_for_the_disk_can_be_ended(tmp_path: Path) -> None:
    recorder = FakeRecorder()
    stage, marks, _ = made(tmp_path, recorder)
    recorder.problem = "No space left on device"
    stage._stop.set()
    with pytest.raises(Ended):
        stage.pause()
    assert [text for _, text in marks] == ["pause/start"]


def test_the_terminal_says_it_once_and_when_it_is_over() -> None:
    recorder, printed = FakeRecorder(), io.StringIO()
    notice = RecordingNotice(recorder, Console(file=printed, width=300))  # type: ignore[arg-type]
    for problem, lost in [("", 0), ("full", 0), ("full", 5), ("", 5), ("full", 5), ("", 5)]:
        recorder.problem, recorder.lost = problem, lost
        notice.look()
    lines = printed.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["NOT RECORDED", "recorded again"] * 2
    assert (lines[1], lines[3]) == ("recorded again: 5 samples are LOST", "recorded again: nothing is lost")
    RecordingNotice(None, Console(file=printed)).look()


def test_stamps_of_a_later_take_come_after_those_before() -> None:
    """A fast clock was ahead of the one that it follows."""
    now_s = 100.0
    fast = FastClock(lambda: now_s, 5.0)
    now_s = 130.0
    last_s = fast()
    assert last_s == 250.0
    again = FastClock(lambda: now_s, 5.0, last_s + 1.0)
    assert again() == 251.0
    now_s = 131.0
    assert again() == pytest.approx(256.0)
    assert FastClock(lambda: now_s, 1.0, -math.inf)() == 131.0
