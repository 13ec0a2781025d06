"""The engine with scripted sources: order, health, silence, failures, the way out."""

import math
import threading
import time
from dataclasses import replace

import numpy as np
from support.pace import Pace
from support.small_sessions import (
    EEG_INFO,
    RATE_HZ,
    Collector,
    ScriptedSource,
    eeg,
    engine_of,
    paced_engine,
    pipeline,
)

from bci_m2s.engine.inference import Inference
from bci_m2s.errors import CommandError, StreamError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recorder import Recorder
from bci_m2s.sources.operator import OperatorMarkers
from bci_m2s.types import Chunk, Estimate, Status, StreamInfo

LIMIT_S = 120.0
MARKER_INFO = StreamInfo("marks", "Markers", labels=("m",), units=("",), channel_format="string")


def chunks_of(seconds, size=64):
    times, samples = eeg(seconds)
    return [Chunk.of(times[i : i + size], samples[i : i + size]) for i in range(0, len(times), size)]


def run(engine, until):
    """Start, wait for `until()` or the engine's own end, finish."""
    engine.start()
    limit = time.monotonic() + LIMIT_S
    while not until() and not engine.wait(0.01):
        assert time.monotonic() < limit, "the engine neither ended nor did what was waited for"
    engine.finish()
    assert all(
        not thread.name.startswith(("reader", "inference", "writer")) for thread in threading.enumerate()
    )


def test_live_equals_offline_bit_for_bit():
    source, sink = ScriptedSource(EEG_INFO, chunks_of(20)), Collector()
    run(paced_engine(pipeline(), {"eeg": source}, [sink]), until=lambda: False)
    offline = []
    reference = pipeline()
    for chunk in chunks_of(20, size=1000):
        offline += reference.push("eeg", chunk)
    assert len(sink.estimates) == len(offline) == 80
    for live, replayed in zip(sink.estimates, offline, strict=True):
        assert (live.first_index, live.last_index, live.status, live.reason) == (
            replayed.first_index,
            replayed.last_index,
            replayed.status,
            replayed.reason,
        )
        assert live.probabilities.tobytes() == replayed.probabilities.tobytes()


def test_stamps_grow_stage_by_stage_and_the_tally_counts_all():
    source, sink = ScriptedSource(EEG_INFO, chunks_of(10)), Collector()
    made = pipeline()
    Pace({"eeg": source}, pipeline=made)
    engine = engine_of(made, {"eeg": source}, [sink], time.monotonic)
    run(engine, until=lambda: False)
    made = [one for one in sink.estimates if one.status is Status.OK]
    assert engine.publisher.statistics.made["eeg", "emotion"] == len(made) > 0
    for one in made:
        stamps = one.stamps
        assert stamps.received_s <= stamps.features_s <= stamps.inferred_s <= stamps.published_s
    refused = engine.publisher.statistics.refused.items()
    assert sum(n for (_, status), n in refused if status is not Status.STALE) == 40 - len(made)
    assert engine.publisher.statistics.percentiles_ms("inference")[0] > 0
    assert (sink.opened, sink.closed, source.closed) == (1, 1, True)
    kinds = [event.kind for event in sink.events]
    assert kinds[0] == "started"
    assert kinds[-1] == "stopped"
    assert "baseline_complete" in kinds
    assert all(math.isfinite(event.local_s) and math.isfinite(event.wall_s) for event in sink.events)


def test_silence_gives_stale_answers_and_one_event():
    source, sink = ScriptedSource(EEG_INFO, chunks_of(8)), Collector()
    source.hold.set()
    engine = engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic)

    def two_stale():
        return sum(one.status is Status.STALE for one in sink.estimates) >= 2

    run(engine, until=two_stale)
    stale = [one for one in sink.estimates if one.status is Status.STALE]
    assert stale[0].reason.startswith("signal ")
    assert stale[0].reason.endswith(" s old")
    assert np.isnan(stale[0].probabilities).all()
    assert [event.kind for event in sink.events].count("stale") == 1
    assert engine.reporter.snapshot().latest["eeg", "emotion"].status is Status.STALE


def test_an_error_in_a_reader_ends_the_run_with_everything_closed():
    source, sink = ScriptedSource(EEG_INFO), Collector()
    source.error = StreamError("cap lost")
    engine = engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic)
    run(engine, until=lambda: False)
    assert engine.failure is source.error
    assert (sink.closed, source.closed) == (1, True)


def test_an_error_in_a_sink_ends_the_run():
    class Full(Collector):
        def take(self, item):
            super().take(item)
            if isinstance(item, Estimate):
                raise OSError("no space left on device")

    sink = Full()
    engine = engine_of(pipeline(), {"eeg": ScriptedSource(EEG_INFO, chunks_of(8))}, [sink], time.monotonic)
    run(engine, until=lambda: False)
    assert isinstance(engine.failure, OSError)
    assert sink.closed == 1


def test_markers_are_logged_and_begin_baselines():
    texts = [
        Chunk.of([7.0], np.array([["baseline/start"]], object)),
        Chunk.of([8.0], np.array([["x"]], object)),
    ]
    source, sink = ScriptedSource(EEG_INFO, chunks_of(8)), Collector()
    source.hold.set()
    markers = ScriptedSource(MARKER_INFO, texts)
    engine = engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic, [markers])

    run(engine, until=lambda: len(engine.publisher.markers) == 2)
    assert list(engine.publisher.markers) == [(7.0, "baseline/start", "marks"), (8.0, "x", "marks")]
    kinds = [event.kind for event in sink.events]
    assert kinds.count("marker") == 2
    assert "baseline_started" in kinds
    assert markers.closed


def test_markers_of_several_streams_keep_their_origins(tmp_path):
    boxes = [
        ScriptedSource(replace(MARKER_INFO, name=name), [Chunk.of([at_s], np.array([[text]], object))])
        for name, at_s, text in (("box", 5.0, "a"), ("other", 6.0, "b"))
    ]
    source = ScriptedSource(EEG_INFO, chunks_of(2))
    source.hold.set()
    operator = OperatorMarkers(time.monotonic)
    recorder = Recorder(tmp_path / "s.xdf", time.monotonic)
    engine = engine_of(pipeline(), {"eeg": source}, [], time.monotonic, [*boxes, operator], recorder)
    engine.start()
    engine.mark("by hand")
    limit = time.monotonic() + LIMIT_S
    while len(engine.publisher.markers) < 3:
        assert time.monotonic() < limit
        time.sleep(0.005)
    engine.finish()
    reported = {(text, origin) for _, text, origin in engine.publisher.markers}
    assert reported == {("a", "box"), ("b", "other"), ("by hand", "operator")}
    recorded = {
        stream.info.name: stream.read(0, stream.n_samples).tolist()
        for stream in open_recording(tmp_path / "s.xdf").streams
        if stream.is_text
    }
    assert recorded == {"box": [["a"]], "other": [["b"]], "bci_m2s operator markers": [["by hand"]]}


def test_a_marker_that_was_accepted_is_recorded_even_at_the_last_moment(tmp_path):
    source, sink = ScriptedSource(EEG_INFO, chunks_of(2)), Collector()
    source.hold.set()
    recorder = Recorder(tmp_path / "s.xdf", time.monotonic)
    markers = [OperatorMarkers(time.monotonic)]
    engine = engine_of(pipeline(), {"eeg": source}, [sink], time.monotonic, markers, recorder)
    engine.start()
    accepted, stopping = [], threading.Event()

    def mark():
        while not stopping.is_set():
            text = f"m{len(accepted)}"
            try:
                engine.mark(text)
            except CommandError:
                return
            accepted.append(text)

    operator = threading.Thread(target=mark)
    operator.start()
    limit = time.monotonic() + LIMIT_S
    while len(accepted) < 20:
        assert time.monotonic() < limit
        time.sleep(0.001)
    engine.finish()
    stopping.set()
    operator.join(LIMIT_S)
    (stream,) = [one for one in open_recording(tmp_path / "s.xdf").streams if one.is_text]
    assert stream.read(0, stream.n_samples)[:, 0].tolist() == accepted
    assert [event.message for event in sink.events if event.kind == "marker"] == accepted


def test_markers_that_inference_was_too_slow_for_are_reported():
    flood = Chunk.of(np.arange(1500.0), np.array([[f"m{n}"] for n in range(1500)], object))
    sink = Collector()
    sources = {"eeg": ScriptedSource(EEG_INFO, chunks_of(2))}
    engine = engine_of(
        pipeline(), sources, [sink], time.monotonic, markers=[ScriptedSource(MARKER_INFO, [flood])]
    )
    run(engine, until=lambda: engine.publisher.markers and engine.publisher.markers[-1][1] == "m1499")
    (overrun,) = [event for event in sink.events if event.kind == "overrun"]
    assert (
        overrun.message
        == f"markers: inference was too slow for {1500 - len(engine.publisher.markers)} of them"
    )


def test_health_counts_samples_rate_and_loss():
    times, samples = eeg(10)
    times[1280:] += 1.0
    chunks = [Chunk.of(times[i : i + 64], samples[i : i + 64]) for i in range(0, len(times), 64)]
    engine = engine_of(pipeline(), {"eeg": ScriptedSource(EEG_INFO, chunks)}, [Collector()], time.monotonic)
    run(engine, until=lambda: False)
    health = engine.reporter.snapshot().health[0]
    assert (health.samples, health.lost, health.rate_hz) == (2560, 256, RATE_HZ)
    assert np.isnan(health.measured_hz)  # a burst is no rate


def test_a_stop_request_ends_a_running_engine_quickly():
    class Endless(ScriptedSource):
        def pull(self, timeout_s):
            self._chunks = self._chunks or chunks_of(4)
            time.sleep(0.001)
            return super().pull(timeout_s)

    engine = engine_of(pipeline(), {"eeg": Endless(EEG_INFO)}, [Collector()], time.monotonic)
    engine.start()
    assert not engine.wait(0.3)
    engine.request_stop()
    begun = time.monotonic()
    engine.finish()
    assert time.monotonic() - begun < LIMIT_S
    assert engine.failure is None


def test_an_engine_without_data_can_be_finished_at_once():
    engine = engine_of(pipeline(), {"eeg": ScriptedSource(EEG_INFO)}, [], time.monotonic)
    engine.start()
    engine.finish()
    assert engine.failure is None
    assert 0 <= engine.reporter.snapshot().elapsed_s < LIMIT_S


def test_samples_that_inference_was_too_slow_for_are_reported_and_break_the_segment(monkeypatch):
    """The ring is overwritten while inference sleeps: an event, a gap, and no window across it."""

    awake = Inference.collect

    def asleep(self, modality):
        stream = self._streams[modality]
        if stream.source.finished or stream.ring.total > stream.ring.capacity + 1000:
            awake(self, modality)

    monkeypatch.setattr(Inference, "collect", asleep)
    sink = Collector()
    engine = engine_of(pipeline(), {"eeg": ScriptedSource(EEG_INFO, chunks_of(60))}, [sink], time.monotonic)
    run(engine, until=lambda: False)
    overruns = [event for event in sink.events if event.kind == "overrun"]
    assert len(overruns) == 1
    assert "inference was too slow for" in overruns[0].message
    assert engine.reporter.snapshot().health[0].samples == 60 * RATE_HZ
