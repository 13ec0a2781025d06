"""Streams that are only recorded: what is reported of their stamps and of their silence."""

import threading

import numpy as np
import pytest
from support.small_sessions import Collector, ScriptedSource

from bci_m2s.engine.inference import LOOK_EVERY_S, Inference
from bci_m2s.engine.publisher import Publisher
from bci_m2s.engine.record_only import RecordOnly
from bci_m2s.engine.stream_state import StreamState
from bci_m2s.types import Chunk, StreamInfo

NAN = float("nan")


def observed(info, times, samples):
    """The judge of a stream that came at once, and its events."""
    events = []
    judge = RecordOnly({"one": info}, events.append)
    assert judge.push("one", Chunk.of(times, samples, 0.1), 0.0) == []
    return judge, events


def number_stream(rate_hz):
    return StreamInfo("belt", "RESP", rate_hz=rate_hz, labels=("a", "b"), units=("", ""))


def test_text_that_comes_at_a_rate_is_watched_like_numbers():
    info = StreamInfo("notes", "Text", rate_hz=10.0, labels=("t",), units=("",), channel_format="string")
    times = np.arange(30) / 10
    times[15:] += 2.0
    judge, (gap,) = observed(info, times, np.array([["word"]] * 30, object))
    assert (gap.kind, gap.message[:5]) == ("gap", "one: ")
    assert (gap.fields["modality"], gap.fields["lost_samples"]) == ("one", 20)
    assert judge.state("one").lost_samples == 20


def test_stamps_that_are_no_numbers_are_reported_once():
    times = np.arange(100) / 100
    times[20:25] = times[40:43] = NAN
    judge, events = observed(number_stream(100.0), times, np.zeros((100, 2)))
    assert [(event.kind, event.fields["samples"]) for event in events] == [("stamps_repaired", 8)]
    judge.push("one", Chunk.of([1.0], np.zeros((1, 2)), 1.0), 0.0)
    assert len(events) == 1


def test_breaks_that_come_at_once_are_one_event():
    times = np.arange(50) * 0.5  # a stream that says 100 Hz and sends 2
    judge, (gap,) = observed(number_stream(100.0), times, np.zeros((50, 2)))
    assert (gap.fields["breaks"], gap.fields["lost_samples"]) == (49, 49 * 49)
    assert judge.state("one").lost_samples == 49 * 49


def test_samples_that_nobody_looked_at_are_no_gap():
    judge, events = observed(number_stream(100.0), np.arange(50) / 100, np.zeros((50, 2)))
    judge.skip("one", 50)
    judge.push("one", Chunk.of(1 + np.arange(50) / 100, np.zeros((50, 2)), 1.0), 0.0)
    assert [event.fields["lost_samples"] for event in events] == [50]  # missing here, not in the file


@pytest.mark.parametrize(("rate_hz", "reported"), [(0.5, 0), (100.0, 2)])
def test_a_slow_stream_is_not_silent_between_its_samples(rate_hz, reported):
    info, samples, now_s = number_stream(rate_hz), np.zeros((1, 2)), [0.0]
    stream, sink = StreamState(ScriptedSource(info), "one"), Collector()
    publisher = Publisher({}, 1.0, None)
    publisher.attach([sink])
    judge = RecordOnly({"one": info}, publisher.emit)
    inference = Inference(
        judge, {"one": stream}, [], publisher, lambda: now_s[0], threading.Event(), goes_on=True
    )
    for at_s in (0.0, 2.0, 4.0):
        stream.write(Chunk.of([at_s], samples, at_s))
        for later_s in np.arange(0.0, 1.95, LOOK_EVERY_S):
            now_s[0] = at_s + later_s
            if at_s < 4.0:
                inference._look_for_silence()
    assert [event.kind for event in sink.events] == ["stale"] * reported


def test_a_rate_next_to_nothing_is_no_rate():
    _, events = observed(number_stream(1e-300), [1.0, 2.0], np.zeros((2, 2)))
    assert not events
