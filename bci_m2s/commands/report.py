"""``bci-m2s report SESSION``: everything about a session in one HTML file."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from bci_m2s.commands.people import print_wrong, report_people
from bci_m2s.handover.report import write_report
from bci_m2s.recording.file_names import people_in
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import printable


def report_and_print(session: Path, output: Path | None) -> Path:
    """Write the report and print where it is. Raises as ``write_report``."""
    console, people = make_console(), people_in(session)
    with console.status(Text("reading")) as status:

        def progress(what: str) -> None:
            status.update(Text(what))

        if people:
            path, wrong = report_people(session, people, output, progress)
        else:
            path, wrong = write_report(session, output, progress), []
    print_wrong(console, wrong)
    console.print(f"report: {printable(path)}", soft_wrap=True)
    return path
