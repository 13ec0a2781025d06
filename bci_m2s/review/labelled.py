"""Sessions with trials, made ready for a model of their participant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bci_m2s.errors import RecordingError, TrainingError
from bci_m2s.model.contract import Contract
from bci_m2s.model.stream_check import check_stream
from bci_m2s.pipeline.recorded_windows import RecordedRun, StreamRun, end_of, trial_markers
from bci_m2s.recording.file_names import recordings_in
from bci_m2s.recording.guided import guided_markers, trial_streams
from bci_m2s.recording.marker_texts import several_mark
from bci_m2s.recording.recorded import Recording, open_recording
from bci_m2s.recording.trials import kept_trials
from bci_m2s.review.recorded import RecordedSession
from bci_m2s.review.session_model import find_session_model
from bci_m2s.types import TRIAL_START


def takes_of_session(session: Path, notify: Callable[[str], None]) -> list[Recording]:
    """The recordings of all takes of a session's folder, or the one that is meant.

    Takes that cannot be read, or hold no trial that counts, are left out, which is said.

    Raises
    ------
    RecordingError
        The only recording cannot be read.
    TrainingError
        No take is left.
    """
    paths = recordings_in(session)
    if len(paths) == 1:
        return [_opened(paths[0], notify)]
    found = []
    for path in paths:
        try:
            recording = _opened(path, notify)
        except RecordingError as problem:  # a crash may leave anything
            notify(f"note: {problem}: left out")
            continue
        markers = guided_markers(recording)
        if markers and not kept_trials(markers):
            notify(f"note: {path}: no trial of it counts: left out")
            continue
        found.append(recording)
    if not found:
        raise TrainingError(f"{session}: trials: got none in {len(paths)} takes, expected some")
    return found


def _opened(path: Path, notify: Callable[[str], None]) -> Recording:
    recording = open_recording(path)
    for warning in recording.warnings:
        notify(f"note: {path}: {warning}")
    if words := several_mark(trial_streams(recording), f"{TRIAL_START}.+"):
        notify(f"note: {path}: {words}")
    return recording


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
        trial_markers(session.recording),
        end_of(streams),
        is_simulated="signals" in session.record.simulated,
    )
