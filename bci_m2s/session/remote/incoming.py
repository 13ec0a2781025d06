"""Lines from a socket, however its other end sends them, each with the moment at which it came."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

from bci_m2s.session.control.lines import TooLongError

LONGEST_LINE = 4096  # bytes
SILENCE_S = 0.5  # what is not ended by then counts as a line: clients forget it
LINE_S = 5.0  # a line may take so long from its first byte on
REFUSED_S, LONGEST_PAUSE_S = 0.02, 1.0
PER_SECOND, AT_ONCE = 25.0, 200.0  # lines of one connection, on average and in a burst; more are refused
ALL_PER_SECOND, ALL_AT_ONCE = 200.0, 400.0  # of all together that are not calm


class SlowError(ValueError):
    """A line that does not end."""


def incoming(connection: socket.socket, over: Callable[[], bool]) -> Iterator[tuple[bytes, float]]:
    """Yield each line without its end, and when its last byte came (``time.monotonic``).

    connection : with a timeout of ``SILENCE_S``
    over : asked after each silence; true ends it

    Raises
    ------
    TooLongError, SlowError
        A line has more than ``LONGEST_LINE`` bytes, or takes longer than ``LINE_S``.
    """
    held, came_s, begun_s = b"", 0.0, 0.0
    is_open = True
    while is_open:
        *lines, held = held.split(b"\n")
        for line in lines:
            yield line, came_s
        if len(held) > LONGEST_LINE:
            raise TooLongError(f"line: too long, expected {LONGEST_LINE} bytes at most")
        if held and time.monotonic() - begun_s > LINE_S:
            raise SlowError(f"line: got no end within {LINE_S:g} s")
        try:
            data = connection.recv(LONGEST_LINE)
        except TimeoutError:
            if held:
                yield held, came_s
            held, is_open = b"", not over()
            continue
        except OSError:  # whoever closes without having read the replies resets the connection
            data = b""
        came_s = time.monotonic()
        if not held or b"\n" in data:
            begun_s = came_s
        held, is_open = held + data, bool(data)
    if held:
        yield held, came_s


class Allowance:
    """How many lines may come. For several threads.

    per_second : on average; at_once : in a burst, once half of it has been saved up
    """

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second, self._most = per_second, at_once
        self._lock = threading.Lock()
        self._left, self._at_s = at_once / 2, time.monotonic()

    @property
    def is_calm(self) -> bool:
        """Whether most is left: few lines came for seconds, and no connection begins so."""
        return self._left > self._most * 0.75

    def spend(self) -> bool:
        """Whether one more line is within it, which then counts."""
        with self._lock:
            now_s = time.monotonic()
            self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_second)
            self._at_s = now_s
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True

    def forfeit(self) -> None:
        """Have nothing left: after a refusal."""
        with self._lock:
            self._left = 0.0


class Patience:
    """How long the next line of a connection has to wait after a refused one: longer each time in a row."""

    def __init__(self) -> None:
        self._in_row = 0

    def pause_s(self, is_refused: bool) -> float:
        """Seconds to wait after this line."""
        self._in_row = min(self._in_row + 1, 16) if is_refused else 0
        return min(LONGEST_PAUSE_S, REFUSED_S * 2 ** (self._in_row - 1)) if is_refused else 0.0
