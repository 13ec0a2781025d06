"""Which stream of a recording serves which modality of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from bci_m2s.errors import BciM2sError, StreamError, nearest
from bci_m2s.model.contract import Contract, ModalityContract
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.sources.facts import NOTHING_STATED, StreamFacts
from bci_m2s.training.datasets.layout import OnProblem, Origin
from bci_m2s.types import StreamInfo

# modality → index of its stream in a recording
Matcher = Callable[[Recording, Origin, OnProblem], dict[str, int]]


def note(file: Origin, on_problem: OnProblem, text: str) -> None:
    """Say what is odd about a file and leaves nothing out."""
    on_problem(file.problem(text, left_out=False))


def fitting(
    contract: Contract,
    facts: Mapping[str, StreamFacts],
    recording: Recording,
    file: Origin,
    on_problem: OnProblem,
) -> dict[str, int]:
    """The stream that fits each modality; a modality that none or several fit is reported."""
    indices: dict[str, int] = {}
    for modality, spec in contract.modalities.items():
        stated = facts.get(modality, NOTHING_STATED)
        typed = {
            index: _problems(spec, stated, stream)
            for index, stream in enumerate(recording.streams)
            if stream.info.type.casefold() == spec.stream_type.casefold() and stream.n_samples
        }
        fitting = [index for index, problems in typed.items() if not problems]
        if len(fitting) == 1:
            indices[modality] = fitting[0]
            for doubt in stream_doubts(spec, stated_info(stated, recording.streams[fitting[0]])):
                note(file, on_problem, f"{modality}: {doubt}")
            if other := _other_line(spec, recording):
                note(file, on_problem, f"{modality}: {other}")
        elif fitting:
            names = ", ".join(repr(recording.streams[index].info.name) for index in fitting)
            on_problem(file.problem(f"{modality}: {len(fitting)} streams fit: {names}"))
        elif typed:
            lines = [f"{modality}: {problem}" for problems in typed.values() for problem in problems]
            on_problem(file.problem("; ".join([*lines, *_elsewhere(spec, recording)])))
        else:
            types = [stream.info.type for stream in recording.raw_streams if stream.n_samples]
            text = f"{modality}: no stream of type {spec.stream_type!r} with samples"
            note(file, on_problem, text + nearest(spec.stream_type, dict.fromkeys(types)))
    return indices


def _elsewhere(spec: ModalityContract, recording: Recording) -> Iterator[str]:
    """Channels that the model wants in a stream of one type, and the file has in one of another."""
    for stream in recording.raw_streams:
        if stream.is_markers or stream.info.type.casefold() == spec.stream_type.casefold():
            continue
        own = {label.casefold() for label in stream.info.labels}
        if found := [label for label in spec.channels if label.casefold() in own]:
            yield f"{', '.join(found)}: of type {stream.info.type!r} in this file"


def _other_line(spec: ModalityContract, recording: Recording) -> str:
    """Words for a notch of the model that is at another frequency than the file's mains; "" for none."""
    notches = spec.feature.params.get("notch_hz")
    if not isinstance(notches, list) or not notches or math.isnan(recording.line_hz):
        return ""
    if any(isinstance(notch, int | float) and abs(notch - recording.line_hz) < 1 for notch in notches):
        return ""
    return f"line frequency {recording.line_hz:g} Hz; the model's notch_hz is {notches}"


def stated_info(stated: StreamFacts, stream: RecordedStream) -> StreamInfo:
    """What a stream is, with what is stated of it. Raises StreamError for a wrong label."""
    return stated.applied_to(stream.info, stream.times)


def _problems(spec: ModalityContract, stated: StreamFacts, stream: RecordedStream) -> list[BciM2sError]:
    try:
        return [*check_stream(spec, stated_info(stated, stream))]
    except StreamError as problem:
        return [problem]


def all_streams(recording: Recording, _file: Origin, _on_problem: OnProblem) -> dict[str, int]:
    """Every stream of numbers, by its type in lower case."""
    indices: dict[str, int] = {}
    for index, stream in enumerate(recording.streams):
        if (
            stream in recording.raw_streams
            and not (stream.is_text or stream.is_markers)
            and stream.n_samples
        ):
            name = stream.info.type.lower() or "untyped"
            indices[name if name not in indices else f"{name}-{index + 1}"] = index
    return indices
