"""What ``ChunkPull`` gives is what ``pull_chunk`` gives, over real liblsl."""

import gc
import uuid

import numpy as np
import pylsl
import pytest

from bci_m2s.lsl.pull import ChunkPull

LIMIT_S = 30.0
FORMATS = {
    "float32": np.float32,
    "double64": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
}


def outlet_and_inlets(channel_format, n_channels, inlets=2):
    name = f"test-{uuid.uuid4().hex[:8]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", n_channels, 0.0, channel_format, name))
    (found,) = pylsl.resolve_byprop("name", name, 1, LIMIT_S)
    made = [pylsl.StreamInlet(found, max_buflen=60) for _ in range(inlets)]
    for inlet in made:
        inlet.open_stream(timeout=LIMIT_S)
    return outlet, made


def all_of(take, n):
    """Chunks until there are n samples."""
    times, samples, got = [], [], 0
    while got < n:
        some_times, some = take()
        assert len(some_times) == len(some)
        times.append(some_times)
        samples.append(some.copy())
        got += len(some)
    assert got == n
    return np.concatenate(times), np.concatenate(samples)


@pytest.mark.parametrize("channel_format", FORMATS)
def test_every_number_format_arrives_as_by_pylsl(channel_format):
    dtype, n = FORMATS[channel_format], 250
    outlet, (one, other) = outlet_and_inlets(channel_format, 3)
    pull = ChunkPull(one, 100)
    sent = np.random.default_rng(0).integers(-100, 100, (n, 3)).astype(dtype)
    stamps = (1000.0 + 0.001 * np.arange(n)).tolist()
    outlet.push_chunk(sent, stamps)
    times, samples = all_of(lambda: pull(LIMIT_S), n)

    def by_pylsl():
        values, some = other.pull_chunk(timeout=LIMIT_S, max_samples=100, min_samples=1, as_numpy=True)
        return some, values

    expected_times, expected = all_of(by_pylsl, n)
    assert samples.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(samples, sent)
    np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(times, stamps)
    np.testing.assert_array_equal(times, expected_times)


def test_nothing_comes_within_the_wait():
    _outlet, (inlet,) = outlet_and_inlets("float32", 2, inlets=1)
    begun_s = pylsl.local_clock()
    times, samples = ChunkPull(inlet, 10)(0.1)
    assert times.shape == (0,)
    assert samples.shape == (0, 2)
    assert pylsl.local_clock() - begun_s >= 0.09


def test_stamps_are_kept_and_samples_are_a_view():
    """The next pull overwrites the samples of the one before, not its stamps."""
    outlet, (inlet,) = outlet_and_inlets("float32", 1, inlets=1)
    pull = ChunkPull(inlet, 10)
    outlet.push_sample([1.0], 5.0)
    times, samples = pull(LIMIT_S)
    outlet.push_sample([2.0], 6.0)
    pull(LIMIT_S)
    assert times.tolist() == [5.0]
    assert samples.tolist() == [[2.0]]


def test_an_inlet_stays_as_long_as_somebody_pulls_from_it():
    outlet, inlets = outlet_and_inlets("float32", 1, inlets=1)
    pull = ChunkPull(inlets.pop(), 10)
    gc.collect()
    outlet.push_sample([1.0], 5.0)
    assert pull(LIMIT_S)[1].tolist() == [[1.0]]


def test_a_stream_that_is_gone_for_good_is_lost():
    name = f"test-{uuid.uuid4().hex[:8]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 1, 0.0, "float32", ""))  # no source id
    (found,) = pylsl.resolve_byprop("name", name, 1, LIMIT_S)
    inlet = pylsl.StreamInlet(found, recover=False)
    inlet.open_stream(timeout=LIMIT_S)
    pull = ChunkPull(inlet, 10)
    del outlet

    def pull_until_lost():
        end_s = pylsl.local_clock() + LIMIT_S
        while pylsl.local_clock() < end_s:
            pull(0.2)

    with pytest.raises(pylsl.util.LostError):
        pull_until_lost()
