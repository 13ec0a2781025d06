"""The simulated source: the protocol, pacing by an injected clock, stamps and ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bci_m2s.errors import ConfigurationError, StreamError
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.sources.simulated import SimulatedSource
from bci_m2s.sources.timeline import Timeline
from bci_m2s.types import Chunk

SETTINGS = SimulatorSettings(
    montage="muse", eeg_rate_hz=128.0, rest_s=3.0, trial_s=2.0, pause_s=1.0, n_trials=3
)
ENDLESS = SimulatorSettings(montage="muse", eeg_rate_hz=128.0)


class FakeTime:
    """A clock that moves only when someone sleeps."""

    def __init__(self) -> None:
        self.now_s = 500.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def _drain(source: SimulatedSource) -> list[Chunk]:
    source.open()
    chunks = []
    while not source.finished:
        chunks.append(source.pull(0.0))
    return chunks


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 0.37])
@pytest.mark.parametrize("stream", ["eeg", "eye"])
def test_chunks_make_up_the_session(stream: str, chunk_s: float) -> None:
    """Whatever the chunk lengths, samples and stamps are those of the session."""
    source = SimulatedSource(SETTINGS, stream, subject=2, chunk_s=chunk_s)
    chunks = _drain(source)
    session = SimulatedSession(SETTINGS, 2)
    expected = getattr(session, stream)(0, 10**6)
    samples, times = np.concatenate([c.samples for c in chunks]), np.concatenate([c.times for c in chunks])
    np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(times, np.arange(len(expected)) / source.info.rate_hz)
    assert np.isnan(np.concatenate([c.received_s for c in chunks])).all()
    assert {len(c) for c in chunks[:-1]} == {max(1, round(chunk_s * source.info.rate_hz))}


def test_markers_come_one_by_one() -> None:
    """Text and time of each, as objects in one column."""
    chunks = _drain(SimulatedSource(SETTINGS, "markers"))
    session = SimulatedSession(SETTINGS)
    got = [(float(chunk.times[0]), chunk.samples[0, 0]) for chunk in chunks]
    assert got == [session.marker(index) for index in range(session.n_markers)]
    assert all(c.samples.shape == (1, 1) and c.samples.dtype == object for c in chunks)


def test_after_the_end_nothing_comes() -> None:
    """An empty chunk of the right width and kind, again and again."""
    for stream, width, dtype in (("eeg", 4, np.float32), ("eye", 5, np.float32), ("markers", 1, object)):
        source = SimulatedSource(SETTINGS, stream, chunk_s=5.0)
        _drain(source)
        for _ in range(2):
            chunk = source.pull(0.0)
            assert len(chunk) == 0
            assert chunk.samples.shape == (0, width)
            assert chunk.samples.dtype == dtype
        source.open()
        assert not source.finished
        assert source.pull(0.0).times[0] == 0.0


def test_real_time_waits_for_the_last_sample() -> None:
    """A chunk comes when its last sample is due, stamped in the clock's time."""
    time = FakeTime()
    source = SimulatedSource(ENDLESS, "eeg", speed=1.0, chunk_s=0.25, clock=time.clock, sleep=time.sleep)
    source.open()
    for k in range(20):
        chunk = source.pull(1.0)
        assert len(chunk) == 32
        assert time.now_s == pytest.approx(500.0 + (32 * k + 31) / 128.0)
        assert chunk.times[-1] == pytest.approx(time.now_s)
        np.testing.assert_array_equal(chunk.received_s, time.now_s)
    assert not source.finished


def test_a_pull_waits_no_longer_than_allowed() -> None:
    """Empty after the timeout; the chunk follows whole and in order."""
    time = FakeTime()
    source = SimulatedSource(ENDLESS, "eeg", speed=1.0, chunk_s=1.0, clock=time.clock, sleep=time.sleep)
    source.open()
    chunks = [source.pull(0.21) for _ in range(10)]
    assert [len(c) for c in chunks] == [0, 0, 0, 0, 128, 0, 0, 0, 0, 128]
    assert max(time.slept) <= 0.21
    np.testing.assert_array_equal(
        np.concatenate([c.samples for c in chunks]), SimulatedSession(ENDLESS).eeg(0, 256)
    )
    assert len(source.pull(0.0)) == 0


def test_a_late_reader_catches_up_without_waiting() -> None:
    """After a pause of 3 s all that is due comes at once, and nothing is lost."""
    time = FakeTime()
    source = SimulatedSource(ENDLESS, "eeg", speed=1.0, chunk_s=0.25, clock=time.clock, sleep=time.sleep)
    source.open()
    assert len(source.pull(0.0)) == 0
    time.now_s += 3.0
    chunks = []
    while len(chunk := source.pull(0.0)):
        chunks.append(chunk)
    assert time.slept == []
    assert sum(len(c) for c in chunks) == 384
    np.testing.assert_allclose(np.diff(np.concatenate([c.times for c in chunks])), 1 / 128)


def test_speed_scales_waiting_not_stamps() -> None:
    """At double speed a second of samples takes half a second."""
    time = FakeTime()
    source = SimulatedSource(ENDLESS, "eye", speed=2.0, chunk_s=0.5, clock=time.clock, sleep=time.sleep)
    source.open()
    times = np.concatenate([source.pull(1.0).times for _ in range(4)])
    assert time.now_s - 500.0 == pytest.approx(239 / 120.0 / 2.0)
    np.testing.assert_allclose(times, 500.0 + np.arange(240) / 120.0)


def test_streams_with_one_start_agree() -> None:
    """EEG, eye and markers of one session begin at the first pull of any of them."""
    time = FakeTime()
    timeline = Timeline(clock=time.clock)
    sources = {
        stream: SimulatedSource(ENDLESS, stream, speed=1.0, timeline=timeline, sleep=time.sleep)
        for stream in ("eeg", "eye", "markers")
    }
    for source in sources.values():
        source.open()
        time.now_s += 1.0
    for source in sources.values():
        assert source.pull(1.0).times[0] == 503.0
        assert source.clock_offset_s(0.1) == 0.0


def test_use_before_open_and_after_close() -> None:
    """A pull says that the source is not open; closing twice is harmless."""
    source = SimulatedSource(SETTINGS)
    source.close()
    with pytest.raises(StreamError, match="not open"):
        source.pull(0.0)
    source.open()
    source.close()
    source.close()
    with pytest.raises(StreamError, match="not open"):
        source.pull(0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "eegs"}, "nearest: 'eeg'"),
        ({"speed": 0.0}, "speed"),
        ({"speed": math.inf}, "speed"),
        ({"chunk_s": -1.0}, "chunk_s"),
        ({"chunk_s": math.nan}, "chunk_s"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    """One line that names the field."""
    with pytest.raises(ConfigurationError, match=message):
        SimulatedSource(SETTINGS, **arguments)  # type: ignore[arg-type]
