"""The live pipeline from Python: what a session makes of its streams, on samples that are there already."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci_m2s.errors import StreamError, UsageError, nearest
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.pipeline.baseline_file import adopt_baseline
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.pipeline.pipeline import run_offline as estimates_of
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.session.setup import build
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.session.setup.connect import check
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.sources import Source
from bci_m2s.sources.replay import replay_sources
from bci_m2s.types import Estimate, StreamInfo

if TYPE_CHECKING:
    import mne

Choice = str  # "each": estimates side by side; "auto": of the first usable modality; "fused": their average


def make_pipeline(
    model: str | Path,
    streams: Mapping[str, StreamInfo | float],
    *,
    modality: Choice = "each",
    device: str = "cpu",
    baseline: str | Path | None = None,
) -> Pipeline:
    """Make the pipeline of a live session, to be fed by hand.

    ``pipeline.push("eeg", Chunk.of(times, samples))`` takes the next samples, times (n,) in seconds and
    samples (n, channels) in the contract's units, and returns the estimates that they complete. How samples
    are parted into chunks makes no difference.

    Parameters
    ----------
    model : path of a model file, or name of a shipped one
    streams : by modality, in the order of preference: a stream's description, or its sampling rate in Hz
        where it has the contract's channels in the contract's units
    modality : "each", "auto" or "fused", as in a pipeline file
    device : "auto", "cpu", "cuda" or "cuda:N"
    baseline : baseline.json of an earlier session of the same person

    Raises
    ------
    UsageError
        There is no such model, or it has no such modality.
    ModelError
        The model file cannot be read.
    StreamError
        A stream does not fit the model; with all that differs.
    """
    path = find_model(str(model))
    contract, tensors = load_model_file(path)
    infos = {name: _described(contract, name, stream) for name, stream in streams.items()}
    settings = PipelineSettings.model_validate(
        {"model": path.name, "streams": {name: {} for name in infos}, "modality": modality}
    )
    plan = build.Plan(path, settings, path, contract, tensors)
    for name, info in infos.items():
        check(plan, name, info)
        build.check_feature(path, contract, name)
    made = build.make_pipeline(plan, build.make_predictor(plan, device), infos, time.perf_counter)
    if baseline is not None:
        adopt_baseline(Path(baseline), made)
    return made


def run_offline(
    model: str | Path,
    recording: str | Path | mne.io.BaseRaw,
    *,
    streams: Mapping[str, str] | None = None,
    modality: Choice = "each",
    device: str = "cpu",
    baseline: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Run recorded samples through the live pipeline; markers begin baselines as they do live.

    ``pandas.DataFrame(run_offline(...))`` makes a table of the result.

    Parameters
    ----------
    model : path of a model file, or name of a shipped one
    recording : a file that ``open_recording`` reads, or MNE's Raw; samples in ``BAD_gap`` are missing
    streams : name or type of the stream of each modality; None takes for each the one that fits
    modality, device, baseline : as for ``make_pipeline``

    Returns
    -------
    One dict per estimate, in the order of time: modality, head, status ("ok" or why there is none), reason,
    label, confidence, p_CLASS for each class of the head, and start_s, end_s of its window in the clock of
    the stream. Numbers that are not known are NaN.

    Warns
    -----
    RuntimeWarning
        What is odd or damaged about the recording, and what a stream leaves open, as ``replay`` says it.

    Raises
    ------
    RecordingError
        The recording cannot be read.
    StreamError
        No stream fits the model, or several fit one modality.
    UsageError, ModelError
        As ``make_pipeline``.
    """
    opened = _opened(recording)
    for text in opened.warnings:
        _warn(f"{opened.path}: {text}")
    contract, _ = load_model_file(find_model(str(model)))
    chosen = _chosen(opened, contract, streams or {})
    for name, stream in chosen.items():
        for doubt in stream_doubts(contract.modalities[name], stream.info, conversions=False):
            _warn(f"{opened.path}: {doubt}")
    infos = {name: stream.info for name, stream in chosen.items()}
    pipeline = make_pipeline(model, infos, modality=modality, device=device, baseline=baseline)
    made = replay_sources([*chosen.values(), *opened.markers])
    sources: dict[str, Source] = dict(zip(chosen, made, strict=False))
    results = estimates_of(pipeline, sources, made[len(chosen) :])
    rows = [_row(estimate, contract.class_names) for estimate in results]
    for text in [*pipeline.notes, *pipeline.never_used]:
        _warn(f"{opened.path}: {text}")
    return rows


def _described(contract: Contract, name: str, stream: StreamInfo | float) -> StreamInfo:
    if name not in contract.modalities:
        raise UsageError(
            f"model {contract.name!r} has no modality {name!r}{nearest(name, contract.modalities)}"
        )
    if isinstance(stream, StreamInfo):
        return stream
    spec = contract.modalities[name]
    return StreamInfo(
        name, spec.stream_type, rate_hz=float(stream), labels=tuple(spec.channels), units=tuple(spec.units)
    )


def _opened(recording: Any) -> Recording:
    if not hasattr(recording, "get_channel_types"):
        return open_recording(recording)
    from bci_m2s.recording.read_mne import edf_header, raw_streams

    notes: list[str] = []
    streams = raw_streams(recording, "raw", notes=notes)
    name = next(iter(recording.filenames), None)
    header = edf_header(Path(name), []) if name is not None else None
    if header is not None and header.is_discontinuous:
        notes.append(f"MNE's Raw knows nothing of its pauses; give the file itself: {name}")
    return Recording(Path("raw"), tuple(streams), notes)


def _warn(text: str) -> None:
    """Say what is odd about a recording to the caller of ``run_offline``."""
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _chosen(
    recording: Recording, contract: Contract, wanted: Mapping[str, str]
) -> dict[str, RecordedStream]:
    """The stream of each modality: the one that was asked for, else the only one that fits."""
    chosen: dict[str, RecordedStream] = {}
    reasons: list[str] = []
    for name in wanted:
        _described(contract, name, 0.0)  # refuses what is no modality
    for name, spec in contract.modalities.items():
        if wanted:
            fitting = list(recording.pick([wanted[name]])) if name in wanted else []
        else:
            fitting = []
            for stream in recording.raw_streams:
                if stream.info.type.casefold() == spec.stream_type.casefold() and stream.n_samples:
                    problems = check_stream(spec, stream.info, f"{name}: stream {stream.info.name!r}")
                    reasons += map(str, problems)
                    fitting += [] if problems else [stream]
        if len(fitting) > 1:
            names = ", ".join(repr(stream.info.name) for stream in fitting)
            raise StreamError(f"{recording.path}: {name}: {len(fitting)} streams fit: {names}; name one")
        if fitting:
            chosen[name] = fitting[0]
    if not chosen:
        types = ", ".join(repr(spec.stream_type) for spec in contract.modalities.values())
        why = "; ".join(reasons) or f"no stream of type {types}"
        raise StreamError(f"{recording.path}: no stream fits the model {contract.name!r}: {why}")
    return chosen


def _row(estimate: Estimate, classes: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    names = classes[estimate.head]
    return {
        "modality": estimate.modality,
        "head": estimate.head,
        "status": estimate.status.name.lower(),
        "reason": estimate.reason,
        "filled": estimate.filled,
        "label": estimate.label(names),
        "confidence": float(estimate.confidence),
        **{f"p_{name}": float(p) for name, p in zip(names, estimate.probabilities, strict=True)},
        "start_s": float(estimate.start_s),
        "end_s": float(estimate.end_s),
    }
