"""A session as it is handed over: its streams by what they are good for, on one time axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.handover.axis import TimeAxis, axis_of, whole_axis
from bci_m2s.handover.gaze import eyes_of
from bci_m2s.handover.marks import Mark, marks_of
from bci_m2s.recording.file_names import recording_in
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.review.draw_signals import overview_stream
from bci_m2s.review.facts import RecordingFacts, RecordingStream, recording_facts

BRAIN = ("eeg",)


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """All that is handed over of one recording.

    leading : the EEG, or None where there is none; eyes, others : the streams beside it
    left_out : what is not handed over, and why
    begun : moment of the axis' 0 s, UTC; None where nothing says it
    """

    facts: RecordingFacts
    axis: TimeAxis
    leading: RecordingStream | None
    eyes: tuple[RecordingStream, ...]
    others: tuple[RecordingStream, ...]
    marks: tuple[Mark, ...]
    trials: tuple[GuidedTrial, ...]
    left_out: tuple[str, ...]
    begun: datetime | None

    @property
    def path(self) -> Path:
        """The recording's file."""
        return self.facts.recording.path


def read_content(path: Path) -> Content:
    """Read a recording, or that of a session's folder.

    Raises
    ------
    RecordingError
        It cannot be read, or holds neither samples nor markers.
    """
    facts = recording_facts(open_recording(recording_in(path)))
    numeric = [one for one in facts.raw_streams if not (one.is_text or one.is_markers) and one.n_samples]
    if not numeric and not facts.markers:
        raise RecordingError(f"{facts.recording.path}: holds no sample and no marker to hand over")
    eyes = [stream for stream in numeric if eyes_of(stream)]
    brain = [one for one in numeric if one.info.type.casefold() in BRAIN and one.is_regular]
    leading = overview_stream(facts) if brain else None
    axis = axis_of(leading) if leading is not None else whole_axis(numeric)
    others = [one for one in numeric if one not in eyes and one not in brain]
    modality = next((name for name, one in facts.modality_streams().items() if one is leading), "")
    return Content(
        facts,
        axis,
        leading,
        tuple(eyes),
        tuple(others),
        tuple(marks_of(facts, axis, modality)),
        tuple(facts.guided_trials()),
        tuple(f"EEG stream {one.info.name!r}: a second one" for one in brain if one is not leading),
        _begun(facts, axis),
    )


def _begun(facts: RecordingFacts, axis: TimeAxis) -> datetime | None:
    """By the clock that stands beside the session's events."""
    for event in facts.events:
        wall_s = event.fields.get("wall_s")
        if isinstance(wall_s, float) and math.isfinite(event.time_s) and 0 < wall_s < 1e11:
            seconds = wall_s - event.time_s + float(axis.knots_s[0])
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return None
