"""``bci-m2s ctl``: one command to a running session, found on this machine or by its port."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from bci_m2s.errors import CommandError, UsageError
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.rendezvous import announced
from bci_m2s.session.remote.address import Address, address_of, key_of_environment
from bci_m2s.session.remote.words import HELP, IN_JSON, request_of
from bci_m2s.text import printable

REPLY_S = 15.0  # a recording may take seconds to begin
LONGEST_REPLY = 1 << 20


def give(words: Sequence[str], remote: str, session_id: str, participant: str = "") -> None:
    """Give a command and print the answer; to all participants where several are in one session.

    words : of the command line; remote : ``[HOST:]PORT`` or ""; session_id : its beginning, or "";
    participant : only to this one, "" for all

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
    running = announced()
    if participant or (not session_id and len(running) > 1):
        members = _members(running, participant)
        if len(members) > 1:
            _give_all(members, request)
            return
        running = list(members.values()) or running
    print(_answer(_chosen(session_id, running), request))


def _answer(session_id: str, request: Mapping[str, Any]) -> str:
    """What a session says to a request. Raises CommandError: it refuses, or does not reply."""
    client = ControlClient.find(session_id)
    if client is None:
        raise CommandError("the session does not reply (starting, frozen, or killed)")
    try:
        answer = client.request(request, REPLY_S)
    finally:
        client.close()
    if "error" in answer:
        raise CommandError(printable(answer["error"]))
    values = answer.get("status", {"estimates": answer.get("estimates")})
    return json.dumps(values) if request["do"] in IN_JSON else printable(answer.get("said", ""))


def _give_all(members: Mapping[str, str], request: Mapping[str, Any]) -> None:
    """Give a command to several participants at once. members : session ids by participant"""
    failed = []
    with ThreadPoolExecutor(len(members)) as pool:
        asked = {name: pool.submit(_answer, session_id, request) for name, session_id in members.items()}
    for name, answer in asked.items():
        try:
            print(f"{name}: {answer.result()}")
        except CommandError as problem:
            failed.append(f"{name}: {problem}")
    if failed:
        raise CommandError("; ".join(failed))


def _members(running: Sequence[str], participant: str) -> dict[str, str]:
    """Ids of the sessions of participants that run in one process, by participant; {} where there are none.

    participant : only this one. Raises UsageError where several processes have participants of that name.
    """
    found: dict[str, dict[str, str]] = {}
    for session_id in running:
        try:
            status = json.loads(_answer(session_id, {"do": "state"}))
        except CommandError:
            continue
        name = str(status.get("participant", ""))
        if name and participant in ("", name):
            found.setdefault(str(status.get("together")), {})[name] = session_id
    if participant and not found:
        raise UsageError(f"--participant: got {participant!r}, and nobody of that name takes part")
    if participant and len(found) > 1:
        raise UsageError(f"--participant: {len(found)} sessions have a participant {participant!r}")
    members = next(iter(found.values()), {})
    is_all = bool(participant) or (len(found) == 1 and len(members) == len(running))
    return dict(sorted(members.items())) if is_all else {}


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
