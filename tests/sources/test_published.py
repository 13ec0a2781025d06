"""A source that others can watch: the session gets what it would have got, and a display the same."""

import math
import time
import uuid

import numpy as np
import pytest
from support.small_sessions import EEG_INFO, ScriptedSource, eeg

from bci_m2s.errors import StreamError
from bci_m2s.lsl.formats import RAW_TYPE
from bci_m2s.lsl.network import local_clock
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.sources.lsl import LslSource
from bci_m2s.sources.published import PublishedSource
from bci_m2s.sources.simulated import SimulatedSource
from bci_m2s.types import Chunk, StreamInfo

LIMIT_S = 120.0


def name():
    return f"published-{uuid.uuid4().hex[:8]}"


def watching(source_id):
    display = LslSource(source_id=source_id, type=RAW_TYPE, wait_s=LIMIT_S)
    display.open()
    return display


def pulled(source, n, limit_s=LIMIT_S):
    """Chunks of a source until there are `n` samples."""
    times, samples, limit = [], [], time.monotonic() + limit_s
    while sum(map(len, times)) < n and time.monotonic() < limit:
        chunk = source.pull(0.1)
        times.append(chunk.times.copy())
        samples.append(chunk.samples.copy())
    return np.concatenate(times), np.concatenate(samples)


def listened(published, display):
    """Wait until the outlet knows of the display."""
    limit = time.monotonic() + LIMIT_S
    while not published._outlet.have_consumers():
        assert time.monotonic() < limit
        time.sleep(0.01)
    return display


def test_a_display_gets_what_the_session_gets():
    source_id = name()
    times, samples = eeg(2.0)
    chunks = [Chunk.of(times[at : at + 64], samples[at : at + 64], 5.0) for at in range(0, 512, 64)]
    published = PublishedSource(ScriptedSource(EEG_INFO, chunks), source_id)
    published.open()
    display = listened(published, watching(source_id))
    assert display.info.name == EEG_INFO.name
    assert display.info.type == "bci_m2s-raw"  # not taken for the headset
    assert display.info.labels == EEG_INFO.labels
    assert display.info.units == EEG_INFO.units
    assert display.info.rate_hz == EEG_INFO.rate_hz
    own_times, own_samples = pulled(published, 512)
    its_times, its_samples = pulled(display, 512)
    np.testing.assert_array_equal(own_times, times)
    np.testing.assert_array_equal(own_samples, samples)
    np.testing.assert_array_equal(its_times, times)
    np.testing.assert_array_equal(its_samples, samples)
    published.pull(0.0)
    assert published.finished
    display.close()
    published.close()
    published.close()


def test_stamps_go_out_in_local_time():
    class Elsewhere(ScriptedSource):
        offset_s = 100.0

        def clock_offset_s(self, _timeout_s):
            return self.offset_s

    source_id = name()
    times, samples = eeg(1.0)
    source = Elsewhere(
        EEG_INFO, [Chunk.of(times[:128], samples[:128]), Chunk.of(times[128:], samples[128:])]
    )
    published = PublishedSource(source, source_id)
    published.open()
    display = listened(published, watching(source_id))
    assert published.clock_offset_s(0.0) == 100.0
    published.pull(0.0)
    source.offset_s = math.nan  # not known any more
    own = published.pull(0.0)
    np.testing.assert_array_equal(own.times, times[128:])
    got, _ = pulled(display, 256)
    np.testing.assert_array_equal(got, np.concatenate([times[:128] + 100.0, times[128:]]))
    display.close()
    published.close()


def test_texts_go_out_too():
    info = StreamInfo("marks", "Markers", "m", labels=("text",), units=("",), channel_format="string")
    source_id = name()
    chunk = Chunk.of([1.0, 2.0], np.array([["go"], ["stop, über"]], object))
    published = PublishedSource(ScriptedSource(info, [chunk]), source_id)
    published.open()
    display = listened(published, watching(source_id))
    published.pull(0.0)
    times, texts = pulled(display, 2)
    assert times.tolist() == [1.0, 2.0]
    assert texts.ravel().tolist() == ["go", "stop, über"]
    display.close()
    published.close()


def test_a_paced_simulation_can_be_watched_while_it_runs():
    settings = SimulatorSettings(montage="muse", eeg_rate_hz=256.0, rest_s=2.0, trial_s=2.0)
    source_id = name()
    published = PublishedSource(SimulatedSource(settings, speed=1.0, clock=local_clock), source_id)
    published.open()
    display = listened(published, watching(source_id))
    own_times, own_samples = pulled(published, 256)
    its_times, its_samples = pulled(display, 128)
    first = int(np.searchsorted(own_times, its_times[0] - 1e-9))
    n = min(len(own_times) - first, len(its_times))
    assert n >= 100
    np.testing.assert_array_equal(its_samples[:n], own_samples[first : first + n])
    assert abs(its_times[-1] - local_clock()) < 5
    display.close()
    published.close()


def test_without_a_display_nothing_is_kept_and_what_lsl_cannot_carry_is_refused():
    published = PublishedSource(ScriptedSource(EEG_INFO, [Chunk.of(*eeg(1.0))]), name())
    assert len(published.pull(0.0)) == 256  # not offered: a source like any other
    assert published.notices() == []
    assert published.problem() == ""
    published.close()
    wide = StreamInfo("w", "EEG", rate_hz=1e6, labels=("a",), units=("",))
    with pytest.raises(StreamError, match="rate: got 1e\\+06 Hz"):
        PublishedSource(ScriptedSource(wide), name()).open()
