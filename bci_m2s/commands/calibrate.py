"""What `bci-m2s calibrate` begins with: the model, and the sessions as runs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bci_m2s.errors import UsageError

if TYPE_CHECKING:
    from bci_m2s.pipeline.recorded_windows import RecordedRun
    from bci_m2s.recording.recorded import Recording
    from bci_m2s.training.calibration.base import Base


def base_of(recordings: list[Recording], name: str | None) -> Base:
    """The model that a calibration begins with: as named, else the first session's."""
    from bci_m2s.model.model_file import load_model_file
    from bci_m2s.review.labelled import session_model
    from bci_m2s.review.recorded import has_session, read_recorded_session
    from bci_m2s.session.setup.shipped import find_model
    from bci_m2s.training.calibration.base import Base

    first = recordings[0]
    if name is not None:
        path = find_model(name)
    elif has_session(first):
        path = session_model(read_recorded_session(first))
    else:
        raise UsageError(f"{first.path}: holds no session with a model, expected --base MODEL beside it")
    return Base(path, *load_model_file(path))


def run_of(recording: Recording, base: Base) -> RecordedRun:
    """A session of ours with all that had an effect on its signal, or any other recording as it is."""
    from bci_m2s.review.labelled import recorded_run
    from bci_m2s.review.recorded import has_session, read_recorded_session
    from bci_m2s.training.calibration.plain import plain_run

    if has_session(recording):
        return recorded_run(read_recorded_session(recording), base.contract)
    return plain_run(recording.path, recording, base.contract)
