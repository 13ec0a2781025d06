"""``bci-m2s ctl``: one command to a running session, found on this machine or by its port."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import replace

from bci_m2s.errors import CommandError, UsageError
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.rendezvous import announced
from bci_m2s.session.remote.address import Address, address_of, key_of_environment
from bci_m2s.session.remote.words import HELP, IN_JSON, request_of
from bci_m2s.text import printable

REPLY_S = 15.0  # a recording may take seconds to begin
LONGEST_REPLY = 1 << 20


def give(words: Sequence[str], remote: str, session_id: str) -> None:
    """Give a command and print the answer.

    words : of the command line; remote : ``[HOST:]PORT`` or ""; session_id : its beginning, or ""

    Raises
    ------
    UsageError
        It is no command, or several sessions run and none is named.
    CommandError
        No session runs, or it refuses.
    """
    line = " ".join(words)
    if line.strip().casefold() == "help":
        print(HELP)
        return
    try:
        request = request_of(line)
    except CommandError as problem:
        raise UsageError(f"ctl: {problem}") from None
    if remote:
        print(_over_tcp(replace(address_of(remote), key=key_of_environment()), line))
        return
    client = ControlClient.find(_chosen(session_id, announced()))
    if client is None:
        raise CommandError("the session does not reply (starting, frozen, or killed)")
    try:
        answer = client.request(request, REPLY_S)
    finally:
        client.close()
    if "error" in answer:
        raise CommandError(printable(answer["error"]))
    values = answer.get("status", {"estimates": answer.get("estimates")})
    print(json.dumps(values) if request["do"] in IN_JSON else printable(answer.get("said", "")))


def _chosen(wanted: str, running: Sequence[str]) -> str:
    """The id that begins so; of the only session where none is wanted."""
    chosen = [session_id for session_id in running if session_id.startswith(wanted)]
    if len(chosen) == 1:
        return chosen[0]
    if not running:
        raise CommandError(
            "no session of yours runs on this machine; of another machine or user: --remote HOST:PORT"
        )
    what = f"got {wanted!r}, which fits {len(chosen)} sessions" if wanted else f"{len(chosen)} sessions run"
    raise UsageError(f"--session: {what}; running: {', '.join(running)}")


def _over_tcp(address: Address, line: str) -> str:
    """What a session at this address answers. Raises CommandError."""
    lines = [f"key {address.key}"] if address.key else []
    try:
        with socket.create_connection((address.host, address.port), 5.0) as connection:
            connection.settimeout(REPLY_S)
            with connection.makefile("rb") as replies:
                for one in [*lines, line]:
                    connection.sendall(one.encode() + b"\n")
                    reply = replies.readline(LONGEST_REPLY).decode("utf-8", "replace").strip()
                    if not reply or reply.startswith("ERR"):
                        raise CommandError(printable(reply[4:]) or f"{address}: ended the connection")
    except TimeoutError:
        raise CommandError(f"{address}: got no reply") from None
    except OSError as problem:
        raise CommandError(
            f"{address}: {problem.strerror or problem}: does a session listen there?"
        ) from None
    return printable(reply, LONGEST_REPLY)
