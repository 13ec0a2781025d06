"""Whose a recording is: ``sub-P001_ses-S001_...``, as BIDS names files; and which one a folder means."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from bci_m2s.errors import RecordingError
from bci_m2s.recording import SUMS_SUFFIX
from bci_m2s.recording.e4_files import leading_file

IN_SESSION = "session.xdf"  # name of the recording in a session's folder

_TAKE = re.compile(r"take-(\d+)")
_SUBJECT = re.compile(r"(?:^|[/_])sub-([^/_.]+)")
_SESSION = re.compile(r"(?:^|[/_])ses-([^/_.]+)")
# Words that say what a file holds, not whose it is.
_SIGNALS = {
    "eeg",
    "eye",
    "eyes",
    "gaze",
    "pupil",
    "ecg",
    "emg",
    "eog",
    "eda",
    "gsr",
    "skin",
    "ppg",
    "physio",
}
_WATCH = {"e4", "empatica", "acc", "bvp", "hr", "ibi", "tags", "temp"}
_MARKERS = {"marker", "markers", "event", "events", "label", "labels"}
KINDS = frozenset(_SIGNALS | _WATCH | _MARKERS | {"session", "data", "raw", "signal", "signals", "samples"})
_OF_WATCH = re.compile(r"\d{9,10}_[0-9A-Fa-f]+")  # Empatica's name of an export: Unix time and device


def subject_and_session(path: PurePath) -> tuple[str, str]:
    """The subject and the session, "1" where none is named.

    Without BIDS names the subject is the file's stem without words such as "eeg" ("P01_eeg.csv" is of P01);
    where that leaves nothing ("eeg.csv"), the first folder of a relative path; the second is the session.
    """
    subject, session = _SUBJECT.findall(path.as_posix()), _SESSION.findall(path.as_posix())
    if subject or session:
        return subject[-1] if subject else path.stem, session[-1] if session else "1"
    if own := without_kind(path.stem):
        return own, "1"
    parts = path.parent.parts[-1:] if path.is_absolute() else path.parent.parts
    named = list(dict.fromkeys(own for part in parts if (own := without_kind(part))))
    return named[0] if named else path.stem, named[1] if len(named) > 1 else "1"


def named_subject(path: PurePath) -> str:
    """The subject that ``sub-`` in a path names, "" without one; the last of several."""
    subjects = _SUBJECT.findall(path.as_posix())
    return subjects[-1] if subjects else ""


def without_kind(stem: str) -> str:
    """A name without the words that say what a file holds: "P01" of "P01_eeg", "" of "eeg"."""
    if _OF_WATCH.fullmatch(stem):
        return ""
    parts = re.split(r"([_\s-])", stem)
    words = [word for word in parts[::2] if word.casefold() not in KINDS]
    return stem if len(words) == len(parts[::2]) else "_".join(words)


def recording_in(path: Path) -> Path:
    """The recording that is meant: the file itself, or that of a session's or a watch's folder.

    Raises
    ------
    RecordingError
        A folder holds no ``session.xdf``; with those that lie below it.
    """
    if not path.is_dir():
        return path
    if (path / IN_SESSION).is_file():
        return path / IN_SESSION
    if (watch := leading_file(path)) is not None:
        return watch
    below = sorted(file.relative_to(path).as_posix() for file in path.glob("*/*.xdf"))
    below += sorted(file.name for file in path.glob("*.xdf"))
    listed = f"{', '.join(below[:4])}{', …' if len(below) > 4 else ''}"
    holds = f"below it: {listed}" if below else "no XDF file below it"
    raise RecordingError(f"{path}: is a folder without {IN_SESSION}; {holds}")


def recordings_in(path: Path) -> list[Path]:
    """All takes of a session's folder, in their order; else the one recording that is meant.

    Raises RecordingError as ``recording_in``.
    """
    if path.is_dir() and not _TAKE.fullmatch(path.resolve().name) and (takes := _takes_in(path)):
        return takes
    return [recording_in(path)]


def people_in(path: Path) -> dict[str, list[Path]]:
    """The recordings of a folder with several people's sessions: all takes of each, by the folder's name.

    {} where it is none, a session's own folder for instance. A recording that is gone while its checksums
    are there is named too, so that nobody is passed over.
    """
    if not path.is_dir() or (path / IN_SESSION).is_file():
        return {}
    folders = [folder for folder in sorted(path.iterdir()) if not _TAKE.fullmatch(folder.name)]
    return {folder.name: takes for folder in folders if (takes := _takes_in(folder, lost=True))}


def take_number(recording: Path) -> int:
    """Which take of its session a recording is; 1 where there is no other."""
    take = _TAKE.fullmatch(recording.parent.name)
    return int(take[1]) if take and recording.name == IN_SESSION else 1


def takes_of(recording: Path) -> list[Path]:
    """The recordings of all takes of a session, in their order; [] where there are no two."""
    if recording.name != IN_SESSION:
        return []
    folder = recording.parent
    session = folder.parent if _TAKE.fullmatch(folder.name) else folder
    takes = _takes_in(session)
    return takes if len(takes) > 1 and recording in takes else []


def _takes_in(session: Path, lost: bool = False) -> list[Path]:
    """lost : with recordings of which the checksums alone are left"""
    names = (IN_SESSION, IN_SESSION + SUMS_SUFFIX) if lost else (IN_SESSION,)
    places = {file.parent for name in names for file in session.glob(f"take-*/{name}")}
    later = [place / IN_SESSION for place in places if _TAKE.fullmatch(place.name)]
    first = [session / IN_SESSION] if any((session / name).is_file() for name in names) else []
    return [*first, *sorted(later, key=take_number)]
