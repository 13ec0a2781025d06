"""The recorder: everything that came is in the file, whoever handed it over and however it ends."""

import json
import math
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import pyxdf
from support.lateness import Lateness

from bci_m2s.errors import OutputError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.recording.recorder import Recorder
from bci_m2s.sinks.recording import RecordSink
from bci_m2s.types import Chunk, Estimate, Event, Stamps, Status, StreamInfo, Trace

NAN = math.nan
EEG = StreamInfo("cap", "EEG", rate_hz=500.0, labels=("a", "b"), units=("", ""), channel_format="int32")
TEXT = StreamInfo("marks", "Markers", labels=("text",), units=("",), channel_format="string")
SESSION = {
    "heads": {"emotion": ["negative", "neutral", "positive"], "arousal": ["low", "high"]},
    "modalities": ["eeg", "eye"],
    "voices": ["eeg", "eye", "eeg+eye"],
    "model": {"name": "m", "simulated": True},
}


def read(path):
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    return {stream["info"]["name"][0]: stream for stream in streams}


def counted(first, last):
    """Samples that count: each equals its position, its stamp too."""
    numbers = np.arange(first, last)
    return Chunk.of(numbers / 500, np.stack([numbers, -numbers], 1).astype(np.int32))


def wait_until(true, limit_s=120.0):
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def test_many_threads_and_a_buffer_that_is_used_again(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic)
    before = recorder.add_stream(replace(EEG, name="before"))
    recorder.samples(before, counted(0, 7))
    recorder.start()
    ids = [recorder.add_stream(replace(EEG, name=f"s{number}")) for number in range(4)]
    marks = recorder.add_stream(TEXT)

    def hand_over(stream):
        rng = np.random.default_rng(stream)
        times, samples = np.empty(100), np.empty((100, 2), np.int32)
        at = 0
        while at < 20_000:
            n = min(int(rng.integers(1, 100)), 20_000 - at)
            chunk = counted(at, at + n)
            times[:n], samples[:n] = chunk.times, chunk.samples
            assert recorder.samples(stream, Chunk(times[:n], samples[:n], times[:n]))
            times[:], samples[:] = -1.0, -1  # as an inlet's buffer is
            at += n

    threads = [threading.Thread(target=hand_over, args=(stream,)) for stream in ids]
    for thread in threads:
        thread.start()
    recorder.samples(marks, Chunk.of([1.0, 2.0], np.array([["µ"], ["two"]], object)))
    recorder.clock_offset(ids[0], 101.0, 0.5)
    recorder.clock_offset(ids[0], 102.0, NAN)
    for thread in threads:
        thread.join()
    recorder.close()
    recorder.close()
    back = read(tmp_path / "a.xdf")
    for number in range(4):
        want = counted(0, 20_000)
        np.testing.assert_array_equal(back[f"s{number}"]["time_series"], want.samples)
        np.testing.assert_array_equal(back[f"s{number}"]["time_stamps"], want.times)
    assert (back["s0"]["clock_times"], back["s0"]["clock_values"]) == ([100.5], [0.5])
    assert back["before"]["time_series"][:, 0].tolist() == list(range(7))
    assert back["marks"]["time_series"] == [["µ"], ["two"]]
    state = recorder.state()
    assert (state.samples_written, state.lost_samples, state.waiting_bytes) == (80_009, 0, 0)
    assert (state.problem, recorder.failure) == ("", None)
    assert state.bytes_written == (tmp_path / "a.xdf").stat().st_size
    assert not any(thread.name.startswith("recorder") for thread in threading.enumerate())


def test_what_comes_is_in_the_file_within_half_a_second(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic)
    recorder.start()
    stream = recorder.add_stream(EEG)
    took_s = []
    with Lateness() as lateness:
        for first in range(0, 500, 100):
            begun = time.monotonic()
            recorder.samples(stream, counted(first, first + 100))
            wait_until(lambda n=first + 100: recorder.state().samples_written == n)
            wait_until(lambda: recorder.state().waiting_bytes == 0)
            took_s.append(time.monotonic() - begun)
    assert min(took_s) < 0.5 + 4 * lateness.worst_s
    wait_until(lambda: not math.isnan(recorder.state().seconds_left))
    assert recorder.state().free_bytes > 0
    recorder.close()


def test_boundaries_come_and_a_disk_that_blocks_holds_nobody_up(tmp_path):
    """While an fsync hangs, what comes is flushed all the same."""
    hanging, go_on = threading.Event(), threading.Event()

    def slow(_descriptor):
        hanging.set()
        assert go_on.wait(120)

    recorder = Recorder(tmp_path / "a.xdf", time.monotonic, sync=slow)
    stream = recorder.add_stream(EEG)
    recorder.start()
    assert hanging.wait(120)
    recorder.samples(stream, counted(0, 10))
    wait_until(lambda: recorder.state().samples_written == 10 and recorder.state().waiting_bytes == 0)
    assert not go_on.is_set()
    recorder.close(timeout_s=0.1)
    assert "not finished after 0.1 s" in recorder.state().problem
    wait_until(lambda: b"<sample_count>10</sample_count>" in (tmp_path / "a.xdf").read_bytes())
    assert len(read(tmp_path / "a.xdf")["cap"]["time_series"]) == 10  # complete, though no sync returned
    go_on.set()
    recorder.close()
    assert recorder.state().problem == ""
    assert len(read(tmp_path / "a.xdf")["cap"]["time_series"]) == 10
    assert bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4") in (tmp_path / "a.xdf").read_bytes()


def test_never_started_still_makes_a_file(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic)
    stream = recorder.add_stream(EEG)
    recorder.samples(stream, counted(0, 3))
    recorder.close()
    recorder.close()
    assert read(tmp_path / "a.xdf")["cap"]["footer"]["info"]["sample_count"] == ["3"]


def test_what_comes_too_late_or_too_much_is_counted(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic, most_waiting_bytes=3000)
    stream = recorder.add_stream(EEG)
    assert recorder.samples(stream, counted(0, 100))  # 2,200 bytes
    assert not recorder.samples(stream, counted(100, 200))
    assert recorder.state().lost_samples == 100
    recorder.close()
    assert not recorder.samples(stream, counted(200, 201))
    assert recorder.state().lost_samples == 101
    assert len(read(tmp_path / "a.xdf")["cap"]["time_series"]) == 100


def test_misfits_are_refused_at_the_door(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic)
    recorder.start()
    stream = recorder.add_stream(EEG)
    with pytest.raises(OutputError, match=r"got shape \(5, 1\), expected \(5, 2\)"):
        recorder.samples(stream, Chunk.of(np.zeros(5), np.zeros((5, 1), np.int32)))
    with pytest.raises(OutputError, match="got float64, which int32 cannot hold"):
        recorder.samples(stream, Chunk.of(np.zeros(5), np.zeros((5, 2))))
    with pytest.raises(OutputError, match="channel format: got 'undefined'"):
        recorder.add_stream(replace(EEG, channel_format="undefined"))
    assert recorder.samples(stream, Chunk.empty(2, np.int32))
    recorder.close()
    with pytest.raises(OutputError, match="cannot be created: File exists"):
        Recorder(tmp_path / "a.xdf", time.monotonic)
    assert recorder.failure is None


def test_an_exception_in_the_thread_is_reported_and_the_rest_is_kept(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / "a.xdf", time.monotonic)
    recorder.start()
    stream = recorder.add_stream(EEG)
    recorder.samples(stream, counted(0, 10))
    wait_until(lambda: recorder.state().samples_written == 10)

    def broken(*_):
        raise MemoryError("none left")

    monkeypatch.setattr(recorder._writer, "samples", broken)
    recorder.samples(stream, counted(10, 20))
    wait_until(lambda: recorder.failure is not None)
    wait_until(lambda: not recorder.samples(stream, counted(20, 21)))
    wait_until(lambda: recorder._writer._data.closed)
    assert "recorder failed: MemoryError: none left" in recorder.state().problem
    assert recorder.state().lost_samples >= 11
    recorder.close()
    assert len(read(tmp_path / "a.xdf")["cap"]["time_series"]) == 10


# Hands over a sample a millisecond, says so each time, and is killed.
LIVE = """
import sys, time
from pathlib import Path
import numpy as np
from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo
recorder = Recorder(Path(sys.argv[1]), time.monotonic)
info = StreamInfo("cap", "EEG", labels=tuple("ab"), units=("", ""), channel_format="int32")
stream = recorder.add_stream(info)
recorder.start()
begun, n, late = time.monotonic(), 0, 0.0
while True:
    due = int(1000 * (time.monotonic() - begun))
    if due > n:
        numbers = np.arange(n, due)
        samples = np.stack([numbers, -numbers], 1).astype(np.int32)
        recorder.samples(stream, Chunk.of(numbers / 1000, samples))
        n = due
        print(f"{time.monotonic()} {n} {late}", flush=True)
    asleep = time.monotonic()
    time.sleep(0.005)
    late = max(late, time.monotonic() - asleep - 0.005)
"""


@pytest.mark.parametrize("after", [700, 1530])
def test_a_kill_costs_half_a_second_at_most(tmp_path, after):
    path = tmp_path / "a.xdf"
    child = subprocess.Popen([sys.executable, "-c", LIVE, str(path)], stdout=subprocess.PIPE, text=True)
    reported = [(0.0, 0.0, 0.0)]  # when, samples, how late the machine was
    for line in child.stdout:
        reported.append(tuple(map(float, line.split())))
        if reported[-1][1] > after + 2000 * reported[-1][2]:
            break
    child.kill()
    reported += [tuple(map(float, line.split())) for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()
    # whoever samples may wait for a core, and then whoever writes
    ended, _, late = reported[-1]
    owed = max(n for moment, n, _ in reported if moment <= ended - 0.5 - 2 * late)
    data = path.read_bytes()
    _, *rows = path.with_name("a.xdf.sums").read_text().splitlines()
    end = 4 + sum(int(row.split()[1]) for row in rows)
    assert len(data) >= end  # what has a checksum is in the file
    (tmp_path / "whole.xdf").write_bytes(data[:end])
    samples = read(tmp_path / "whole.xdf")["cap"]["time_series"]
    assert len(samples) >= owed > 0
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)))


# A disk that is full for a while: 50 kB at first, then without limit.
FULL = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo
unlimited = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, unlimited))
recorder = Recorder(Path(sys.argv[1]), time.monotonic)
recorder.start()
stream = recorder.add_stream(StreamInfo("cap", "EEG", labels=tuple("ab"), units=("", "")))
for number in range(200):
    samples = np.full((100, 2), number, np.float32)
    recorder.samples(stream, Chunk.of(number + np.arange(100) / 100, samples))
until = time.monotonic() + 120
while not recorder.state().problem and time.monotonic() < until:
    time.sleep(0.02)
reported = {"problem": recorder.state().problem, "waiting": recorder.state().waiting_bytes}
if sys.argv[2] == "raised":
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    while recorder.state().problem and time.monotonic() < until:
        time.sleep(0.02)
recorder.close()
state = recorder.state()
reported |= {"then": state.problem, "lost": state.lost_samples, "written": state.samples_written}
print(json.dumps(reported))
"""


@pytest.mark.parametrize("limit", ["raised", "stays"])
def test_a_full_disk_turns_red_and_loses_nothing_once_there_is_room(tmp_path, limit):
    path = tmp_path / "a.xdf"
    out = subprocess.run(
        [sys.executable, "-c", FULL, str(path), limit], capture_output=True, text=True, timeout=240
    )
    assert out.returncode == 0, out.stderr
    reported = json.loads(out.stdout)
    assert reported["problem"].endswith("a.xdf: cannot be written: File too large")
    assert reported["waiting"] > 200_000
    samples = read(path)["cap"]["time_series"] if reported["written"] else np.empty((0, 2))
    assert reported["lost"] + reported["written"] == 20_000
    assert len(samples) == reported["written"]
    if limit == "raised":
        assert (reported["then"], reported["lost"]) == ("", 0)
        np.testing.assert_array_equal(samples[:, 0], np.repeat(np.arange(200), 100))
    else:
        assert "File too large" in reported["then"]
        assert reported["lost"] > 0


# ---- estimates and events ----


def made(modality, head="emotion", **fields):
    known = {
        "first_index": 10,
        "last_index": 1289,
        "start_s": 5.0,
        "end_s": 10.0,
        "status": Status.OK,
        "reason": "",
        "probabilities": np.array([0.1, 0.2, 1 / 3]),
        "confidence": 1 / 3,
        "stamps": Stamps(100.0, 100.001, 100.002, 100.004, 100.0045),
        "trace": Trace(0xFFFFFFFF, 2, 3),
    }
    return Estimate(modality, head, **{**known, **fields})


def test_estimates_and_events_are_streams_of_the_recording(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf", lambda: 555.0)
    sink = RecordSink(recorder, SessionDescription.model_validate(SESSION))
    sink.open()
    recorder.start()
    eye = made("eye", first_index=20, last_index=319, trace=Trace(7, 8, 9))
    both = made("eeg+eye", parts=(made("eeg"), eye), trace=Trace())
    none = made(
        "eeg",
        "arousal",
        status=Status.STALE,
        probabilities=np.full(2, NAN),
        confidence=NAN,
        end_s=NAN,
        stamps=Stamps(published_s=77.0),
        unknown=False,
    )
    for estimate in (eye, both, none, replace(none, stamps=Stamps())):
        sink.take(estimate)
    sink.take(Event("gap", "eeg: 1 s, µ", 12.5, 1.8e9, {"lost_samples": 255}))
    sink.take(Event("marker", "no clock", NAN, 1.8e9))
    sink.close()
    sink.close()
    recorder.close()

    back = read(tmp_path / "a.xdf")
    emotion, arousal = back["bci_m2s-emotion"], back["bci_m2s-arousal"]
    assert emotion["info"]["type"] == [ESTIMATES_TYPE]
    assert emotion["info"]["channel_format"] == ["double64"]
    channels = emotion["info"]["desc"][0]["channels"][0]["channel"]
    labels = [channel["label"][0] for channel in channels]
    rows = [dict(zip(labels, row, strict=True)) for row in emotion["time_series"].tolist()]
    assert labels[:7] == ["negative", "neutral", "positive", "confidence", "status", "unknown", "modality"]
    units = {channel["label"][0]: channel["unit"][0] for channel in channels}
    assert (units["first_sample.eeg"], units["age_s"], units["positive"]) == (
        "samples",
        "seconds",
        "probability",
    )
    assert len(labels) == 7 + 2 * 5 + 3
    alone, fused = rows
    assert (alone["positive"], alone["confidence"]) == (1 / 3, 1 / 3)
    assert (alone["status"], alone["unknown"], alone["modality"]) == (0, 0, 1)
    assert [alone[f"{what}_crc.eye"] for what in ("samples", "filters", "features")] == [7, 8, 9]
    assert math.isnan(alone["first_sample.eeg"])
    assert math.isnan(alone["features_crc.eeg"])
    assert (fused["modality"], fused["samples_crc.eeg"], fused["samples_crc.eye"]) == (2, 0xFFFFFFFF, 7)
    assert (fused["first_sample.eeg"], fused["last_sample.eye"]) == (10, 319)
    assert (fused["age_s"], fused["last_sample_s"], fused["end_s"]) == (100.0045 - 100.0, 100.0, 10.0)
    assert emotion["time_stamps"].tolist() == [100.0, 100.0]
    codes = emotion["info"]["desc"][0]["codes"][0]
    assert codes["modality"][0] == {"eeg": ["0"], "eye": ["1"], "eeg_and_eye": ["2"]}
    assert codes["status"][0]["stale"] == [str(int(Status.STALE))]
    assert emotion["info"]["desc"][0]["manufacturer"] == ["bci_m2s"]

    assert arousal["time_stamps"].tolist() == [77.0, 555.0]  # no sample: when published, or now
    assert np.isnan(arousal["time_series"][0, :3]).all()
    assert arousal["time_series"][0, 3] == Status.STALE
    events = back["bci_m2s events"]
    assert events["info"]["type"] == [EVENTS_TYPE]
    session, first, second = (json.loads(row[0]) for row in events["time_series"])
    assert (session["kind"], session["session"]) == ("session", SESSION)
    assert (first["kind"], first["message"], first["lost_samples"]) == ("gap", "eeg: 1 s, µ", 255)
    assert (second["local_s"], second["wall_s"]) == (None, 1.8e9)
    assert events["time_stamps"].tolist() == [555.0, 12.5, 555.0]
