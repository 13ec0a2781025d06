"""The operator's own markers as a stream: what a person types goes the way of all that comes in."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable

import numpy as np

from bci_m2s.errors import CommandError
from bci_m2s.lsl.formats import OPERATOR_ID
from bci_m2s.sources import LocalSource
from bci_m2s.text import printable, quoted
from bci_m2s.types import LONGEST_MARKER, MARKER_TYPE, Chunk, StreamInfo

ORIGIN = "operator"  # what events and displays call these markers
MOST_WAITING = 1000


class OperatorMarkers(LocalSource):
    """A source of texts that ``put`` is given, stamped by the local clock at that moment.

    clock : local clock, s, the same that stamps ``Chunk.received_s`` of other sources
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        info = StreamInfo(
            "bci_m2s operator markers",
            MARKER_TYPE,
            OPERATOR_ID,
            uid=uuid.uuid4().hex,
            labels=("text",),
            units=("",),
            channel_format="string",
        )
        super().__init__(info, clock)
        self._change = threading.Condition()  # guards what follows
        self._waiting: deque[tuple[int, float, str]] = deque()  # number, stamp, text
        self._put = self._taken = 0  # how many so far
        self._closed = False

    def put(self, text: str, wait_s: float = 0.0, at_s: float | None = None) -> float:
        """Mark this moment, or one that has passed; any thread. Returns the stamp, local clock.

        text : cut at ``LONGEST_MARKER`` characters, in one line; not blank
        at_s : the moment, local clock; None for now
        wait_s : wait until the reader has taken it, so that it is certain to be recorded; 0.0 does not

        Raises
        ------
        CommandError
            The text is blank, nobody took the marker in time (it is withdrawn), or the source is closed.
        """
        text = printable(text.strip(), LONGEST_MARKER)
        if not text:
            raise CommandError("marker: got a blank text, expected words")
        with self._change:
            if self._closed or len(self._waiting) >= MOST_WAITING:
                raise CommandError(f"marker {quoted(text, 40)}: the session takes no markers now")
            self._put += 1
            number, stamp = self._put, self.clock() if at_s is None else at_s
            mark = (number, stamp, text)
            self._waiting.append(mark)
            self._change.notify_all()
            if wait_s > 0.0:
                self._change.wait_for(lambda: self._taken >= number or self._closed, wait_s)
                if self._taken < number:
                    self._waiting.remove(mark)
                    raise CommandError(f"marker {quoted(text, 40)}: could not be recorded")
        return stamp

    def pull(self, timeout_s: float) -> Chunk:
        """All markers that wait, after `timeout_s` none."""
        with self._change:
            self._change.wait_for(lambda: bool(self._waiting) or self._closed, timeout_s)
            taken = list(self._waiting)
            self._waiting.clear()
            if taken:
                self._taken = taken[-1][0]
                self._change.notify_all()
        texts = np.array([[text] for _, _, text in taken], object).reshape(len(taken), 1)
        return Chunk.of([stamp for _, stamp, _ in taken], texts, self.clock())

    def close(self) -> None:
        """Take no more. Harmless twice; whoever still waits in ``put`` gets an error."""
        with self._change:
            self._closed = True
            self._change.notify_all()
