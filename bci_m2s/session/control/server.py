"""The few commands that a panel gives to a session on the same machine: requests and replies over loopback.

A panel finds the server by the ``session_id`` in the session's description. Where no server can be made
(``CommandError``: no private folder, for instance) the session runs without; it must not fail for that.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable
from typing import Any

from bci_m2s.errors import BciM2sError
from bci_m2s.session.control import rendezvous
from bci_m2s.session.control.connections import Connection, LimitedServer
from bci_m2s.session.control.lines import (
    HANDSHAKE_S,
    LONGEST_PROOF,
    LONGEST_REPLY,
    LONGEST_REQUEST,
    TooLongError,
    parse,
    proof,
    read_line,
    same,
    to_line,
)

Handle = Callable[[dict[str, Any]], dict[str, Any]]

MESSAGE_S = 2.0  # how long a message that has begun may pause, in either direction
_log = logging.getLogger(__name__)


class ControlServer(LimitedServer):
    """Takes commands from this machine's user until it is closed.

    A connection that does not prove itself in time is cut.

    Parameters
    ----------
    session_id : 8 to 64 hexadecimal digits, the name under which clients look for it
    handle : returns the reply to a request; called from several threads at once. A BciM2sError becomes
        ``{"error": text}``, any other exception is logged too; a good reply gets ``"ok": true``

    Raises
    ------
    CommandError
        The id is malformed, the folder is not private, or nothing can listen on this computer.
    """

    def __init__(self, session_id: str, handle: Handle) -> None:
        rendezvous.check_id(session_id)
        self.handle, self.token = handle, secrets.token_bytes(32)
        folder = rendezvous.make_folder()
        rendezvous.remove_stale(folder)
        super().__init__(rendezvous.HOST, 0, _Connection)
        try:
            entry = rendezvous.Entry(self.server_address[1], self.token)
            self._file = rendezvous.write_entry(folder, session_id, entry)
        except BaseException:
            self.server_close()
            raise
        self.begin("control")

    def close(self) -> None:
        """Take no more commands, end what is open, remove the file: within a second. Harmless twice."""
        if not self.closing.is_set():
            with contextlib.suppress(OSError):
                self._file.unlink()
        super().close()


class _Connection(Connection):
    """A panel's connection."""

    server: ControlServer

    def handle(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # gone, silent, or cut
            if self._handshake():
                while not self.server.closing.is_set():
                    self._exchange()

    def _handshake(self) -> bool:
        self.connection.settimeout(HANDSHAKE_S)
        challenge, token = secrets.token_hex(32), self.server.token
        self.wfile.write(to_line({"challenge": challenge}))
        try:
            reply = parse(read_line(self.rfile, LONGEST_PROOF))
        except ValueError:
            reply = {}
        challenges = challenge, str(reply.get("challenge"))
        if not same(reply.get("proof"), proof(token, "client", *challenges)):
            _log.info("a connection was refused: it does not know the session's token")
            return False
        self.proven = True
        self.wfile.write(to_line({"proof": proof(token, "server", *challenges)}))
        return True

    def _exchange(self) -> None:
        """Receive a request and send its reply."""
        self.connection.settimeout(None)
        self.rfile.peek(1)
        self.connection.settimeout(MESSAGE_S)
        try:
            line = read_line(self.rfile, LONGEST_REQUEST)
        except TooLongError as problem:
            self.wfile.write(to_line({"error": f"request: {problem}"}))
            raise EOFError from None
        self.busy = True
        try:
            self.wfile.write(self._reply(line))
        finally:
            self.busy = False

    def _reply(self, line: bytes) -> bytes:
        try:
            request = parse(line)
        except ValueError as problem:
            return to_line({"error": f"request: {problem}"})
        try:
            reply = to_line({"ok": True, **self.server.handle(request)})
        except BciM2sError as problem:
            return to_line({"error": str(problem)})
        except Exception as problem:
            _log.exception("a command failed")
            return to_line({"error": f"{type(problem).__name__}: {problem}"})
        if len(reply) > LONGEST_REPLY:
            return to_line({"error": f"reply: too long, expected {LONGEST_REPLY} bytes at most"})
        return reply
