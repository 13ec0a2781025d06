"""What ``bci-m2s`` does with its arguments, in this process: no interpreter has to start."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

from bci_m2s.commands.cli import main

LIMIT_S = 120.0  # of a busy machine


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def bci(*arguments: object, until: Callable[[], bool] | None = None) -> Done:
    """Run a command to its end. until : Ctrl-C is pressed as soon as this holds, or after LIMIT_S."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["bci-m2s", *map(str, arguments)]
    pressing = pressed(until) if until else contextlib.nullcontext()
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pressing,
    ):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


def refused(*arguments: object) -> str:
    """Run a command that must be refused with status 2 in one line, which is returned."""
    done = bci(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def skipped_by(text: str) -> int:
    """How many windows a session's summary says were skipped because the machine was too slow."""
    said = re.search(r"windows skipped because inference fell behind: (\d+)", text)
    return int(said[1]) if said else 0


@contextlib.contextmanager
def pressed(condition: Callable[[], bool]):
    """Send this process one Ctrl-C once a condition holds, or LIMIT_S are over."""
    over, usual = threading.Event(), signal.getsignal(signal.SIGINT)

    def wait() -> None:
        limit = time.monotonic() + LIMIT_S
        try:
            while not condition() and time.monotonic() < limit:
                if over.wait(0.05):
                    return
        finally:
            if signal.getsignal(signal.SIGINT) is not usual:  # the command handles it
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
