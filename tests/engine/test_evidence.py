"""Evidence: the latest window only, only for listeners, no cost to the estimates, and alone in failing."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import numpy as np
import pylsl
import pytest
import yaml
from support.model_files import small_tensors
from support.small_sessions import (
    EEG_INFO,
    Collector,
    ScriptedSource,
    contract,
    eeg,
    paced_engine,
    pipeline,
)

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.evidence import Evidence
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import EVIDENCE_TYPE
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.model.predictor import Predictor
from bci_m2s.session.description import describe_session
from bci_m2s.session.setup import build
from bci_m2s.sinks.outlets import METHOD, EvidenceOutlet
from bci_m2s.types import Chunk, Status, Window

LIMIT_S = 120.0
NAMES = [f"{channel}.{band}" for channel in EEG_INFO.labels[:4] for band in "abcde"]


def wait_for(condition: Any) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "what was waited for never came"
        time.sleep(0.002)


def spec() -> Contract:
    """Two heads, so that a window gives two answers."""
    fields = contract().model_dump(mode="json")
    fields["heads"]["arousal"] = {"classes": ["low", "high"]}
    del fields["modalities"]["eye"]
    return Contract.model_validate_json(json.dumps(fields))


SPEC = spec()
TENSORS = small_tensors(SPEC, seed=2)  # with 0 the second head says the same of everything
SESSION = SessionDescription.model_validate(
    {
        "heads": {head: list(classes) for head, classes in SPEC.class_names.items()},
        "model": {"name": "small", "simulated": True},
    }
)


class FakeOutlet:
    """Keeps what it is given."""

    def __init__(self, wanted: bool = True) -> None:
        self.wanted, self.rows, self.closed = wanted, [], False

    def push(self, values: Any, head: str, class_index: int, last_sample_s: float) -> None:
        self.rows.append((values, head, class_index, last_sample_s))

    def close(self) -> None:
        self.closed = True


class CountingPredictor:
    """The real thing, with a count, an obstacle and a fault on demand."""

    def __init__(self) -> None:
        self._real = Predictor(SPEC, TENSORS, "cpu", None)
        self.asked, self.error = 0, None
        self.free = threading.Event()
        self.free.set()

    def attribution(self, *arguments: Any) -> Any:
        self.asked += 1
        self.free.wait(LIMIT_S)
        if self.error is not None:
            raise self.error
        return self._real.attribution(*arguments)


class Patient(ScriptedSource):
    """Stays when everything was delivered."""

    def pull(self, timeout_s: float) -> Chunk:
        chunk = super().pull(timeout_s)
        self.finished = False
        return chunk


def source() -> Patient:
    times, samples = eeg(12)
    return Patient(EEG_INFO, [Chunk.of(times[i : i + 64], samples[i : i + 64]) for i in range(0, 3072, 64)])


def window(seed: int = 0) -> Window:
    values = np.random.default_rng(seed).normal(size=(5, 20))
    return Window("eeg", 0, 1279, 0.0, 5.0, 5.0, Status.OK, features=values)


ANSWERS = {"emotion": np.array([[0.1, 0.2, 0.7]]), "arousal": np.array([[0.8, 0.2]])}


class Running:
    """Evidence in its thread, without an engine."""

    def __init__(self, outlet: Any, every_s: float = 0.01) -> None:
        self.predictor, self.stop, self.emitted = CountingPredictor(), threading.Event(), []
        self.evidence = Evidence(self.predictor, {"eeg": outlet}, every_s)
        self.begin()

    def begin(self) -> None:
        self.evidence.start(self.stop, self.emitted.append)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        assert self.evidence.join(LIMIT_S)


def test_every_head_is_answered_for_its_most_probable_class() -> None:
    outlet = FakeOutlet()
    with Running(outlet) as running:
        running.evidence.offer(window(), ANSWERS, 77.0)
        wait_for(lambda: len(outlet.rows) == 2)
    real = Predictor(SPEC, TENSORS, "cpu", None)
    for (values, head, place, stamp_s), expected in zip(
        outlet.rows, [("emotion", 2), ("arousal", 0)], strict=True
    ):
        assert ((head, place), stamp_s) == (expected, 77.0)
        np.testing.assert_array_equal(values, real.attribution("eeg", window().features, head, place))


def test_only_the_latest_window_counts() -> None:
    outlet = FakeOutlet()
    with Running(outlet) as running:
        running.predictor.free.clear()
        running.evidence.offer(window(0), ANSWERS, 0.0)
        wait_for(lambda: running.predictor.asked == 1)  # the thread is busy with the first
        for number in range(1, 10):
            running.evidence.offer(window(number), ANSWERS, float(number))
        running.predictor.free.set()
        wait_for(lambda: len(outlet.rows) >= 4)
    assert [row[3] for row in outlet.rows] == [0.0, 0.0, 9.0, 9.0]


def test_nothing_is_computed_or_kept_for_nobody() -> None:
    outlet = FakeOutlet(wanted=False)
    with Running(outlet) as running:
        running.evidence.offer(window(), ANSWERS, 1.0)
        wait_for(lambda: not running.evidence._latest)
        outlet.wanted = True
        running.evidence.offer(window(), ANSWERS, 2.0)
        wait_for(lambda: len(outlet.rows) == 2)
    assert running.predictor.asked == 2
    assert {row[3] for row in outlet.rows} == {2.0}


def test_a_window_that_is_not_valid_is_no_offer() -> None:
    made = Evidence(CountingPredictor(), {"eeg": FakeOutlet()})
    made.offer(Window("eeg", 0, 9, 0.0, 1.0, 1.0, Status.GAP, "gap"), {}, 1.0)
    assert made._latest == {}


def test_a_failure_is_reported_once_and_is_for_good() -> None:
    outlet = FakeOutlet()
    with Running(outlet) as running:
        running.predictor.error = RuntimeError("CUDA error: unspecified launch failure\nand more")
        running.evidence.offer(window(), ANSWERS, 1.0)
        assert running.evidence.join(LIMIT_S)
        running.begin()  # the next engine of the session
        running.evidence.offer(window(), ANSWERS, 2.0)
        assert running.evidence.join(0.1)
    message = "no more evidence: CUDA error: unspecified launch failure"
    assert [(event.kind, event.message) for event in running.emitted] == [("evidence_failed", message)]
    assert running.evidence.problem == message
    assert outlet.rows == []


def run_engine(evidence: Evidence | None, until: Any) -> tuple[Engine, Collector]:
    sink = Collector()
    made = pipeline(spec=SPEC, tensors=TENSORS)
    engine = paced_engine(made, {"eeg": source()}, [sink], evidence=evidence)
    engine.start()
    wait_for(lambda: len(sink.estimates) == 96 and until())
    begun_s = time.monotonic()
    engine.finish()
    assert time.monotonic() - begun_s < LIMIT_S
    return engine, sink


def bits(sink: Collector) -> list[tuple[Any, ...]]:
    every = sink.estimates
    return [(one.head, one.last_index, one.status, one.probabilities.tobytes()) for one in every]


def test_estimates_are_the_same_to_the_bit_with_and_without() -> None:
    _, without = run_engine(None, until=lambda: True)
    outlet = FakeOutlet()
    beside = Evidence(Predictor(SPEC, TENSORS, "cpu", None), {"eeg": outlet}, every_s=0.001)
    _, with_evidence = run_engine(beside, until=lambda: outlet.rows)
    assert bits(with_evidence) == bits(without)
    assert any(status is Status.OK for _, _, status, _ in bits(without))
    assert beside.join(LIMIT_S)


def test_its_failure_leaves_the_session_alone() -> None:
    predictor = CountingPredictor()
    predictor.error = RuntimeError("CUDA error")
    failing = Evidence(predictor, {"eeg": FakeOutlet()}, every_s=0.001)
    engine, sink = run_engine(failing, until=lambda: failing.join(0.0) and failing.problem)
    assert engine.failure is None
    assert engine.reporter.snapshot().problems == []
    (failed,) = [event for event in sink.events if event.kind == "evidence_failed"]
    assert failed.message == "no more evidence: CUDA error"


def test_one_that_hangs_delays_no_estimate_and_fails_nothing() -> None:
    predictor = CountingPredictor()
    predictor.free.clear()
    hanging = Evidence(predictor, {"eeg": FakeOutlet()}, every_s=0.001)
    engine, sink = run_engine(hanging, until=lambda: predictor.asked)
    assert engine.failure is None
    assert predictor.asked == 1
    assert not hanging.join(0.0)
    assert sink.closed == 1
    stop = threading.Event()
    hanging.start(stop, lambda *_: None)  # for the next engine
    assert not hanging.join(0.1)
    assert predictor.asked == 1  # never two at once
    predictor.free.set()
    wait_for(lambda: hanging.offer(window(), ANSWERS, 1.0) or predictor.asked > 2)  # it goes on
    stop.set()
    assert hanging.join(LIMIT_S)


def test_a_replay_has_no_hook() -> None:
    assert pipeline(spec=SPEC, tensors=TENSORS).on_judged is None


def test_over_lsl_through_two_engines_with_one_outlet() -> None:
    """Labels, description, values and stamps as promised; the second take goes on in the same stream."""
    session = SESSION.model_copy(update={"outlet_name": f"test-{uuid.uuid4().hex[:8]}"})
    outlet = EvidenceOutlet(session, "eeg", NAMES)
    made = Evidence(Predictor(SPEC, TENSORS, "cpu", None), {"eeg": outlet}, every_s=0.01)
    (found,) = pylsl.resolve_byprop("name", f"{session.outlet_name}-evidence-eeg", timeout=60)
    assert (found.type(), found.nominal_srate(), found.channel_count()) == (EVIDENCE_TYPE, 0.0, 22)
    assert not outlet.wanted
    inlet = pylsl.StreamInlet(found)
    inlet.open_stream(timeout=60)
    wait_for(lambda: outlet.wanted)
    info = inlet.info(timeout=60)
    assert info.get_channel_labels() == [*NAMES, "head", "class"]
    assert info.get_channel_units() == [*["nats"] * 20, "code", "code"]
    assert info.desc().child_value("method") == METHOD
    heads, head = {}, info.desc().child("heads").first_child()
    while not head.empty():
        entry, classes = head.child("classes").first_child(), []
        while not entry.empty():
            classes.append(entry.child_value())
            entry = entry.next_sibling()
        heads[head.child_value("name")] = classes
        head = head.next_sibling()
    assert heads == {head: list(classes) for head, classes in session.heads.items()}
    for _ in range(2):
        rows: list[tuple[Any, float]] = []

        def received(rows: Any = rows) -> bool:
            sample, stamp_s = inlet.pull_sample(timeout=0.0)
            if sample is not None:
                rows.append((np.array(sample), stamp_s))
            return len(rows) >= 2

        _, sink = run_engine(made, until=received)
        published = {(one.stamps.last_sample_s, one.head): one for one in sink.estimates}
        for row, stamp_s in rows:
            head_name = list(session.heads)[int(row[-2])]
            estimate = published[stamp_s, head_name]
            assert int(np.argmax(estimate.probabilities)) == int(row[-1])
            assert np.isfinite(row).all()
            assert np.count_nonzero(row[:20]) > 10
    made.close()
    made.close()
    assert not outlet.wanted
    outlet.push(np.zeros(20), "emotion", 0, 1.0)  # too late, and harmless
    inlet.close_stream()


@pytest.mark.parametrize("enabled", [True, False])
def test_streams_only_where_the_pipeline_has_an_outlet(tmp_path: Any, enabled: bool) -> None:
    save_model(tmp_path / "m.safetensors", SPEC, TENSORS)
    name = f"test-{uuid.uuid4().hex[:8]}"
    fields = {
        "model": "m.safetensors",
        "streams": {"eeg": {"source": "simulated", "stream": "eeg", "montage": "muse"}},
        "outlet": {"enabled": enabled, "name": name},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(fields))
    plan = build.make_plan(str(tmp_path / "p.yaml"))
    predictor = Predictor(SPEC, TENSORS, "cpu", None)
    made_pipeline = build.make_pipeline(plan, predictor, {"eeg": EEG_INFO}, time.monotonic)
    session = describe_session(plan, {"eeg": EEG_INFO}, "cpu", "live")
    made = build.make_evidence(plan, predictor, made_pipeline, session)
    assert (made is not None) == enabled
    if made is not None:
        (found,) = pylsl.resolve_byprop("name", f"{name}-evidence-eeg", timeout=60)
        labels = pylsl.StreamInlet(found).info(timeout=60).get_channel_labels()
        assert labels == [*made_pipeline.feature_names["eeg"], "head", "class"]
        assert labels[0] == "TP9.delta"
        made.close()
