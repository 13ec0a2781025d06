"""The panel's end of the control connection."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from typing import Any

from bci_m2s.errors import CommandError
from bci_m2s.session.control import rendezvous
from bci_m2s.session.control.lines import (
    HANDSHAKE_S,
    LONGEST_PROOF,
    LONGEST_REPLY,
    LONGEST_REQUEST,
    parse,
    proof,
    read_line,
    same,
    to_line,
)


class ControlClient:
    """One connection to a session's ``ControlServer``; used by one thread at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._reader = connection, connection.makefile("rb")
        self._closed = False

    @staticmethod
    def find(session_id: str) -> ControlClient | None:
        """Connect to a session on this machine; None where there is none, or it does not reply in time.

        Raises
        ------
        CommandError
            The id is malformed, or the folder belongs to someone else or is open to others.
        """
        rendezvous.check_id(session_id)
        folder = rendezvous.folder_path()
        if not folder.exists():
            return None
        rendezvous.check_private(folder)
        entry = rendezvous.read_entry(folder / f"{session_id}.json")
        if entry is None:
            return None
        try:
            client = ControlClient(rendezvous.connect(entry))
        except OSError:
            return None
        try:
            if client._is_proven(entry.token):
                return client
        except (OSError, EOFError, ValueError):
            pass
        client.close()
        return None

    def request(self, request: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
        """Send a request and return the session's reply, ``{"error": text}`` where it refuses.

        Raises
        ------
        CommandError
            The request is too long, or no reply came in time; in the latter case the connection is closed.
        """
        line = to_line(dict(request))
        if len(line) > LONGEST_REQUEST:
            raise CommandError(f"request: got {len(line)} bytes, expected {LONGEST_REQUEST} at most")
        if self._closed:
            raise CommandError("the session takes no more commands: the connection is closed")
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(line)
            return parse(read_line(self._reader, LONGEST_REPLY))
        except (OSError, EOFError):
            self.close()
            raise CommandError(f"the session did not reply within {timeout_s:g} s, or has ended") from None
        except ValueError as problem:
            self.close()
            raise CommandError(f"the session's reply: {problem}") from None

    def close(self) -> None:
        """End the connection. Harmless twice."""
        self._closed = True
        self._reader.close()
        self._socket.close()

    def _is_proven(self, token: bytes) -> bool:
        """Prove ourselves to the server; whether it proves itself too."""
        self._socket.settimeout(HANDSHAKE_S)
        challenges = (
            str(parse(read_line(self._reader, LONGEST_PROOF)).get("challenge")),
            secrets.token_hex(32),
        )
        self._socket.sendall(
            to_line({"challenge": challenges[1], "proof": proof(token, "client", *challenges)})
        )
        reply = parse(read_line(self._reader, LONGEST_PROOF))
        return same(reply.get("proof"), proof(token, "server", *challenges))
