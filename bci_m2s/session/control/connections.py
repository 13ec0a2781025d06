"""A server whose connections are limited and can be ended: what the panel's and the remote one share."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
import time
from io import BufferedReader
from typing import Any

from bci_m2s.errors import CommandError

MOST_CONNECTIONS = 32
POLL_S = 0.2  # how often the acceptor checks whether the server closes
CLOSE_S = 0.5  # a command that is under way may end, and its reply go out
_log = logging.getLogger(__name__)


class LimitedServer(socketserver.ThreadingTCPServer):
    """Listens once it is made, accepts after ``begin``, until it is closed.

    A thread accepts, and each connection has one of its own. Where there are ``MOST_CONNECTIONS`` the next
    one takes the place of the oldest that has not proved itself yet: strangers cannot shut the user out.

    Raises
    ------
    CommandError
        Nothing can listen there; names host and port where one was asked for.
    """

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, handler: type[Connection]) -> None:
        self.closing = threading.Event()
        self._lock = threading.Lock()  # guards the connections
        self._connections: list[Connection] = []
        self._has_begun = False
        try:
            super().__init__((host, port), handler)
        except OSError as problem:
            where = f"{host}:{port}" if port else host
            raise CommandError(f"{where}: cannot listen: {problem.strerror}") from None

    def begin(self, name: str) -> None:
        """Accept from now on. name : of the thread"""
        self._has_begun = True
        threading.Thread(target=self.serve_forever, args=(POLL_S,), name=name, daemon=True).start()

    def close(self) -> None:
        """Take no more commands and end what is open, within a second. Harmless twice."""
        if self.closing.is_set():
            return
        self.closing.set()
        if self._has_begun:
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

    def connections(self) -> list[Connection]:
        """Return the open connections, the oldest first."""
        with self._lock:
            return list(self._connections)

    def add(self, connection: Connection) -> None:
        """Take a new connection, or cut it at once when all others have proved themselves."""
        with self._lock:
            self._connections.append(connection)
            if len(self._connections) > MOST_CONNECTIONS:
                oldest = next(other for other in self._connections if not other.proven)
                self._connections.remove(oldest)
                oldest.cut()

    def remove(self, connection: Connection) -> None:
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


class Connection(socketserver.StreamRequestHandler):
    """A client's connection, in a thread of its own. ``cut`` is for other threads.

    Attributes
    ----------
    proven : it has shown that it may give commands; busy : between a request and its reply
    """

    server: LimitedServer
    rfile: BufferedReader
    disable_nagle_algorithm = True
    proven = busy = False

    def setup(self) -> None:
        """Count among the server's."""
        super().setup()
        self.server.add(self)

    def finish(self) -> None:
        """Count no more."""
        self.server.remove(self)
        super().finish()

    def cut(self) -> None:
        """Wake whoever waits in it with EOFError or OSError."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
