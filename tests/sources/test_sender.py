"""Outlets: what real LSL inlets on loopback get. Every wait ends with an event or a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from bci_m2s.errors import StreamError
from bci_m2s.recording.recorded import RecordedStream, open_recording
from bci_m2s.sources import Source
from bci_m2s.sources.replay import replay_sources
from bci_m2s.sources.sender import Sender
from bci_m2s.types import FloatArray, StreamInfo

LIMIT_S = 120.0


def stream(
    n: int = 300, rate_hz: float = 1000.0, kind: str = "float32", info: StreamInfo | None = None
) -> RecordedStream:
    """Two channels that count up and down, from 70 s on."""
    dtype = kind.replace("double64", "float64")
    samples = np.column_stack([np.arange(n) % 100, -(np.arange(n) % 100)]).astype(dtype)
    info = info or StreamInfo("amp", "EEG", "id", "", "", rate_hz, ("Fp1", "µ<2>"), ("uV", ""), kind)
    return RecordedStream(info, 70 + np.arange(n) / 1000, lambda i, j: samples[i:j])


def texts(words: list[str]) -> RecordedStream:
    samples = np.array(words, dtype=object)[:, None]
    info = StreamInfo("marks", "Markers", labels=("m",), units=("",), channel_format="string")
    times = (70 + np.arange(len(words)) * 0.04).astype(np.float64)
    return RecordedStream(info, times, lambda i, j: samples[i:j])


def paced(streams: Sequence[RecordedStream], speed: float = 1.0, loops: int = 1) -> list[Source]:
    return list(replay_sources(streams, speed=speed, loops=loops, clock=pylsl.local_clock))


def connect(info: StreamInfo) -> pylsl.StreamInlet:
    (found,) = pylsl.resolve_byprop("source_id", info.source_id, 1, LIMIT_S)
    inlet = pylsl.StreamInlet(found, recover=False)
    inlet.open_stream(timeout=LIMIT_S)
    return inlet


def fetch(inlet: pylsl.StreamInlet, count: int) -> tuple[FloatArray, Any]:
    """Pull until `count` samples came; one more would show as a surplus."""
    times, samples, until = [], [], time.monotonic() + LIMIT_S
    got = 0
    while got < count and time.monotonic() < until:
        some, stamps = inlet.pull_chunk(timeout=0.2, min_samples=1)
        got += len(stamps)
        times += list(stamps)
        samples += some
    return np.array(times), np.array(samples)


def send_and_fetch(
    streams: Sequence[RecordedStream], speed: float = 1.0, loops: int = 1
) -> list[tuple[FloatArray, Any, pylsl.StreamInfo]]:
    """Send to one inlet per stream; return stamps, samples and description that came, per stream."""
    with Sender(paced(streams, speed, loops), tag="t") as sender:
        inlets = [connect(info) for info in sender.infos]
        assert sender.wait_for_consumers(LIMIT_S)
        with ThreadPoolExecutor(len(inlets) + 1) as pool:
            running = pool.submit(sender.run)
            fetched = list(
                pool.map(
                    lambda pair: fetch(pair[0], pair[1].n_samples * loops),
                    zip(inlets, streams, strict=True),
                )
            )
            infos = [inlet.info(timeout=LIMIT_S) for inlet in inlets]
            for inlet in inlets:
                inlet.close_stream()
            assert running.result(LIMIT_S) == tuple(one.n_samples * loops for one in streams)
    return [(times, samples, info) for (times, samples), info in zip(fetched, infos, strict=True)]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "float32", "double64"])
def test_every_sample_arrives_unchanged(kind: str) -> None:
    sent = stream(kind=kind)
    ((times, samples, _),) = send_and_fetch([sent])
    np.testing.assert_array_equal(samples, sent.read(0, 300))
    np.testing.assert_allclose(np.diff(times), np.diff(sent.times), atol=1e-6)
    assert times[-1] <= pylsl.local_clock()
    assert times[-1] > pylsl.local_clock() - LIMIT_S


def test_description_goes_along() -> None:
    sent = stream()
    ((_, _, info),) = send_and_fetch([sent])
    assert (info.name(), info.type(), info.nominal_srate()) == ("amp", "EEG", 1000.0)
    assert (info.channel_count(), info.channel_format()) == (2, pylsl.cf_float32)
    described = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        described.append([channel.child_value(field) for field in ("label", "unit", "type")])
        channel = channel.next_sibling("channel")
    assert described == [["Fp1", "uV", "EEG"], ["µ<2>", "", "EEG"]]


def test_markers_stay_aligned_with_samples() -> None:
    words = ["start", "Prüfung", "", "stop"]
    (eeg_times, _, _), (times, samples, _) = send_and_fetch([stream(), texts(words)])
    assert samples[:, 0].tolist() == words
    np.testing.assert_allclose(times - eeg_times[0], np.arange(4) * 0.04, atol=1e-6)


def test_loops_arrive_with_their_pause() -> None:
    sent = stream(100)
    ((times, samples, _),) = send_and_fetch([sent], speed=4.0, loops=2)
    np.testing.assert_array_equal(samples, np.tile(sent.read(0, 100), (2, 1)))
    assert times[100] - times[99] == pytest.approx(1.0, abs=1e-6)


def test_outlets_stay_until_consumers_have_fetched_the_last_samples() -> None:
    with Sender(paced([stream(100)]), linger_s=LIMIT_S) as sender, ThreadPoolExecutor(1) as pool:
        inlet = connect(sender.infos[0])
        assert sender.wait_for_consumers(LIMIT_S)
        running = pool.submit(sender.run)
        times, _ = fetch(inlet, 100)
        assert len(times) == 100
        with pytest.raises(TimeoutError):
            running.result(0.3)  # nothing is left to send, but the consumer is still there
        inlet.close_stream()
        assert running.result(LIMIT_S / 2) == (100,)


def test_real_muse_recording(shared_data: Path) -> None:
    path = shared_data / "muse/muse2_sub-P031_ses-S001_task-Default_run-001_eeg.xdf"
    streams = open_recording(path).streams
    for one, (times, samples, info) in zip(streams, send_and_fetch(streams, speed=8.0), strict=True):
        assert info.type() == one.info.type
        assert info.nominal_srate() == one.info.rate_hz
        assert info.desc().child("channels").child("channel").child_value("label") == one.info.labels[0]
        np.testing.assert_array_equal(samples.astype(np.float32), one.read(0, one.n_samples))
        np.testing.assert_allclose(np.diff(times), np.diff(one.times), atol=1e-6)


def test_pace_is_kept() -> None:
    with Sender(paced([stream(300)])) as sender:
        begun = pylsl.local_clock()
        assert sender.run() == (300,)
        assert 0.299 <= pylsl.local_clock() - begun < LIMIT_S  # nobody listens, so it does not linger


def test_source_ids_differ_between_senders_unless_given() -> None:
    nameless = stream(info=StreamInfo("", "EEG", labels=("a", "b"), units=("", "")))
    senders = [Sender(paced([stream(), nameless])) for _ in range(2)]
    ids = []
    for sender in senders:
        with sender:
            ids += [info.source_id for info in sender.infos]
            assert sender.infos[0].source_id.startswith("id/")
            assert sender.infos[1].name == "EEG"
    assert len(set(ids)) == 4
    with Sender(paced([stream()]), tag="") as same, Sender(paced([stream()]), tag="p1") as named:
        assert same.infos[0].source_id == "id"
        assert named.infos[0].source_id == "id/p1-0"


def test_stop_ends_it_at_once() -> None:
    stop = threading.Event()
    with Sender(paced([stream(1000)], speed=0.01)) as sender, ThreadPoolExecutor(1) as pool:
        running = pool.submit(sender.run, None, stop)
        stop.set()
        (count,) = running.result(LIMIT_S)
    assert count < 1000


def test_duration_ends_it() -> None:
    with Sender(paced([stream(1_000_000)])) as sender:
        (count,) = sender.run(duration_s=0.1)
    assert 0 < count < 1000 * LIMIT_S


def test_without_consumers_the_wait_is_over_in_time() -> None:
    with Sender(paced([stream()])) as sender:
        begun = time.monotonic()
        assert not sender.wait_for_consumers(0.2)
        assert 0.15 < time.monotonic() - begun < LIMIT_S
        stop = threading.Event()
        stop.set()
        assert not sender.wait_for_consumers(1_000.0, stop)


def test_streams_are_withdrawn_at_the_end() -> None:
    with Sender(paced([stream()]), tag="gone") as sender:
        (source_id,) = (info.source_id for info in sender.infos)
        assert pylsl.resolve_byprop("source_id", source_id, 1, LIMIT_S)
    assert not pylsl.resolve_byprop("source_id", source_id, 1, 0.3)
    sender.close()


UNSENDABLE = {
    "rate: got 1e+09 Hz": StreamInfo("x", "EEG", rate_hz=1e9, labels=("a",), units=("",)),
    "rate: got nan Hz": StreamInfo("x", "EEG", rate_hz=float("nan"), labels=("a",), units=("",)),
    "channels: got 0": StreamInfo("x", "EEG"),
    "channels: got 5000": StreamInfo("x", "EEG", labels=("a",) * 5000, units=("",) * 5000),
    "channel format: got 'float16'": StreamInfo(
        "x", "E", labels=("a",), units=("",), channel_format="float16"
    ),
}


@pytest.mark.parametrize("message", UNSENDABLE)
def test_unsendable_streams_are_refused(message: str) -> None:
    sender = Sender(paced([stream(info=UNSENDABLE[message])]))
    with pytest.raises(StreamError) as caught:
        sender.open()
    assert message in str(caught.value)
    assert sender.infos == ()
