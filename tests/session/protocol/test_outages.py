"""A guided session whose streams fall silent: trials are flagged, and the next one waits where all are."""

from __future__ import annotations

import csv
import math
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from support.stages import FakeRecorder, made

from bci_m2s.engine.health import StreamHealth
from bci_m2s.recording.trials import GuidedTrial, read_trials
from bci_m2s.session.protocol.controls import Ended
from bci_m2s.session.protocol.outages import Outages
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.shown_trials import show_trials
from bci_m2s.session.protocol.stage import Stage
from bci_m2s.types import TRIAL_START, TRIAL_STOP


class Streams:
    """A headset at 256 Hz and an eye tracker at 60 Hz: when each sent last, and what each has lost."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.last_s = {"eeg": math.inf, "eye": math.inf}  # it sends
        self.lost = {"eeg": 0, "eye": 0}

    def clock(self) -> float:
        return self.now_s

    def health(self) -> list[StreamHealth]:
        return [
            StreamHealth(name, name, rate_hz, rate_hz, 1000, self.lost[name], self._age_s(name))
            for name, rate_hz in (("eeg", 256.0), ("eye", 60.0))
        ]

    def _age_s(self, name: str) -> float:
        return max(0.0, self.now_s - self.last_s[name])


@pytest.fixture
def streams() -> Streams:
    return Streams()


def show(stage: Stage, streams: Streams, number: int) -> None:
    """A trial of 10 s."""
    stage.begin_trial(GuidedTrial(number, 1, "calm"))
    stage.mark(f"{TRIAL_START}calm")
    streams.now_s += 10.0
    stage.mark(f"{TRIAL_STOP}calm")
    stage.end_trial(number, 1, ["late onset"] if number == 1 else [])
    stage.write_table()
    streams.now_s += 5.0


def test_a_trial_in_which_a_stream_fell_silent_has_a_flag(tmp_path: Path, streams: Streams) -> None:
    stage, marks, said = made(tmp_path, FakeRecorder(), streams.health, streams.clock)
    show(stage, streams, 1)
    streams.last_s["eye"] = streams.now_s + 3.5
    show(stage, streams, 2)
    show(stage, streams, 3)
    streams.last_s["eye"] = math.inf
    streams.lost["eye"] = 60 * 20  # before trial 4, and not of it
    show(stage, streams, 4)
    stage.wait_for_samples()  # the other one goes on, so that nothing is waited for
    flags = [
        ("late onset",),
        ("eye: no samples since 3.5 s after the onset",),
        ("eye: no samples in the whole trial",),
        (),
    ]
    assert [trial.flags for trial in read_trials(marks)] == flags
    assert not any(trial.excluded for trial in read_trials(marks))
    with (tmp_path / "trials.csv").open(encoding="utf-8") as file:
        assert [row["flags"] for row in csv.DictReader(file)] == ["; ".join(words) for words in flags]
    assert said[1:] == [f"trial {number}: {flags[number - 1][0]}" for number in (2, 3)]


@pytest.mark.parametrize(
    ("silent_before_s", "lost_s", "flags"),
    [(0.0, 1.9, []), (0.0, 3.0, ["EEG: 3.0 s without samples"]), (20.0, 21.5, []),
     (20.0, 24.0, ["EEG: 4.0 s without samples"])],
)  # fmt: skip
def test_a_gap_counts_as_far_as_it_is_in_the_trial(
    streams: Streams, silent_before_s: float, lost_s: float, flags: list[str]
) -> None:
    outages = Outages(streams.health, FastClock(streams.clock))
    streams.last_s["eeg"] = streams.now_s - silent_before_s
    outages.begin_trial()
    streams.now_s += 10.0
    streams.last_s["eeg"] = math.inf
    streams.lost["eeg"] = round(lost_s * 256)
    assert outages.flags(100.0) == flags


def test_a_fast_session_may_be_busy_for_a_moment(streams: Streams) -> None:
    outages = Outages(streams.health, FastClock(streams.clock, 20.0))
    streams.last_s = dict.fromkeys(streams.last_s, 70.0)  # 30 s of its time are 1.5 s
    assert outages.all_silent() == []
    streams.last_s = dict.fromkeys(streams.last_s, 50.0)
    assert outages.all_silent() == ["EEG", "eye"]


def waiting(stage: Stage, said: list[str]) -> threading.Thread:
    """A thread in which the next trial waits for samples. said : what the stage says"""

    def wait() -> None:
        with suppress(Ended):
            stage.wait_for_samples()

    thread, before = threading.Thread(target=wait, daemon=True), len(said)
    thread.start()
    while len(said) == before or stage.state()["step"] != "waiting for samples":
        thread.join(0.05)
        assert thread.is_alive()
    return thread


def fall_silent(streams: Streams) -> None:
    streams.last_s = dict.fromkeys(streams.last_s, streams.now_s - 2.5)


def test_the_next_trial_waits_while_no_stream_gives_samples(tmp_path: Path, streams: Streams) -> None:
    stage, marks, said = made(tmp_path, FakeRecorder(), streams.health, streams.clock)
    stage.wait_for_samples()
    assert marks == []
    fall_silent(streams)
    thread = waiting(stage, said)
    assert said[0].startswith("NO SAMPLES from EEG and eye: the session waits")
    streams.last_s["eeg"] = math.inf
    streams.now_s += 1.0  # its clock is that of the wait
    thread.join(120.0)
    assert not thread.is_alive()
    assert said[1] == "samples come again: the session goes on"
    assert [text for _, text in marks] == ["pause/start", "pause/stop"]


def test_the_experimenter_may_go_on_without_samples(tmp_path: Path, streams: Streams) -> None:
    stage, _, said = made(tmp_path, FakeRecorder(), streams.health, streams.clock)
    fall_silent(streams)
    thread = waiting(stage, said)
    stage.controls.request("skip")
    thread.join(120.0)
    stage.wait_for_samples()  # nor does the trial after that wait
    assert len(said) == 1
    streams.last_s["eeg"] = math.inf
    stage.wait_for_samples()
    fall_silent(streams)  # another time
    thread = waiting(stage, said)
    stage._stop.set()
    thread.join(120.0)
    assert not thread.is_alive()


def test_a_repeat_is_no_wish_to_go_on_without_samples(tmp_path: Path, streams: Streams) -> None:
    stage, _, said = made(tmp_path, FakeRecorder(), streams.health, streams.clock)
    stage.begin_trial(GuidedTrial(1, 1, "calm"))
    fall_silent(streams)
    thread = waiting(stage, said)
    stage.controls.request("repeat")
    thread.join(120.0)
    assert stage.controls.take_repeat()
    thread = waiting(stage, said)
    assert len(said) == 2
    stage._stop.set()
    thread.join(120.0)
    assert not thread.is_alive()


def test_a_session_that_waits_for_samples_can_be_ended(tmp_path: Path, streams: Streams) -> None:
    stage, marks, _ = made(tmp_path, FakeRecorder(), streams.health, streams.clock)
    fall_silent(streams)
    stage._stop.set()
    with pytest.raises(Ended):
        stage.wait_for_samples()
    assert [text for _, text in marks] == ["pause/start"]


def test_trials_are_shown_once_there_are_samples_again(tmp_path: Path) -> None:
    """The headset dies in the first trial of two and is back once that has been said."""
    said: list[str] = []

    class Dying(Streams):
        def clock(self) -> float:
            self.now_s += 0.5
            return self.now_s

        def health(self) -> list[StreamHealth]:
            is_back = any("NO SAMPLES" in words for words in said)
            self.last_s = dict.fromkeys(self.last_s, math.inf if is_back else 100.0)
            return super().health()

    streams = Dying()
    items = [{"label": label} for label in ("calm", "tense")]
    trials = {"items": items, "duration_s": 8.0, "order": "fixed", "countdown_s": 0.5, "rest_s": 0.5}
    changes = {"trials": trials, "ratings": [], "breaks": {"duration_s": 0.0}}
    stage, marks, _ = made(tmp_path, FakeRecorder(), streams.health, streams.clock, **changes)
    stage.notify = said.append
    show_trials(stage)
    assert [text.split("{")[0] for _, text in marks] == [
        *("trial/begin/", "trial/start/calm", "trial/stop/calm", "trial/end/"),
        *("pause/start", "pause/stop"),
        *("trial/begin/", "trial/start/tense", "trial/stop/tense", "trial/end/"),
    ]
