"""Whose a recording is (``sub-P001_ses-S001_...``, as BIDS names files), and which one a folder means."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from bci_m2s.errors import RecordingError

IN_SESSION = "session.xdf"  # name of the recording in a session's folder

_SUBJECT = re.compile(r"(?:^|[/_])sub-([^/_.]+)")
_SESSION = re.compile(r"(?:^|[/_])ses-([^/_.]+)")


def subject_and_session(path: PurePath) -> tuple[str, str]:
    """The subject, else the file's stem; and the session, else "1"."""
    subject, session = _SUBJECT.findall(path.as_posix()), _SESSION.findall(path.as_posix())
    return subject[-1] if subject else path.stem, session[-1] if session else "1"


def recording_in(path: Path) -> Path:
    """The recording that is meant: the file itself, or that of a session's folder.

    Raises
    ------
    RecordingError
        A folder holds no ``session.xdf``; with those that lie below it.
    """
    if not path.is_dir():
        return path
    if (path / IN_SESSION).is_file():
        return path / IN_SESSION
    below = sorted(file.relative_to(path).as_posix() for file in path.glob("*/*.xdf"))
    below += sorted(file.name for file in path.glob("*.xdf"))
    listed = f"{', '.join(below[:4])}{', …' if len(below) > 4 else ''}"
    holds = f"below it: {listed}" if below else "no XDF file below it"
    raise RecordingError(f"{path}: is a folder without {IN_SESSION}; {holds}")
