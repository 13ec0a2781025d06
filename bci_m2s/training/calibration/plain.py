"""A recording with trial markers that no session of ours made, ready for a model of its participant."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.model.contract import Contract
from bci_m2s.pipeline.again import Control
from bci_m2s.pipeline.recorded_windows import RecordedRun, StreamRun, end_of, markers_of, trial_markers
from bci_m2s.recording.file_names import subject_and_session
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.training.datasets.layout import Origin, Problem
from bci_m2s.training.datasets.matching import fitting

BASELINE_START = "baseline/start"


def plain_run(path: Path, recording: Recording, contract: Contract) -> RecordedRun:
    """The recording's streams that fit the model; a marker ``baseline/start`` begins the baseline.

    Without that marker the baseline begins with the stream.

    Raises
    ------
    RecordingError
        No stream fits.
    """
    subject, session = subject_and_session(path.absolute())
    problems: list[Problem] = []
    indices = fitting(contract, {}, recording, Origin(path, subject, session), problems.append)
    if not indices:
        raise RecordingError(f"{path}: {problems[0].text if problems else 'no stream of it can be used'}")
    begins_s = [time_s for time_s, text in markers_of(recording) if text == BASELINE_START]
    streams = {
        modality: StreamRun(
            recording.streams[index], controls=_controls(recording.streams[index], begins_s, modality)
        )
        for modality, index in indices.items()
    }
    is_named = subject != path.stem
    participant = subject if is_named else ""
    return RecordedRun(path, participant, streams, trial_markers(recording), end_of(streams))


def _controls(stream: RecordedStream, begins_s: list[float], modality: str) -> list[Control]:
    """A new baseline before the first sample after each of these times."""
    shared = stream.times + stream.offsets_s()
    controls: list[Control] = []
    for begin_s in begins_s:
        after = np.flatnonzero(shared > begin_s)
        if len(after) and math.isfinite(begin_s):
            controls.append((int(after[0]), "baseline_started", {"modality": modality}))
    return controls
