"""A local connection that can be cut, whatever it waits in: the other end may hang, or never say a word."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection

CONNECT_S = 2.0


class Line:
    """A connection that another thread can cut, whatever it is waiting in."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.busy = False  # between a request and its answer
        self._lock = threading.Lock()
        # closing a descriptor does not wake who reads from it; shutting its socket down does
        self._socket = None
        if sys.platform != "win32":
            self._socket = socket.socket(fileno=os.dup(connection.fileno()))

    def cut(self) -> None:
        """End it; what waits for it gets EOFError or OSError."""
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
            else:
                self.connection.close()

    @contextlib.contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Cut it when what is done inside takes longer."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let go of it. By the thread that uses it."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            with contextlib.suppress(OSError):
                self.connection.close()


def connect(address: str) -> Connection:
    """A connection without handshake. Raises OSError, also where a listener does not accept in time."""
    if sys.platform == "win32":
        return Client(address)
    plain = socket.socket(socket.AF_UNIX)
    try:
        plain.settimeout(CONNECT_S)  # a frozen process's queue may be full
        plain.connect(address)
        plain.setblocking(True)
        return Connection(plain.detach())
    finally:
        plain.close()
