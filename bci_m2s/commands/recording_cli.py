"""The part of the command line that is about recordings: made, mended, verified, shown, played."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bci_m2s.commands.options import (
    BaselineFile,
    Device,
    Duration,
    Headless,
    Output,
    Pinned,
    Remote,
    SessionId,
    lsl_session,
    pinned,
)
from bci_m2s.errors import UsageError
from bci_m2s.files.access import refuse_full
from bci_m2s.recording.file_names import people_in, recording_in
from bci_m2s.session.remote.address import address_of

app = typer.Typer()


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
    file: Annotated[
        Path,
        Argument(metavar="FILE.xdf", help="Damaged recording, or its folder; it is never changed."),
    ],
    out: Annotated[Path | None, Option(help="The readable copy; default: FILE-recovered.xdf.")] = None,
) -> None:
    """Make a readable copy of a damaged recording, and report what was lost."""
    from bci_m2s.commands.recover import recover_file

    recover_file(recording_in(file), out)


@app.command()
def verify(
    file: Annotated[
        Path,
        Argument(
            metavar="SESSION.xdf",
            help="Recording made by run or demo; its folder, or that of several people.",
        ),
    ],
    model: Annotated[str | None, Option(help="Model file, if it is not found.")] = None,
    device: Annotated[
        str | None, Option(help="auto, cpu, cuda or cuda:N; default: cpu. A GPU has a tolerance.")
    ] = None,
    seed: Annotated[int, Option(help="Of the random chunk sizes.", min=0)] = 0,
) -> None:
    """Replay a recorded session and compare every estimate, on the CPU bit for bit."""
    if people := people_in(file):
        from bci_m2s.commands.people import verify_people

        raise typer.Exit(verify_people(people, model, device, seed))
    from bci_m2s.commands.verify import verify_file

    raise typer.Exit(verify_file(recording_in(file), model, device, seed))


@app.command()
def show(
    file: Annotated[
        Path, Argument(metavar="FILE", help="A recording, a session's folder, or that of several people.")
    ],
    picture: Annotated[Path | None, Option(help="New PNG file: also draw the recording.")] = None,
) -> None:
    """Show what a recording holds: streams, gaps, events, estimates."""
    from bci_m2s.commands.show import show_file
    from bci_m2s.session.terminal.view import make_console

    if people := people_in(file):
        from bci_m2s.commands.people import show_people

        show_people(people, picture, make_console())
    else:
        show_file(recording_in(file), picture, make_console())


@app.command()
def replay(
    file: Annotated[
        Path, Argument(metavar="FILE", help="XDF, EDF, BDF, FIF, BrainVision or a session's folder.")
    ],
    pipeline: Annotated[
        str | None, Option(help="Pipeline file or name; default: the shipped one that fits.")
    ] = None,
    model: Annotated[
        str | None,
        Option(help="Model in place of the pipeline's; without one, a recorded session's own, not found."),
    ] = None,
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
    participants: Annotated[
        int,
        Option(
            help="So many people, from --subject on: p01, p02 … in their streams' names.", min=0, max=64
        ),
    ] = 0,
    session_id: SessionId = "",
) -> None:
    """Send a simulated EEG headset, eye tracker and trial markers over LSL, or write them to a file."""
    from bci_m2s.simulator.devices import usual_rate_hz
    from bci_m2s.simulator.settings import SimulatorSettings

    names = tuple(name.strip() for name in classes.split(","))
    rate_hz = rate_hz or usual_rate_hz(montage)
    settings = SimulatorSettings(
        montage,
        rate_hz,
        eye_rate_hz,
        classes=names,
        order="balanced",
        rest_s=rest,
        trial_s=trial,
        seed=seed,
    )
    streams = ("eeg", *(("eye",) if eye else ()), *(("skin",) if skin else ()))
    if output is not None:
        if participants:
            raise UsageError("--participants: a file holds one person")
        from bci_m2s.commands.simulate import simulate_to_file

        simulate_to_file(settings, subject, session, duration, output, streams)
        return
    with lsl_session(session_id):
        from bci_m2s.commands.simulate import simulate_as_lsl

        simulate_as_lsl(settings, subject, session, duration, streams, participants)
