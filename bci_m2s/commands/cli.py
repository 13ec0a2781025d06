"""The command line: every command reads its options and calls the function that does the work.

Heavy packages (torch, mne, liblsl) are imported inside the commands that need them, so that help and
wrong options answer at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from bci_m2s import __version__
from bci_m2s.colours import THEMES
from bci_m2s.commands import handover_cli, training_cli
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
from bci_m2s.recording.file_names import recording_in
from bci_m2s.session.remote.address import address_of
from bci_m2s.session.remote.words import HELP

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="bci-m2s",
    help="Live emotion estimates from EEG or eye tracking over LSL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

app.add_typer(training_cli.app)
app.add_typer(handover_cli.app)


def main() -> None:
    """Entry point: one line and status 2 for errors of ours."""
    try:
        app()
    except BciM2sError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output is gone, before a session had begun
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


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
    if not resume:
        refuse_full(output)
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
    session_id: SessionId = "",
) -> None:
    """Open a window that shows and controls a session: signals, estimates, problems."""
    if theme and theme not in THEMES:
        raise UsageError(f"--theme: got {theme!r}{nearest(theme, THEMES)}")
    with lsl_session(session_id):
        from bci_m2s.panel.app import PanelOptions, run_panel

        raise typer.Exit(run_panel(PanelOptions(session, remote, pipeline, theme)))


@app.command()
def record(
    output: Annotated[Path, Option(help="New folder for session.xdf and events.jsonl.")],
    streams: Annotated[
        list[str] | None, Argument(metavar="[STREAM]...", help="Names or types; default: all.")
    ] = None,
    duration: Duration = 0.0,
    wait: Annotated[float, Option(help="Seconds to wait for the streams.", min=0.5, max=3600)] = 10.0,
    group: Annotated[
        bool, Option("--group", help="Let the group read it too, not its owner alone.")
    ] = False,
    remote: Remote = "",
    session_id: SessionId = "",
) -> None:
    """Record LSL streams as they are, without a model, until Ctrl-C; with --remote when told to."""
    refuse_full(output)
    address = address_of(remote) if remote else None
    with lsl_session(session_id) as lsl:
        from bci_m2s.commands.record import record_streams

        record_streams(streams or (), output, duration, wait, lsl, group, address)


@app.command()
def recover(
    file: Annotated[Path, Argument(metavar="FILE.xdf", help="Damaged recording; it is never changed.")],
    out: Annotated[Path | None, Option(help="The readable copy; default: FILE-recovered.xdf.")] = None,
) -> None:
    """Make a readable copy of a damaged recording, and report what was lost."""
    from bci_m2s.commands.recover import recover_file

    recover_file(file, out)


@app.command()
def verify(
    file: Annotated[
        Path, Argument(metavar="SESSION.xdf", help="Recording made by run or demo, or its folder.")
    ],
    model: Annotated[str | None, Option(help="Model file, if it is not found.")] = None,
    device: Annotated[
        str | None, Option(help="auto, cpu, cuda or cuda:N; default: cpu. A GPU has a tolerance.")
    ] = None,
    seed: Annotated[int, Option(help="Of the random chunk sizes.", min=0)] = 0,
) -> None:
    """Replay a recorded session and compare every estimate, on the CPU bit for bit."""
    from bci_m2s.commands.verify import verify_file

    raise typer.Exit(verify_file(recording_in(file), model, device, seed))


@app.command()
def show(
    file: Annotated[Path, Argument(metavar="FILE", help="A recording, or a session's folder.")],
    picture: Annotated[Path | None, Option(help="New PNG file: also draw the recording.")] = None,
) -> None:
    """Show what a recording holds: streams, gaps, events, estimates."""
    from bci_m2s.commands.show import show_file
    from bci_m2s.session.terminal.view import make_console

    show_file(recording_in(file), picture, make_console())


@app.command()
def soak(
    minutes: Annotated[float, Option(help="How long.", min=0.2, max=100_000)] = 1.0,
    seed: Annotated[int, Option(help="Of the faults.", min=0)] = 0,
    output: Annotated[Path | None, Option(help="New folder that keeps the recording.")] = None,
    reconnects: Annotated[
        int, Option(help="Instead: restart senders this number of times, and only record.", min=0)
    ] = 0,
) -> None:
    """Run a session while its senders stop, freeze, restart, lie and flood; report what was lost."""
    from bci_m2s.soak.command import run_reconnects, run_soak

    if reconnects:
        raise typer.Exit(run_reconnects(reconnects, seed, output))
    raise typer.Exit(run_soak(minutes, seed, output))


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
) -> None:
    """Give a running session a command: record, mark, begin a baseline, ask for the estimate."""
    from bci_m2s.commands.ctl import give

    give(words or ["help"], remote, session)


@app.command()
def doctor() -> None:
    """Check what sessions depend on (LSL, network, disk, clock, GPU), and how to put it right."""
    from bci_m2s.doctor import run_doctor
    from bci_m2s.session.terminal.view import make_console

    raise typer.Exit(run_doctor(make_console()))


@app.command()
def replay(
    file: Annotated[
        Path, Argument(metavar="FILE", help="XDF, EDF, BDF, FIF, BrainVision or a session's folder.")
    ],
    pipeline: Annotated[
        str | None, Option(help="Pipeline file or name; default: the shipped one that fits.")
    ] = None,
    model: Annotated[str | None, Option(help="Model of a recorded session, if it is not found.")] = None,
    stream: Pinned = None,
    speed: Annotated[float | None, Option(help="1: as recorded; default: as fast as possible.")] = None,
    loop: Annotated[int, Option(help="How often to play it.", min=1)] = 1,
    as_lsl: Annotated[
        bool, Option("--as-lsl", help="Send it as LSL streams, for any other program.")
    ] = False,
    headless: Headless = False,
    output: Output = None,
    baseline: BaselineFile = None,
    device: Device = None,
    session_id: SessionId = "",
) -> None:
    """Play a recorded file through a pipeline, or send it as LSL streams."""
    refuse_full(output)
    file = recording_in(file)
    with lsl_session(session_id):
        from bci_m2s.commands.replay import replay_as_lsl, replay_file
        from bci_m2s.session.run import Options

        if as_lsl:
            replay_as_lsl(file, 1.0 if speed is None else speed, loop)
        else:
            options = Options(
                0.0, output, baseline, device, source_ids=pinned(stream or ()), panel=not headless
            )
            replay_file(file, pipeline, speed, loop, options, model)


@app.command()
def simulate(
    montage: Annotated[str, Option(help="See bci-m2s montages; or a montage that mne knows.")] = "seed-62",
    subject: Annotated[int, Option(help="Which simulated person.", min=0)] = 0,
    session: Annotated[int, Option(help="Which of the person's sessions.", min=0)] = 0,
    rate_hz: Annotated[
        float | None, Option(help="Sampling rate of the EEG; default: the device's, else 1000.")
    ] = None,
    eye_rate_hz: Annotated[float, Option(help="Sampling rate of the eye tracker.")] = 120.0,
    classes: Annotated[str, Option(help="Emotions, separated by commas.")] = "negative,neutral,positive",
    rest: Annotated[float, Option(help="Seconds of rest before the first trial.")] = 16.0,
    trial: Annotated[float, Option(help="Seconds per trial.")] = 10.0,
    seed: Annotated[int, Option(help="Which population the person comes from.", min=0)] = 0,
    skin: Annotated[bool, Option("--skin", help="Skin conductance too, 32 Hz.")] = False,
    eye: Annotated[bool, Option("--eye/--no-eye", help="With the eye tracker, or without.")] = True,
    output: Annotated[
        Path | None, Option(metavar="FILE.xdf", help="Write a recording instead, faster than real time.")
    ] = None,
    duration: Annotated[
        float, Option(help="Seconds; 0: until Ctrl-C, and in a file four trials of each class.", min=0)
    ] = 0.0,
    session_id: SessionId = "",
) -> None:
    """Send a simulated EEG headset, eye tracker and trial markers over LSL, or write them to a file."""
    from bci_m2s.simulator.devices import usual_rate_hz
    from bci_m2s.simulator.settings import SimulatorSettings

    names = tuple(name.strip() for name in classes.split(","))
    rate_hz = rate_hz or usual_rate_hz(montage)
    settings = SimulatorSettings(
        montage, rate_hz, eye_rate_hz, classes=names, rest_s=rest, trial_s=trial, seed=seed
    )
    streams = ("eeg", *(("eye",) if eye else ()), *(("skin",) if skin else ()))
    if output is not None:
        from bci_m2s.commands.simulate import simulate_to_file

        simulate_to_file(settings, subject, session, duration, output, streams)
        return
    with lsl_session(session_id):
        from bci_m2s.commands.simulate import simulate_as_lsl

        simulate_as_lsl(settings, subject, session, duration, streams)


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
