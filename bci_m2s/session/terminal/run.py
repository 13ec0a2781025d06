"""Running an engine from a terminal: signals, live lines, duration, the way out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.live import Live

from bci_m2s.engine.engine import Engine
from bci_m2s.session.terminal.view import discard_output, live_view, plain_line

REDRAW_S = 0.25
PLAIN_LINE_S = 2.0
CONDUCTED_LINE_S = 10.0  # whoever conducts a session has more to say
FORCED_STATUS = 130
SHOW_CURSOR = b"\x1b[?25h"
HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


restorers: list[Callable[[], None]] = []  # what gives the terminal back where nothing else runs any more


def _leave_terminal() -> None:
    for restore in restorers:
        with suppress(Exception):
            restore()
    with suppress(OSError):
        if os.isatty(1):
            os.write(1, SHOW_CURSOR)  # live lines hide it


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal set `stop`; a second Ctrl-C or SIGTERM ends the process at once
    with status 130. A terminal that closes may say so several times: kernel, shell, session manager.
    """
    first = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        del frame
        if first and HANGUP not in (number, first):
            _leave_terminal()
            os._exit(FORCED_STATUS)
        first = number
        stop.set()

    kinds = [signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP is not None else [])]
    before = [signal.signal(kind, handle) for kind in kinds]
    try:
        yield
    finally:
        for kind, old in zip(kinds, before, strict=True):
            signal.signal(kind, old)


def deadline(duration_s: float) -> float:
    """When a session ends that begins now, ``time.monotonic``; `duration_s` 0: never."""
    return time.monotonic() + duration_s if duration_s else float("inf")


def run_engine(
    engine: Engine,
    console: Console,
    stop: threading.Event,
    duration_s: float,
    heads: Mapping[str, Sequence[str]],
    title: str,
) -> None:
    """Start an engine, show it until `duration_s` has passed (0: no limit) or `stop` is set, finish it.

    heads : class names of each head
    Raises what an engine thread raised, after everything was closed.
    """
    end = deadline(duration_s)
    try:
        engine.start()
        show(engine, console, stop, end, heads, title)
    finally:
        engine.finish()
    if engine.failure is not None:
        raise engine.failure


def show(
    engine: Engine,
    console: Console,
    stop: threading.Event,
    end: float,
    heads: Mapping[str, Sequence[str]],
    title: str,
    tick: Callable[[], None] = lambda: None,
    headline: Callable[[], str] | None = None,
) -> None:
    """Show an engine that runs until `end` (see ``deadline``), until it ends or `stop` is set.

    tick : called a few times a second
    headline : what is going on, in a line above the signals; without a terminal lines are then rarer
    """
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while not _over(engine, stop, end, REDRAW_S, tick, headline):
                    above = title if headline is None else f"{headline()} · {title}"
                    live.update(live_view(engine.reporter.snapshot(), heads, above), refresh=True)
        else:
            every_s = PLAIN_LINE_S if headline is None else CONDUCTED_LINE_S
            while not _over(engine, stop, end, every_s, tick):
                console.print(plain_line(engine.reporter.snapshot(), heads), soft_wrap=True)
    except OSError:  # the terminal or pipe is gone; the session is not
        discard_output()
        while not _over(engine, stop, end, PLAIN_LINE_S, tick):
            pass


def _over(
    engine: Engine,
    stop: threading.Event,
    end: float,
    wait_s: float,
    tick: Callable[[], None],
    headline: Callable[[], str] | None = None,
) -> bool:
    """Wait a moment; true when the run ends. Looks at the signal's flag ten times a second.

    headline : the wait is over once it changes, as with each letter that is typed
    """
    until = min(time.monotonic() + wait_s, end)
    before = headline() if headline is not None else ""
    while time.monotonic() < until and (headline is None or headline() == before):
        if stop.is_set() or engine.wait(min(0.1, max(0.0, until - time.monotonic()))):
            return True
        tick()
    return stop.is_set() or time.monotonic() >= end
