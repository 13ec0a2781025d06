"""The few commands that a panel gives to a session on the same machine: requests and replies over loopback.

A panel finds the server by the ``session_id`` in the session's description. Where no server can be made
(``CommandError``: no private folder, for instance) the session runs without; it must not fail for that.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from io import BufferedReader
from typing import Any

from bci_m2s.errors import BciM2sError, CommandError
from bci_m2s.session.control import rendezvous
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

MOST_CONNECTIONS = 32
MESSAGE_S = 2.0  # how long a message that has begun may pause, in either direction
POLL_S = 0.2  # how often the acceptor checks whether the server closes
CLOSE_S = 0.5  # a command that is under way may end, and its reply go out
_log = logging.getLogger(__name__)


class ControlServer(socketserver.ThreadingTCPServer):
    """Takes commands from this machine's user until it is closed.

    A thread accepts, and each connection has one of its own. One that does not prove itself in time is cut,
    and where there are ``MOST_CONNECTIONS`` the next one takes the place of the oldest that has not done so
    yet: strangers cannot shut the user out.

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

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, session_id: str, handle: Handle) -> None:
        rendezvous.check_id(session_id)
        self.handle, self.token = handle, secrets.token_bytes(32)
        self.closing = threading.Event()
        self._lock = threading.Lock()  # guards the connections
        self._connections: list[_Connection] = []
        folder = rendezvous.make_folder()
        rendezvous.remove_stale(folder)
        try:
            super().__init__((rendezvous.HOST, 0), _Connection)
        except OSError as problem:
            raise CommandError(f"{rendezvous.HOST}: cannot listen: {problem.strerror}") from None
        try:
            entry = rendezvous.Entry(self.server_address[1], self.token)
            self._file = rendezvous.write_entry(folder, session_id, entry)
        except BaseException:
            self.server_close()
            raise
        threading.Thread(target=self.serve_forever, args=(POLL_S,), name="control", daemon=True).start()

    def close(self) -> None:
        """Take no more commands, end what is open, remove the file: within a second. Harmless twice."""
        if self.closing.is_set():
            return
        self.closing.set()
        with contextlib.suppress(OSError):
            self._file.unlink()
        self.shutdown()
        self.server_close()
        until_s = time.monotonic() + CLOSE_S
        while connections := self.connections():
            is_over = time.monotonic() > until_s
            for connection in connections:
                if is_over or not connection.busy:
                    connection.cut()
            if is_over:
                return
            time.sleep(0.01)

    def connections(self) -> list[_Connection]:
        """Return the open connections, the oldest first."""
        with self._lock:
            return list(self._connections)

    def add(self, connection: _Connection) -> None:
        """Take a new connection, or cut it at once when all others have proved themselves."""
        with self._lock:
            self._connections.append(connection)
            if len(self._connections) > MOST_CONNECTIONS:
                oldest = next(other for other in self._connections if not other.proven)
                self._connections.remove(oldest)
                oldest.cut()

    def remove(self, connection: _Connection) -> None:
        """Forget a connection that ends."""
        with self._lock, contextlib.suppress(ValueError):
            self._connections.remove(connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept; where that fails (out of descriptors, for instance) not as fast as it can."""
        try:
            return super().get_request()
        except OSError as problem:
            _log.warning("a connection could not be accepted: %s", problem)
            self.closing.wait(0.1)
            raise

    def handle_error(self, *_connection: object) -> None:
        """Log what should not happen."""
        _log.exception("a control connection failed")


class _Connection(socketserver.StreamRequestHandler):
    """A client's connection, in a thread of its own. ``cut`` is for other threads."""

    server: ControlServer
    rfile: BufferedReader
    disable_nagle_algorithm = True
    proven = busy = False  # busy: between a request and its reply

    def setup(self) -> None:
        super().setup()
        self.server.add(self)

    def handle(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # gone, silent, or cut
            if self._handshake():
                while not self.server.closing.is_set():
                    self._exchange()

    def finish(self) -> None:
        self.server.remove(self)
        super().finish()

    def cut(self) -> None:
        """Wake whoever waits in it with EOFError or OSError."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

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
