"""``report``: everything about a session in one HTML file, for people to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bci_m2s import __version__
from bci_m2s.errors import OutputError
from bci_m2s.files.whole import write_whole
from bci_m2s.handover.page import Page
from bci_m2s.handover.report_sections import add_answers, add_events, add_head, add_model, add_timeline
from bci_m2s.handover.report_signals import add_signals
from bci_m2s.handover.report_trials import add_trials
from bci_m2s.handover.summary import Summary, summarise
from bci_m2s.recording.file_names import IN_SESSION, recording_in, takes_of
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.facts import recording_facts

NAME = "report.html"


def write_report(
    session: str | Path,
    output: str | Path | None = None,
    progress: Callable[[str], None] = lambda _what: None,
) -> Path:
    """Write the report of a session and return its path.

    Parameters
    ----------
    session : folder of a session, or any recording; a damaged one gives a report of what is left
    output : the HTML file; default: ``report.html`` in the session's folder, or ``report-2.html`` … where
        that is there already
    progress : called with what is being done

    Raises
    ------
    RecordingError
        The recording cannot be read at all.
    OutputError
        `output` is there already, or cannot be written.
    """
    recording = recording_in(Path(session))
    path = Path(output) if output is not None else _free(recording)
    if path.exists():
        raise OutputError(f"{path}: exists already; nothing is overwritten")
    progress("reading")
    found = summarise(recording_facts(open_recording(recording)))
    write_whole(path, _page(found, progress), overwrite=False, private=True)
    return path


def _free(recording: Path) -> Path:
    """A name that nothing has yet, beside the recording."""
    name = NAME if recording.name == IN_SESSION else f"{recording.stem}-{NAME}"
    path, number = recording.with_name(name), 2
    while path.exists():
        path, number = recording.with_name(f"{name.removesuffix('.html')}-{number}.html"), number + 1
    return path


def _page(found: Summary, progress: Callable[[str], None]) -> str:
    path = found.facts.recording.path
    title = path.parent.name if path.name == IN_SESSION else path.name
    page = Page(f"Session {title}")
    add_head(page, found)
    progress("drawing the session")
    add_timeline(page, found)
    progress("spectra and scalp")
    add_signals(page, found)
    progress("answers and trials")
    add_answers(page, found)
    add_trials(page, found)
    add_events(page, found)
    add_model(page, found)
    return page.html(_top(found), _warnings(found))


def _top(found: Summary) -> list[str]:
    session, path = found.facts.session, found.facts.recording.path
    begun = (
        f", begun {session.begun_utc.replace('T', ' ')} (UTC)"
        if session is not None and session.begun_utc
        else ""
    )
    lines = [f"{path}{begun}"]
    if session is not None and session.participant:
        lines.append(f"participant {session.participant}")
    if others := [str(take.parent) for take in takes_of(path) if take != path]:
        lines.append(f"other takes of this session have reports of their own: {', '.join(others)}")
    lines.append(f"report made by bci_m2s {__version__}")
    return lines


def _warnings(found: Summary) -> list[str]:
    facts = found.facts
    warnings = []
    if facts.simulated:
        what = " and ".join(facts.simulated)
        verb = "are" if "signals" in facts.simulated else "is"
        warnings.append(
            f"SIMULATED: {what} {verb} simulated; nothing here says anything about real feelings."
        )
    if facts.session is None:
        warnings.append("No description of a session is in the file: it is not of bci_m2s, or it is lost.")
    elif not any(event.kind == "stopped" for event in facts.events) and facts.answers:
        warnings.append(
            "The session did not end in order (no event says that it stopped): it was killed or crashed."
        )
    return warnings + [
        f"The recording: {text}" for text in [*facts.recording.warnings, *facts.notes, *found.notes]
    ]
