"""A machine that is too slow for everybody: each still gets fresh answers, and it is said."""

from __future__ import annotations

import io
import math
import re
import threading
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from support.small_sessions import EEG_INFO, ScriptedSource, engine_of, pipeline

from bci_m2s.engine.inference import Inference
from bci_m2s.engine.loops import InferenceLoop
from bci_m2s.engine.overload import OVER_AFTER_S, SAY_AFTER_S, SAY_EVERY_S, Overload
from bci_m2s.engine.record_only import RecordOnly
from bci_m2s.engine.stream_state import RING_S, StreamState
from bci_m2s.session.participants.overload_notice import OverloadNotice
from bci_m2s.session.terminal.watch import Watch
from bci_m2s.types import Chunk, StreamInfo

RATE_HZ = 40.0
INFO = StreamInfo("cap", "EEG", "cap-1", rate_hz=RATE_HZ, labels=("Cz",), units=("uV",))


class Slow(RecordOnly):
    """Takes its time for each look at new samples, and answers the newest.

    crowd : whose clock it holds up
    """

    hop_s = 0.25

    def __init__(self, crowd):
        super().__init__({}, crowd.events.append)
        self.crowd = crowd

    def collect(self, _modality, chunk, _clock_offset_s=math.nan, newest_only=False):
        self.crowd.take(self.crowd.cost_s)
        windows = len(chunk) // round(self.hop_s * RATE_HZ)
        self.judgeable += windows
        self.judgeable_skipped += max(0, windows - 1) if newest_only else 0
        self.crowd.newest_only.append(newest_only)
        window = SimpleNamespace(features=None, end_s=float(chunk.times[-1]))
        return [SimpleNamespace(window=window)]

    def complete(self, dues):
        return [due.window.end_s for due in dues]


class Crowd:
    """Several people with a headset each, on a clock that goes on only while somebody is served."""

    def __init__(self, people, cost_s):
        self.now_s = self.begun_s = 0.0
        self.sent, self.cost_s = 0, cost_s
        self.streams = [StreamState(ScriptedSource(INFO), "eeg") for _ in range(people)]
        self.answers, self.events, self.newest_only = [], [], []
        self.loop = InferenceLoop(lambda: self.now_s)
        self.loop.add = lambda job: job  # no thread
        self.works = [self.work(n) for n in range(people)]
        self.jobs = [self.loop.serve(work, self.fail) for work in self.works]

    def work(self, person):
        publisher = SimpleNamespace(
            put=lambda end_s: self.answers.append((person, self.now_s - end_s)),
            emit=self.events.append,
        )
        judge, stop = Slow(self), threading.Event()
        return Inference(
            judge, {"eeg": self.streams[person]}, [], publisher, lambda: self.now_s, stop, False
        )

    def fail(self, problem):
        raise problem

    def take(self, seconds):
        """Time goes on, and everybody's samples with it."""
        self.now_s += seconds
        total = int(self.now_s * RATE_HZ)
        times = np.arange(self.sent, total) / RATE_HZ
        self.sent = total
        for stream in self.streams if len(times) else ():
            stream.ring.write(Chunk(times, np.zeros((len(times), 1), np.float32), times))

    def rounds(self, count):
        for _ in range(count):
            self.answers.clear()
            self.take(max(0.0, self.begun_s + Slow.hop_s - self.now_s))  # nothing is due before
            self.begun_s = self.now_s
            self.loop.round(self.jobs)


@pytest.mark.parametrize("cost_s", [0.003, 0.15, 0.7])  # a round of 64: 0.19 s, 9.6 s, longer than a ring
def test_everybody_has_a_fresh_answer_in_each_round_however_slow_the_machine_is(cost_s):
    crowd = Crowd(64, cost_s)
    crowd.rounds(4)
    assert set(Counter(person for person, _ in crowd.answers).values()) == {1}
    assert len(crowd.answers) == 64
    assert max(age_s for _, age_s in crowd.answers) < 2 * cost_s + 0.35
    assert any(crowd.newest_only) is (cost_s > 0.1)
    overrun = [event for event in crowd.events if event.kind == "overrun"]
    assert bool(overrun) is (64 * cost_s > RING_S)


def test_of_each_run_an_event_says_when_it_begins_and_when_it_is_over():
    crowd = Crowd(16, 0.3)
    crowd.rounds(1)
    assert not [event for event in crowd.events if event.kind == "overloaded"]
    crowd.rounds(4)
    begun = [event for event in crowd.events if event.kind == "overloaded"]
    assert len(begun) == 16
    for event in begun:
        said = re.fullmatch(
            r"(\d+) of (\d+) windows skipped since \d\d:\d\d:\d\d: this .* slow; .*", event.message
        )
        skipped, due = map(int, said.groups())
        assert 0.8 < skipped / due < 1
        assert event.fields["skipped"] == skipped
    crowd.cost_s = 0.001
    crowd.rounds(int(4 * OVER_AFTER_S) + 8)
    over = [event for event in crowd.events if event.kind == "keeps_up"]
    assert len(over) == 16
    assert all("fast enough again" in event.message for event in over)
    assert not any(work.overload.words for work in crowd.works)


def said_at(steps):
    """When something was said of a machine, by second. steps : (due, skipped) of each second"""
    overload, due, skipped, said = Overload(), 0, 0, {}
    for second, (more_due, more_skipped) in enumerate(steps):
        due, skipped = due + more_due, skipped + more_skipped
        if words := overload.look(float(second), due, skipped):
            said[second] = words
    return said


def test_nothing_is_said_where_nothing_is_skipped():
    assert said_at([(4, 0)] * 300) == {}


def test_a_moments_delay_is_not_called_slowness():
    """Three windows at once, and a single one each minute."""
    assert said_at([(4, 0)] * 10 + [(4, 3)] + [(4, 0)] * 100) == {}
    assert said_at(([(4, 1)] + [(4, 0)] * 59) * 10) == {}
    assert said_at([(4, 0)] * 10 + [(4, 4)] + [(4, 0)] * 100) != {}


def test_it_is_said_soon_then_each_minute_and_when_it_is_over():
    said = said_at([(4, 0)] * 10 + [(4, 3)] * 100 + [(4, 0)] * 100)
    assert list(said) == [10 + SAY_AFTER_S, 10 + SAY_AFTER_S + SAY_EVERY_S, 109 + OVER_AFTER_S]
    words = list(said.values())
    assert words[0].startswith("18 of 24 windows skipped since ")
    assert "fewer channels or people, a model with a longer hop, or another computer help" in words[0]
    assert words[2].startswith("fast enough again: 300 of 480 windows skipped since ")


def test_what_comes_and_goes_is_said_twice_a_minute_at_most():
    said = said_at(([(5, 5)] + [(4, 0)] * int(OVER_AFTER_S + 4)) * 40)
    assert 20 < len(said) <= 2 * 1000 / SAY_EVERY_S + 2
    assert len([words for words in said.values() if words.startswith("fast enough again")]) <= len(said) / 2


def test_one_line_says_it_of_everybody_and_a_new_take_counts_anew():
    console, people = Console(file=io.StringIO(), width=300), []
    for name in ("p01", "p02", "p03"):
        engine = SimpleNamespace(windows=(100, 0), overload=SimpleNamespace(is_on=name != "p03"))
        people.append(SimpleNamespace(name=name, takes=SimpleNamespace(now=SimpleNamespace(engine=engine))))
    people.append(SimpleNamespace(name="late", takes=None))
    notice = OverloadNotice(people, console)
    for second in range(10):
        for one in people[:2]:
            one.takes.now.engine.windows = (100 + 4 * second, 3 * second)
        if second == 4:
            people[0].takes.now.engine = SimpleNamespace(
                windows=(16, 12), overload=SimpleNamespace(is_on=True)
            )
        notice.look(float(second))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("2 of 4 participants: ")
    skipped, due = map(int, re.search(r"(\d+) of (\d+) windows", lines[0]).groups())
    assert 0 < skipped < due


def test_the_state_of_a_session_and_its_terminal_say_it():
    engine, console = engine_of(pipeline(), {"eeg": ScriptedSource(EEG_INFO)}), Console(file=io.StringIO())
    watch, take = Watch(), SimpleNamespace(engine=engine)
    watch.tell(take, console)
    assert engine.reporter.snapshot().problems == []
    for second in range(8):
        engine.overload.look(float(second), 4 * second, 3 * second)
        watch.tell(take, console)
    snapshot = engine.reporter.snapshot()
    assert snapshot.state == "bad"
    assert snapshot.problems == [engine.overload.words]
    assert console.file.getvalue().count("windows skipped since") == 1
