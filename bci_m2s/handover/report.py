"""``report``: everything about a session in one HTML file, for people to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bci_m2s import __version__
from bci_m2s.files.html_page import Page
from bci_m2s.files.whole import check_target, write_whole
from bci_m2s.handover.report_sections import add_answers, add_events, add_head, add_model, add_timeline
from bci_m2s.handover.report_signals import add_signals
from bci_m2s.handover.report_trials import add_trials
from bci_m2s.handover.summary import Summary
from bci_m2s.handover.whole import Whole, read_whole
from bci_m2s.recording.file_names import IN_SESSION, take_number, takes_of

NAME = "report.html"
ENDS = ("stopped", "recording_stopped")  # events: of the session, of a take that is ended by command


def write_report(
    session: str | Path,
    output: str | Path | None = None,
    progress: Callable[[str], None] = lambda _what: None,
) -> Path:
    """Write the report of a session and return its path.

    Parameters
    ----------
    session : folder of a session, with all of its takes, or any recording; a damaged one gives a report
        of what is left
    output : the HTML file; default: ``report.html`` in the session's folder, or ``report-2.html`` … where
        that is there already
    progress : called with what is being done

    Raises
    ------
    RecordingError
        The recording cannot be read at all.
    OutputError
        `output` is there already, its folder is not, or it cannot be written.
    """
    if output is not None:
        check_target(Path(output))
    whole = read_whole(Path(session), progress)
    path = Path(output) if output is not None else _free(Path(session), whole)
    write_whole(path, _page(whole, progress), overwrite=False, private=True)
    return path


def _free(session: Path, whole: Whole) -> Path:
    """A name that nothing has yet: in the session's folder, else beside the recording."""
    recording = whole.takes[0].facts.recording.path
    is_folder = session.is_dir() and len(whole.takes) > 1
    folder = session if is_folder else recording.parent
    name = NAME if recording.name == IN_SESSION else f"{recording.stem}-{NAME}"
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name.removesuffix('.html')}-{number}.html", number + 1
    return path


def _page(whole: Whole, progress: Callable[[str], None]) -> str:
    page = Page(f"Session {_title(whole)}")
    add_head(page, whole)
    if len(whole.takes) > 1:
        add_trials(page, whole)
    for found in whole.takes:
        _add_take(page, found, progress)
        if len(whole.takes) == 1:
            add_trials(page, whole)
        add_events(page, found)
    add_model(page, whole)
    return page.html(_top(whole), _warnings(whole))


def _add_take(page: Page, found: Summary, progress: Callable[[str], None]) -> None:
    of = f" of take {found.take}" if found.take else ""
    progress(f"drawing the session{of}")
    add_timeline(page, found)
    progress(f"spectra and scalp{of}")
    add_signals(page, found)
    progress(f"answers{of}")
    add_answers(page, found)


def _title(whole: Whole) -> str:
    path = whole.takes[0].facts.recording.path
    if path.name != IN_SESSION:
        return path.name
    folder = path.resolve().parent
    is_later = len(whole.takes) > 1 and take_number(path) > 1
    return (folder.parent if is_later else folder).name


def _top(whole: Whole) -> list[str]:
    lines = []
    for found in whole.takes:
        session, path = found.facts.session, found.facts.recording.path
        begun = session.begun_utc.replace("T", " ") if session is not None else ""
        take = f"take {found.take}: " if found.take else ""
        lines.append(f"{take}{path}{f', begun {begun} (UTC)' if begun else ''}")
    lines += [
        f"participant {name}"
        for name in dict.fromkeys(
            take.facts.session.participant for take in whole.takes if take.facts.session is not None
        )
        if name
    ]
    path = whole.takes[0].facts.recording.path
    if len(whole.takes) == 1 and (takes := takes_of(path)):
        folder = path.parent.parent if take_number(path) > 1 else path.parent
        lines.append(f"one of {len(takes)} takes of this session; of all of them: bci-m2s report {folder}")
    lines.append(f"report made by bci_m2s {__version__}")
    return lines


def _warnings(whole: Whole) -> list[str]:
    warnings = []
    if whole.simulated:
        what = " and ".join(whole.simulated)
        verb = "are" if "signals" in whole.simulated else "is"
        warnings.append(
            f"SIMULATED: {what} {verb} simulated; nothing here says anything about real feelings."
        )
    warnings += [f"A take cannot be read, and is left out: {text}" for text in whole.unread]
    for found in whole.takes:
        take = f"Take {found.take}: " if found.take else ""
        warnings += [take + text for text in _warnings_of(found)]
    return warnings


def _warnings_of(found: Summary) -> list[str]:
    facts = found.facts
    warnings = []
    if facts.session is None:
        warnings.append("No description of a session is in the file: it is not of bci_m2s, or it is lost.")
    elif not any(event.kind in ENDS for event in facts.events) and facts.answers:
        warnings.append(
            "The session did not end in order (no event says that it stopped): it was killed or crashed."
        )
    damage = [facts.recording.damage] if facts.recording.damage else []
    return warnings + [
        f"The recording: {text}"
        for text in [*damage, *facts.recording.warnings, *facts.notes, *found.notes]
    ]
