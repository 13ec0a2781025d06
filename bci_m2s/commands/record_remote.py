"""``bci-m2s record --remote``: waits for programs that start and stop recordings, as LabRecorder does."""

from __future__ import annotations

import threading
import uuid
from contextlib import nullcontext, suppress
from pathlib import Path

from rich.console import Console

from bci_m2s.engine.engine import Engine
from bci_m2s.errors import OutputError
from bci_m2s.lsl.network import local_clock
from bci_m2s.session.companions import Companions
from bci_m2s.session.newcomers import Newcomers
from bci_m2s.session.record_takes import RecordTakes
from bci_m2s.session.remote.server import RemoteServer
from bci_m2s.session.run import why_over
from bci_m2s.session.terminal.run import deadline, show
from bci_m2s.session.terminal.view import recording_line
from bci_m2s.session.terminal.watch import say_saved
from bci_m2s.text import quoted


def record_takes(
    takes: RecordTakes,
    server: RemoteServer,
    takes_all: bool,
    console: Console,
    stop: threading.Event,
    duration_s: float,
) -> None:
    """Record whenever a program says so, until `duration_s` has passed (0: no limit) or `stop` is set.

    takes_all : streams that appear meanwhile are recorded too
    Raises what an engine thread raised.
    """
    known = [source.info for source in takes.sources.values()]
    newcomers = Newcomers(
        known, lambda _info: [takes.add], "all", local_clock, console.print, remark=" meanwhile"
    )
    try:
        with (
            Companions(uuid.uuid4().hex, takes, console, panel=False, remote=server) as companions,
            newcomers if takes_all else nullcontext(),
        ):
            console.print("nothing is recorded until a program, or bci-m2s ctl, says start")
            _run(takes, companions, console, stop, duration_s)
    finally:
        takes.switch.end("failed")  # unless the reason is known
        takes.now.engine.close_sources()


def _run(
    takes: RecordTakes, companions: Companions, console: Console, stop: threading.Event, duration_s: float
) -> None:
    end, lost = deadline(duration_s), None
    while True:
        engine = takes.now.engine
        was_recorded = takes.now.folder.path if takes.now.folder is not None else None
        try:
            engine.start()
            companions.commands.engine = engine
            takes.began()
            show(engine, console, stop, end, {}, "recording" if was_recorded else "waiting for start")
        finally:
            engine.finish(keep_sources=True)
            takes.finished()
            if was_recorded is not None:
                summarise(console, engine, was_recorded)
        failure = engine.failure
        if isinstance(failure, OutputError) and takes.switch.is_switching:
            console.print(f"from the previous recording: {failure}", style="yellow")
            lost, failure = lost or failure, None
        if reason := why_over(engine, failure, stop, end, duration_s):
            break
        if takes.next() is None:
            reason = takes.switch.why_stopped
            break
        console.print(takes.describe())
    takes.switch.end(reason)
    if failure := lost or failure:
        raise failure


def summarise(console: Console, engine: Engine, folder: Path) -> None:
    """Say what each stream gave and what is in the folder."""
    with suppress(OSError):  # the terminal may be gone
        snapshot = engine.reporter.snapshot()
        for stream in snapshot.health:
            lost = f"{stream.lost} lost in gaps" + (f"; {stream.problem}" if stream.problem else "")
            console.print(f"{quoted(stream.name)}: {stream.samples} samples received, {lost}")
        if snapshot.recording is not None:
            console.print(recording_line(snapshot.recording))
        say_saved(console, folder)
