"""Whether a machine is too slow for its windows: said when it begins, now and then, and when it is over."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

SAY_AFTER_S = 5.0  # so that the first line has figures that mean something
SAY_EVERY_S = 60.0
OVER_AFTER_S = 20.0  # without a window skipped
FEW = 3  # windows; a moment's delay skips so many on any computer, and means nothing
WHAT_HELPS = (
    "fewer channels or people, a model with a longer hop, or another computer help; "
    "recordings keep every sample"
)


@dataclass(frozen=True, slots=True)
class _Counts:
    due: int = 0
    skipped: int = 0


class Overload:
    """Watches two numbers that only grow. One thread calls ``look``, often; any thread reads the rest.

    Attributes
    ----------
    is_on : whether windows are being skipped
    words : how many are, as it was said last; "" while none are
    line : what ``look`` returned last that was not ""
    """

    def __init__(self) -> None:
        self.is_on, self.words, self.line = False, "", ""
        self._now, self._before = _Counts(), _Counts()
        self._begun_s = self._skipped_s = self._said_s = -math.inf
        self._since = ""

    def look(self, now_s: float, due: int, skipped: int) -> str:
        """What is to be said now, "" for nothing.

        Parameters
        ----------
        now_s : of any clock in seconds
        due : windows that could have been judged so far, skipped ones included
        skipped : of these, how many were not
        """
        if skipped > self._now.skipped:
            if not self.is_on:
                self.is_on, self._begun_s, self._before = True, now_s, self._now
                self._since = time.strftime("%H:%M:%S")
            self._skipped_s = now_s
        self._now = _Counts(due, skipped)
        said = self._said(now_s) if self.is_on else ""
        self.line = said or self.line
        return said

    def _said(self, now_s: float) -> str:
        skipped, due = self._now.skipped - self._before.skipped, self._now.due - self._before.due
        counted = f"{skipped} of {due} windows skipped since {self._since}"
        if now_s - self._skipped_s >= OVER_AFTER_S:
            was_said, self.words, self.is_on = bool(self.words), "", False
            return f"fast enough again: {counted}, none in the last {OVER_AFTER_S:g} s" if was_said else ""
        if skipped <= FEW or now_s - self._begun_s < SAY_AFTER_S or now_s - self._said_s < SAY_EVERY_S:
            return ""
        self._said_s = now_s
        self.words = f"{counted}: this computer is too slow"
        return f"{self.words}; {WHAT_HELPS}"
