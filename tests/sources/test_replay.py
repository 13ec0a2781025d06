"""Replay: nothing lost or changed by chunking, looping, pacing or merging. No real time passes here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bci_m2s.errors import UsageError
from bci_m2s.recording.recorded import RecordedStream, open_recording
from bci_m2s.sources import Source
from bci_m2s.sources.replay import ReplaySource, merge, replay_sources
from bci_m2s.sources.timeline import LONGEST_WAIT_S, PAUSE_S, Timeline
from bci_m2s.types import Chunk, FloatArray, StreamInfo

REAL = [
    "muse/muse2_sub-P001_ses-S001_task-Default_run-001_eeg.xdf",
    "xdf/ex_clock_resets.xdf",
    "formats/test.vhdr",
    "eegmat/Subject00_2.edf",
]


class FakeTime:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 5_000.0
        self.slept = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += 1


def signal(
    n: int = 1000,
    rate_hz: float = 100.0,
    start_s: float = 50.0,
    offset_s: float = 0.0,
    times: FloatArray | None = None,
) -> RecordedStream:
    """A stream of two counting channels."""
    stamps = start_s + np.arange(n) / rate_hz if times is None else times
    samples = np.column_stack([np.arange(len(stamps)), -np.arange(len(stamps))]).astype(np.float32)
    info = StreamInfo("s", "EEG", rate_hz=rate_hz, labels=("a", "b"), units=("", ""))
    offsets = np.array([[start_s, offset_s], [start_s + 5, offset_s]])
    return RecordedStream(info, stamps, lambda i, j: samples[i:j], offsets)


def texts(times: list[float], words: list[str]) -> RecordedStream:
    """A marker stream."""
    samples = np.array(words, dtype=object)[:, None]
    info = StreamInfo("m", "Markers", labels=("m",), units=("",), channel_format="string")
    return RecordedStream(info, np.array(times), lambda i, j: samples[i:j])


def drain(source: Source, timeout_s: float = 0.2) -> tuple[Chunk, list[int]]:
    """Pull to the end; return everything as one chunk, and the sizes that came."""
    chunks = []
    for _ in range(100_000):
        if source.finished:
            break
        chunks.append(source.pull(timeout_s))
    assert source.finished
    whole = Chunk(
        np.concatenate([one.times for one in chunks]),
        np.concatenate([one.samples for one in chunks]),
        np.concatenate([one.received_s for one in chunks]),
    )
    return whole, [len(one) for one in chunks]


@pytest.mark.parametrize("name", REAL)
def test_chunk_sizes_change_nothing(shared_data: Path, name: str) -> None:
    for stream in open_recording(shared_data / name).streams:
        expected = stream.read(0, stream.n_samples)
        for sizes in (None, 1 + stream.n_samples // 50, 10**9, np.random.default_rng(5)):
            if stream.n_samples == 0:
                assert ReplaySource(stream, chunk_samples=sizes).finished
                continue
            whole, _ = drain(ReplaySource(stream, chunk_samples=sizes))
            np.testing.assert_array_equal(whole.times, stream.times)
            assert whole.samples.dtype == expected.dtype
            np.testing.assert_array_equal(whole.samples, expected)
            assert np.isnan(whole.received_s).all()


def test_chunk_size_is_kept() -> None:
    _, sizes = drain(ReplaySource(signal(10), chunk_samples=4))
    assert sizes == [4, 4, 2]


def test_random_chunk_sizes_vary_and_repeat_with_the_seed() -> None:
    sizes = [
        drain(ReplaySource(signal(20_000), chunk_samples=np.random.default_rng(9)))[1] for _ in range(2)
    ]
    assert sizes[0] == sizes[1]
    assert min(sizes[0]) < 10
    assert max(sizes[0]) > 300


def test_empty_stream_is_finished_and_harmless() -> None:
    source = ReplaySource(signal(0))
    source.open()
    assert source.finished
    assert source.pull(0.1).samples.shape == (0, 2)
    assert source.clock_offset_s(0.1) == 0.0
    source.close()
    source.close()


def test_after_the_end_nothing_comes() -> None:
    source = ReplaySource(signal(3))
    assert len(source.pull(0.0)) == 3
    assert source.finished
    assert len(source.pull(0.0)) == 0


def test_loops_repeat_the_samples_after_a_pause() -> None:
    stream = signal(1000)
    whole, _ = drain(ReplaySource(stream, loops=3, chunk_samples=300))
    np.testing.assert_array_equal(whole.samples, np.tile(stream.read(0, 1000), (3, 1)))
    np.testing.assert_array_equal(whole.times[:1000], stream.times)
    steps = np.diff(whole.times)
    np.testing.assert_allclose(steps[[999, 1999]], PAUSE_S, atol=1e-9)
    np.testing.assert_allclose(np.delete(steps, [999, 1999]), 0.01, atol=1e-9)


def test_loops_keep_the_streams_of_a_recording_aligned() -> None:
    long, short = signal(1000), signal(200, start_s=52.0)
    first, second = replay_sources([long, short], loops=2)
    a, b = drain(first)[0].times, drain(second)[0].times
    assert a[1000] - a[0] == pytest.approx(9.99 + PAUSE_S, abs=1e-9)
    assert b[200] - b[0] == pytest.approx(a[1000] - a[0], abs=1e-9)


def test_chunk_never_spans_a_reset_of_the_clock() -> None:
    stamps = np.concatenate([100 + np.arange(50) / 10, np.arange(50) / 10])
    info = StreamInfo("s", "EEG", rate_hz=10.0, labels=("a",), units=("",))
    measured = np.array([[100.0, -90.0], [105.0, -90.0], [0.0, 20.0], [5.0, 20.0]])
    stream = RecordedStream(info, stamps, lambda i, j: np.zeros((j - i, 1)), measured)
    source, offsets = ReplaySource(stream), []
    while not source.finished:
        assert len(source.pull(0.0)) == 50
        offsets.append(source.clock_offset_s(0.0))
    assert offsets == [-90.0, 20.0]


@pytest.mark.parametrize("chunk_samples", [None, 7, 10**6])
def test_paced_moves_stamps_to_the_local_clock(chunk_samples: int | None) -> None:
    fake, stream = FakeTime(), signal(1000, offset_s=-3.0)
    timeline = Timeline([stream], fake.clock)
    source = ReplaySource(
        stream, speed=1.0, chunk_samples=chunk_samples, timeline=timeline, sleep=fake.sleep
    )
    whole, _ = drain(source)
    np.testing.assert_array_equal(whole.samples, stream.read(0, 1000))
    np.testing.assert_allclose(whole.times, 5_000 + np.arange(1000) / 100, atol=1e-9)
    assert fake.now == pytest.approx(5_009.99, abs=1e-6)
    assert source.clock_offset_s(0.0) == 0.0
    age = whole.received_s - whole.times
    assert age.min() > -1e-6
    assert age.max() < 0.2 + 1e-6  # the pull's time limit, whatever the chunk size


def test_paced_does_not_wait_out_a_pause_of_hours() -> None:
    """The first samples are stamped near zero, the others by a clock that has run for ten hours."""
    fake, stamps = FakeTime(), 50 + np.arange(1000) / 100
    stamps[:50] -= 36_000.0
    stream, marks = signal(times=stamps), texts([stamps[500], stamps[600]], ["a", "b"])
    timeline = Timeline([stream, marks], fake.clock)
    whole, _ = drain(ReplaySource(stream, speed=1.0, timeline=timeline, sleep=fake.sleep))
    assert timeline.left_out_s == pytest.approx(36_000.01 - LONGEST_WAIT_S)
    assert fake.now == pytest.approx(5_009.98 + LONGEST_WAIT_S, abs=1e-6)
    steps = np.diff(whole.times)
    assert steps[49] == pytest.approx(LONGEST_WAIT_S)
    np.testing.assert_allclose(np.delete(steps, 49), 0.01)
    marked, _ = drain(ReplaySource(marks, speed=1.0, timeline=timeline, sleep=fake.sleep))
    np.testing.assert_allclose(marked.times, whole.times[[500, 600]])


def test_paced_waits_for_whole_chunks() -> None:
    fake, stream = FakeTime(), signal(1000)
    source = ReplaySource(
        stream, speed=1.0, chunk_samples=25, timeline=Timeline([stream], fake.clock), sleep=fake.sleep
    )
    _, sizes = drain(source, timeout_s=1.0)
    assert sizes == [25] * 40
    assert fake.slept == 40


def test_paced_chunk_of_20_ms_unless_set() -> None:
    fake, stream = FakeTime(), signal(1000, rate_hz=1000.0)
    source = ReplaySource(stream, speed=1.0, timeline=Timeline([stream], fake.clock), sleep=fake.sleep)
    _, sizes = drain(source)
    assert sizes == [20] * 50


def test_paced_gives_all_that_is_due_at_once_when_asked_late() -> None:
    fake, stream = FakeTime(), signal(1000)
    source = ReplaySource(stream, speed=1.0, timeline=Timeline([stream], fake.clock), sleep=fake.sleep)
    assert len(source.pull(0.0)) == 1  # the moment of the first pull is that of the first sample
    fake.now += 3.005
    assert len(source.pull(0.0)) == 300
    assert len(source.pull(0.0)) == 0


@pytest.mark.parametrize("speed", [0.5, 4.0])
def test_speed_changes_the_pace_and_not_the_spacing(speed: float) -> None:
    fake, stream = FakeTime(), signal(1000)
    source = ReplaySource(
        stream, speed=speed, loops=2, timeline=Timeline([stream], fake.clock), sleep=fake.sleep
    )
    whole, _ = drain(source)
    assert fake.now - 5_000 == pytest.approx((2 * 9.99 + PAUSE_S) / speed, abs=1e-6)
    expected = np.concatenate([stream.times, stream.times + 9.99 + PAUSE_S]) - 50 + 5_000
    np.testing.assert_allclose(whole.times, expected, atol=1e-9)


def test_paced_irregular_stream_waits_for_each_sample() -> None:
    fake, stream = FakeTime(), texts([1.0, 1.5, 1.5, 4.0], ["a", "b", "c", "d"])
    source = ReplaySource(stream, speed=1.0, timeline=Timeline([stream], fake.clock), sleep=fake.sleep)
    came = []
    while not source.finished:
        chunk = source.pull(10.0)
        came.append((fake.now - 5_000, chunk.samples[:, 0].tolist()))
    assert came == [(0.0, ["a"]), (0.5, ["b", "c"]), (3.0, ["d"])]


def test_paced_streams_with_clocks_of_their_own_start_together() -> None:
    fake = FakeTime()
    fast, slow = signal(100, start_s=1_000.0, offset_s=-900.0), signal(100, start_s=20.0, offset_s=80.5)
    sources = replay_sources([fast, slow], speed=1.0, clock=fake.clock)
    fake.now += 2.0  # building is not starting
    assert len(sources[0].pull(0.0)) == 1
    fake.now += 10.0
    a, b = (drain(source)[0].times for source in sources)
    assert a[0] == pytest.approx(5_002.01)
    assert b[0] == pytest.approx(5_002.5)


def test_paced_backward_and_missing_stamps_hold_nothing_back() -> None:
    fake = FakeTime()
    stamps = np.array([50.0, 50.1, 50.05, math.nan, 50.3, math.inf, 50.4])
    stream = signal(times=stamps, rate_hz=10.0)
    source = ReplaySource(stream, speed=1.0, timeline=Timeline([stream], fake.clock), sleep=fake.sleep)
    whole, _ = drain(source)
    np.testing.assert_allclose(whole.times, stamps - 50 + 5_000)
    assert fake.now == pytest.approx(5_000.4)


def test_real_muse_streams_keep_their_spacing_when_paced(shared_data: Path) -> None:
    fake = FakeTime()
    streams = open_recording(shared_data / REAL[0]).streams
    timeline = Timeline(streams, fake.clock)
    for stream in streams:
        source = ReplaySource(stream, speed=1.0, timeline=timeline, sleep=fake.sleep)
        if stream.n_samples:
            np.testing.assert_allclose(np.diff(drain(source)[0].times), np.diff(stream.times), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"),
    [("speed", 0.0), ("speed", -1.0), ("speed", math.nan), ("speed", math.inf), ("loops", 0)],
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"replay: {name}: got"):
        ReplaySource(signal(), **{name: value})  # type: ignore[arg-type]


def test_impossible_chunk_size_is_refused() -> None:
    with pytest.raises(UsageError, match="replay: chunk_samples: got 0, expected 1 or more"):
        ReplaySource(signal(), chunk_samples=0)


def merged(sources: dict[str, Source]) -> list[tuple[str, Chunk]]:
    return list(merge(sources))


@pytest.mark.parametrize("chunk_samples", [1, 7, 1000])
def test_merge_puts_markers_exactly_in_their_place(chunk_samples: int) -> None:
    eeg, eye = signal(1000), signal(600, rate_hz=60.0)
    marks = texts([49.0, 51.5, 53.333, 53.333, 99.0], ["early", "on a sample", "between", "twin", "late"])
    sources: dict[str, Source] = {
        "eeg": ReplaySource(eeg, chunk_samples=chunk_samples),
        "eye": ReplaySource(eye, chunk_samples=chunk_samples),
        "mark": ReplaySource(marks),
    }
    newest = {"eeg": -math.inf, "eye": -math.inf}
    words = []
    came: dict[str, list[FloatArray]] = {"eeg": [], "eye": [], "mark": []}
    last_mark = -math.inf
    for key, chunk in merged(sources):
        came[key].append(chunk.times)
        if key == "mark":
            last_mark = chunk.times[0]
            words.append(chunk.samples[0, 0])
            assert all(seen < last_mark for seen in newest.values())
        else:
            newest[key] = chunk.times[-1]
            assert chunk.times[0] >= last_mark
    assert words == ["early", "on a sample", "between", "twin", "late"]
    np.testing.assert_array_equal(np.concatenate(came["eeg"]), eeg.times)
    np.testing.assert_array_equal(np.concatenate(came["eye"]), eye.times)


def test_merge_does_not_cut_chunks_where_no_marker_is() -> None:
    sources: dict[str, Source] = {
        "eeg": ReplaySource(signal(1000), chunk_samples=100),
        "eye": ReplaySource(signal(600, rate_hz=60.0), chunk_samples=60),
        "mark": ReplaySource(texts([53.5], ["x"])),
    }
    parts = merged(sources)
    assert len(parts) == 10 + 10 + 1 + 2  # the marker cuts one chunk of each
    ends = [chunk.times[-1] for key, chunk in parts if key != "mark"]
    assert ends == sorted(ends)


def test_merge_compares_in_the_shared_clock() -> None:
    eeg, marks = signal(100, start_s=1_000.0, offset_s=-900.0), texts([100.5], ["x"])
    sources: dict[str, Source] = {"eeg": ReplaySource(eeg), "mark": ReplaySource(marks)}
    order = [(key, len(chunk)) for key, chunk in merged(sources)]
    assert order == [("eeg", 50), ("mark", 1), ("eeg", 50)]


def test_merge_of_nothing_and_of_stamps_that_are_no_numbers() -> None:
    assert merged({}) == []
    assert merged({"eeg": ReplaySource(signal(0))}) == []
    broken = signal(times=np.array([1.0, math.nan, 2.0, math.nan]))
    sources: dict[str, Source] = {
        "eeg": ReplaySource(broken, chunk_samples=1),
        "mark": ReplaySource(texts([1.5], ["x"])),
    }
    assert sum(len(chunk) for _, chunk in merged(sources)) == 5


def test_merge_of_a_real_recording_with_resets_and_markers(shared_data: Path) -> None:
    marks, eeg = open_recording(shared_data / "xdf/ex_clock_resets.xdf").streams
    mark_source, eeg_source = replay_sources([marks, eeg], chunk_samples=np.random.default_rng(2), loops=2)
    counts = {"mark": 0, "eeg": 0}
    shared = {"mark": [np.empty(0)], "eeg": [np.empty(0)]}
    sources: dict[str, Source] = {"mark": mark_source, "eeg": eeg_source}
    for key, chunk in merge(sources):
        counts[key] += len(chunk)
        shared[key].append(chunk.times + sources[key].clock_offset_s(0.0))
    assert counts == {"mark": 2 * marks.n_samples, "eeg": 2 * eeg.n_samples}
    assert np.diff(np.concatenate(shared["mark"])).min() >= 0
    assert np.diff(np.concatenate(shared["eeg"])).min() > 0
