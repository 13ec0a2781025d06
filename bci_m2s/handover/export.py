"""``export``: a session in a format that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bci_m2s.errors import UsageError, nearest
from bci_m2s.handover.bids import write_bids
from bci_m2s.handover.bids_events import Screen
from bci_m2s.handover.content import read_content
from bci_m2s.handover.names import names_for
from bci_m2s.handover.plain import write_plain
from bci_m2s.recording.file_names import takes_of

FORMATS = ("bids", "fif", "csv")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Labels of BIDS, "" and 0 for what the recording says; screen : where gaze is on one."""

    subject: str = ""
    session: str = ""
    task: str = ""
    run: int = 0
    screen: Screen | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. said : remarks in words, what was left out among them."""

    folder: Path
    prefix: str
    said: list[str] = field(default_factory=list)


def export_session(
    session: str | Path,
    output: str | Path,
    to: str = "bids",
    wanted: Wanted | None = None,
    progress: Callable[[str], None] = lambda _what: None,
) -> Exported:
    """Hand over one recording; nothing is overwritten, and a folder is whole or not there.

    Parameters
    ----------
    session : folder of a session, or any recording
    output : folder of the data set (bids: a new run is added to one that is there), else a new folder
    to : "bids", "fif" or "csv"
    progress : called with what is being written

    Raises
    ------
    UsageError
        An unknown format, or a label that BIDS does not allow.
    RecordingError
        The recording cannot be read.
    OutputError
        The run or folder is there already, cannot be written, or mne-bids is not installed.
    """
    if to not in FORMATS:
        raise UsageError(f"--to: got {to!r}{nearest(to, FORMATS)}")
    wanted = wanted or Wanted()
    progress("reading")
    content = read_content(Path(session))
    said = [f"the recording: {text}" for text in content.facts.recording.warnings]
    said += _other_takes(content.path, to)
    if to != "bids":
        return Exported(Path(output), "", said + write_plain(Path(output), content, to, progress))
    names = names_for(content.facts, wanted.subject, wanted.session, wanted.task, wanted.run)
    if names.said:
        said.insert(0, f"taken from the recording: {' '.join(names.said)}")
    said += write_bids(Path(output), content, names, wanted.screen, progress)
    return Exported(Path(output), names.prefix, said)


def _other_takes(recording: Path, to: str) -> list[str]:
    """That a session's takes are exported one by one, and how the others are."""
    takes = takes_of(recording)
    if not takes:
        return []
    what = "is a run of its own" if to == "bids" else "is a recording of its own"
    others = [f"bci-m2s export {take.parent}" for take in takes if take != recording]
    which = f"take {takes.index(recording) + 1} of {len(takes)}"
    return [f"{which}: each {what}, with the trials it holds; the others: {', '.join(others)}"]
