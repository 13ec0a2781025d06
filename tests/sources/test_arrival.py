"""Stamps of arrival: a regular clock, gaps where samples are missing, the sender's stamps kept beside."""

import numpy as np
import pytest
from support.nightly import nightly
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import ScriptedSource, eeg

from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.sources.arrival import BREAK_S, ArrivalClock, ArrivalSource
from bci_m2s.types import Chunk, StreamInfo

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


def sent_of(pulls, lost_at=None, lost_s=0.3):
    """What a sender stamps in Unix time, pull by pull, where it lost `lost_s` before sample `lost_at`."""
    counts = [n for n, _ in pulls]
    sent_s = 1.7e9 + np.arange(sum(counts)) / RATE
    if lost_at is not None:
        sent_s[lost_at:] += lost_s
    return np.split(sent_s, np.cumsum(counts)[:-1])


def with_sent(pulls, sent_s):
    """Steps between all stamps of these pulls, made with what the sender stamped."""
    clock = ArrivalClock(RATE)
    return np.diff(
        np.concatenate([clock.stamp(n, s, sent_s=sent) for (n, s), sent in zip(pulls, sent_s, strict=True)])
    )


@pytest.mark.parametrize("lost_at", [1200, 1205])  # between two pulls of 12, and inside one
def test_a_short_loss_is_a_gap_where_the_sender_stamped_one(lost_at):
    pulls = [(n, s if number < 100 else s + 0.3) for number, (n, s) in enumerate(pulls_of(10))]
    steps = with_sent(pulls, sent_of(pulls, lost_at))
    assert np.flatnonzero(steps > 0.1) == [lost_at - 1]
    assert steps[lost_at - 1] == pytest.approx(0.3 + 1 / RATE, abs=0.001)


@pytest.mark.parametrize("lost_s", [0.2, 3.0, 1e9, np.inf, np.nan])
def test_what_the_sender_stamps_makes_no_gap_where_arrivals_show_none(lost_s):
    pulls = pulls_of(10)
    assert (np.abs(with_sent(pulls, sent_of(pulls, 1205, lost_s)) * RATE - 1) < 0.1).all()


def test_stamps_that_jitter_make_no_gap():
    """The sender stamps what it got in lumps of half a second; it comes regularly all the same."""
    pulls = pulls_of(20)
    lumps = [np.floor(sent_s * 2) / 2 for sent_s in sent_of(pulls)]
    assert (np.abs(with_sent(pulls, lumps) * RATE - 1) < 0.1).all()


def test_a_pause_of_the_receiver_takes_no_jitter_for_a_loss():
    clock = ArrivalClock(RATE)
    lumps = np.floor(np.arange(1024) / RATE * 2) / 2
    steps = np.diff(np.concatenate([clock.stamp(256, 50.0), clock.stamp(1024, 60.0, True, 50.0 + lumps)]))
    assert (np.abs(steps * RATE - 1) < 0.1).all()


def backlog(sent_s, seconds_before=10.0):
    """Steps between all stamps: `seconds_before` of pulls as ever, then what waited, 1024 at a time.

    sent_s : what the sender stamped, with all of it taken when its last sample has just come
    """
    clock, n = ArrivalClock(RATE), round(seconds_before * RATE / 12) * 12
    pulls = [(at, min(at + 12, n), False) for at in range(0, n, 12)]
    pulls += [
        (at, min(at + 1024, len(sent_s)), at + 1024 < len(sent_s)) for at in range(n, len(sent_s), 1024)
    ]
    now_s = [sent_s[(stop if at < n else len(sent_s)) - 1] - 1.7e9 for at, stop, _ in pulls]
    made = [
        clock.stamp(stop - at, received_s, waits, sent_s[at:stop])
        for (at, stop, waits), received_s in zip(pulls, now_s, strict=True)
    ]
    return np.diff(np.concatenate(made))


@pytest.mark.parametrize("lost_s", [0.15, 0.4, 2.0])
@pytest.mark.parametrize("lost_at", [3000, 3584, 5000])  # in a full pull, at its first sample, in the last
def test_a_short_loss_in_what_waited_is_a_gap_where_the_sender_stamped_one(lost_s, lost_at):
    sent_s = 1.7e9 + np.arange(5500) / RATE + lost_s * (np.arange(5500) >= lost_at)
    steps = backlog(sent_s)
    assert np.flatnonzero(steps > 0.1) == [lost_at - 1]
    assert steps[lost_at - 1] == pytest.approx(lost_s + 1 / RATE, abs=0.001)
    assert (np.abs(np.delete(steps, lost_at - 1) * RATE - 1) < 0.1).all()


def test_jitter_in_what_waited_is_no_loss():
    """The sender has stamped in lumps of half a second all the time, and once its clock was set."""
    sent_s = 1.7e9 + np.floor(np.arange(5500) / RATE * 2) / 2
    assert (np.abs(backlog(sent_s) * RATE - 1) < 0.1).all()
    steps = backlog(1.7e9 + np.arange(5500) / RATE)
    assert (np.abs(steps * RATE - 1) < 0.1).all()


@pytest.mark.parametrize("set_s", [1e9, -3.0, np.inf])
def test_a_clock_that_is_set_while_samples_wait_moves_no_stamp(set_s):
    clock, sent_s = ArrivalClock(RATE), 1.7e9 + np.arange(5500) / RATE
    regular = [
        clock.stamp(250, 50.0 + at / RATE, False, sent_s[at - 250 : at]) for at in range(250, 2501, 250)
    ]
    late = np.where(np.arange(2500, 3524) >= 3000, set_s, 0.0) + sent_s[2500:3524]
    steps = np.diff(np.concatenate([*regular, clock.stamp(1024, 70.0, True, late)]))
    assert (np.abs(steps * RATE - 1) < 0.1).all()


class InPieces(ScriptedSource):
    """Chunks of a second: a pull gives one sample and the next one the rest, in the same memory."""

    def __init__(self, seconds, rest=255):
        super().__init__(eeg_info())
        self.pulls = [(n, 50.0 + second) for second in range(seconds) for n in (1, rest, 0)]
        self.memory, self.stamps, self.given = np.zeros((256, 1)), np.zeros(256), 0

    def pull(self, timeout_s):
        del timeout_s
        n, received_s = self.pulls.pop(0)
        self.memory[:n, 0] = self.stamps[:n] = self.given + np.arange(n)
        self.given += n
        return Chunk(self.stamps[:n], self.memory[:n], np.full(n, received_s))


def eeg_info():
    return StreamInfo("eeg", "EEG", rate_hz=RATE, labels=("Cz",))


def test_a_chunk_that_comes_in_pieces_is_one_arrival():
    arriving = ArrivalSource(InPieces(4), 1024)
    chunks = [arriving.pull(0.2) for _ in range(4)]
    assert [len(chunk) for chunk in chunks] == [256] * 4
    for values in (chunk.samples[:, 0] for chunk in chunks), (chunk.sent_s for chunk in chunks):
        np.testing.assert_array_equal(np.concatenate(list(values)), np.arange(1024))
    steps = np.diff(np.concatenate([chunk.times for chunk in chunks]))
    np.testing.assert_allclose(steps, 1 / RATE, rtol=1e-6)


def test_samples_that_come_while_it_waits_keep_nobody_waiting():
    source = InPieces(100, rest=2)
    source.pulls = [(2, 50.0 + number / RATE) for number in range(100)]
    assert len(ArrivalSource(source, 1024).pull(0.2)) == 4


def test_nobody_waits_for_more_of_an_irregular_stream():
    source = InPieces(1)
    source.info = StreamInfo("markers", "Markers")
    assert len(ArrivalSource(source, 1024).pull(0.2)) == 1


def test_an_arrival_has_its_bound():
    source = InPieces(1)
    source.pulls = [(100, 50.0) for number in range(100)]
    assert len(ArrivalSource(source, 256).pull(0.2)) == 300


def test_what_waited_at_the_beginning_is_one_arrival():
    source = InPieces(1)
    source.pulls = [(256, 56.0), (256, 56.0), (88, 56.0), (0, 0.0), (12, 56.0 + 12 / RATE), (0, 0.0)]
    arriving = ArrivalSource(source, 256)
    chunks = [arriving.pull(0.2), arriving.pull(0.2)]
    assert len(chunks[0]) == 600
    assert chunks[0].times[-1] == 56.0
    steps = np.diff(np.concatenate([chunk.times for chunk in chunks]))
    np.testing.assert_allclose(steps, 1 / RATE, rtol=0.1)


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
        self.scripted.is_asked = True  # nobody asks whose stamps are not used
        super().__init__(self.scripted, 1024)


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
