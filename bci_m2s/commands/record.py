"""``bci-m2s record``: any set of LSL streams into one XDF file, without a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from bci_m2s.commands.record_remote import record_takes, summarise
from bci_m2s.commands.run import print_lsl_session
from bci_m2s.errors import StreamError, nearest
from bci_m2s.lsl.configuration import LslSession
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import OWN_TYPES
from bci_m2s.lsl.network import LslNetwork, brief_info, local_clock
from bci_m2s.session.description import utc_now, versions
from bci_m2s.session.newcomers import Newcomers
from bci_m2s.session.record_takes import RecordTakes
from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.listening import listening
from bci_m2s.session.setup.build import make_folder, make_recording
from bci_m2s.session.terminal.run import run_engine, stop_on_signals
from bci_m2s.session.terminal.view import make_console
from bci_m2s.sources.lsl import LslSource
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo


def record_streams(
    wanted: Sequence[str],
    output: Path,
    duration_s: float,
    wait_s: float,
    lsl: LslSession | None = None,
    group: bool = False,
    remote: Address | None = None,
) -> None:
    """Record until `duration_s` has passed (0: no limit) or a signal comes.

    Parameters
    ----------
    wanted : names or types of streams, all that match; () for everything on the network
    output : new folder for session.xdf and events.jsonl
    wait_s : how long to wait for every one that is wanted
    lsl : LSL session of its own, if there is one
    group : its group may read the recording, not its owner alone
    remote : where to take commands; recordings then begin when they are told to, inside `output`

    Raises
    ------
    StreamError
        When something wanted does not come, or nothing is there.
    OutputError
        When the folder is in use or the disk is full.
    CommandError
        When nobody can listen there.
    """
    console, stop = make_console(), threading.Event()
    with stop_on_signals(stop), ExitStack() as closing:
        server = listening(remote)
        if server is not None:
            closing.callback(server.close)
        network = LslNetwork()
        with console.status("looking for LSL streams"):
            infos = _choose(network, wanted, wait_s, stop)
        if stop.is_set():
            console.print("stopped before the recording began")
            return
        with ExitStack() as unclaimed:
            sources = _open(infos, network, wait_s, stop, console, unclaimed, may_lack=not wanted)
            if not sources:
                console.print("stopped before the recording began")
                return
            folder = make_folder(output, group)
            print_lsl_session(console, lsl, folder)
            session = SessionDescription(mode="record", begun_utc=utc_now(), versions=versions())
            if server is not None:
                unclaimed.pop_all()
                which = "all streams on the network" if not wanted else ", ".join(sources)
                takes = RecordTakes(sources, local_clock, session, folder, which, console.print, group)
                record_takes(takes, server, not wanted, console, stop, duration_s)
                return
            engine, warning = make_recording(folder, sources, local_clock, session)
            if warning:
                console.print(warning, style="yellow")
            unclaimed.pop_all()
        known = [source.info for source in sources.values()]
        newcomers = Newcomers(
            known, lambda _info: [engine.add], "all", local_clock, console.print, remark=" meanwhile"
        )
        try:
            with newcomers if not wanted else nullcontext():
                run_engine(engine, console, stop, duration_s, {}, title="recording")
        finally:
            summarise(console, engine, folder)


def _open(
    infos: Sequence[StreamInfo],
    network: LslNetwork,
    wait_s: float,
    stop: threading.Event,
    console: Console,
    unclaimed: ExitStack,
    may_lack: bool,
) -> dict[str, Any]:
    """Opened sources by name; none when stopped. Raises StreamError.

    unclaimed : closes them; may_lack : one that went away meanwhile is named and left out
    """
    sources: dict[str, Any] = {}
    for info in infos:
        source = LslSource(
            info.name, info.type, info.source_id, info.host, wait_s, network, stopped=stop.is_set
        )
        unclaimed.callback(source.close)
        try:
            source.open()
        except StreamError as problem:
            if stop.is_set():
                return {}
            if not may_lack or len(infos) == 1:
                raise
            console.print(f"note: not recorded: {printable(problem, 512)}", style="yellow")
            continue
        name = source.info.name or source.info.type or "stream"
        name += f" ({source.info.uid[:8]})" if name in sources else ""
        sources[name] = source
        console.print(printable(f"recording {source.info.describe()} of {source.info.host}", 512))
    if not sources:
        raise StreamError("every stream went away before it was connected")
    return sources


def _choose(
    network: LslNetwork, wanted: Sequence[str], wait_s: float, stop: threading.Event
) -> list[StreamInfo]:
    """What is wanted of what is offered. Raises StreamError."""
    begun = time.monotonic()
    while not stop.wait(0.1):
        waited_s = time.monotonic() - begun
        offered = [brief_info(raw) for raw in network.streams().values()]
        offered = [info for info in offered if info.type not in OWN_TYPES]
        missing = [word for word in wanted if not any(word in (info.name, info.type) for info in offered)]
        if waited_s >= 2.0 and offered and not missing:  # senders answer within half a second or miss it
            chosen = [info for info in offered if not wanted or {info.name, info.type} & set(wanted)]
            return sorted(chosen, key=lambda info: (info.type, info.name, info.uid))
        if waited_s >= wait_s and missing:
            known = sorted({word for info in offered for word in (info.name, info.type)})
            hint = nearest(missing[0], known)
            raise StreamError(f"no stream named or of type {missing[0]!r} came within {wait_s:g} s{hint}")
        if waited_s >= wait_s:
            raise StreamError(f"no LSL stream came within {wait_s:g} s")
    return []
