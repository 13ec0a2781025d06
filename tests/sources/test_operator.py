"""The operator's markers: stamped when given, handed on in order, or refused in words."""

import threading
import time

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.sources.operator import MOST_WAITING, OperatorMarkers
from bci_m2s.types import LONGEST_MARKER

LIMIT_S = 120.0


class Clock:
    """Counts its readings."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        self.now_s += 1.0
        return self.now_s


def test_it_says_what_it_is():
    info = OperatorMarkers(Clock()).info
    assert (info.name, info.type, info.source_id) == (
        "bci_m2s operator markers",
        "Markers",
        "bci_m2s-operator",
    )
    assert (info.channel_format, info.rate_hz, info.n_channels) == ("string", 0.0, 1)
    assert info.uid != OperatorMarkers(Clock()).info.uid


def test_markers_come_in_order_with_the_stamps_of_their_moments():
    source = OperatorMarkers(Clock())
    stamps = [source.put("one"), source.put("two")]
    chunk = source.pull(0.0)
    assert chunk.times.tolist() == stamps == [101.0, 102.0]
    assert chunk.samples.tolist() == [["one"], ["two"]]
    assert chunk.received_s.tolist() == [103.0, 103.0]
    assert source.clock_offset_s(0.0) == 0.0
    assert not source.finished


def test_a_pull_without_markers_waits_and_is_empty():
    source, begun = OperatorMarkers(time.monotonic), time.monotonic()
    chunk = source.pull(0.05)
    assert chunk.samples.shape == (0, 1)
    assert len(chunk) == len(chunk.received_s) == 0
    assert 0.04 < time.monotonic() - begun < LIMIT_S


def test_a_pull_wakes_at_once():
    source, taken = OperatorMarkers(time.monotonic), []
    reader = threading.Thread(target=lambda: taken.append(source.pull(LIMIT_S)))
    reader.start()
    begun = time.monotonic()
    source.put("now", wait_s=LIMIT_S)  # returns because it was taken
    assert time.monotonic() - begun < LIMIT_S / 2
    reader.join(LIMIT_S)
    assert taken[0].samples.tolist() == [["now"]]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  Ärger ☃ ", "Ärger ☃"),
        ("a\nb\x1b[31m\x00", "a b?[31m?"),
        ("x" * 5000, "x" * (LONGEST_MARKER - 1) + "…"),
    ],
)
def test_texts_are_harmless(text, kept):
    source = OperatorMarkers(Clock())
    source.put(text)
    assert source.pull(0.0).samples[0, 0] == kept


@pytest.mark.parametrize("text", ["", "   ", " " * 2000 + "\n"])
def test_a_blank_marker_is_refused(text):
    source = OperatorMarkers(Clock())
    with pytest.raises(CommandError, match="marker: got a blank text"):
        source.put(text)
    assert len(source.pull(0.0)) == 0


def test_a_marker_that_nobody_takes_is_withdrawn():
    source = OperatorMarkers(Clock())
    source.put("first")
    with pytest.raises(CommandError, match="marker 'second': could not be recorded"):
        source.put("second", wait_s=0.02)
    assert source.pull(0.0).samples.tolist() == [["first"]]


def test_closing_tells_who_waits_and_takes_no_more():
    source, refused = OperatorMarkers(time.monotonic), []

    def put():
        try:
            source.put("last", wait_s=LIMIT_S)
        except CommandError as problem:
            refused.append(str(problem))

    waiting = threading.Thread(target=put)
    waiting.start()
    limit = time.monotonic() + LIMIT_S
    while not source._waiting and time.monotonic() < limit:
        time.sleep(0.001)
    source.close()
    source.close()
    waiting.join(LIMIT_S)
    assert refused == ["marker 'last': could not be recorded"]
    with pytest.raises(CommandError, match="takes no markers now"):
        source.put("later")


def test_memory_is_bounded():
    source = OperatorMarkers(Clock())
    for number in range(MOST_WAITING):
        source.put(str(number))
    with pytest.raises(CommandError, match="takes no markers now"):
        source.put("one more")
    assert len(source.pull(0.0)) == MOST_WAITING


def test_many_threads_lose_nothing():
    source, n = OperatorMarkers(time.monotonic), 50
    threads = [
        threading.Thread(target=lambda k=k: [source.put(f"{k}-{i}") for i in range(n)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    got, times, limit = [], [], time.monotonic() + LIMIT_S
    while len(got) < 4 * n and time.monotonic() < limit:
        chunk = source.pull(0.1)
        got += chunk.samples[:, 0].tolist()
        times += chunk.times.tolist()
    assert sorted(got) == sorted(f"{k}-{i}" for k in range(4) for i in range(n))
    assert times == sorted(times)
    for thread in threads:
        thread.join(LIMIT_S)
