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


def test_the_rate_can_be_asked_for_while_another_thread_counts():
    stream = StreamState(ScriptedSource(EEG_INFO), "eeg")
    stream.write(Chunk.of(np.arange(512) / 256, np.zeros((512, 5)), 2.0))
    stream.count(begun_s=0.0)
    stream._counts = Busy(stream._counts)
    assert stream.measured_hz(0.0) == pytest.approx(256.0)
