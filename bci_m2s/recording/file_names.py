"""Whose a recording is: ``sub-P001_ses-S001_...``, as BIDS names files and folders."""

from __future__ import annotations

import re
from pathlib import PurePath

_SUBJECT = re.compile(r"(?:^|[/_])sub-([^/_.]+)")
_SESSION = re.compile(r"(?:^|[/_])ses-([^/_.]+)")


def subject_and_session(path: PurePath) -> tuple[str, str]:
    """The subject, else the file's stem; and the session, else "1"."""
    subject, session = _SUBJECT.findall(path.as_posix()), _SESSION.findall(path.as_posix())
    return subject[-1] if subject else path.stem, session[-1] if session else "1"
