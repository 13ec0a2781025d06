"""What a recording of ours says of its session: pipeline, model, streams, and all that had an effect.

A recording may come from anyone. Its description is checked field by field, its model is held
against its checksum, and what does not fit is refused in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bci_m2s.errors import RecordingError, UsageError
from bci_m2s.files.checksum import file_sha256
from bci_m2s.files.explain import describe
from bci_m2s.lsl.description import ReplayableSession, SessionDescription
from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE, parse_line
from bci_m2s.model.model_file import load_model_file
from bci_m2s.model.stream_check import check_stream
from bci_m2s.pipeline.again import Control
from bci_m2s.pipeline.modality import CONTROLS
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.review.session_model import find_session_model
from bci_m2s.session.setup import build
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.text import printable, quoted


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A recording with what it says of itself. controls : by modality, in their order."""

    recording: Recording
    record: ReplayableSession
    controls: Mapping[str, list[Control]]

    @property
    def path(self) -> Path:
        """The recording's file."""
        return self.recording.path

    def raw_stream(self, modality: str) -> RecordedStream:
        """The recorded stream of a modality, described as in the session. Raises RecordingError."""
        info = self.record.streams[modality].info()
        wanted = (info.name, info.type, info.uid, info.n_channels)
        found = [
            stream
            for stream in self.recording.raw_streams
            if (stream.info.name, stream.info.type, stream.info.uid, stream.info.n_channels) == wanted
        ]
        if len(found) != 1:
            raise RecordingError(
                f"{self.path}: {modality}: got {len(found)} streams {info.name!r} with uid {info.uid!r}, "
                "expected 1"
            )
        return replace(found[0], info=info)

    def estimates(self) -> dict[str, RecordedStream]:
        """The stream of estimates of each head. Raises RecordingError when they are not all there."""
        streams = [stream for stream in self.recording.streams if stream.info.type == ESTIMATES_TYPE]
        if len(streams) != len(self.record.heads):
            raise RecordingError(
                f"{self.path}: got {len(streams)} streams of estimates, expected {len(self.record.heads)} "
                "(one per head)"
            )
        return dict(zip(self.record.heads, streams, strict=True))

    def _given(self, model: str) -> Path:
        """A model that somebody named, if it is the session's. Raises UsageError."""
        file, used = find_model(model), self.record.model
        got = file_sha256(file)
        if got != used.sha256:
            raise UsageError(
                f"model {file}: is not the one of this session: sha256: got {got[:16]}…, expected "
                f"{used.sha256[:16]}… ({used.path or used.file})"
            )
        return file

    def plan(self, model: str | None = None) -> build.Plan:
        """The session's pipeline with its model.

        model : file or name; None looks for the session's own, see ``find_session_model``

        Raises
        ------
        RecordingError
            The pipeline that the recording holds cannot be one of ours.
        UsageError
            The model is not there, or is not the one that was used.
        """
        file = find_session_model(self.path, self.record) if model is None else self._given(model)
        contract, tensors = load_model_file(file)
        settings = self.settings()
        for modality, stream in self.record.streams.items():
            if modality not in contract.modalities or modality not in settings.streams:
                raise RecordingError(f"{self.path}: session: the model or pipeline has no {modality!r}")
            problems = check_stream(contract.modalities[modality], stream.info(), modality)
            if problems:
                raise RecordingError(f"{self.path}: session: {problems[0]}")
        contract = build.with_threshold(contract, settings.unknown_below)
        return build.Plan(self.path, settings, file, contract, tensors)

    def settings(self) -> PipelineSettings:
        """The session's pipeline. Raises RecordingError when it cannot be one of ours."""
        # where results went plays no part in how they come back, and needs no package to be installed
        pipeline = self.record.pipeline.values()
        settings = {key: value for key, value in pipeline.items() if key not in ("file", "sinks")}
        try:
            return PipelineSettings.model_validate(settings, strict=False)
        except ValidationError as problem:
            words = describe(problem, PipelineSettings)
            raise RecordingError(f"{self.path}: session's pipeline: {words}") from None


def has_session(recording: Recording) -> bool:
    """Whether a recording holds a session of ours, estimates included."""
    types = {stream.info.type for stream in recording.streams}
    return EVENTS_TYPE in types and ESTIMATES_TYPE in types


def read_recorded_session(recording: Recording) -> RecordedSession:
    """What a recording says of its session. Raises RecordingError when it holds none, or a damaged one."""
    path = recording.path
    if not has_session(recording):
        raise RecordingError(f"{path}: holds no estimates of bci_m2s: there is nothing to compare with")
    record: ReplayableSession | None = None
    controls: dict[str, list[Control]] = {}
    for stream in recording.streams:
        if stream.info.type != EVENTS_TYPE or not stream.is_text:
            continue
        for row in stream.read(0, stream.n_samples):
            try:
                line = parse_line(str(row[0]))
            except ValueError as problem:
                raise RecordingError(f"{path}: event {quoted(str(row[0]))}: {printable(problem)}") from None
            if line.get("kind") == "session":
                try:
                    record = SessionDescription.strict(line.get("session"))
                except ValidationError as problem:
                    words = describe(problem, ReplayableSession)
                    raise RecordingError(f"{path}: session description: {words}") from None
            elif line.get("kind") in CONTROLS:
                modality, control = _control(path, line)
                controls.setdefault(modality, []).append(control)
    if record is None:
        raise RecordingError(f"{path}: session description: got none, expected one in the events")
    return RecordedSession(recording, record, controls)


def _control(path: Path, line: Mapping[str, Any]) -> tuple[str, Control]:
    at_sample, modality = line.get("at_sample"), line.get("modality")
    if not isinstance(at_sample, int) or at_sample < 0 or not isinstance(modality, str):
        raise RecordingError(
            f"{path}: event {line['kind']!r}: got modality {quoted(modality, 40)} and at_sample "
            f"{quoted(at_sample, 40)}, expected a name and a number from 0 up"
        )
    return modality, (at_sample, str(line["kind"]), line)
