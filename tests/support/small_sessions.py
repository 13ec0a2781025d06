"""Streams and pipelines around the small model of ``model_files``, for tests of the streaming side."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.publisher import Publisher
from bci_m2s.engine.record_only import RecordOnly
from bci_m2s.model.contract import Contract
from bci_m2s.model.predictor import Predictor
from bci_m2s.pipeline.failover import Chooser
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup.build import stage_tensors
from bci_m2s.types import Chunk, Emit, Estimate, Event, Published, StreamInfo, no_listener
from support.model_files import contract_fields, small_tensors
from support.pace import BEGIN_S, Pace

RATE_HZ = 256.0
EEG_INFO = StreamInfo(
    "cap", "EEG", "cap-1", rate_hz=RATE_HZ, labels=("AF7", "AUX", "TP9", "TP10", "AF8"), units=("uV",) * 5
)
EYE_LABELS = ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence")
EYE_INFO = StreamInfo(
    "tracker",
    "Gaze",
    "eye-1",
    rate_hz=120.0,
    labels=EYE_LABELS,
    units=("normalized", "normalized", "mm", "mm", ""),
)
EYE_PARAMS = {
    "columns": {
        "gaze_x": "gaze_x",
        "gaze_y": "gaze_y",
        "pupil_x": "pupil_left",
        "pupil_y": "pupil_right",
        "confidence": "confidence",
    },
    "gaze_unit": "normalized",
    "degrees_per_unit_x": 35.0,
    "degrees_per_unit_y": 20.0,
}


def contract(**eeg: Any) -> Contract:
    """The small contract with a short baseline; `eeg` replaces fields of that modality."""
    fields = contract_fields()
    fields["modalities"]["eeg"] |= {
        "normaliser": {"name": "baseline", "params": {"duration_s": 2.0}},
        **eeg,
    }
    fields["modalities"]["eye"]["feature"]["params"] = EYE_PARAMS
    return Contract.model_validate(fields)


class Emitted(list[Event]):
    """Takes the events of a pipeline: keeps them, and hands them on once an engine has it."""

    to: Emit = staticmethod(no_listener)

    def __call__(self, event: Event) -> None:
        self.append(event)
        self.to(event)


class SmallPipeline(Pipeline):
    """A pipeline that remembers its events: ``emitted``."""

    emitted: Emitted


def pipeline(
    infos: dict[str, StreamInfo] | None = None, mode: str = "each", **options: Any
) -> SmallPipeline:
    """A pipeline over the small model, or another one: `spec` and `tensors`; `eeg` as in ``contract``."""
    infos, emitted = infos or {"eeg": EEG_INFO}, Emitted()
    spec = options.pop("spec", None) or contract(**options.pop("eeg", {}))
    tensors = options.pop("tensors", None) or small_tensors(spec)
    stages = {
        modality: ModalityStage(
            modality,
            spec.modalities[modality],
            spec.window,
            info,
            stage_tensors(tensors, modality),
            **options,
            emit=emitted,
        )
        for modality, info in infos.items()
    }
    chooser = None if mode == "each" else Chooser(mode, list(infos), spec.window.hop_s, emit=emitted)
    predictor = Predictor(spec, tensors, "cpu")
    made = SmallPipeline(stages, predictor, time.monotonic, "baseline/start", chooser, emitted)
    made.emitted = emitted
    return made


def engine_of(
    judge: SmallPipeline | None,
    sources: dict[str, Any],
    sinks: Sequence[Any] = (),
    clock: Callable[[], float] = time.monotonic,
    markers: Sequence[Any] = (),
    recorder: Any = None,
    **options: Any,
) -> Engine:
    """An engine around a small pipeline, or one that only records, with sinks that live as long."""
    if judge is None:
        publisher = Publisher({}, RecordOnly.hop_s, clock)
        infos = {name: source.info for name, source in sources.items()}
        record_only = RecordOnly(infos, publisher.emit)
        publisher.attach(sinks)
        return Engine(record_only, sources, publisher, clock, markers, recorder, **options)
    publisher = Publisher(judge.heads, judge.hop_s, clock, judge.chosen is not None)
    judge.emitted.to = publisher.emit
    for event in judge.emitted:
        publisher.emit(event)
    publisher.attach(sinks)
    return Engine(judge, sources, publisher, clock, markers, recorder, **options)


def paced_engine(
    judge: SmallPipeline, sources: dict[str, Any], sinks: Sequence[Any], **options: Any
) -> Engine:
    """As ``engine_of``, in simulated time: it never falls behind, and no stream is silent."""
    pace = Pace(sources, pipeline=judge)
    for source in sources.values():
        source.clock = pace.clock
    return engine_of(judge, sources, sinks, pace.clock, **options)


def eeg(seconds: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and noise in microvolts, (n,) and (n, 5) float32."""
    n = int(seconds * RATE_HZ)
    samples = np.random.default_rng(seed).normal(scale=10, size=(n, 5)).astype(np.float32)
    return BEGIN_S + np.arange(n) / RATE_HZ, samples


def eye(seconds: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and a wandering gaze."""
    n = int(seconds * 120)
    rng = np.random.default_rng(seed)
    samples = np.column_stack(
        [
            *(0.5 + np.cumsum(rng.normal(scale=0.002, size=(n, 2)), axis=0)).T,
            *(3 + 0.1 * rng.normal(size=(n, 2))).T,
            np.ones(n),
        ]
    )
    return BEGIN_S + np.arange(n) / 120, samples.astype(np.float32)


class ScriptedSource:
    """A source for engine tests: hands out what it is told to, when it is told to."""

    def __init__(self, info: StreamInfo, chunks: Sequence[Chunk] = ()) -> None:
        self.info, self.finished = info, False
        self._chunks = list(chunks)
        self.delivered = 0  # samples so far
        self.pace: Pace | None = None  # None: nobody waits
        self.clock: Callable[[], float] = time.monotonic  # that arrivals are stamped with
        self.is_asked = False  # for its clock
        self.closed = False
        self.hold = threading.Event()  # set: nothing is delivered
        self.error: Exception | None = None
        self.description_xml = self.doubt = ""  # what ``problem`` says
        self.said: list[str] = []

    def open(self) -> None:
        """Nothing to open."""

    def pull(self, timeout_s: float) -> Chunk:
        """The next chunk, received now; empty while its pace does not allow one."""
        if self.error is not None:
            raise self.error
        if self.hold.is_set() or not self._chunks:
            self.finished = not self._chunks and not self.hold.is_set()
            time.sleep(min(timeout_s, 0.01))
            return Chunk.empty(self.info.n_channels)
        if self.pace is not None and not self.pace.allows(self):
            time.sleep(0.0005)
            return Chunk.empty(self.info.n_channels)
        chunk = self._chunks.pop(0)
        self.delivered += len(chunk)
        return Chunk(chunk.times, chunk.samples, np.full(len(chunk), self.clock()))

    def clock_offset_s(self, timeout_s: float) -> float:
        """The clocks agree."""
        del timeout_s
        self.is_asked = True
        return 0.0

    def problem(self) -> str:
        """What the test wants."""
        return self.doubt

    def notices(self) -> list[str]:
        """What the test wants."""
        said, self.said = self.said, []
        return said

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Collector:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.estimates: list[Any] = []
        self.events: list[Any] = []
        self.reports: list[Any] = []
        self.problem = ""
        self.opened = self.closed = 0

    def open(self) -> None:
        """Count."""
        self.opened += 1

    def take(self, item: Published) -> None:
        """Keep."""
        match item:
            case Estimate():
                assert math.isfinite(item.stamps.wall_s)
                self.estimates.append(item)
            case Event():
                self.events.append(item)
            case _:
                self.reports.append(item)

    def close(self) -> None:
        """Count."""
        self.closed += 1
