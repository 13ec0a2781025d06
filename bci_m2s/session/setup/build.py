"""Settings to objects: the only place that wires a session together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.engine.history import History
from bci_m2s.engine.publisher import Publisher
from bci_m2s.errors import ConfigurationError, ContractError, ModelError, OutputError, UsageError, nearest
from bci_m2s.files.access import make_private_folder, refuse_full
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.model.channel_check import INTERPOLATE, unfillable_bad
from bci_m2s.model.contract import CalibrationContract, Contract
from bci_m2s.model.feature_size import check_size
from bci_m2s.model.model_file import load_model_file, unpack_modality
from bci_m2s.pipeline.failover import Chooser
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup.config import PipelineSettings, load_pipeline
from bci_m2s.session.setup.shipped import find_pipeline
from bci_m2s.session.setup.untrained import find_trained, find_untrained
from bci_m2s.sinks import SINKS, USUAL, Sink
from bci_m2s.sources import Source
from bci_m2s.sources.streams import LslStream
from bci_m2s.text import quoted
from bci_m2s.types import Emit, StreamInfo, no_listener

if TYPE_CHECKING:
    from bci_m2s.engine.engine import Engine
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.model.predictor import Predictor
    from bci_m2s.recording.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked pipeline file with its model, before any stream is touched."""

    path: Path
    settings: PipelineSettings
    model_path: Path
    contract: Contract
    tensors: Mapping[str, Any]


def make_plan(
    pipeline: str, *, model: str | None = None, may_be_untrained: bool = False, checked: bool = True
) -> Plan:
    """Read a pipeline (path or shipped name) and its model, and check them against each other.

    model : path or name of one to take in place of the pipeline's
    may_be_untrained : where the model is missing and a training file beside the pipeline makes it, take
        what that says: the plan then has no tensors, and its `model_path` is the training file
    checked : as for ``load_model_file``

    Raises ConfigurationError, ModelError or UsageError, each one line.
    """
    path = find_pipeline(pipeline)
    settings = load_pipeline(path)
    if model is not None:  # a path is seen from here, not from the pipeline's folder
        here = str(Path(model).absolute()) if Path(model).is_file() else model
        settings = settings.model_copy(update={"model": here})
    tensors: Mapping[str, Any] = {}
    try:
        model_path = find_trained(path, settings.model)
    except UsageError:
        untrained = find_untrained(path, settings.model) if may_be_untrained else None
        if untrained is None:
            raise
        model_path, contract = untrained
    else:
        contract, tensors = load_model_file(model_path, checked=checked)
    if problem := disagreement(settings, contract):
        raise ConfigurationError(with_line(path, read_yaml(path)[1], problem))
    for modality in settings.streams:
        check_feature(model_path, contract, modality)
    return Plan(path, settings, model_path, with_threshold(contract, settings.unknown_below), tensors)


def disagreement(settings: PipelineSettings, contract: Contract) -> str:
    """What a pipeline asks for that its model cannot give, beginning with the key; "" for nothing."""
    for modality, stream in settings.streams.items():
        if modality not in contract.modalities:
            hint = nearest(modality, contract.modalities)
            model = f"a modality of the model {contract.name!r}"
            return f"streams.{modality}: got {quoted(modality)}, expected {model}{hint}"
        if stream.bad_channels == INTERPOLATE and (why := unfillable_bad(contract.modalities[modality])):
            return f"streams.{modality}.bad_channels: got 'interpolate' {why}, expected 'training_mean'"
    if settings.baseline.start == "marker" and settings.markers is None:
        return "baseline.start: got 'marker', expected a 'markers' stream beside it"
    return ""


def with_threshold(contract: Contract, unknown_below: float | None) -> Contract:
    """The contract with this threshold of confidence for every answer; as it is for None."""
    if unknown_below is None:
        return contract
    modalities = {}
    for modality, spec in contract.modalities.items():
        calibration = {
            head: spec.calibration.get(head, CalibrationContract()).model_copy(
                update={"unknown_below": unknown_below}
            )
            for head in contract.heads
        }
        modalities[modality] = spec.model_copy(update={"calibration": calibration})
    return contract.model_copy(update={"modalities": modalities})


def pinned(plan: Plan, source_ids: Mapping[str, str]) -> Plan:
    """The plan with exactly these LSL streams, whatever their names and hosts; keys as in ``streams:``,
    or "markers". What is not named stays as it is. Raises UsageError.
    """
    settings = plan.settings
    every = {**settings.streams, **({"markers": settings.markers} if settings.markers else {})}
    for key, source_id in source_ids.items():
        if key not in every:
            raise UsageError(f"{plan.path}: stream {key!r}: the pipeline has none{nearest(key, every)}")
        if not isinstance(every[key], LslStream):
            raise UsageError(
                f"{plan.path}: stream {key!r}: source: got {every[key].source!r}, expected 'lsl'"
            )
        every[key] = every[key].model_copy(update={"source_id": source_id, "name": "", "host": ""})
    markers = every.pop("markers", None)
    return replace(plan, settings=settings.model_copy(update={"streams": every, "markers": markers}))


def waiting_for_baseline(plan: Plan) -> Plan:
    """The plan with a baseline that begins when its marker comes, not with the streams."""
    baseline = plan.settings.baseline.model_copy(update={"start": "marker"})
    return replace(plan, settings=plan.settings.model_copy(update={"baseline": baseline}))


def check_feature(model_path: Path, contract: Contract, modality: str) -> None:
    """Build a modality's feature at both ends of its rates, as a stream will. Raises ModelError."""
    try:
        check_size(contract.modalities[modality], contract.window, modality)
    except ContractError as problem:
        raise ModelError(f"{model_path}: {problem}") from None


def make_predictor(plan: Plan, device: str | None = None) -> Predictor:
    """The plan's model, ready; before any stream is connected, because it takes a second."""
    from bci_m2s.model.predictor import Predictor

    predictor = Predictor(
        plan.contract, plan.tensors, device or plan.settings.device, plan.settings.threads
    )
    predictor.warm_up()
    return predictor


def make_pipeline(
    plan: Plan,
    predictor: Predictor,
    infos: Mapping[str, StreamInfo],
    clock: Callable[[], float],
    emit: Emit = no_listener,
) -> Pipeline:
    """The pipeline for streams that were checked. infos : by modality; emit : gets its events."""
    settings = plan.settings
    stages = {}
    for modality, info in infos.items():
        stages[modality] = ModalityStage(
            modality,
            plan.contract.modalities[modality],
            plan.contract.window,
            info,
            stage_tensors(plan.tensors, modality),
            facts=settings.streams[modality],
            wait_for_marker=settings.baseline.start == "marker",
            on_drift=settings.drift,
            emit=emit,
        )
    chooser = _chooser(plan, list(stages), emit)
    return Pipeline(stages, predictor, clock, settings.baseline.marker, chooser, emit)


def make_publisher(
    plan: Plan,
    clock: Callable[[], float] | None,
    history: History | None = None,
    is_judged: bool = True,
) -> Publisher:
    """What gives the results of a plan's pipeline to sinks; it is made before the pipeline, which emits
    into it. Parameters as for ``Publisher``.
    """
    contract, settings = plan.contract, plan.settings
    is_one_line, late_after_s = settings.modality != "each", settings.late_after_s
    heads, hop_s = contract.class_names, contract.window.hop_s
    return Publisher(heads, hop_s, clock, is_one_line, history, late_after_s, is_judged)


def _chooser(plan: Plan, modalities: Sequence[str], emit: Emit) -> Chooser | None:
    """What makes one line of estimates of several; None where they stay side by side."""
    mode = plan.settings.modality
    if mode == "each":
        return None
    unknown_below = {
        modality: {head: entry.unknown_below for head, entry in spec.calibration.items()}
        for modality, spec in plan.contract.modalities.items()
    }
    settings, hop_s = plan.settings, plan.contract.window.hop_s
    return Chooser(mode, modalities, hop_s, settings.back_after_s, unknown_below, emit)


def stage_tensors(tensors: Mapping[str, Any], modality: str) -> dict[str, np.ndarray]:
    """A modality's scaler, prior and drift statistics as float64 arrays, without the modality's prefix."""
    own = unpack_modality(tensors, modality)
    return {
        key: np.asarray(array, dtype=np.float64)
        for key, array in own.items()
        if key.startswith(("scaler.", "baseline.", "drift."))
    }


def make_folder(output: Path, shared: bool = False) -> Path:
    """Create the output folder; one that holds anything is refused. Raises OutputError.

    shared : its group may read what is written into it, not its owner alone
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)  # a study's, as its umask has it
        make_private_folder(output, shared)
        refuse_full(output)
    except OSError as problem:
        raise OutputError(f"{output}: cannot be used as output folder: {problem.strerror}") from None
    return output


@contextmanager
def output_folder(output: Path | None, shared: bool = False) -> Iterator[Path | None]:
    """The output folder for the time of a command, see ``make_folder``; None for no output.

    One that was made for it and that holds nothing at the end is removed again.
    """
    if output is None:
        yield None
        return
    was_there = output.is_dir()
    folder = make_folder(output, shared)
    try:
        yield folder
    finally:
        if not was_there:
            with suppress(OSError):  # it holds something, or is gone
                folder.rmdir()


def make_recorder(
    folder: Path, infos: Sequence[StreamInfo], clock: Callable[[], float], **options: Any
) -> tuple[Recorder, str]:
    """A recorder of ``session.xdf`` that is not started yet, and a warning when the disk is nearly full.

    options : as for ``Recorder``. Raises OutputError when the file cannot be created or the disk is full.
    """
    from bci_m2s.recording.disk import check_disk
    from bci_m2s.recording.recorder import Recorder

    warning = check_disk(folder, infos)
    return Recorder(folder / "session.xdf", clock, **options), warning


def make_recording(
    folder: Path, sources: Mapping[str, Source], clock: Callable[[], float], session: SessionDescription
) -> tuple[Engine, str]:
    """An engine that only records opened sources, not started, and a warning as by ``make_recorder``.

    session : what the recording says of itself
    """
    from bci_m2s.engine.engine import Engine
    from bci_m2s.engine.record_only import RecordOnly
    from bci_m2s.sinks.recording import RecordSink

    infos = {name: source.info for name, source in sources.items()}
    recorder, warning = make_recorder(folder, list(infos.values()), clock)
    publisher = Publisher({}, RecordOnly.hop_s, clock)
    publisher.attach([SINKS["events"](folder, session), RecordSink(recorder, session)])
    return Engine(RecordOnly(infos, publisher.emit), sources, publisher, clock, recorder=recorder), warning


def make_sinks(
    plan: Plan,
    folder: Path | None,
    session: SessionDescription,
    outlet: bool,
    recorder: Recorder | None = None,
) -> list[Sink]:
    """The outlets first, so that a slow disk does not age what is published.

    outlet : whether to make what publishes; folder : of what keeps results, None for nothing of it
    """
    wanted = [*(["outlet"] if outlet else []), *(["file"] if folder is not None else [])]
    named = plan.settings.sinks
    sinks: list[Sink] = []
    for kind in wanted:
        usual = USUAL[kind] if kind == "file" or plan.settings.outlet.enabled else ()
        sinks += [SINKS[name](folder, session, **named.get(name, {})) for name in usual]
        for name, params in named.items():
            if name not in usual and SINKS[name].kind == kind:
                sinks.append(SINKS[name](folder, session, **params))
    if recorder is not None:
        from bci_m2s.sinks.recording import RecordSink

        sinks.append(RecordSink(recorder, session))
    return sinks


def make_evidence(
    plan: Plan, predictor: Predictor, pipeline: Pipeline, session: SessionDescription
) -> Evidence | None:
    """What publishes what estimates rest on, with its streams; None where the pipeline has no outlet.

    It serves every engine of a session; whoever made it closes it.
    """
    if not plan.settings.outlet.enabled:
        return None
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.sinks.outlets import EvidenceOutlet

    outlets = {
        modality: EvidenceOutlet(session, modality, names)
        for modality, names in pipeline.feature_names.items()
    }
    return Evidence(predictor, outlets)
