"""Settings to objects: the only place that wires a session together."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

import bci_m2s
from bci_m2s.config import PipelineSettings, load_pipeline
from bci_m2s.contract import Contract, load_model_file
from bci_m2s.errors import ConfigurationError, ContractError, ModelError, OutputError, nearest
from bci_m2s.failover import Chooser, voices
from bci_m2s.features import EXTRACTORS
from bci_m2s.loading import load_class
from bci_m2s.pipeline import Pipeline
from bci_m2s.predictor import Predictor
from bci_m2s.shipped import find_model, find_pipeline
from bci_m2s.sinks import SINKS, Sink
from bci_m2s.stages import ModalityStage
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.sinks.recorder import Recorder

OUTLETS = ("outlet", "status")
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
        check_feature(model_path, contract, modality)
    if settings.baseline.start == "marker" and settings.markers is None:
        raise ConfigurationError(
            f"{path}: baseline.start: got 'marker', expected a 'markers' stream beside it"
        )
    return Plan(path, settings, model_path, contract, tensors)


def pinned(plan: Plan, source_ids: Mapping[str, str]) -> Plan:
    """The plan with the source ids of its LSL streams fixed; keys are modalities and "markers"."""
    settings = plan.settings
    streams = {
        modality: stream.model_copy(update={"source_id": source_ids.get(modality, "")})
        for modality, stream in settings.streams.items()
    }
    markers = settings.markers
    if markers is not None:
        markers = markers.model_copy(update={"source_id": source_ids.get("markers", "")})
    return replace(plan, settings=settings.model_copy(update={"streams": streams, "markers": markers}))


def check_feature(model_path: Path, contract: Contract, modality: str) -> None:
    """Build a modality's feature at both ends of its rates, as a stream will. Raises ModelError."""
    spec, window = contract.modalities[modality], contract.window
    extractor = load_class(EXTRACTORS, spec.feature.name)
    for rate_hz in (spec.rate_min_hz, spec.rate_max_hz):
        try:
            made = extractor(dict(spec.feature.params), spec.channels, rate_hz, window.step_s, window.hop_s)
        except ContractError as problem:
            raise ModelError(f"{model_path}: {modality} at {rate_hz:g} Hz: {problem}") from None
        if len(made.names) != spec.feature.n_features:
            raise ModelError(
                f"{model_path}: {modality}.feature.n_features: got {spec.feature.n_features}, "
                f"expected {len(made.names)}"
            )


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
    return Pipeline(stages, predictor, clock, settings.baseline.marker, _chooser(plan, list(stages)))


def _chooser(plan: Plan, modalities: Sequence[str]) -> Chooser | None:
    """What makes one line of estimates of several; None where they stay side by side."""
    mode = plan.settings.modality
    if mode == "each":
        return None
    unknown_below = {
        modality: {head: one.unknown_below for head, one in spec.calibration.items()}
        for modality, spec in plan.contract.modalities.items()
    }
    settings, hop_s = plan.settings, plan.contract.window.hop_s
    return Chooser(mode, modalities, hop_s, settings.back_after_s, unknown_below)


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


def make_recorder(
    folder: Path, infos: Sequence[StreamInfo], clock: Callable[[], float]
) -> tuple[Recorder, str]:
    """A recorder of ``session.xdf`` that is not started yet, and a warning when the disk is nearly full.

    Raises OutputError when the file cannot be created or the disk is full.
    """
    from bci_m2s.recording.disk import check_disk, expected_rate
    from bci_m2s.sinks.recorder import Recorder

    warning = check_disk(folder, expected_rate(infos))
    return Recorder(folder / "session.xdf", clock), warning


def make_sinks(
    plan: Plan,
    folder: Path | None,
    session: Mapping[str, Any],
    outlet: bool,
    recorder: Recorder | None = None,
) -> list[Sink]:
    """The outlets first, so that a slow disk does not age what is published."""
    names = list(OUTLETS) if outlet and plan.settings.outlet.enabled else []
    names += FILE_SINKS if folder is not None else ()
    sinks: list[Sink] = [load_class(SINKS, name)(folder, session) for name in names]
    if recorder is not None:
        from bci_m2s.sinks.record_sink import RecordSink

        sinks.append(RecordSink(recorder, session))
    return sinks


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
            "sha256": file_sha256(plan.model_path),
            "simulated": plan.contract.simulated,
            "training": plan.contract.training,
        },
        "heads": {head: list(classes) for head, classes in plan.contract.class_names.items()},
        "modalities": list(infos),
        "voices": list(voices(plan.settings.modality, list(infos))),  # what an estimate can be made of
        "window": plan.contract.window.model_dump(mode="json"),
        "streams": {
            modality: {**asdict(info), "labels": list(info.labels), "units": list(info.units)}
            for modality, info in infos.items()
        },
        "device": device,
        "outlet_name": plan.settings.outlet.name,
        "versions": {"system": platform.platform(), **versions()},
    }


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of what estimates depend on."""
    found = {"python": platform.python_version()}
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
