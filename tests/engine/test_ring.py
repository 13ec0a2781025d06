"""Ring buffer: order, loss accounting, independence of readers, safety against a concurrent writer."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci_m2s.engine.ring import Ring
from bci_m2s.types import Chunk


def numbered(first: int, n: int) -> Chunk:
    numbers = np.arange(first, first + n)
    return Chunk(
        numbers.astype(float), np.stack([numbers, -numbers], axis=1).astype(np.float32), numbers + 0.5
    )


@given(
    capacity=st.integers(1, 40),
    actions=st.lists(st.tuples(st.sampled_from("wab"), st.integers(0, 60)), max_size=60),
)
def test_two_readers_get_every_sample_in_order_or_count_it_lost(capacity, actions):
    ring = Ring(capacity, 2)
    readers = {"a": ring.cursor(), "b": ring.cursor()}
    got = {"a": [], "b": []}
    written = 0
    for who, n in [*actions, ("a", 0), ("b", 0)]:
        if who == "w":
            ring.write(numbered(written, n))
            written += n
            continue
        before = readers[who].lost
        chunk = readers[who].read(most=n or None)
        got[who] += [-1] * (readers[who].lost - before) + chunk.times.astype(int).tolist()
        np.testing.assert_array_equal(chunk.samples[:, 0], chunk.times)
        np.testing.assert_array_equal(chunk.samples[:, 1], -chunk.times)
        np.testing.assert_array_equal(chunk.received_s, chunk.times + 0.5)
    for who, numbers in got.items():
        assert len(numbers) == written, "every sample is either read or counted as lost"
        assert all(number in (-1, place) for place, number in enumerate(numbers))
        assert readers[who].available == 0


def test_nothing_is_lost_when_the_reader_keeps_up():
    ring = Ring(10, 2)
    cursor = ring.cursor()
    for first in range(0, 200, 10):
        ring.write(numbered(first, 10))
        np.testing.assert_array_equal(cursor.read().times, np.arange(first, first + 10))
    assert cursor.lost == 0


def test_a_reader_never_sees_torn_samples_while_a_writer_runs():
    ring = Ring(64, 2)
    cursor = ring.cursor()
    total = 200_000
    done = threading.Event()

    def write():
        for first in range(0, total, 20):
            ring.write(numbered(first, 20))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen, expected_next = 0, 0
    while not (done.is_set() and cursor.available == 0):
        lost = cursor.lost
        chunk = cursor.read()
        expected_next += cursor.lost - lost
        np.testing.assert_array_equal(chunk.times, np.arange(expected_next, expected_next + len(chunk)))
        np.testing.assert_array_equal(chunk.samples[:, 0], chunk.times.astype(np.float32))
        expected_next += len(chunk)
        seen += len(chunk)
    writer.join()
    assert seen + cursor.lost == total


def test_text_and_empty_chunks():
    ring = Ring(4, 1, object)
    cursor = ring.cursor()
    ring.write(Chunk.empty(1, object))
    assert len(cursor.read()) == 0
    ring.write(Chunk.of([1.0], np.array([["rest/start"]], object)))
    assert cursor.read().samples.tolist() == [["rest/start"]]


def test_capacity_must_be_positive():
    with pytest.raises(ValueError, match="expected at least 1"):
        Ring(0, 1)
