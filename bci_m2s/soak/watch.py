"""A sink that keeps the latest estimates and events of a session, for code that waits for them."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bci_m2s.sinks import Sink
from bci_m2s.types import Estimate, Event, Published, Status

MOST_EVENTS = 1000  # kept, a minute of faults at least; older ones are in the files


@dataclass(slots=True)
class Latest:
    """The latest lines of one modality, by the local clock: with an estimate, and without; -inf: never.

    reason : of the latest line without
    not_silent_s, not_silent : the latest line without for another reason than that nothing came: when, why
    """

    ok_s: float = -math.inf
    out_s: float = -math.inf
    reason: str = ""
    not_silent_s: float = -math.inf
    not_silent: str = ""


class Watch(Sink):
    """A sink that keeps the latest lines and events. Its methods are safe from any thread.

    Parameters
    ----------
    modalities : of the session
    chosen : one line is made from several modalities, so a modality without a part in it has no estimate

    Attributes
    ----------
    judged : estimates with probabilities so far
    longest_s : longest time between two of them since ``restart_longest``, s
    oldest_s : largest age of one of them since ``restart_longest``, s
    """

    def __init__(self, modalities: Sequence[str], chosen: bool) -> None:
        self._changed = threading.Condition()
        self._latest = {name: Latest() for name in modalities}
        self._chosen = chosen
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.judged = 0
        self._ok_s = math.nan
        self.longest_s = self.oldest_s = 0.0

    # ---- the engine's writer ----

    def take(self, item: Published) -> None:
        """Keep an event; note which modalities have an estimate."""
        with self._changed:
            if isinstance(item, Event):
                self._events.append(item)
            elif isinstance(item, Estimate):
                self._note(item)
            self._changed.notify_all()

    def _note(self, estimate: Estimate) -> None:
        now_s = estimate.stamps.published_s
        names = [part.modality for part in estimate.parts or (estimate,)]
        if estimate.status is Status.OK:
            self._note_ok(now_s, estimate.stamps.age_s)
            for name, latest in self._latest.items():
                if name in names:
                    latest.ok_s = now_s
                elif self._chosen:
                    latest.out_s = now_s
        else:
            for latest in (self._latest[name] for name in names):
                latest.out_s, latest.reason = now_s, estimate.reason
                if estimate.status is not Status.STALE:
                    latest.not_silent_s, latest.not_silent = now_s, estimate.reason

    def _note_ok(self, now_s: float, age_s: float) -> None:
        self.judged += 1
        if not math.isnan(self._ok_s):
            self.longest_s = max(self.longest_s, now_s - self._ok_s)
        self._ok_s = now_s
        if not math.isnan(age_s):
            self.oldest_s = max(self.oldest_s, age_s)

    # ---- waiting code ----

    def latest(self, modality: str) -> Latest:
        """A copy of a modality's latest lines."""
        with self._changed:
            return replace(self._latest[modality])

    def events(self, kind: str, since_s: float, words: Sequence[str] = ()) -> list[Event]:
        """Events of a kind ("" for any) since a local time whose message holds all `words`."""
        with self._changed:
            return [
                event
                for event in self._events
                if event.local_s >= since_s
                and kind in ("", event.kind)
                and all(word in event.message for word in words)
            ]

    def wait_for(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait until a condition over lines and events holds; false when it does not in time."""
        until_s = time.monotonic() + limit_s
        while not condition():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left_s, 0.05))
        return True

    def restart_longest(self, now_s: float) -> None:
        """Measure ``longest_s`` and ``oldest_s`` from now on."""
        with self._changed:
            self._ok_s, self.longest_s, self.oldest_s = now_s, 0.0, 0.0
