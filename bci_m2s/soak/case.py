"""One fault under way: what has followed so far, how fast, and what should have and did not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.rig import WINDOW_S, Rig

DETECT_S = 1.0  # promised
BACK_S = 5.0  # promised, after the sender returned, plus a window and the filters' settling
EVENT_S = 3.0  # an event may wait for a state to last a second, and for the next look at the network


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault; times in s, NaN where nothing was to be measured.

    detected_s : from the fault to the first answer that says so
    back_s : from the sender's return to the next estimate
    said : the event that named it
    broken : promises that were not kept, in words
    """

    fault: str
    modality: str
    detected_s: float
    back_s: float
    said: str
    broken: tuple[str, ...]

    def describe(self) -> str:
        """One line."""
        times = [
            f"{word} {value:.2f} s"
            for word, value in (("noticed after", self.detected_s), ("back after", self.back_s))
            if math.isfinite(value)
        ]
        parts = [*times, *([self.said] if self.said else []), *(f"BROKEN: {one}" for one in self.broken)]
        return f"{self.fault} ({self.modality}): {'; '.join(parts) or 'nothing followed, as promised'}"


@dataclass(slots=True)
class Case:
    """A fault in progress; each method states a promise, waits for it, and notes when it is broken.

    rig, name, modality : where, which, whose sender; rng : draws what a fault leaves open
    """

    rig: Rig
    name: str
    modality: str
    rng: np.random.Generator
    begun_s: float = math.nan
    returned_s: float = math.nan
    detected_s: float = math.nan
    back_s: float = math.nan
    said: str = ""
    broken: list[str] = field(default_factory=list)

    @property
    def sender(self) -> FaultSender:
        """Whose stream it is."""
        return self.rig.senders[self.modality]

    def begin(self) -> None:
        """The fault happens now."""
        self.begun_s = self.rig.now_s()

    def order(self, command: str, lasts_s: float = math.nan, **arguments: object) -> None:
        """Tell the sender to lie; the fault happens now, and is over after so long, where that is known."""
        self.begin()
        self.sender.command(command, **arguments)
        self.returned_s = self.begun_s + lasts_s

    def returned(self) -> None:
        """The sender is sound again from now on."""
        self.returned_s = self.rig.now_s()

    def promise(self, condition: Callable[[], bool], limit_s: float, words: str) -> bool:
        """Wait for a condition, with the rig's patience."""
        kept = self.rig.watch.wait_for(condition, limit_s * self.rig.patience)
        if not kept:
            self.broken.append(f"{words} within {limit_s:g} s")
        return kept

    # ---- promises ----

    def goes_out(self, limit_s: float = DETECT_S) -> None:
        """There is no estimate of this modality any more."""

        def out_s() -> float:
            stale = self.rig.watch.events("stale", self.begun_s, (self.modality,))
            told_s = [event.local_s for event in stale]
            seen_s = self.rig.watch.seen(self.modality).out_s
            return min([*told_s, seen_s if seen_s >= self.begun_s else math.inf])

        if self.promise(lambda: out_s() < math.inf, limit_s, "still answers"):
            self.detected_s = out_s() - self.begun_s

    def stays_out(self, seconds: float) -> None:
        """And none comes for so long."""
        since_s = self.rig.now_s()
        if self.rig.watch.wait_for(lambda: self.rig.watch.seen(self.modality).ok_s > since_s, seconds):
            self.broken.append("an estimate came that should not")

    def tells(self, kind: str, *words: str, limit_s: float = EVENT_S) -> None:
        """An event of this kind about this modality says all these words."""

        def found() -> bool:
            told = self.rig.watch.events(kind, self.begun_s, (self.modality, *words))
            self.said = told[0].message if told else self.said
            return bool(told)

        self.promise(found, limit_s, f"no event {kind!r} with {', '.join(words) or 'this modality'}")

    def goes_on(self, seconds: float) -> None:
        """Estimates keep coming, without a break of more than a second."""
        watch, until_s = self.rig.watch, time.monotonic() + seconds
        before_s = watch.seen(self.modality).ok_s
        while time.monotonic() < until_s:
            time.sleep(0.05)
            seen = watch.seen(self.modality)
            if seen.out_s > self.begun_s:
                self.broken.append(f"no estimate, although there should be: {seen.reason}")
                return
            before_s = max(before_s, seen.ok_s)
            if self.rig.now_s() - before_s > DETECT_S * self.rig.patience:
                self.broken.append("no estimate for more than a second")
                return

    def comes_back(self, extra_s: float = 0.0) -> None:
        """There are estimates again. extra_s : beyond what is promised in general, where that is known."""
        if math.isnan(self.returned_s):
            self.returned()
        limit_s = BACK_S + WINDOW_S + self.rig.settle_s + extra_s
        watch = self.rig.watch

        def back() -> bool:
            seen = watch.seen(self.modality)
            return seen.ok_s > self.returned_s and seen.ok_s > seen.out_s

        if self.promise(back, limit_s, "no estimate again"):
            self.back_s = watch.seen(self.modality).ok_s - self.returned_s

    def outcome(self) -> Outcome:
        """What came of it."""
        return Outcome(
            self.name, self.modality, self.detected_s, self.back_s, self.said[:200], tuple(self.broken)
        )
