"""A session of ours with trials, made ready for a model of its participant."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.model.contract import Contract
from bci_m2s.model.stream_check import check_stream
from bci_m2s.pipeline.recorded_windows import RecordedRun, StreamRun, end_of, markers_of
from bci_m2s.review.recorded import RecordedSession
from bci_m2s.review.session_model import find_session_model


def session_model(session: RecordedSession) -> Path:
    """The model file of a session. Raises UsageError where it is not found."""
    return find_session_model(session.path, session.record)


def recorded_run(session: RecordedSession, contract: Contract) -> RecordedRun:
    """The session's streams that a model knows, with all that had an effect on them.

    Raises
    ------
    RecordingError
        The model knows none of its streams, or one does not fit.
    """
    settings, streams = session.settings(), {}
    waits = settings.baseline.start == "marker"
    for modality, described in session.record.streams.items():
        if modality not in contract.modalities or modality not in settings.streams:
            continue
        if problems := check_stream(contract.modalities[modality], described.info(), modality):
            raise RecordingError(f"{session.path}: {problems[0]}")
        stream, controls = session.raw_stream(modality), session.controls.get(modality, [])
        streams[modality] = StreamRun(stream, settings.streams[modality], waits, controls)
    if not streams:
        had, known = ", ".join(session.record.streams), ", ".join(contract.modalities)
        raise RecordingError(
            f"{session.path}: streams: got {had}, expected one that the model has: {known}"
        )
    return RecordedRun(
        session.path,
        session.record.participant,
        streams,
        markers_of(session.recording),
        end_of(streams),
        is_simulated="signals" in session.record.simulated,
    )
