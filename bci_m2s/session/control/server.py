"""The few commands that a panel gives to a session on the same machine, through a local pipe.

A message is one JSON object. Nothing is ever unpickled: ``multiprocessing.connection`` only carries bytes
here, and its handshake with a random key of the session proves both sides to each other. Where a session is
found says ``rendezvous``.

A session that takes commands makes a server, and closes it at its end::

    commands = Commands(engine, record_on, record_off)
    with contextlib.closing(ControlServer(session_id, commands.handle)):
        ...

with its ``session_id`` in the session's description, where a panel finds it. Where no server can be made
(``CommandError``: no private folder, for instance) the session runs without; it must not fail for that.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from bci_m2s.errors import BciM2sError, CommandError
from bci_m2s.session.control import rendezvous
from bci_m2s.session.control.line import Line, connect

Handle = Callable[[dict[str, Any]], dict[str, Any]]

LONGEST_REQUEST = 64 * 1024  # bytes
LONGEST_REPLY = 4 * 1024 * 1024
MOST_CONNECTIONS = 8
HANDSHAKE_S = 2.0
MESSAGE_S = 2.0  # a message that has begun is over by then, in either direction
LOOK_S = 0.5  # how often an idle connection looks whether the server closes
CLOSE_S = 0.5  # a command that is under way may end, and its answer go out
_log = logging.getLogger(__name__)


class ControlServer:
    """Takes commands from this machine's user until it is closed.

    A thread accepts and each connection has one of its own, at most ``MOST_CONNECTIONS``; one that does not
    prove itself within ``HANDSHAKE_S`` is cut, and holds nobody up.

    Parameters
    ----------
    session_id : 8 to 64 hexadecimal digits, the name under which clients look for it
    handle : a request to its answer; called from several threads at once. A BciM2sError is answered as
        ``{"error": text}``, any other exception is logged too; a good answer gets ``"ok": true``

    Raises
    ------
    CommandError
        The id is none, the folder is not private, or the socket cannot be made.
    """

    def __init__(self, session_id: str, handle: Handle) -> None:
        rendezvous.checked_id(session_id)
        self._handle, self._key = handle, secrets.token_bytes(32)
        self._folder = rendezvous.make_folder()
        rendezvous.remove_stale(self._folder)
        self._address = rendezvous.new_address(self._folder)
        try:
            self._listener = Listener(self._address, backlog=MOST_CONNECTIONS)
            if sys.platform != "win32":
                Path(self._address).chmod(0o600)
        except OSError as problem:
            raise CommandError(f"{self._address}: cannot listen: {problem.strerror}") from None
        try:
            entry = rendezvous.Entry(self._address, self._key, os.getpid())
            self._file = rendezvous.write_entry(self._folder, session_id, entry)
        except BaseException:
            self._listener.close()
            raise
        self._closing = threading.Event()
        self._lock = threading.Lock()  # guards the lines
        self._lines: dict[Line, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept, name="control", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Take no more commands, end what is open, remove the files: within a second. Harmless twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(OSError):
            self._file.unlink()
        with contextlib.suppress(OSError, EOFError):  # wakes the acceptor
            connect(self._address).close()
        self._acceptor.join(CLOSE_S)
        with contextlib.suppress(OSError):
            self._listener.close()
        rendezvous.remove_socket(self._folder, self._address)
        with self._lock:
            left = dict(self._lines)
        for line in left:
            if not line.busy:
                line.cut()
        until = time.monotonic() + CLOSE_S
        for line, thread in left.items():
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                line.cut()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                line = Line(self._listener.accept())
            except (OSError, EOFError) as problem:
                if not self._closing.is_set():
                    _log.warning("a connection could not be accepted: %s", problem)
                    self._closing.wait(0.1)  # out of descriptors, for instance: not as fast as it can
                continue
            thread = threading.Thread(target=self._serve, args=(line,), name="control-line", daemon=True)
            with self._lock:
                full = len(self._lines) >= MOST_CONNECTIONS
                if not (full or self._closing.is_set()):
                    self._lines[line] = thread
                    thread.start()
                    continue
            line.close()
            if full:
                _log.warning("more than %d connections: one was refused", MOST_CONNECTIONS)

    def _serve(self, line: Line) -> None:
        try:
            with line.at_most(HANDSHAKE_S):
                deliver_challenge(line.connection, self._key)
                answer_challenge(line.connection, self._key)
            while not self._closing.is_set():
                if line.connection.poll(LOOK_S) and not self._exchange(line):
                    return
        except AuthenticationError as problem:
            _log.warning("a connection was refused: %s", problem)
        except (EOFError, OSError):  # gone, silent, or cut
            pass
        finally:
            line.close()
            with self._lock:
                del self._lines[line]

    def _exchange(self, line: Line) -> bool:
        """One request and its answer; false when the connection cannot be used any more."""
        with line.at_most(MESSAGE_S):
            try:
                message = line.connection.recv_bytes(LONGEST_REQUEST)
            except OSError as problem:
                if "bad message length" not in str(problem):
                    raise
                line.connection.send_bytes(_too_long("request", LONGEST_REQUEST))
                return False
        line.busy = True
        try:
            answer = self._answer(message)
            if len(answer) > LONGEST_REPLY:
                answer = _too_long("answer", LONGEST_REPLY)
            with line.at_most(MESSAGE_S):
                line.connection.send_bytes(answer)
        finally:
            line.busy = False
        return True

    def _answer(self, message: bytes) -> bytes:
        try:
            request = json.loads(message)
        except (ValueError, RecursionError):
            return _error("request: not JSON")
        if not isinstance(request, dict):
            return _error(f"request: got {type(request).__name__}, expected a JSON object")
        try:
            return json.dumps({"ok": True, **self._handle(request)}).encode()
        except BciM2sError as problem:
            return _error(str(problem))
        except Exception as problem:
            _log.exception("a command failed")
            return _error(f"{type(problem).__name__}: {problem}")


class ControlClient:
    """One connection to a session's ``ControlServer``; used by one thread at a time."""

    def __init__(self, line: Line) -> None:
        self._line: Line | None = line

    @staticmethod
    def find(session_id: str) -> ControlClient | None:
        """Connect to a session on this machine; None where there is none, or nobody answers in time.

        Raises
        ------
        CommandError
            The id is none, or the folder belongs to someone else or is open to others.
        """
        rendezvous.checked_id(session_id)
        folder = rendezvous.folder_path()
        if not folder.exists():
            return None
        rendezvous.check_private(folder)
        entry = rendezvous.read_entry(folder / f"{session_id}.json")
        if entry is None:
            return None
        try:
            line = Line(connect(entry.address))
        except (OSError, EOFError, ValueError):
            return None
        try:
            with line.at_most(HANDSHAKE_S):
                answer_challenge(line.connection, entry.key)
                deliver_challenge(line.connection, entry.key)
        except (OSError, EOFError, AuthenticationError):
            line.close()
            return None
        return ControlClient(line)

    def ask(self, request: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
        """Give a command and return the session's answer, ``{"error": text}`` where it refuses.

        Raises
        ------
        CommandError
            The request is too long, or no answer came in time; in the latter case the connection is closed.
        """
        message = json.dumps(dict(request)).encode()
        if len(message) > LONGEST_REQUEST:
            raise CommandError(f"request: got {len(message)} bytes, expected {LONGEST_REQUEST} at most")
        if self._line is None:
            raise CommandError("the session takes no more commands: the connection is closed")
        try:
            with self._line.at_most(timeout_s):
                self._line.connection.send_bytes(message)
                answer = json.loads(self._line.connection.recv_bytes(LONGEST_REPLY))
        except (OSError, EOFError):
            self.close()
            raise CommandError(f"the session did not answer within {timeout_s:g} s, or has ended") from None
        except (ValueError, RecursionError):
            self.close()
            raise CommandError("the session's answer is not JSON") from None
        if not isinstance(answer, dict):
            self.close()
            raise CommandError("the session's answer is not a JSON object")
        return answer

    def close(self) -> None:
        """End the connection. Harmless twice."""
        if self._line is not None:
            self._line.close()
            self._line = None


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def _too_long(what: str, limit: int) -> bytes:
    return _error(f"{what}: too long, expected {limit} bytes at most")
