"""Settings to objects: the only place that wires a session together."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml

import bci_m2s
from bci_m2s.config import LslStream, PipelineSettings, ReplayStream, SimulatedStream, load_pipeline
from bci_m2s.contract import Contract, check_stream, load_model_file, stream_doubts
from bci_m2s.errors import ConfigurationError, OutputError, StreamError, nearest
from bci_m2s.loading import load_class
from bci_m2s.pipeline import ModalityStage, Pipeline
from bci_m2s.predictor import Predictor
from bci_m2s.shipped import find_model, find_pipeline
from bci_m2s.sinks import SINKS, Sink
from bci_m2s.sources import SOURCES, Source
from bci_m2s.types import StreamInfo

StreamSettings = LslStream | ReplayStream | SimulatedStream
Say = Callable[[str], None]
FILE_SINKS = ("table", "events")


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked pipeline file with its model, before any stream is touched."""

    path: Path
    settings: PipelineSettings
    model_path: Path
    contract: Contract
    tensors: Mapping[str, Any]


def make_plan(pipeline: str) -> Plan:
    """Read a pipeline (path or shipped name) and its model, and check them against each other.

    Raises ConfigurationError, ModelError or UsageError, each one line.
    """
    path = find_pipeline(pipeline)
    settings = load_pipeline(path)
    model_path = find_model(settings.model, near=path.parent)
    contract, tensors = load_model_file(model_path)
    for modality in settings.streams:
        if modality not in contract.modalities:
            raise ConfigurationError(
                f"{path}: streams.{modality}: the model {contract.name!r} has no such modality"
                f"{nearest(modality, contract.modalities)}"
            )
    if settings.baseline.start == "marker" and settings.markers is None:
        raise ConfigurationError(
            f"{path}: baseline.start: got 'marker', expected a 'markers' stream beside it"
        )
    return Plan(path, settings, model_path, contract, tensors)


@dataclass(frozen=True, slots=True)
class Connected:
    """Opened and checked sources: one for each modality, markers if there are any, and their clock."""

    sources: Mapping[str, Source]
    markers: Source | None
    clock: Callable[[], float]

    def close(self) -> None:
        """Let go of them, where no engine has taken them over."""
        for source in (*self.sources.values(), *([self.markers] if self.markers else [])):
            source.close()


def open_sources(
    plan: Plan, clock: Callable[[], float], say: Say, stopped: Callable[[], bool]
) -> Connected:
    """Connect every stream of a plan and check it against the contract.

    When one fails, those opened before are closed again.
    """
    opened: list[Source] = []
    sources: dict[str, Source] = {}
    markers = None
    try:
        for modality, settings in plan.settings.streams.items():
            source = make_source(
                plan, settings, plan.contract.modalities[modality].stream_type, clock, say, stopped
            )
            opened.append(source)
            source.open()
            source.info = renamed(source.info, settings.rename)
            check(plan, modality, source.info)
            sources[modality] = source
            say(f"{modality}: {source.info.describe()} connected")
            for doubt in stream_doubts(plan.contract.modalities[modality], source.info):
                say(f"note: {doubt}")
        if plan.settings.markers is not None:
            markers = make_source(plan, plan.settings.markers, "Markers", clock, say, stopped)
            opened.append(markers)
            markers.open()
            if markers.info.channel_format != "string":
                raise StreamError(
                    f"markers: stream {markers.info.name!r}: channel format: "
                    f"got {markers.info.channel_format}, expected string"
                )
            say(f"markers: {markers.info.describe()} connected")
    except BaseException:
        for source in opened:
            source.close()
        raise
    return Connected(sources, markers, clock)


def make_source(
    plan: Plan,
    settings: StreamSettings,
    stream_type: str,
    clock: Callable[[], float],
    say: Say,
    stopped: Callable[[], bool],
) -> Source:
    """The source that a stream's settings name, not yet open."""
    kind = load_class(SOURCES, settings.source)
    if isinstance(settings, LslStream):
        anything = settings.name or settings.type or settings.source_id or settings.host
        wanted = settings.type if anything else stream_type
        return kind(settings.name, wanted, settings.source_id, settings.host, settings.wait_s, say, stopped)
    if isinstance(settings, ReplayStream):
        return _replay_source(kind, plan, settings, stream_type, clock)
    return _simulated_source(kind, settings, clock)


def _replay_source(
    kind: Any, plan: Plan, settings: ReplayStream, stream_type: str, clock: Callable[[], float]
) -> Source:
    from bci_m2s.sources.recorded import open_recording

    recording = open_recording(plan.path.parent / settings.file)
    stream = pick_stream(recording, settings.name, settings.type or ("" if settings.name else stream_type))
    return kind(stream, speed=1.0, loops=settings.loops, clock=clock)


def _simulated_source(kind: Any, settings: SimulatedStream, clock: Callable[[], float]) -> Source:
    from bci_m2s.simulator.settings import SimulatorSettings

    simulator = SimulatorSettings(montage=settings.montage, seed=settings.seed)
    return kind(
        simulator,
        stream=settings.stream,
        subject=settings.subject,
        session=settings.session,
        speed=1.0,
        clock=clock,
    )


def pick_stream(recording: Any, name: str, stream_type: str) -> Any:
    """The one stream of a recording with this name and type. Raises StreamError."""
    said = " and ".join([f"name {name!r}"] * bool(name) + [f"type {stream_type!r}"] * bool(stream_type))
    matching = [
        stream
        for stream in recording.streams
        if name in ("", stream.info.name) and stream_type.casefold() in ("", stream.info.type.casefold())
    ]
    if len(matching) > 1:
        matching = [stream for stream in matching if stream.n_samples] or matching
    if len(matching) == 1:
        return matching[0]
    listed = "; ".join(
        f"{stream.info.describe()}, {stream.n_samples} samples" for stream in recording.streams
    )
    word = "no stream has" if not matching else f"{len(matching)} streams have"
    raise StreamError(f"{recording.path}: {word} {said}; the file holds: {listed or 'no stream'}")


def renamed(info: StreamInfo, names: Mapping[str, str]) -> StreamInfo:
    """The description with the stream's labels as the model calls them. Raises StreamError."""
    for label in names:
        if label not in info.labels:
            raise StreamError(
                f"stream {info.name!r}: rename: the stream has no channel {label!r}"
                f"{nearest(label, info.labels)}"
            )
    return replace(info, labels=tuple(names.get(label, label) for label in info.labels))


def check(plan: Plan, modality: str, info: StreamInfo) -> None:
    """Refuse a stream that the contract does not accept; the message holds every difference."""
    problems = check_stream(plan.contract.modalities[modality], info, f"{modality}: stream {info.name!r}")
    if problems:
        raise StreamError("; ".join(str(problem) for problem in problems))


def make_predictor(plan: Plan, device: str | None = None) -> Predictor:
    """The plan's model, ready; before any stream is connected, because it takes a second."""
    predictor = Predictor(
        plan.contract, plan.tensors, device or plan.settings.device, plan.settings.threads
    )
    predictor.warm_up()
    return predictor


def make_pipeline(
    plan: Plan, predictor: Predictor, infos: Mapping[str, StreamInfo], clock: Callable[[], float]
) -> Pipeline:
    """The pipeline for streams that were checked. infos : by modality."""
    settings = plan.settings
    stages = {}
    for modality, info in infos.items():
        stages[modality] = ModalityStage(
            modality,
            plan.contract.modalities[modality],
            plan.contract.window,
            info,
            stage_tensors(plan.tensors, modality),
            gap_s=settings.streams[modality].gap_s,
            wait_for_marker=settings.baseline.start == "marker",
        )
    return Pipeline(stages, predictor, clock, settings.baseline.marker)


def stage_tensors(tensors: Mapping[str, Any], modality: str) -> dict[str, np.ndarray]:
    """A modality's scaler and prior as float64 arrays, without the modality's prefix."""
    return {
        key: np.asarray(tensors[f"{modality}.{key}"], dtype=np.float64)
        for key in ("scaler.mean", "scaler.std", "baseline.std")
    }


def make_folder(output: Path) -> Path:
    """Create the output folder; one that holds anything is refused. Raises OutputError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise OutputError(f"{output}: the folder is not empty; nothing is overwritten, choose another")
    except OSError as problem:
        raise OutputError(f"{output}: cannot be used as output folder: {problem.strerror}") from None
    return output


def make_sinks(plan: Plan, folder: Path | None, session: Mapping[str, Any], outlet: bool) -> list[Sink]:
    """The outlet first, so that a slow disk does not age what is published."""
    names = ["outlet"] * (outlet and plan.settings.outlet.enabled) + list(FILE_SINKS) * (folder is not None)
    return [load_class(SINKS, name)(folder, session) for name in names]


def describe_session(
    plan: Plan,
    infos: Mapping[str, StreamInfo],
    device: str,
    mode: str,
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """What ``session.yaml`` holds: everything needed to understand and repeat a session.

    Nothing random happens in a session; the seeds are those of the model's training and, in `notes`,
    of a simulation.
    """
    return {
        "bci_m2s": bci_m2s.__version__,
        "mode": mode,
        **notes,
        "begun_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "pipeline": {"file": plan.path.name, **plan.settings.model_dump(mode="json")},
        "model": {
            "name": plan.contract.name,
            "file": plan.model_path.name,
            "sha256": hashlib.sha256(plan.model_path.read_bytes()).hexdigest(),
            "simulated": plan.contract.simulated,
            "training": plan.contract.training,
        },
        "classes": list(plan.contract.classes),
        "modalities": list(infos),
        "window": plan.contract.window.model_dump(mode="json"),
        "streams": {
            modality: {**asdict(info), "labels": list(info.labels), "units": list(info.units)}
            for modality, info in infos.items()
        },
        "device": device,
        "outlet_name": plan.settings.outlet.name,
        "versions": {"python": platform.python_version(), "system": platform.platform(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in ("numpy", "scipy", "torch", "pylsl", "mne", "pyxdf"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    pylsl = sys.modules.get("pylsl")
    if pylsl is not None:
        found["liblsl"] = str(pylsl.library_version())
    return found


def write_session(folder: Path, session: Mapping[str, Any]) -> None:
    """Write ``session.yaml``. Raises OutputError."""
    path = folder / "session.yaml"
    try:
        with path.open("x", encoding="utf-8") as file:
            yaml.safe_dump(dict(session), file, sort_keys=False, allow_unicode=True, width=100)
    except OSError as problem:
        raise OutputError(f"{path}: cannot be created: {problem.strerror}") from None


def fits(contract: Contract, info: StreamInfo) -> list[str]:
    """For a stream on the network: "" parts joined by modality that it fits, else what differs."""
    verdicts = []
    for modality, spec in contract.modalities.items():
        if info.type.casefold() != spec.stream_type.casefold():
            continue
        problems = check_stream(spec, info, modality)
        verdicts.append(f"fits {modality}" if not problems else "; ".join(map(str, problems)))
    return verdicts or [f"type {info.type!r} is none of the model's"]
