"""The command line: every command reads its options and calls the function that does the work.

Heavy packages (torch, mne, liblsl) are imported inside the commands that need them, so that help and
wrong options answer at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bci_m2s import __version__
from bci_m2s.colours import THEMES
from bci_m2s.commands import bench_cli, handover_cli, recording_cli, study_cli, training_cli
from bci_m2s.commands.options import (
    BaselineFile,
    Device,
    Duration,
    Headless,
    Model,
    Output,
    Pinned,
    Pipeline,
    Record,
    Remote,
    SessionId,
    lsl_session,
    pinned,
    recording,
)
from bci_m2s.errors import BciM2sError, UsageError, nearest
from bci_m2s.files.access import refuse_full
from bci_m2s.registry import blame
from bci_m2s.session.remote.address import address_of
from bci_m2s.session.remote.words import HELP

app = typer.Typer(
    name="bci-m2s",
    help="Live emotion estimates from EEG or eye tracking over LSL.",
    no_args_is_help=True,
    context_settings={"max_content_width": 120},  # what a command does, whole, where the terminal is wide
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

app.add_typer(recording_cli.app)
app.add_typer(training_cli.app)
app.add_typer(study_cli.app)
app.add_typer(handover_cli.app)
app.add_typer(bench_cli.app)


def main() -> None:
    """Entry point: one line and status 2 for errors of ours, and of installed packages' code."""
    try:
        app()
    except BciM2sError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output is gone, before a session had begun
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as problem:
        if not (words := blame(problem)):
            raise  # a bug
        print(f"error: {words}", file=sys.stderr)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bci_m2s {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version
    if "--help" not in sys.argv:  # which answers at once
        from bci_m2s.lsl.configuration import inherit

        inherit()


@app.command()
def demo(
    duration: Duration = 60.0,
    headless: Headless = False,
    output: Output = None,
    subject: Annotated[int, Option(help="Which simulated person.", min=0)] = 1000,
    record: Record = None,
    remote: Remote = "",
) -> None:
    """Show live estimates from a simulated EEG headset and eye tracker on LSL. No hardware needed."""
    refuse_full(output)
    from bci_m2s.commands.demo import run_demo

    address = address_of(remote) if remote else None
    run_demo(duration, output, subject, recording(record, output), not headless, address)


@app.command()
def run(
    pipeline: Pipeline,
    duration: Duration = 0.0,
    headless: Headless = False,
    output: Output = None,
    baseline: BaselineFile = None,
    model: Model = None,
    device: Device = None,
    record: Record = None,
    remote: Remote = "",
    session_id: SessionId = "",
    stream: Pinned = None,
) -> None:
    """Estimate from the streams that a pipeline names, until Ctrl-C; --output records them."""
    refuse_full(output)
    source_ids = pinned(stream or ())
    address = address_of(remote) if remote else None
    with lsl_session(session_id) as lsl:
        from bci_m2s.commands.run import run_session
        from bci_m2s.session.run import Options

        run_session(
            pipeline,
            Options(
                duration,
                output,
                baseline,
                device,
                model,
                source_ids=source_ids,
                record=recording(record, output),
                lsl=lsl,
                panel=not headless,
                remote=address,
            ),
        )


@app.command()
def session(
    protocol: Annotated[
        str, Argument(metavar="PROTOCOL.yaml", help="Protocol file, or the name of a shipped one.")
    ],
    output: Annotated[Path, Option(help="New folder for everything that the session gives.")],
    fast: Annotated[
        bool, Option("--fast", help="Time passes faster; only where the person is simulated.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Take up the session in --output again, at its next trial.")
    ] = False,
    headless: Headless = False,
    model: Model = None,
    device: Device = None,
    remote: Remote = "",
) -> None:
    """A guided session: signal check, baseline, labelled trials with questions, live run, report."""
    from bci_m2s.commands.session import run_guided

    address = address_of(remote) if remote else None
    is_complete = run_guided(
        protocol,
        output,
        fast=fast,
        resume=resume,
        panel=not headless,
        model=model,
        device=device,
        remote=address,
    )
    if not is_complete:
        raise typer.Exit(1)


@app.command()
def panel(
    session: Annotated[str, Option(help="Id of the session to show; default: the newest.")] = "",
    remote: Annotated[
        bool, Option("--remote", help="Show sessions of other machines too, view only.")
    ] = False,
    pipeline: Annotated[str, Option(help="For a session that the panel starts: file or name.")] = "",
    theme: Annotated[str, Option(help="dark or light; default: as last time.")] = "",
    overview: Annotated[
        bool, Option("--overview", help="All participants at a glance; a click opens one.")
    ] = False,
    session_id: SessionId = "",
) -> None:
    """Open a window that shows and controls a session: signals, estimates, problems."""
    if theme and theme not in THEMES:
        raise UsageError(f"--theme: got {theme!r}{nearest(theme, THEMES)}")
    with lsl_session(session_id):
        from bci_m2s.panel.app import PanelOptions, run_overview, run_panel

        if overview:
            raise typer.Exit(run_overview(theme))
        raise typer.Exit(run_panel(PanelOptions(session, remote, pipeline, theme)))


@app.command()
def soak(
    minutes: Annotated[float, Option(help="How long.", min=0.2, max=100_000)] = 1.0,
    seed: Annotated[int, Option(help="Of the faults.", min=0)] = 0,
    output: Annotated[Path | None, Option(help="New folder that keeps the recording.")] = None,
    reconnects: Annotated[
        int, Option(help="Instead: restart senders this number of times, and only record.", min=0)
    ] = 0,
    faults: Annotated[
        str, Option(metavar="NAME,…", help="Of these kinds alone, as its report names them; or none.")
    ] = "",
) -> None:
    """Run a session while its senders stop, freeze, restart, lie and flood; report what was lost."""
    from bci_m2s.soak.command import run_reconnects, run_soak

    if reconnects:
        raise typer.Exit(run_reconnects(reconnects, seed, output))
    raise typer.Exit(run_soak(minutes, seed, output, faults=faults))


@app.command()
def sessions(
    end: Annotated[str, Option(metavar="ID", help="End this one as Ctrl-C would; all: every one.")] = "",
) -> None:
    """List your sessions that run on this machine, with or without a panel, or end them."""
    from bci_m2s.commands.sessions import end_sessions, list_sessions
    from bci_m2s.session.terminal.view import make_console

    if end:
        end_sessions(end, make_console())
    else:
        list_sessions(make_console())


@app.command(epilog=f"\b\n{HELP}")
def ctl(
    words: Annotated[
        list[str] | None, Argument(metavar="COMMAND", help="One of those below, and what belongs to it.")
    ] = None,
    remote: Annotated[
        str, Option(metavar="[HOST:]PORT", help="Of a session on another machine, or of another user.")
    ] = "",
    session: Annotated[
        str, Option(metavar="ID", help="Which session of this machine; its first digits do.")
    ] = "",
    participant: Annotated[
        str, Option(metavar="ID", help="Of several in one session only this one; default: all.")
    ] = "",
) -> None:
    """Give a running session a command: record, mark, begin a baseline, ask for the estimate."""
    from bci_m2s.commands.ctl import give

    give(words or ["help"], remote, session, participant)


@app.command()
def doctor() -> None:
    """Check what sessions depend on (LSL, network, disk, clock, GPU), and how to put it right."""
    from bci_m2s.doctor import run_doctor
    from bci_m2s.session.terminal.view import make_console

    raise typer.Exit(run_doctor(make_console()))


@app.command()
def streams(
    model: Annotated[str | None, Option(help="Model file or name: which streams fit it.")] = None,
    wait: Annotated[float, Option(help="Seconds to look.", min=0.2, max=60)] = 2.0,
    session_id: SessionId = "",
) -> None:
    """List the LSL streams on the network."""
    with lsl_session(session_id):
        from bci_m2s.commands.run import list_network

        list_network(model, wait)


@app.command()
def check(
    file: Annotated[
        str, Argument(metavar="FILE.yaml", help="Pipeline, the name of a shipped one, or training file.")
    ],
) -> None:
    """Look for mistakes in a pipeline and its model, or in a training file and its data; run nothing."""
    from bci_m2s.commands.check import check_file

    check_file(file)


if __name__ == "__main__":
    main()
