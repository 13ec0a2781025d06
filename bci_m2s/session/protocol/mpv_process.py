"""A running mpv and the line of JSON messages to it, which nobody else can reach.

mpv inherits one end of a socket pair and ends when the other is closed, in whatever way this process ends.
On Windows it makes a named pipe with a name that cannot be guessed; that way is untested.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from bci_m2s.session.detached import last_lines
from bci_m2s.text import printable

Message = dict[str, Any]
MOST_BYTES = 1 << 20  # of one message
START_S, END_S = 30.0, 2.0


class PlayerGone(Exception):
    """mpv has ended, or does not answer; the message says why."""


class Line(Protocol):
    """Bytes to and from mpv."""

    def send(self, data: bytes) -> None:
        """Hand over all of it. Raises OSError."""
        ...

    def receive(self, timeout_s: float) -> bytes:
        """What has come, empty after the timeout. Raises OSError when mpv has closed it."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class MpvProcess:
    """mpv, idle. One thread calls it.

    Parameters
    ----------
    program : mpv's name, and arguments that come before all others
    options : mpv's options
    clock : stamps messages as they come, s

    Raises
    ------
    PlayerGone
        mpv cannot be started.
    """

    def __init__(self, program: Sequence[str], options: Sequence[str], clock: Callable[[], float]) -> None:
        self._clock, self._rest, self._requests = clock, b"", 0
        self._folder = tempfile.TemporaryDirectory(
            prefix="bci_m2s-mpv-", ignore_cleanup_errors=True
        )  # 0700
        start = _start_on_windows if os.name == "nt" else _start_with_socket
        try:
            with self._log.open("wb") as log:
                self._process, self._line = start([*program, *options], log.fileno())
        except OSError as problem:
            self._folder.cleanup()
            raise PlayerGone(f"{program[0]} cannot be started: {problem.strerror or problem}") from None

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "mpv.log"

    @property
    def has_ended(self) -> bool:
        """Whether mpv is no more."""
        return self._process.poll() is not None

    def request(self, *command: str | float | bool) -> int:
        """Send a command; its reply will have the number that is returned. Raises PlayerGone."""
        self._requests += 1
        message = json.dumps({"command": command, "request_id": self._requests})
        try:
            self._line.send(message.encode() + b"\n")
        except OSError:
            raise self._gone() from None
        return self._requests

    def observe(self, number: int, name: str) -> None:
        """Have each change of a property reported under a number. Raises PlayerGone."""
        self.request("observe_property", number, name)

    def messages(self, timeout_s: float) -> tuple[float, list[Message]]:
        """What mpv has said, and when it came; empty after the timeout. Raises PlayerGone."""
        try:
            data = self._line.receive(timeout_s)
        except OSError:
            raise self._gone() from None
        arrival_s = self._clock()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            raise PlayerGone("mpv talks no JSON")
        return arrival_s, [message for line in lines if (message := _message(line))]

    def close(self) -> None:
        """End mpv: asked to, it has two seconds."""
        with suppress(OSError):
            self._line.send(b'{"command":["quit"]}\n')
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._line.close()
        self._folder.cleanup()

    def kill(self) -> None:
        """End mpv at once."""
        self._process.kill()
        self.close()

    def _gone(self) -> PlayerGone:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        said = last_lines(self._log)
        return PlayerGone(f"mpv has ended{': ' + printable(said[-1], 200) if said else ''}")


def _message(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class _SocketLine:
    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours

    def send(self, data: bytes) -> None:
        self._socket.settimeout(END_S)
        self._socket.sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError
        return data

    def close(self) -> None:
        self._socket.close()


def _start_with_socket(command: list[str], log: int) -> tuple[subprocess.Popen[bytes], Line]:
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [*command, f"--input-ipc-client=fd://{theirs.fileno()}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is for whoever conducts the session
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, _SocketLine(ours)


class _PipeLine:
    """Windows: a pipe that waits in one direction blocks the other, so it is asked before it is read."""

    def __init__(self, path: str, process: subprocess.Popen[bytes]) -> None:
        until_s = time.monotonic() + START_S
        while True:
            try:
                self._pipe = open(path, "r+b", buffering=0)  # noqa: PTH123, SIM115 - no path; stays open
                return
            except OSError:
                if process.poll() is not None or time.monotonic() > until_s:
                    raise
            time.sleep(0.02)

    def send(self, data: bytes) -> None:
        self._pipe.write(data)

    def receive(self, timeout_s: float) -> bytes:
        import _winapi
        import msvcrt

        windows: Any = _winapi
        handle = vars(msvcrt)["get_osfhandle"](self._pipe.fileno())
        until_s = time.monotonic() + timeout_s
        while not (waiting := windows.PeekNamedPipe(handle, 0)[0]):
            if time.monotonic() > until_s:
                return b""
            time.sleep(0.001)
        return self._pipe.read(min(waiting, 1 << 16)) or b""

    def close(self) -> None:
        self._pipe.close()


def _start_on_windows(command: list[str], log: int) -> tuple[subprocess.Popen[bytes], Line]:
    path = rf"\\.\pipe\bci_m2s-{secrets.token_hex(16)}"
    process = subprocess.Popen(
        [*command, f"--input-ipc-server={path}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    try:
        return process, _PipeLine(path, process)
    except OSError:
        process.kill()
        raise
