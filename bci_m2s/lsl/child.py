"""A Python module in a process of its own that talks JSON over its pipes and cannot outlive who started it.

The parent has a ``JsonChild``. The child calls ``begin`` first and ``emit`` for every message; it ends when
its standard input closes, and the system closes that in whatever way the parent ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import IO, Any, Self

from bci_m2s.errors import StreamError
from bci_m2s.lsl.configuration import inherit

Message = dict[str, Any]


class JsonChild:
    """A running child as its parent sees it; a context manager, which ends it.

    Parameters
    ----------
    name : for messages to people
    command : module and arguments
    environment : added to this process's own
    pass_fds : open files that the child inherits
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        # one thread: a sender's matrices are small, and it must not take the cores of whoever listens
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**one_thread, **os.environ, **(environment or {})},
            pass_fds=tuple(pass_fds),
        )
        self._messages: queue.Queue[Message] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def receive(self, timeout_s: float) -> Message:
        """Return its next message. Raises StreamError: an error of the child, its end, or none in time."""
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            message = {"error": f"no reply within {timeout_s:g} s"}
        if "error" in message:
            raise StreamError(f"{self.name}: {message['error']}")
        return message

    def request(self, message: Message, timeout_s: float) -> Message:
        """Send a message and return the reply. Raises StreamError."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except OSError as problem:
            raise StreamError(f"{self.name}: {problem}") from None
        return self.receive(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait for it to end by itself; false when the time was up first."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it by force."""
        self.process.kill()
        self.stop()

    def stop(self, timeout_s: float = 5.0) -> list[Message]:
        """End it: by its standard input, by force when that takes too long. Returns what it still sent.

        Harmless when called twice.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):  # a message that it never read
            self.process.stdin.close()
        if not self.wait(timeout_s):
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        return [self._messages.get_nowait() for _ in range(self._messages.qsize())]

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            if line.startswith("{"):  # a library may print too
                self._messages.put(json.loads(line))
        self._messages.put({"error": "it ended"})


# ---- the child ----


def begin(on_message: Callable[[Message], None] | None = None) -> threading.Event:
    """Begin to be a child; returns what is set when the parent, or SIGTERM, wants it to end.

    on_message : takes every message of the parent, in a thread of its own
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    def read() -> None:
        rest = b""
        while piece := os.read(0, 65536):  # not sys.stdin: its lock would outlive this thread
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if on_message is not None:
                    on_message(json.loads(line))
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    signal.signal(signal.SIGTERM, on_signal)
    inherit()
    threading.Thread(target=read, daemon=True).start()
    return stop


def emit(message: Message) -> None:
    """Send a message to the parent."""
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:  # the parent is gone, which ends us by stdin; nothing may fail at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
