"""The commands that hand a session over; ``cli`` adds them to its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bci_m2s.errors import UsageError

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
    if _are_studies(what):
        _report_studies(what, output)
        return
    from bci_m2s.commands.report import report_and_print

    report_and_print(what[0], output)


def _are_studies(folders: list[Path]) -> bool:
    """Whether folders hold studies, all of them. Raises UsageError for several of which one does not."""
    others = [folder for folder in folders if not (folder / "study.yaml").is_file()]
    if others and len(folders) > 1:
        raise UsageError(f"{others[0]}: not the folder of a study; of several, all have to be")
    return not others


def _report_studies(folders: list[Path], output: Path | None) -> None:
    from bci_m2s.session.terminal.view import make_console
    from bci_m2s.training.study.joined import report_studies

    if output is None:
        raise UsageError("--output: missing; name a new folder for the report and tables of these studies")
    path = report_studies(folders, output, ["bci-m2s", *sys.argv[1:]])
    make_console().print(f"Report: {path}", soft_wrap=True, markup=False)
