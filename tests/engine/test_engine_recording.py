"""The engine with a recorder: nothing lost, whatever happens to inference, senders and disks."""

import threading
import time

import numpy as np
import pytest
from support.recorded_sessions import MARKER_INFO, chunks_of, record_session
from support.small_sessions import (
    EEG_INFO,
    Collector,
    ScriptedSource,
    eeg,
    engine_of,
    pipeline,
)

from bci_m2s.errors import DeviceError, ModelError, OutputError
from bci_m2s.files.append_file import AppendFile
from bci_m2s.model.predictor import Predictor
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recorder import Recorder
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.review.verify import verify
from bci_m2s.session.setup import build
from bci_m2s.types import Chunk, Status, StreamInfo

LIMIT_S = 120.0


class Endless(ScriptedSource):
    """Delivers its chunks over and over, stamps going on, about twenty times as fast as live."""

    def __init__(self, info):
        super().__init__(info)
        self.given = 0

    def pull(self, timeout_s):
        time.sleep(0.01)
        times, samples = eeg(0.25, seed=self.given)
        self._chunks = chunks_of(times + 0.25 * self.given, samples, size=64)
        self.given += 1
        return super().pull(timeout_s)


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def engine_with(tmp_path, source, sink, recorder=True):
    made = Recorder(tmp_path / "session.xdf", time.monotonic) if recorder else None
    return engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic, recorder=made)


def recorded_samples(path):
    (stream,) = [one for one in open_recording(path).streams if one.info.type == "EEG"]
    return stream.read(0, stream.n_samples)


def test_every_sample_received_is_recorded_in_order(tmp_path):
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    engine.start()
    until(lambda: source.given > 100)
    engine.finish()
    assert engine.failure is None
    expected = np.concatenate([eeg(0.25, seed=number)[1] for number in range(source.given)])
    np.testing.assert_array_equal(recorded_samples(tmp_path / "session.xdf"), expected)
    assert engine.reporter.snapshot().recording.lost_samples == 0


def test_what_is_only_recorded_is_recorded(tmp_path):
    motion = ScriptedSource(StreamInfo("motion", "ACC", rate_hz=50.0, labels=("x",), units=("g",)))
    motion._chunks = [Chunk.of(np.arange(5.0), np.arange(5, dtype=np.float32)[:, None])]
    source = ScriptedSource(EEG_INFO, chunks_of(*eeg(3)))
    recorder = Recorder(tmp_path / "session.xdf", time.monotonic)
    engine = engine_of(pipeline(), {"eeg": source}, [], recorder=recorder, others=[motion])
    engine.start()
    until(lambda: engine.wait(0))
    engine.finish()
    (stream,) = open_recording(tmp_path / "session.xdf").pick(["ACC"])
    np.testing.assert_array_equal(stream.read(0, 5)[:, 0], np.arange(5))


def test_a_stream_that_is_added_is_read_recorded_and_heeded(tmp_path):
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    marks = ScriptedSource(MARKER_INFO, [Chunk.of([1001.0], np.array([["late"]], object))])
    engine.start()
    until(lambda: source.given > 5)
    engine.add(marks, is_markers=True)
    until(lambda: any(event.message == "late" for event in sink.events))
    engine.finish()
    assert engine.failure is None
    (stream,) = open_recording(tmp_path / "session.xdf").pick(["Markers"])
    assert stream.read(0, 1).tolist() == [["late"]]


def test_a_stream_that_is_added_after_the_stop_stays_open_for_the_take_that_follows(tmp_path):
    source = Endless(EEG_INFO)
    engine = engine_with(tmp_path, source, Collector())
    marks = ScriptedSource(MARKER_INFO, [Chunk.of([1001.0], np.array([["late"]], object))])
    engine.start()
    until(lambda: source.given > 5)
    engine.finish(keep_sources=True)
    engine.add(marks, is_markers=True)
    assert len(marks.pull(0.0)) == 1  # nobody else reads it, and it was not closed
    engine.close_sources()
    assert marks.closed


def test_a_failed_gpu_ends_the_estimates_but_not_the_recording(tmp_path, monkeypatch):
    plain, calls = Predictor.predict_all, []

    def fail_later(self, modality, features):
        calls.append(1)
        if len(calls) > 5:
            raise DeviceError("cuda:0: inference failed: an illegal memory access was encountered")
        return plain(self, modality, features)

    monkeypatch.setattr(Predictor, "predict_all", fail_later)
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    engine.start()
    until(lambda: any(one.status is Status.FAILED for one in sink.estimates))
    given = source.given
    until(lambda: source.given > given + 50)
    assert not engine.wait(0)
    assert engine.reporter.snapshot().state == "bad"
    engine.finish()
    assert isinstance(engine.failure, DeviceError)
    assert len(recorded_samples(tmp_path / "session.xdf")) == 64 * source.given
    kinds = [event.kind for event in sink.events]
    assert kinds.count("inference_failed") == 1
    failed = [one for one in sink.estimates if one.status is Status.FAILED]
    assert "illegal memory access" in failed[0].reason


def test_after_a_failed_gpu_a_session_ends_with_its_sources_and_tells_who_leads(tmp_path, monkeypatch):
    plain, calls = Predictor.predict_all, []

    def fail_later(self, modality, features):
        calls.append(1)
        if len(calls) > 2:
            raise DeviceError("cuda:0: inference failed: launch failure")
        return plain(self, modality, features)

    monkeypatch.setattr(Predictor, "predict_all", fail_later)
    source, sink = ScriptedSource(EEG_INFO, chunks_of(*eeg(20))), Collector()
    made = pipeline(mode="auto")
    recorder = Recorder(tmp_path / "session.xdf", time.monotonic)
    engine = engine_of(made, {"eeg": source}, [sink], time.monotonic, recorder=recorder)
    engine.start()
    until(lambda: engine.wait(0))
    engine.finish()
    assert isinstance(engine.failure, DeviceError)
    assert len(recorded_samples(tmp_path / "session.xdf")) == len(eeg(20)[0])
    assert [event.fields["to"] for event in sink.events if event.kind == "failover"] == ["eeg", ""]


def test_a_failed_gpu_without_a_recording_ends_the_run(tmp_path, monkeypatch):
    def fail(self, modality, features):
        del self, modality, features
        raise DeviceError("cuda:0: inference failed: unspecified launch failure")

    monkeypatch.setattr(Predictor, "predict_all", fail)
    engine = engine_with(tmp_path, Endless(EEG_INFO), Collector(), recorder=False)
    engine.start()
    until(lambda: engine.wait(0))
    engine.finish()
    assert isinstance(engine.failure, DeviceError)


def test_the_recording_is_whole_before_a_hanging_network_answers(tmp_path, monkeypatch):
    plain, hanging, answer = Predictor.predict_all, threading.Event(), threading.Event()
    asked = []

    def hang(self, modality, features):
        asked.append(modality)
        hanging.set()
        assert answer.wait(LIMIT_S)
        return plain(self, modality, features)

    monkeypatch.setattr(Predictor, "predict_all", hang)
    engine = engine_with(tmp_path, Endless(EEG_INFO), Collector())
    engine.start()
    assert hanging.wait(LIMIT_S)
    ending = threading.Thread(target=engine.finish)
    ending.start()
    path = tmp_path / "session.xdf"
    try:
        until(lambda: b"<sample_count>" in path.read_bytes()[-4000:])  # the footers are there
    finally:
        answer.set()
    ending.join(LIMIT_S)
    assert engine.failure is None
    assert len(recorded_samples(path)) > 0
    assert len(asked) == 1  # what has piled up meanwhile is in no recording: it is not judged


@pytest.fixture
def full(monkeypatch):
    """While it is set, the disk is full."""
    full = threading.Event()
    plain = AppendFile._write_first

    def write(self):
        if full.is_set():
            raise OSError(28, "No space left on device")
        plain(self)

    monkeypatch.setattr(AppendFile, "_write_first", write)
    return full


def test_a_full_disk_is_reported_kept_in_memory_and_fails_the_run(tmp_path, full):
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    engine.start()
    until(lambda: source.given > 20)
    full.set()
    until(lambda: engine.reporter.snapshot().state == "bad")
    until(lambda: any(event.kind == "disk" for event in sink.events))
    assert engine.reporter.snapshot().recording.waiting_bytes > 0
    until(lambda: any(report.values["recording"]["problem"] for report in sink.reports))
    engine.finish()
    assert isinstance(engine.failure, OutputError)
    assert "No space left on device" in str(engine.failure)
    whole = recorded_samples(tmp_path / "session.xdf")
    expected = np.concatenate([eeg(0.25, seed=number)[1] for number in range(source.given)])
    np.testing.assert_array_equal(whole, expected[: len(whole)])
    assert engine.reporter.snapshot().recording.lost_samples > 0


def test_an_exception_in_the_recorder_ends_the_run(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("writer broke")

    monkeypatch.setattr(XdfWriter, "samples", broken)
    engine = engine_with(tmp_path, Endless(EEG_INFO), Collector())
    engine.start()
    until(lambda: engine.wait(0))
    engine.finish()
    assert str(engine.failure) == "writer broke"


def test_samples_that_were_dropped_fail_the_run_also_when_the_disk_is_well(tmp_path):
    recorder = Recorder(tmp_path / "session.xdf", time.monotonic, most_waiting_bytes=2000)
    source = ScriptedSource(EEG_INFO, chunks_of(*eeg(4), size=64))  # 2356 bytes per chunk
    engine = engine_of(pipeline(), {"eeg": source}, [], time.monotonic, recorder=recorder)
    engine.start()
    until(lambda: engine.wait(0))
    assert engine.reporter.snapshot().state == "bad"
    engine.finish()
    assert isinstance(engine.failure, OutputError)
    assert "1024 samples could not wait for the disk and are lost" in str(engine.failure)


def test_a_disk_that_was_full_for_a_while_costs_nothing(tmp_path, full):
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    engine.start()
    until(lambda: source.given > 20)
    full.set()
    until(lambda: engine.reporter.snapshot().state == "bad")
    full.clear()
    until(lambda: not engine.reporter.snapshot().recording.problem)
    engine.finish()
    assert engine.failure is None
    assert len(recorded_samples(tmp_path / "session.xdf")) == 64 * source.given


def test_a_sender_in_doubt_gives_no_estimates_and_the_recording_replays(tmp_path):
    chunks = chunks_of(*eeg(24))

    class Doubted(ScriptedSource):
        told = ""

        def problem(self):
            self.told = self.doubt
            return self.told

        def pull(self, timeout_s):
            self.doubt = "rate_hz: got 500, expected 256" if 40 < len(self._chunks) < 80 else ""
            if self.doubt != self.told:
                time.sleep(0.001)
                return Chunk.empty(self.info.n_channels)
            return super().pull(timeout_s)

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("bci_m2s.engine.loops.ASK_EVERY_S", 0.005)
    try:
        path = record_session(tmp_path / "s", {"eeg": chunks}, source_of=Doubted)
    finally:
        monkeypatch.undo()
    result = verify(path)
    assert result.first is None
    assert result.equal == {"eeg": 96}
    lines = next(one for one in open_recording(path).streams if one.info.type == "bci_m2s-events")
    texts = [str(row[0]) for row in lines.read(0, lines.n_samples)]
    assert any('"kind": "refused"' in text and "rate_hz: got 500, expected 256" in text for text in texts)
    assert any("accepted again" in text for text in texts)


def test_reports_come_once_a_second_and_at_once_when_something_changes():
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic)
    engine.start()
    until(lambda: len(sink.reports) > 1)
    source.doubt = "another sender took over"
    until(lambda: sink.reports[-1].values["streams"][0]["problem"] == "another sender took over")
    engine.finish()
    assert sink.reports[-1].values["state"] == "bad"
    assert sink.reports[0].values["streams"][0]["modality"] == "eeg"
    assert any(event.kind == "sender" for event in sink.events)


def test_reports_come_while_a_sender_is_asked_and_does_not_answer():
    asked, answers = threading.Event(), threading.Event()

    class Frozen(Endless):
        def problem(self):
            asked.set()
            answers.wait(60)
            return ""

    sink = Collector()
    engine = engine_of(pipeline(), {"eeg": Frozen(EEG_INFO)}, [sink], time.monotonic)
    engine.start()
    assert asked.wait(60)
    before = len(sink.reports)
    until(lambda: len(sink.reports) > before + 2)
    answers.set()
    engine.finish()
    assert engine.failure is None


def test_streams_are_recorded_without_a_model_and_gaps_are_reported(tmp_path):
    times, samples = eeg(10)
    times[1280:] += 2.0
    source, sink = ScriptedSource(EEG_INFO, chunks_of(times, samples)), Collector()
    recorder = Recorder(tmp_path / "session.xdf", time.monotonic)
    engine = engine_of(None, {"cap": source}, [sink], time.monotonic, recorder=recorder)
    engine.start()
    until(lambda: engine.wait(0))
    engine.finish()
    assert engine.failure is None
    np.testing.assert_array_equal(recorded_samples(tmp_path / "session.xdf"), samples)
    (gap,) = [event for event in sink.events if event.kind == "gap"]
    assert gap.fields["lost_samples"] == 512
    assert engine.reporter.snapshot().health[0].lost == 512


def test_a_folder_in_use_is_refused_before_anything_is_recorded(tmp_path):
    build.make_recorder(tmp_path, [EEG_INFO], time.monotonic)[0].close()
    with pytest.raises(OutputError, match=r"session\.xdf"):
        build.make_recorder(tmp_path, [EEG_INFO], time.monotonic)


def test_a_model_that_cannot_answer_does_not_end_the_recording(tmp_path, monkeypatch):
    def nonsense(self, modality, features):
        del self, features
        raise ModelError(f"model 'small': the answer for {modality!r} is not finite")

    monkeypatch.setattr(Predictor, "predict_all", nonsense)
    source, sink = Endless(EEG_INFO), Collector()
    engine = engine_with(tmp_path, source, sink)
    engine.start()
    until(lambda: any(one.status is Status.FAILED for one in sink.estimates))
    assert not engine.wait(0)
    engine.finish()
    assert isinstance(engine.failure, ModelError)
    assert len(recorded_samples(tmp_path / "session.xdf")) == 64 * source.given


def test_features_beyond_float32_are_missing_and_end_nothing():
    times, samples = eeg(16)
    huge = samples.astype(np.float64)
    huge[2600:, 2] *= 1e5  # below the limit of loss, far beyond anything in the baseline
    pipe = pipeline()
    for stage in pipe._stages.values():
        stage._std[:] = 1e-300
    made = pipe.push("eeg", chunks_of(times, huge, size=len(times))[0])
    assert {one.status for one in made} <= set(Status)
    assert made[-1].status is Status.BAD_SIGNAL
