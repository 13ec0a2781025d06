"""Whose recording it is and which one: the labels that BIDS puts into the names of files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.errors import UsageError
from bci_m2s.recording.file_names import subject_and_session, take_number
from bci_m2s.recording.trials import SESSION_START
from bci_m2s.review.facts import RecordingFacts
from bci_m2s.text import quoted

DEFAULT_TASK = "emotion"
_TASK, _RUN = re.compile(r"_task-([^_.]+)"), re.compile(r"_run-(\d{1,3})(?=[_.])")


@dataclass(frozen=True, slots=True)
class Names:
    """Labels, letters and digits alone; run : two digits; said : which were not given, and why so."""

    subject: str
    session: str
    task: str
    run: str
    said: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """How the names of this recording's files begin, without the last underscore."""
        return f"sub-{self.subject}_ses-{self.session}_task-{self.task}_run-{self.run}"

    @property
    def folder(self) -> Path:
        """Of the session's files, within the data set."""
        return Path(f"sub-{self.subject}") / f"ses-{self.session}"


def names_for(
    facts: RecordingFacts, subject: str = "", session: str = "", task: str = "", run: int = 0
) -> Names:
    """Labels as given, else from the recording, its folder and its protocol.

    Raises
    ------
    UsageError
        A label that was given has other signs than letters and digits.
    """
    for option, label in (("subject", subject), ("session", session), ("task", task)):
        if label and label != _plain(label):
            raise UsageError(f"--{option}: got {quoted(label)}, expected letters and digits alone")
    path = _main_file(facts.recording.path)
    by_path = subject_and_session(path)
    described = facts.session.participant if facts.session is not None else ""
    found = {
        "subject": _plain(described) or _plain(by_path[0]) or "01",
        "session": _plain(by_path[1]) or "1",
        "task": _plain(_protocol(facts) or _found(_TASK, path.name)) or DEFAULT_TASK,
    }
    given = {"subject": subject, "session": session, "task": task}
    labels = {name: given[name] or found[name] for name in found}
    number = run or int(_found(_RUN, path.name) or take_number(facts.recording.path))
    missing = [f"--{name} {labels[name]}" for name in found if not given[name]]
    missing += [] if run else [f"--run {number}"]
    return Names(**labels, run=f"{number:02d}", said=tuple(missing))


def _main_file(path: Path) -> Path:
    """The recording of the session that a take belongs to: takes are of one person and session."""
    return path.parent.parent / path.name if take_number(path) > 1 else path


def _protocol(facts: RecordingFacts) -> str:
    """The protocol's name, of a guided session; in a later take only its description says it."""
    noted = (facts.session.model_extra or {}).get("protocol") if facts.session is not None else None
    if isinstance(noted, dict) and isinstance(noted.get("name"), str):
        return str(noted["name"])
    begun = (text for _, text in facts.guided_markers if text.startswith(SESSION_START))
    return next(begun, "").removeprefix(SESSION_START)


def _found(pattern: re.Pattern[str], name: str) -> str:
    match = pattern.search(name)
    return match[1] if match else ""


def _plain(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", label)
