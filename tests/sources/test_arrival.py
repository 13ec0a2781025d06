"""Stamps of arrival: a regular clock, gaps where samples are missing, the sender's stamps kept beside."""

import numpy as np
import pytest
from support.nightly import nightly
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import ScriptedSource, eeg

from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.sources.arrival import BREAK_S, ArrivalClock, ArrivalSource
from bci_m2s.types import Chunk

RATE = 256.0


def stamps_of(pulls, rate_hz=RATE):
    """Stamps of pulls given as (count, received_s) or (count, received_s, more_waits)."""
    clock = ArrivalClock(rate_hz)
    return [clock.stamp(*pull) for pull in pulls]


def pulls_of(seconds, rate_hz=RATE, size=12, jitter_s=0.02, seed=0):
    """Pulls of a sender whose true rate is `rate_hz` and whose packets come a little late."""
    counts = np.full(int(seconds * rate_hz / size), size)
    true_s = 50.0 + np.cumsum(counts) / rate_hz
    return [
        (int(n), float(s))
        for n, s in zip(
            counts, true_s + np.random.default_rng(seed).uniform(0, jitter_s, len(counts)), strict=True
        )
    ]


@pytest.mark.parametrize("true_hz", [*nightly(256.0), 256.0 * 1.02, 256.0 * 0.98])
@pytest.mark.parametrize("size", [1, *nightly(12), 64])
def test_the_clock_is_regular_and_keeps_up_with_the_sender(true_hz, size):
    pulls = pulls_of(120, true_hz, size)
    times = np.concatenate(stamps_of(pulls))
    steps = np.diff(times)
    assert (steps > 0.9 / RATE).all()
    assert (steps < 1.1 / RATE).all()
    newest = times[np.cumsum([n for n, _ in pulls]) - 1]
    late_s = np.array([received_s for _, received_s in pulls]) - newest
    settled = late_s[len(late_s) // 2 :]
    assert np.abs(settled).max() < 0.025
    assert steps[len(steps) // 2 :].mean() * true_hz == pytest.approx(1.0, abs=1e-3)


def test_how_large_the_pulls_are_hardly_matters():
    fine = np.concatenate(stamps_of(pulls_of(60, size=4, jitter_s=0.0)))
    coarse = np.concatenate(stamps_of(pulls_of(60, size=64, jitter_s=0.0)))
    shared = min(len(fine), len(coarse))
    assert np.abs(fine[:shared] - coarse[:shared]).max() < 1e-6


def test_what_comes_later_changes_no_stamp_that_was_given():
    pulls = pulls_of(20)
    whole, part = stamps_of(pulls), stamps_of(pulls[:50])
    np.testing.assert_array_equal(np.concatenate(whole[:50]), np.concatenate(part))


def test_missing_samples_make_one_gap_of_their_length():
    pulls = pulls_of(10, jitter_s=0.0)
    away = [(n, s if s < 55 else s + 3.0) for n, s in pulls]
    steps = np.diff(np.concatenate(stamps_of(away)))
    (gap,) = np.flatnonzero(steps > 0.1)
    assert steps[gap] == pytest.approx(3.0, abs=0.05)
    assert (np.delete(steps, gap) < 1.1 / RATE).all()


def test_a_pause_of_the_receiver_makes_none():
    """Ten seconds of samples wait; they are taken in full pulls, and the last one is up to date."""
    pulls = pulls_of(10, jitter_s=0.0)
    waiting = int(10 * RATE)
    full = [(1024, 70.0, True)] * (waiting // 1024) + [(waiting % 1024, 70.0, False)]
    steps = np.diff(np.concatenate(stamps_of([*pulls, *full])))
    assert (np.abs(steps * RATE - 1) < 0.1).all()


def test_a_late_packet_within_the_limit_is_jitter():
    pulls = pulls_of(10, jitter_s=0.0)
    late = [(n, s + (0.9 * BREAK_S if number == 100 else 0.0)) for number, (n, s) in enumerate(pulls)]
    steps = np.diff(np.concatenate(stamps_of(late)))
    assert (steps > 0).all()
    assert (steps < 0.1).all()


def test_without_a_rate_samples_have_the_time_at_which_they_came():
    (times,) = stamps_of([(3, 7.0)], rate_hz=0.0)
    np.testing.assert_array_equal(times, [7.0, 7.0, 7.0])


class InUnixTime(ScriptedSource):
    """A sender whose stamps are Unix time; its samples come as fast as they were made."""

    def pull(self, timeout_s):
        chunk = super().pull(timeout_s)
        received_s = chunk.times[-1:] - 1.7e9
        return Chunk(chunk.times, chunk.samples, np.repeat(received_s, len(chunk)))


class Arriving(ArrivalSource):
    """What is sent in Unix time, stamped on arrival."""

    def __init__(self, info, chunks):
        self.scripted = InUnixTime(info, chunks)
        super().__init__(self.scripted, 1024)

    consumed = property(None, lambda self, consumed: setattr(self.scripted, "consumed", consumed))


def test_a_session_of_a_sender_in_unix_time_verifies_and_keeps_its_stamps(tmp_path):
    times, samples = eeg(20)
    chunks = chunks_of(times + 1.7e9, samples, size=32)
    path = record_session(tmp_path / "session", {"eeg": chunks}, source_of=Arriving)
    result = verify(path)
    assert result.first is None
    assert result.made > 10
    streams = {stream.info.type: stream for stream in open_recording(path).streams}
    np.testing.assert_array_equal(streams["EEG"].read(0, len(times)), samples)
    assert np.abs(streams["EEG"].times - times).max() < 0.01
    sent = streams["bci_m2s-sent-stamps"]
    np.testing.assert_array_equal(sent.read(0, len(times))[:, 0], times + 1.7e9)
    np.testing.assert_array_equal(sent.times, streams["EEG"].times)
