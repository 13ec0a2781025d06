"""Several runs with threads in common: what fails in one ends that one."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from support.recorded_sessions import chunks_of
from support.small_sessions import EEG_INFO, Collector, ScriptedSource, eeg, engine_of, pipeline

from bci_m2s.engine.loops import Job, Loop, Loops
from bci_m2s.errors import DeviceError, OutputError
from bci_m2s.types import Status

LIMIT_S = 120.0
NAMES = ("inference", "writer", "senders", "reports")


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


class Endless(ScriptedSource):
    """Noise without end."""

    def __init__(self, seed=0):
        super().__init__(EEG_INFO)
        self.seed, self.given, self.size = seed, 0, 64
        self.ahead_s = time.monotonic() - eeg(0.1)[0][0]

    def pull(self, timeout_s):
        time.sleep(0.005)
        if not self._chunks and not self.hold.is_set():
            times, samples = eeg(0.25, seed=1000 * self.seed + self.given)
            self._chunks = chunks_of(times + self.ahead_s + 0.25 * self.given, samples, size=self.size)
            self.given += 1
        return super().pull(timeout_s)


@pytest.fixture
def loops():
    made = Loops()
    yield made
    made.close()
    made.join(LIMIT_S)
    assert not {thread.name for thread in threading.enumerate()} & set(NAMES)


def runs(loops, count=3, sinks=None):
    """Engines with one predictor, their sources and sinks."""
    judges = [pipeline() for _ in range(count)]
    for judge in judges[1:]:
        judge._predictor = judges[0]._predictor
    judges[0]._predictor.at_once = 8
    sources = [Endless(seed) for seed in range(count)]
    sinks = sinks or [Collector() for _ in range(count)]
    engines = [
        engine_of(judge, {"eeg": source}, [sink], time.monotonic, loops=loops)
        for judge, source, sink in zip(judges, sources, sinks, strict=True)
    ]
    return engines, sources, sinks


def answers(sink):
    return [one for one in sink.estimates if one.status is Status.OK]


def test_runs_share_one_thread_of_each_kind_and_end_one_by_one(loops):
    engines, _, sinks = runs(loops)
    for engine in engines:
        engine.start()
    until(lambda: all(len(answers(sink)) > 3 for sink in sinks))
    names = [thread.name for thread in threading.enumerate()]
    assert [names.count(name) for name in NAMES] == [1, 1, 1, 1]
    engines[0].finish()
    assert sinks[0].closed == 1
    before = [len(answers(sink)) for sink in sinks]
    until(lambda: all(len(answers(sink)) > n + 3 for sink, n in zip(sinks[1:], before[1:], strict=True)))
    assert len(answers(sinks[0])) == before[0]
    for engine in engines[1:]:
        engine.finish()
    assert [engine.failure for engine in engines] == [None] * 3


@pytest.mark.parametrize("where", ["pipeline", "file", "source"])
def test_what_fails_in_one_run_ends_that_one_alone(loops, where):
    class Broken(Collector):
        def open(self):
            raise OutputError("disk gone")

    sinks = [Collector(), Broken() if where == "file" else Collector(), Collector()]
    engines, sources, sinks = runs(loops, sinks=sinks)
    for engine in engines:
        engine.start()
    until(lambda: all(len(answers(sinks[n])) > 3 for n in (0, 2)))
    if where == "pipeline":
        engines[1]._inference.judge.complete = None  # not callable
    elif where == "source":
        sources[1].error = RuntimeError("unplugged")
    until(lambda: engines[1].failure is not None)
    assert engines[1].wait(0)
    before = [len(answers(sink)) for sink in sinks]
    until(lambda: all(len(answers(sinks[n])) > before[n] + 3 for n in (0, 2)))
    for engine in engines:
        engine.finish()
    assert [engine.failure is None for engine in engines] == [True, False, True]
    assert sinks[1].closed == 1


def test_a_window_that_the_network_fails_on_ends_the_estimates_of_its_run_alone(loops, monkeypatch):
    engines, _, sinks = runs(loops)
    predictor, bad = engines[0]._inference.judge._predictor, []
    plain = predictor._all_logits

    def all_logits(modality, features):
        if any(np.array_equal(row, one) for row in np.asarray(features) for one in bad):
            raise DeviceError("not this one")
        return plain(modality, features)

    def collect(*arguments, **named):
        due = collected(*arguments, **named)
        bad.extend(one.window.features for one in due if one.window.features is not None)
        return due

    judge = engines[1]._inference.judge
    collected = judge.collect
    monkeypatch.setattr(judge, "collect", collect)
    monkeypatch.setattr(predictor, "_all_logits", all_logits)
    for engine in engines:
        engine.start()
    until(lambda: engines[1].wait(0) and all(len(answers(sinks[n])) > 3 for n in (0, 2)))
    for engine in engines:
        engine.finish()
    assert isinstance(engines[1].failure, DeviceError)
    assert not answers(sinks[1])
    assert [engines[n].failure for n in (0, 2)] == [None, None]


def test_a_stream_that_is_silent_delays_nobody(loops):
    engines, sources, sinks = runs(loops)
    sources[1].hold.set()
    for engine in engines:
        engine.start()
    until(lambda: all(len(answers(sinks[n])) > 3 for n in (0, 2)))
    until(lambda: any(one.status is Status.STALE for one in sinks[1].estimates))
    for engine in engines:
        engine.finish()
    assert [engine.failure for engine in engines] == [None] * 3


def test_a_loop_serves_what_comes_while_it_runs_and_ends_once_closed_with_nothing_left():
    loop, steps, failures = Loop("one", 0.01), [], []

    def work(name, count):
        def step():
            steps.append(name)
            if steps.count(name) == count and name == "fails":
                raise ValueError(name)
            return steps.count(name) < count

        return Job(step, failures.append)

    first = loop.add(work("first", 3))
    until(first.done.is_set)
    second, third = loop.add(work("fails", 2)), loop.add(work("third", 4))
    loop.close()
    assert loop.join(LIMIT_S)
    assert second.done.is_set()
    assert third.done.is_set()
    assert [str(one) for one in failures] == ["fails"]
    assert [steps.count(name) for name in ("first", "fails", "third")] == [3, 2, 4]


@pytest.mark.parametrize("count", [1, 2])
def test_with_several_runs_whole_blocks_are_waited_for_and_nothing_is_left_at_the_end(loops, count):
    engines, sources, sinks = runs(loops, count)
    pieces = []
    for engine, source in zip(engines, sources, strict=True):
        source.size = 10
        judge = engine._inference.judge
        judge.collect = noting(judge, judge.collect, pieces)
        engine.start()
    until(lambda: all(len(answers(sink)) > 3 for sink in sinks))
    for engine in engines:
        engine.finish()
    for engine in engines:
        state = engine._inference.judge.state("eeg")
        assert state.samples == engine._inference._streams["eeg"].ring.total
    early = [n for n, missing in pieces if n < missing]
    # at first nobody else may be there, and at the end what is left is taken
    assert (len(early) < len(pieces) / 2) is (count > 1)


def noting(judge, collect, pieces):
    def noted(modality, chunk, *how, **named):
        pieces.append((len(chunk), judge.missing_n(modality)))
        return collect(modality, chunk, *how, **named)

    return noted
