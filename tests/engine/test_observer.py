"""Streams that are only recorded: what is told of their stamps and of their silence."""

import threading

import numpy as np
import pytest
from support.small_sessions import ScriptedSource

from bci_m2s.engine.observer import Observer
from bci_m2s.engine.stream_state import StreamState
from bci_m2s.types import Chunk, StreamInfo

NAN = float("nan")


def observed(info, times, samples):
    """What an observer tells of samples that came at once."""
    stream, told = StreamState(ScriptedSource(info), "one"), []
    observer = Observer({"one": stream}, told.append, lambda: 0.1, threading.Event())
    stream.write(Chunk.of(times, samples, 0.1))
    observer._advance("one", stream)
    return observer, told


def number_stream(rate_hz):
    return StreamInfo("belt", "RESP", rate_hz=rate_hz, labels=("a", "b"), units=("", ""))


def test_text_that_comes_at_a_rate_is_watched_like_numbers():
    info = StreamInfo("notes", "Text", rate_hz=10.0, labels=("t",), units=("",), channel_format="string")
    times = np.arange(30) / 10
    times[15:] += 2.0
    observer, told = observed(info, times, np.array([["word"]] * 30, object))
    (gap,) = told
    assert (gap.kind, gap.fields["lost_samples"]) == ("gap", 20)
    assert observer.lost_samples("one") == 20


def test_stamps_that_are_no_numbers_are_told_and_not_kept():
    times = np.arange(100) / 100
    times[20:25] = times[40:43] = NAN
    observer, told = observed(number_stream(100.0), times, np.zeros((100, 2)))
    (repaired,) = told
    assert (repaired.kind, repaired.fields["samples"]) == ("stamps_repaired", 8)
    assert observer._cutters["one"].repairs == []


def test_breaks_that_come_at_once_are_one_event():
    times = np.arange(50) * 0.5  # a stream that says 100 Hz and sends 2
    observer, told = observed(number_stream(100.0), times, np.zeros((50, 2)))
    (gap,) = told
    assert (gap.fields["breaks"], gap.fields["lost_samples"]) == (49, 49 * 49)
    assert observer.lost_samples("one") == 49 * 49


@pytest.mark.parametrize(("rate_hz", "told_of"), [(0.5, 0), (100.0, 2)])
def test_a_slow_stream_is_not_silent_between_its_samples(rate_hz, told_of):
    info, samples = number_stream(rate_hz), np.zeros((1, 2))
    stream, told, now_s = StreamState(ScriptedSource(info), "one"), [], [0.0]
    observer = Observer({"one": stream}, told.append, lambda: now_s[0], threading.Event())
    observer._begun_s = 0.0
    for at_s in (0.0, 2.0, 4.0):
        stream.write(Chunk.of([at_s], samples, at_s))
        for later_s in (0.0, 1.0, 1.9):
            now_s[0] = at_s + later_s
            if at_s < 4.0:
                observer._tell_silence("one", stream)
    assert [event.kind for event in told] == ["stale"] * told_of


def test_a_rate_next_to_nothing_is_no_rate():
    observer, told = observed(number_stream(1e-300), [1.0, 2.0], np.zeros((2, 2)))
    assert not told
    assert observer._cutters == {}
