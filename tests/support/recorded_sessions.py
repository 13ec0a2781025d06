"""Sessions of the small model, run through the live engine from scripted sources and recorded to XDF."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bci_m2s.engine.engine import Engine
from bci_m2s.model.model_file import save_model
from bci_m2s.session.description import describe_session
from bci_m2s.session.setup import build
from bci_m2s.sources.operator import OperatorMarkers
from bci_m2s.types import Chunk, StreamInfo
from support.model_files import small_tensors
from support.pace import BEGIN_S, Pace
from support.small_sessions import EEG_INFO, EYE_INFO, Collector, ScriptedSource, contract

MARKER_INFO = StreamInfo("marks", "Markers", "m-1", labels=("m",), units=("",), channel_format="string")
INFOS = {"eeg": EEG_INFO, "eye": EYE_INFO}
LIMIT_S = 120.0


def write_pipeline(folder: Path, eeg: Mapping[str, Any] | None = None, **settings: Any) -> Path:
    """A pipeline file with its model beside it. eeg : as in ``contract``; settings : further keys of the
    file."""
    spec = contract(**(eeg or {}))
    save_model(folder / "small.safetensors", spec, small_tensors(spec))
    path = folder / "small.yaml"
    settings = {"late_after_s": 86_400.0, **settings}  # samples may come far faster, or later, than live
    streams = settings.pop("streams", {"eeg": {"type": "EEG"}})
    path.write_text(yaml.safe_dump({"model": "small.safetensors", "streams": streams, **settings}))
    return path


def chunks_of(times: Any, samples: Any, size: int = 50) -> list[Chunk]:
    """A stream cut into equal chunks."""
    return [Chunk.of(times[i : i + size], samples[i : i + size]) for i in range(0, len(times), size)]


def record_session(
    folder: Path,
    chunks: Mapping[str, Sequence[Chunk]],
    markers: Sequence[Chunk] = (),
    recorder_of: Any = None,
    source_of: Any = ScriptedSource,
    during: Callable[[Engine], None] = lambda _: None,
    age_s: float = 0.0,
    **settings: Any,
) -> Path:
    """Run a session to its end, in simulated time, and return session.xdf. recorder_of : wraps the
    recorder; source_of : the class of the sources; during : called once the engine runs; age_s : of every
    sample when it comes; settings : as in ``write_pipeline``."""
    folder.mkdir(exist_ok=True)
    streams = {modality: {"type": INFOS[modality].type} for modality in chunks}
    extra = {"markers": {"type": "Markers"}} if markers else {}
    plan = build.make_plan(str(write_pipeline(folder, streams=streams, **extra, **settings)))
    predictor = build.make_predictor(plan, "cpu")
    infos = {modality: INFOS[modality] for modality in chunks}
    sources = {modality: source_of(infos[modality], one) for modality, one in chunks.items()}
    pace = Pace(sources, BEGIN_S + age_s)
    publisher = build.make_publisher(plan, pace.clock)
    pace.pipeline = build.make_pipeline(plan, predictor, infos, pace.clock, publisher.emit)
    session = describe_session(plan, infos, "cpu", "live")
    recorder, _ = build.make_recorder(folder, list(infos.values()), pace.clock)
    recorder = recorder_of(recorder) if recorder_of else recorder
    publisher.attach([*build.make_sinks(plan, None, session, outlet=False, recorder=recorder), Collector()])
    marks: list[Any] = [ScriptedSource(MARKER_INFO, markers)] if markers else []
    for one in (*sources.values(), *marks):
        one.clock = pace.clock
    marks.append(OperatorMarkers(pace.clock))
    engine = Engine(pace.pipeline, sources, publisher, pace.clock, marks, recorder)
    engine.start()
    during(engine)
    limit = time.monotonic() + LIMIT_S
    while not engine.wait(0.02):
        assert time.monotonic() < limit, "the session did not end"
    engine.finish()
    if engine.failure is not None:
        raise engine.failure
    return folder / "session.xdf"
