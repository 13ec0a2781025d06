"""Trials that an experiment program shows: found by the markers that it sends."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from bci_m2s.session.protocol.settings import TrialSettings
from bci_m2s.sources.operator import ORIGIN
from bci_m2s.text import printable

Marker = tuple[float, str, str]  # stamp, text, origin
MOST_AT_ONCE = 1000  # markers between two looks
ECHO_S = 0.05  # in which the same beginning is no other trial
UNLABELLED = "unlabelled"


class MarkerTrials:
    """Beginnings and ends of trials among the markers of a session.

    newest : the newest markers of the session, oldest first, at most so many

    n_early : beginnings among those that came before now, which do not count
    """

    def __init__(self, settings: TrialSettings, newest: Callable[[int], Sequence[Marker]]) -> None:
        self._settings, self._newest = settings, newest
        self._start, self._stop = re.compile(settings.start), re.compile(settings.stop)
        before = newest(MOST_AT_ONCE)
        self._last: Marker | None = before[-1] if before else None
        self.n_early = sum(origin != ORIGIN and self._begins(text) for _, text, origin in before)
        self._waiting: deque[Marker] = deque()  # seen, and not yet in the news
        self._newest_start: Marker | None = None
        self._ends_s = float("inf")  # of the trial that runs, where its length is known
        self._is_done = False

    def is_over(self, number: int, runs: bool) -> bool:
        """Whether no trial comes any more. number : of trials that began; runs : whether one is shown"""
        return self._is_done or (not runs and number >= (self._settings.count or float("inf")))

    def news(self, now_s: float) -> Iterator[tuple[str, float, str]]:
        """What happened since the last call: "start" or "stop", its stamp, s, and the class."""
        self._look()
        while self._waiting:
            at_s, text, origin = self._waiting.popleft()
            if at_s >= self._ends_s:
                yield self._ended()
            if match := self._start.fullmatch(text):
                if self._is_echo(at_s, text):
                    continue
                self._newest_start = at_s, text, origin
                label = printable((match["label"] or "").replace("/", " ").strip()) or UNLABELLED
                if self._settings.duration_s is not None:
                    self._ends_s = at_s + self._settings.duration_s
                yield "start", at_s, label
            elif self._settings.duration_s is None and self._stop.fullmatch(text):
                yield "stop", at_s, ""
            self._is_done |= text == self._settings.done
        if now_s >= self._ends_s:
            yield self._ended()

    def goes_on(self) -> bool:
        """Whether the program has begun the next trial, or is done, which ``news`` has not said yet."""
        self._look()
        return any(self._begins(text) or text == self._settings.done for _, text, _ in self._waiting)

    def _ended(self) -> tuple[str, float, str]:
        ends_s, self._ends_s = self._ends_s, float("inf")
        return "stop", ends_s, ""

    def _begins(self, text: str) -> bool:
        return self._start.fullmatch(text) is not None

    def _is_echo(self, at_s: float, text: str) -> bool:
        """Whether a beginning is the one before once more, as of a marker that comes by two ways."""
        before = self._newest_start
        return before is not None and before[1] == text and abs(at_s - before[0]) < ECHO_S

    def _look(self) -> None:
        """Take what came since the last look, but for our own."""
        markers = self._newest(MOST_AT_ONCE)
        places = [place for place, marker in enumerate(markers) if marker is self._last]
        if markers:
            self._last = markers[-1]
        fresh = markers[places[-1] + 1 :] if places else markers
        self._waiting += [marker for marker in fresh if marker[2] != ORIGIN]
