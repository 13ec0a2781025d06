"""``bci-m2s report SESSION``: everything about a session in one HTML file."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from bci_m2s.handover.report import write_report
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import printable


def report_and_print(session: Path, output: Path | None) -> Path:
    """Write the report and print where it is. Raises as ``write_report``."""
    console = make_console()
    with console.status(Text("reading")) as status:
        path = write_report(session, output, lambda what: status.update(Text(what)))
    console.print(f"report: {printable(path)}", soft_wrap=True)
    return path
