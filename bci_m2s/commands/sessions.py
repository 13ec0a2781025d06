"""``bci-m2s sessions``: this user's sessions on this machine, listed or ended without a panel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s.errors import CommandError, UsageError
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.rendezvous import announced, has_entry
from bci_m2s.text import printable

EVERY = "all"
END_S = 15.0  # a session may have much to write


def list_sessions(console: Console) -> None:
    """Print one row per session: its id, how long it runs, its state, streams and recording."""
    states = {session_id: _state(session_id) for session_id in announced()}
    if not states:
        console.print("no session of yours runs on this machine")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("id", "runs for", "state", "streams", "recording"):
        table.add_column(heading, overflow="fold")
    for session_id, state in states.items():
        table.add_row(session_id, *(Text(printable(words, 300)) for words in _describe(state)))
    console.print(table)
    console.print("end one: bci-m2s sessions --end ID (its first digits do); end every one: --end all")


def end_sessions(wanted: str, console: Console) -> None:
    """End the session whose id begins with `wanted`, or "all", as Ctrl-C would; wait until it is gone.

    Raises
    ------
    UsageError
        No session, or more than one, has an id that begins so.
    CommandError
        A session does not reply, or has not ended after ``END_S``.
    """
    chosen = _chosen(wanted, announced())
    failed = []
    for session_id in chosen:
        try:
            _end(session_id)
            console.print(f"{session_id}: has ended")
        except CommandError as problem:
            failed.append(f"{session_id}: {problem}")
    if failed:
        raise CommandError("; ".join(failed))
    if not chosen:
        console.print("no session of yours runs on this machine")


def _chosen(wanted: str, running: Sequence[str]) -> list[str]:
    if wanted == EVERY:
        return list(running)
    chosen = [session_id for session_id in running if wanted and session_id.startswith(wanted)]
    if len(chosen) != 1:
        ids = ", ".join(running) or "none"
        raise UsageError(f"--end: got {wanted!r}, which fits {len(chosen)} sessions; running: {ids}")
    return chosen


def _state(session_id: str) -> Mapping[str, Any]:
    """What a session reports of itself; {} where it does not reply."""
    client = ControlClient.find(session_id)
    if client is None:
        return {}
    try:
        status = client.request({"do": "state"}).get("status")
    except CommandError:
        return {}
    finally:
        client.close()
    return status if isinstance(status, dict) else {}


def _describe(state: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if not state:
        return "", "does not reply (starting, frozen, or killed)", "", ""
    elapsed_s = int(state["elapsed_s"])
    minutes, seconds = divmod(elapsed_s, 60)
    streams = ", ".join(f"{stream['modality']}: {stream['name']}" for stream in state["streams"])
    recording = state["recording"]
    size = f"{recording['file']}, {recording['bytes'] / 1e6:.1f} MB" if recording else "none"
    return f"{minutes} min {seconds:02d} s", state["state"], streams, size


def _end(session_id: str) -> None:
    client = ControlClient.find(session_id)
    if client is None:
        raise CommandError("does not reply; end its process")
    try:
        reply = client.request({"do": "stop"})
    finally:
        client.close()
    if "error" in reply:
        raise CommandError(str(reply["error"]))
    limit_s = time.monotonic() + END_S
    while has_entry(session_id):
        if time.monotonic() > limit_s:
            raise CommandError(f"was asked to end, and still runs after {END_S:g} s")
        time.sleep(0.05)
