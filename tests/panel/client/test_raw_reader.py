"""One raw stream for the display, against real outlets that go, return, fall silent or hold text."""

import contextlib
import subprocess
import sys
import time
import uuid

import numpy as np
import pylsl
import pytest
from support.panel_sessions import until

from bci_m2s.lsl.network import LslNetwork, local_clock
from bci_m2s.panel.client import raw_reader
from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.client.raw_reader import KEEP_S, RawReader

pytestmark = pytest.mark.live

RATE_HZ = 200.0
LABELS = ("a", "b", "c")


class Sender:
    """An outlet whose samples count up in every channel, from `first` on."""

    def __init__(self, source_id, first=0, rate_hz=RATE_HZ, channel_format="float32", labels=LABELS):
        info = pylsl.StreamInfo(f"raw-{source_id}", "EEG", len(labels), rate_hz, channel_format, source_id)
        self.outlet, self.count, self._rate_hz = pylsl.StreamOutlet(info, max_buffered=30), first, rate_hz
        self.begun_s = local_clock() - first / RATE_HZ  # stamp of the sample that is called 0

    def send(self, seconds):
        n = round(seconds * self._rate_hz)
        values = np.arange(self.count, self.count + n, dtype=np.float32)
        self.count += n
        newest_s = self.begun_s + (self.count - 1) / RATE_HZ
        self.outlet.push_chunk(np.repeat(values[:, None], len(LABELS), axis=1), newest_s)

    def is_heard(self):
        return self.outlet.have_consumers()

    def close(self):
        self.outlet = None


@pytest.fixture
def source_id():
    return uuid.uuid4().hex


@pytest.fixture
def sender(source_id):
    with contextlib.closing(Sender(source_id)) as made:
        yield made


@pytest.fixture
def read(source_id):
    """Starts readers of the stream."""
    started = []

    def start(**changes):
        facts = {
            "source_id": source_id,
            "rate_hz": RATE_HZ,
            "labels": LABELS,
            "units": ("",) * 3,
            **changes,
        }
        started.append(RawReader(ShownStream("eeg", "the cap", **facts), LslNetwork()))
        return started[-1]

    yield start
    for reader in started:
        reader.close()
        # a sender that goes while it is being opened may hold liblsl for its five seconds
        until(lambda reader=reader: not reader._thread.is_alive(), "the reader does not end")


def receive(reader, sender, n):
    """Send and take until there are n samples: the first channel of all that came, and their times."""
    times, values = [], []

    def enough():
        sender.send(0.05)
        if (taken := reader.take()) is not None:
            times.append(taken[0])
            values.append(taken[1])
        return sum(map(len, values)) >= n

    until(enough, reader.problem)
    return np.concatenate(times), np.concatenate(values)[:, 0]


def test_samples_come_whole_and_in_order(read, sender):
    reader = read()
    until(sender.is_heard, reader.problem)
    times, values = receive(reader, sender, 300)
    assert np.all(np.diff(values) == 1)
    assert times == pytest.approx(sender.begun_s + values / RATE_HZ, abs=0.05)  # one clock here
    assert (reader.problem, reader.info.channel_format) == ("", "float32")
    assert (reader.dropped, reader.received) == (0, len(values) + reader.waiting)


def test_nobody_there_is_said(read, monkeypatch):
    monkeypatch.setattr(raw_reader, "OPEN_WAIT_S", 0.5)
    reader = read()
    assert reader.problem == "looking for the cap"
    until(lambda: reader.problem != "looking for the cap")
    assert "\n" not in reader.problem
    assert (reader.info, reader.take(), reader.received) == (None, None, 0)


def test_a_silent_stream_is_opened_again(read, sender, monkeypatch):
    monkeypatch.setattr(raw_reader, "AGAIN_AFTER_S", 0.4)
    reader = read()
    until(sender.is_heard)
    receive(reader, sender, 20)
    first_uid = reader.info.uid
    until(lambda: reader.problem == "the cap is silent")  # its outlet is there, as of a frozen sender
    until(lambda: sender.send(0.05) or reader.problem == "")
    received = reader.received
    until(lambda: sender.send(0.05) or reader.received > received)
    assert reader.info.uid == first_uid  # it has thawed


COUNTING = """
import itertools, sys, time
import numpy as np
import pylsl

info = pylsl.StreamInfo("raw-" + sys.argv[2], "EEG", 3, 200.0, "float32", sys.argv[2])
outlet = pylsl.StreamOutlet(info, max_buffered=30)
for first in itertools.count(int(sys.argv[1]), 10):
    outlet.push_chunk(np.repeat(np.arange(first, first + 10, dtype=np.float32)[:, None], 3, axis=1))
    time.sleep(0.05)
"""


@contextlib.contextmanager
def sender_elsewhere(first, source_id=""):
    """A sender that goes while it is read: of another process, as the reader's own could crash with it.

    liblsl does not survive each time that an outlet goes before an inlet beside it.
    """
    command = [sys.executable, "-c", COUNTING, str(first), source_id]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def newest(reader):
    taken = reader.take()
    return -1 if taken is None else taken[1][-1, 0]


def test_another_sender_takes_the_place_of_one_that_went(read, source_id):
    with sender_elsewhere(0, source_id):
        reader = read()
        until(lambda: 0 <= newest(reader) < 100_000, reader.problem)
    with sender_elsewhere(100_000, source_id):
        until(lambda: newest(reader) > 100_000, reader.problem)


def test_without_a_source_id_it_goes_by_the_name_and_opens_what_comes_back(read, monkeypatch):
    monkeypatch.setattr(raw_reader, "AGAIN_AFTER_S", 0.4)
    with sender_elsewhere(0):
        reader = read(source_id="", name="raw-", type="EEG")
        until(lambda: 0 <= newest(reader) < 100_000, reader.problem)
        first_uid = reader.info.uid
    with sender_elsewhere(100_000):  # liblsl cannot find this one by itself
        until(lambda: newest(reader) > 100_000, reader.problem)
        assert reader.info.uid != first_uid


def test_text_is_refused_in_words(read, source_id):
    with contextlib.closing(
        Sender(source_id, rate_hz=0.0, channel_format="string", labels=("m",))
    ) as sender:
        reader = read()
        until(lambda: reader.problem == "the cap: text cannot be drawn", reader.problem)
        sender.outlet.push_sample(["<b>hello</b>"])
        assert (reader.info, reader.take()) == (None, None)


@pytest.mark.parametrize("channel_format", ["double64", "int16"])
def test_every_number_becomes_a_float(read, source_id, channel_format):
    sender = Sender(source_id, channel_format=channel_format)
    with contextlib.closing(sender):
        reader = read()
        until(sender.is_heard, reader.problem)

        def some():
            sender.outlet.push_sample([1, 2, 3])
            return reader.received > 0

        until(some)
        times, samples = reader.take()
        assert (times.dtype, samples.dtype) == (np.float64, np.float32)
        assert samples[0].tolist() == [1, 2, 3]


def test_what_nobody_takes_is_thrown_away_the_oldest_first(read, sender):
    reader = read()
    until(sender.is_heard)
    most = KEEP_S * RATE_HZ + 1024  # a chunk of liblsl is let in whole
    until(lambda: sender.send(1.0) or reader.received > 10_000, reader.problem)
    assert 0 < reader.waiting <= most
    assert reader.dropped > 0
    received = reader.received
    until(lambda: reader.received == sender.count, f"{received} of {sender.count}")
    assert reader.received == reader.dropped + reader.waiting
    _, samples = reader.take()
    assert samples[-1, 0] == sender.count - 1
    assert np.all(np.diff(samples[:, 0]) == 1)
    assert (reader.waiting, reader.take()) == (0, None)


def test_it_closes_quickly_in_whatever_state(read, sender):
    searching, reading = read(source_id="nobody"), read()
    until(sender.is_heard)
    begun_s = time.monotonic()
    searching.close()
    reading.close()
    assert time.monotonic() - begun_s < 60
