"""What each column of a table is: time, marker, or a channel of which stream and in which unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.errors import RecordingError, nearest
from bci_m2s.recording.channel_types import type_of_label
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.recording.tables.times import TimeColumn
from bci_m2s.signal.units import find_unit
from bci_m2s.text import is_number

CODES = ("marker", "markers", "event", "events", "trigger", "stim")  # in which 0 is nothing
LABELS = ("label", "labels", "trial_type", "condition", "annotation", "annotations", "description", "class")
MARKERS = CODES + LABELS
NOTHING = ("", "nan", "n/a", "na", "none", "null")  # cells that hold no value
DURATIONS = ("duration", "duration_s", "length_s")
FILE_TYPES = (  # words of a file's name, and the type of its channels
    ("eeg", "EEG"),
    ("eye", "Gaze"),
    ("gaze", "Gaze"),
    ("pupil", "Gaze"),
    ("ecg", "ECG"),
    ("emg", "EMG"),
    ("eog", "EOG"),
    ("acc", "ACC"),
    ("eda", "Peripheral"),
    ("gsr", "Peripheral"),
    ("physio", "Peripheral"),
)
_ELECTRODE = re.compile(
    r"(?:eeg[ ._-]?)?(?:fp|af|f|ft|fc|c|t|tp|cp|p|po|o|i|a|m|n|cb)(?:p?z|\d{1,2}h?)", re.IGNORECASE
)
_STATED = re.compile(r"(.+?)\s*[(\[]\s*([^()\[\]]*)\s*[)\]]")


@dataclass(frozen=True)
class Channel:
    """One column of samples."""

    place: int
    label: str
    unit: str
    type: str


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    marker, duration : -1 where there is none; zero_is_none : whether 0 in the column `marker` is none
    channels : those of samples, in their order; left_out : names of columns that hold no numbers
    """

    time: TimeColumn | None
    marker: int
    duration: int
    zero_is_none: bool
    channels: tuple[Channel, ...]
    left_out: tuple[str, ...]


def sort_columns(
    path: Path,
    names: Sequence[str],
    head: Sequence[Sequence[str]],
    time: TimeColumn | None,
    settings: FileSettings,
) -> Columns:
    """Tell the columns of a table apart. Raises RecordingError where the stated one is not there."""
    folded = [name.casefold() for name in names]
    marker = next((folded.index(word) for word in MARKERS if word in folded), -1)
    if settings.marker:
        if settings.marker not in names:
            hint = nearest(settings.marker, names)
            raise RecordingError(f"{path}: data.files.marker: no column {settings.marker!r}{hint}")
        marker = names.index(settings.marker)
    duration = next((folded.index(word) for word in DURATIONS if word in folded), -1)
    taken = {marker, duration, -1 if time is None else time.place}
    of_file = next((kind for word, kind in FILE_TYPES if word in path.stem.casefold()), "Misc")
    channels, left_out = [], []
    for place, name in enumerate(names):
        if place in taken:
            continue
        cells = [row[place] for row in head if place < len(row) and row[place].casefold() not in NOTHING]
        label, unit = _label_and_unit(name)
        known = type_of_label(label) or ("EEG" if _ELECTRODE.fullmatch(label) else "")
        if not all(map(is_number, cells)) or not (cells or known):
            left_out.append(name)
            continue
        kind = settings.type or known or of_file
        channels.append(Channel(place, label, unit, kind))
    zero_is_none = marker >= 0 and folded[marker] in CODES
    return Columns(time, marker, duration, zero_is_none, tuple(channels), tuple(left_out))


def _label_and_unit(name: str) -> tuple[str, str]:
    """Label and unit of "TP9 (uV)"; what no unit is belongs to the label."""
    stated = _STATED.fullmatch(name)
    unit = find_unit(stated[2]) if stated else None
    return (stated[1], unit.name) if stated and unit is not None else (name, "")
