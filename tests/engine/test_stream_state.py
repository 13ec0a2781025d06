"""What threads share of a stream: the measured rate while another thread counts."""

from collections import deque

import numpy as np
import pytest
from support.small_sessions import EEG_INFO, ScriptedSource

from bci_m2s.engine.stream_state import StreamState
from bci_m2s.types import Chunk


class Busy(deque):
    """Grows as soon as somebody begins to go through it, as it may with another thread."""

    def __iter__(self):
        iterator = super().__iter__()
        self.append((9.0, 9))
        return iterator


def receive(stream: StreamState, samples: int, at_s: float) -> float:
    stream.write(Chunk.of(np.arange(samples) / 256, np.zeros((samples, 5)), at_s))
    stream.count()
    return stream.measured_hz()


def steady(stream: StreamState, from_s: float, seconds: float) -> list[float]:
    return [receive(stream, 64, from_s + 0.25 * n) for n in range(1, int(seconds * 4) + 1)]


def test_the_rate_can_be_asked_for_while_another_thread_counts():
    stream = StreamState(ScriptedSource(EEG_INFO), "eeg")
    steady(stream, 0.0, 7.0)
    stream._counts = Busy(stream._counts)
    assert stream.measured_hz() == pytest.approx(256.0)


def test_no_rate_is_told_before_its_span_and_a_burst_at_first_is_none():
    stream = StreamState(ScriptedSource(EEG_INFO), "eeg")
    receive(stream, 500, 0.0)  # two seconds that waited for the reader, in two pulls
    receive(stream, 12, 0.02)
    rates = np.array(steady(stream, 0.02, 9.0))
    assert np.isnan(rates[:23]).all()
    assert rates[25:] == pytest.approx(256.0)
    assert len(rates[25:]) > 8


def test_after_a_silence_the_rate_is_measured_anew():
    stream = StreamState(ScriptedSource(EEG_INFO), "eeg")
    steady(stream, 0.0, 8.0)
    again = np.array(steady(stream, 14.0, 8.0))
    assert np.isnan(again[:20]).all()
    assert again[-1] == pytest.approx(256.0)
