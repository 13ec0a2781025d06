"""Lines from a socket, however its other end sends them, each with the moment at which it came."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

from bci_m2s.session.control.lines import TooLongError

LONGEST_LINE = 4096  # bytes
SILENCE_S = 0.5  # what is not ended by then counts as a line: clients forget it
LINE_S = 5.0  # a line may take so long from its first byte on
PER_SECOND, AT_ONCE = 50.0, 100.0  # lines of one connection; more are refused


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
    """How many lines a connection may send: ``PER_SECOND`` on average, ``AT_ONCE`` in a burst."""

    def __init__(self) -> None:
        self._left, self._at_s = AT_ONCE, time.monotonic()

    def spend(self, now_s: float) -> bool:
        """Whether a line that came at `now_s` is within it."""
        gained = max(0.0, now_s - self._at_s) * PER_SECOND
        self._left, self._at_s = min(AT_ONCE, self._left + gained), max(now_s, self._at_s)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
