"""The commands that hand a session over; ``cli`` adds them to its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

app = typer.Typer()

Session = Annotated[Path, Argument(metavar="SESSION", help="A session's folder, or a recording.")]


@app.command()
def export(
    session: Session,
    output: Annotated[Path, Option(help="Data set that it is added to, or a new folder.")],
    to: Annotated[str, Option(help="bids, fif or csv.")] = "bids",
    subject: Annotated[str, Option(help="BIDS label; default: from the folder's name.")] = "",
    visit: Annotated[str, Option("--session", help="BIDS label; default: from the folder's name.")] = "",
    task: Annotated[str, Option(help="BIDS label; default: the protocol's name, or emotion.")] = "",
    run: Annotated[int, Option(help="BIDS run; default: the take's number.", min=0, max=999)] = 0,
    screen_distance: Annotated[float, Option(help="From eye to screen, metres.", min=0, max=100)] = 0.0,
    screen_size: Annotated[str, Option(metavar="WxH", help="Of the screen, metres: 0.53x0.30.")] = "",
    screen_resolution: Annotated[str, Option(metavar="WxH", help="Pixels: 1920x1080.")] = "",
) -> None:
    """Hand a session over: BIDS with eye tracking, FIF or CSV. Nothing is overwritten."""
    from bci_m2s.commands.export import export_and_print, screen_of
    from bci_m2s.handover.export import Wanted

    screen = screen_of(screen_distance, screen_size, screen_resolution)
    export_and_print(session, output, to, Wanted(subject, visit, task, run, screen))


@app.command()
def report(
    what: Annotated[
        list[Path],
        Argument(
            metavar="SESSION | STUDY…",
            help="A session's folder, or a recording; or folders of studies, joined.",
        ),
    ],
    output: Annotated[
        Path | None,
        Option(help="HTML file; default: report.html in the session's folder. Of studies: a new folder."),
    ] = None,
) -> None:
    """Report of a session: signals, quality, estimates, trials, a paragraph for a paper; or of studies."""
    from bci_m2s.commands.report_studies import are_studies, report_studies_and_print

    if are_studies(what):
        report_studies_and_print(what, output)
        return
    from bci_m2s.commands.report import report_and_print

    report_and_print(what[0], output)
