"""Fault senders: every sample is known, every lie is where its answer says, over real LSL."""

import math
import os
import time
import uuid

import numpy as np
import pytest

from bci_m2s.errors import StreamError
from bci_m2s.soak.fault_sender import TICK_S, FaultSender
from bci_m2s.soak.fault_spec import FaultSpec
from bci_m2s.soak.faulty_stream import FOR_EVER, NOISE_UV, FaultyStream
from bci_m2s.sources.lsl import LslSource

LIMIT_S = 120.0
RATE_HZ = 250.0
SPEC = FaultSpec("lies", source_id="lies-1", chunk_n=5, seed=3)


def spec(**fields):
    name = f"fault-{uuid.uuid4().hex[:8]}"
    return FaultSpec(**{"name": name, "source_id": f"{name}-id", "wait_s": LIMIT_S, "seed": 1} | fields)


def played(commands=(), seconds=4.0, tick_s=0.011, **fields):
    """Play a stream in simulated time, with commands (when, name, arguments)."""
    stream = FaultyStream(FaultSpec("lies", **{"seed": 3} | fields), 100.0)
    waiting, answers, stamps, samples, pushes = list(commands), [], [], [], []
    for tick in range(1, round(seconds / tick_s)):
        now_s = 100.0 + tick * tick_s
        while waiting and now_s >= 100.0 + waiting[0][0]:
            _, name, arguments = waiting.pop(0)
            answers.append(stream.command(name, now_s, **arguments))
        times, rows = stream.take(now_s)
        stamps.append(times)
        samples.append(rows)
        pushes.append(len(times))
    return stream, np.concatenate(stamps), np.concatenate(samples), answers, pushes


def one(name, **arguments):
    return [(1.0, name, arguments)]


def test_samples_and_stamps_do_not_depend_on_when_they_are_taken():
    _, stamps, samples, _, _ = played()
    _, same_stamps, same_samples, _, _ = played(tick_s=0.37, chunk_n=1)
    n = min(len(stamps), len(same_stamps))
    assert n > 900
    np.testing.assert_array_equal(samples[:n], same_samples[:n])
    np.testing.assert_array_equal(stamps[:n], same_stamps[:n])
    np.testing.assert_allclose(stamps, 100.0 + np.arange(len(stamps)) / RATE_HZ, atol=1e-9)
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))
    assert samples[:, 2:].std() == pytest.approx(NOISE_UV, rel=0.1)


def test_seed_and_run_change_the_noise_and_the_run_is_sent():
    _, _, samples, _, _ = played()
    _, _, other_seed, _, _ = played(seed=4)
    _, _, other_run, _, _ = played(run=2)
    assert not np.any(samples[:, 2:] == other_seed[:, 2:])
    assert not np.any(samples[:, 2:] == other_run[:, 2:])
    assert set(samples[:, 1]) == {0.0}
    assert set(other_run[:, 1]) == {2.0}


STAMP_LIES = [
    ("nan_stamps", {"n": 7}, lambda true: np.full_like(true, math.nan)),
    ("backward_stamp", {"seconds": 3.0}, lambda true: true - 3),
    ("jump_stamp", {"seconds": 60.0}, lambda true: true + 60),
    ("constant_stamps", {"n": 100}, lambda true: np.full_like(true, true[0])),
]


@pytest.mark.parametrize(("name", "arguments", "changed"), STAMP_LIES, ids=[lie[0] for lie in STAMP_LIES])
def test_a_lie_in_the_stamps_is_where_it_is_said_to_be(name, arguments, changed):
    _, stamps, samples, [(first, last)], _ = played(one(name, **arguments))
    true = 100.0 + np.arange(len(stamps)) / RATE_HZ
    assert 240 <= first <= 260
    assert last - first == arguments.get("n", 1) or last == FOR_EVER
    inside = slice(first, min(last, len(stamps)))
    np.testing.assert_allclose(stamps[inside], changed(true[inside]), atol=1e-9)
    outside = np.ones(len(stamps), bool)
    outside[inside] = False
    np.testing.assert_allclose(stamps[outside], true[outside], atol=1e-9)
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))


def test_jitter_has_its_size_and_ends():
    _, stamps, _, [(first, last)], _ = played(one("jitter", sd_s=0.002, seconds=2.0))
    off = stamps - (100.0 + np.arange(len(stamps)) / RATE_HZ)
    assert off[first:last].std() == pytest.approx(0.002, rel=0.2)
    assert np.abs(np.concatenate([off[:first], off[last:]])).max() < 1e-9


SAMPLE_LIES = [
    ("nan_samples", {}, lambda true: np.full_like(true, math.nan)),
    ("sentinel", {"value": 1e8}, lambda true: np.full_like(true, 1e8)),
    ("flat", {}, lambda true: np.broadcast_to(true[0], true.shape)),
    ("noise", {"factor": 40.0}, lambda true: true * 40),
]


@pytest.mark.parametrize(("name", "arguments", "changed"), SAMPLE_LIES, ids=[lie[0] for lie in SAMPLE_LIES])
def test_a_lie_in_the_samples_is_where_it_is_said_to_be(name, arguments, changed):
    order = one(name, channels=[2, 4], seconds=1.5, **arguments)
    stream, _, samples, [(first, last)], _ = played(order)
    assert last - first == round(1.5 * RATE_HZ)
    expected = stream.true_samples(np.arange(len(samples)))
    expected[first:last, [2, 4]] = changed(expected[first:last][:, [2, 4]])
    np.testing.assert_array_equal(samples, expected)


def test_a_railed_channel_goes_from_end_to_end():
    _, _, samples, [(first, last)], _ = played(one("rail", channels=[3], seconds=1.0))
    assert set(samples[first:last, 3]) == {-187500.0, 187500.0}
    assert np.abs(samples[last:, 3]).max() < 100


def test_dropped_samples_are_missing_and_counted():
    stream, stamps, samples, [(first, last)], _ = played(one("drop", n=60))
    missing = np.setdiff1d(np.arange(stream.made), samples[:, 0])
    np.testing.assert_array_equal(missing, np.arange(first, last))
    assert stream.skipped == [(first, last)]
    assert np.diff(stamps).max() == pytest.approx(61 / RATE_HZ)


@pytest.mark.parametrize("keep", [False, True])
def test_a_pause_loses_its_samples_or_sends_them_at_once(keep):
    orders = [(1.0, "pause", {"keep": keep}), (2.0, "resume", {})]
    stream, _, samples, [(first, _), (again, until)], pushes = played(orders)
    assert first == again
    missing = np.setdiff1d(np.arange(stream.made), samples[:, 0])
    np.testing.assert_array_equal(missing, np.arange(0) if keep else np.arange(first, until))
    assert max(pushes) > 240 if keep else max(pushes) < 10


def test_a_burst_holds_samples_back():
    _, stamps, samples, [(first, last)], pushes = played(one("burst", n=100))
    assert last - first == 100
    assert 100 in pushes
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))
    np.testing.assert_allclose(np.diff(stamps), 1 / RATE_HZ, atol=1e-9)


def test_rate_factor_and_flood_change_the_rate():
    _, stamps, samples, [(first, last)], _ = played(one("rate_factor", factor=1.05))
    assert last == FOR_EVER
    np.testing.assert_allclose(np.diff(stamps[first:]), 1 / (RATE_HZ * 1.05), atol=1e-9)
    assert len(samples) == pytest.approx(1.0 * RATE_HZ + 3.0 * RATE_HZ * 1.05, abs=15)
    _, stamps, samples, [(first, last)], _ = played(one("flood", samples_per_s=20_000.0, seconds=0.5))
    assert last - first == 10_000
    np.testing.assert_allclose(np.diff(stamps[first:last]), 1 / 20_000, atol=1e-9)
    np.testing.assert_allclose(np.diff(stamps[last:]), 1 / RATE_HZ, atol=1e-9)
    assert len(samples) == pytest.approx(3.5 * RATE_HZ + 10_000, abs=15)
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))


def test_an_integer_stream_keeps_its_counter_and_cannot_send_nan():
    stream, _, samples, _, _ = played(channel_format="int32")
    assert samples.dtype == np.int32
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))
    with pytest.raises(StreamError, match="nan_samples: channel_format: got int32, expected"):
        stream.command("nan_samples", 200.0, channels=[2], seconds=1.0)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nan_stampz", {}, "command: got 'nan_stampz'; nearest: 'nan_stamps'"),
        ("flat", {"channels": [0], "seconds": 1.0}, r"channels: got \[0\], expected between 2 and 4"),
        ("flat", {"channels": [5], "seconds": 1.0}, r"channels: got \[5\], expected between 2 and 4"),
        ("drop", {"n": 0}, "got 0 samples, expected at least 1"),
        ("drop", {"m": 3}, "unexpected keyword"),
        ("rate_factor", {"factor": -1.0}, "factor: got -1.0"),
    ],
)
def test_wrong_orders_are_refused(name, arguments, message):
    with pytest.raises(StreamError, match=message):
        FaultyStream(SPEC, 100.0).command(name, 101.0, **arguments)


# ---- the process ----


def opened(**selector):
    source = LslSource(wait_s=LIMIT_S, **selector)
    source.open()
    return source


def pull(source, enough):
    """Pull until `enough` of what came so far, stamps and samples, is true; give both."""
    parts, limit = [], time.monotonic() + LIMIT_S
    while True:
        chunk = source.pull(0.1)
        if len(chunk):
            parts.append((chunk.times.copy(), chunk.samples.copy()))
            stamps, samples = (np.concatenate(part) for part in zip(*parts, strict=True))
            if enough(stamps, samples):
                return stamps, samples
        assert time.monotonic() < limit, "what was waited for did not come"


def test_every_pushed_sample_arrives_and_lies_arrive_as_stated():
    with FaultSender(spec(marker_name=f"marks-{uuid.uuid4().hex[:8]}")) as sender:
        source = opened(name=sender.spec.name)
        marks = opened(name=sender.spec.marker_name)
        before = pull(source, lambda _, samples: len(samples) > 20)
        lies = {
            name: sender.command(name, **arguments)
            for name, arguments in {
                "nan_samples": {"channels": [2], "seconds": 0.2},
                "nan_stamps": {"n": 3},
                "drop": {"n": 10},
                "empty_chunk": {},
            }.items()
        }
        after = pull(source, lambda _, samples: samples[-1, 0] > lies["drop"]["last"] + 100)
        stamps, samples = (np.concatenate(parts) for parts in zip(before, after, strict=True))
        numbers = samples[:, 0].astype(int)
        assert set(np.diff(numbers)) == {1, 11}
        assert numbers[np.argmax(np.diff(numbers)) + 1] == lies["drop"]["last"]
        stated = (numbers >= lies["nan_samples"]["first"]) & (numbers < lies["nan_samples"]["last"])
        np.testing.assert_array_equal(np.isnan(samples[:, 2]), stated)
        stated = (numbers >= lies["nan_stamps"]["first"]) & (numbers < lies["nan_stamps"]["last"])
        np.testing.assert_array_equal(np.isnan(stamps), stated)
        for name in ("marker", "big_marker", "bad_marker"):
            assert "markers" in sender.command(name, **({"text": "trial"} if name == "marker" else {}))
        _, texts = pull(marks, lambda stamps, _: len(stamps) == 3)
        assert texts[0, 0] == "trial"
        assert len(texts[1, 0]) == 5_000_000
        assert "no UTF-8" in texts[2, 0]
        with pytest.raises(StreamError, match="channels: got"):
            sender.command("flat", channels=[0], seconds=1.0)
        sender.command("pause")
        state = sender.command("state")
        assert state["skipped"] == [[lies["drop"]["first"], lies["drop"]["last"]]]
        assert state["pushed"] == state["made"] - 10
        assert sender.pushed() == (0, state["pushed"])
        source.close()
        marks.close()


def test_a_killed_sender_is_accounted_for_and_returns_as_the_next_run():
    with FaultSender(spec()) as sender:
        source = opened(name=sender.spec.name)
        pull(source, lambda _, samples: len(samples) > 200)
        first_uid = sender.uid
        sender.kill()
        run, pushed = sender.pushed()
        sender.restart(rate_hz=500.0)
        assert sender.sent.pushed == {0: pushed}
        assert sender.uid != first_uid
        _, samples = pull(source, lambda _, samples: np.sum(samples[:, 1] == 1) > 20)
        old = samples[samples[:, 1] == 0, 0]
        new = samples[samples[:, 1] == 1, 0]
        assert run == 0
        tick_n = 500.0 * TICK_S + sender.spec.chunk_n
        assert pushed > 200 - tick_n  # killed between a push and its count
        assert not len(old) or old.max() < pushed + tick_n
        np.testing.assert_array_equal(new, np.arange(len(new)))
        source.close()


def test_a_frozen_sender_answers_nothing_and_then_sends_what_fell_due():
    with FaultSender(spec(), reply_s=0.3) as sender:
        source = opened(name=sender.spec.name)
        pull(source, lambda _, samples: len(samples) > 20)
        sender.freeze()
        with pytest.raises(StreamError, match=r"no reply within 0\.3 s"):
            sender.command("state")
        limit = time.monotonic() + LIMIT_S
        while len(source.pull(0.2)):
            assert time.monotonic() < limit
        sender.thaw()
        stamps, samples = pull(source, lambda _, samples: len(samples) > 50)
        np.testing.assert_array_equal(np.diff(samples[:, 0]), 1)
        np.testing.assert_allclose(np.diff(stamps), 1 / RATE_HZ, atol=1e-6)
        source.close()


def test_an_irregular_stream_without_counters():
    with FaultSender(spec(rate_hz=0.0, irregular_hz=100.0, counters=False, labels=("x",))) as sender:
        source = opened(name=sender.spec.name)
        assert source.info.rate_hz == 0
        stamps, samples = pull(source, lambda _, samples: len(samples) > 30)
        assert samples.shape[1] == 1
        np.testing.assert_allclose(np.diff(stamps), 0.01, atol=1e-6)
        source.close()


def test_it_ends_with_its_input_and_cannot_be_told_anything_then():
    sender = FaultSender(spec(wait_s=0.0))
    with sender:
        pid = sender.pid
        with pytest.raises(StreamError, match="runs already"):
            sender.start()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(StreamError, match="does not run"):
        sender.command("state")
