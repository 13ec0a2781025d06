"""One fault in progress: what followed so far, how fast, and which promises were broken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.rig import WINDOW_S, Rig

DETECT_S = 1.0  # promised
BACK_S = 5.0  # promised, after the sender returned, plus a window and the filters' settling
EVENT_S = 3.0  # an event waits for a state to last a second, and for the next query of the network


@dataclass(slots=True)
class Case:
    """A fault in progress; each ``expect`` method waits for a promise and notes when it is broken.

    rig : the session; name : of the fault; modality : of the sender
    share : drawn from 0 to 1: how much of what a fault leaves open
    detected_s : from the fault to the first line without an estimate, s, NaN while not measured
    back_s : from the sender's return to the next estimate, the same
    message : of the event that named the fault; broken : promises that were not kept
    """

    rig: Rig
    name: str
    modality: str
    share: float
    started_s: float = math.nan
    returned_s: float = math.nan
    detected_s: float = math.nan
    back_s: float = math.nan
    message: str = ""
    broken: list[str] = field(default_factory=list)

    @property
    def sender(self) -> FaultSender:
        """The sender of the modality."""
        return self.rig.senders[self.modality]

    def start(self) -> None:
        """The fault happens now."""
        self.started_s = self.rig.now_s()

    def command(self, name: str, lasts_s: float = math.nan, **arguments: object) -> None:
        """Give the sender a command; the fault happens now and lasts `lasts_s`, where that is known."""
        self.start()
        self.sender.command(name, **arguments)
        self.returned_s = self.started_s + lasts_s

    def returned(self) -> None:
        """The sender is sound again from now on."""
        self.returned_s = self.rig.now_s()

    def expect(self, condition: Callable[[], bool], limit_s: float, broken: str) -> bool:
        """Wait for a condition, with the rig's patience. broken : the note when it does not hold in time"""
        kept = self.rig.watch.wait_for(condition, limit_s * self.rig.patience)
        if not kept:
            self.broken.append(f"{broken} within {limit_s:g} s")
        return kept

    # ---- promises ----

    def expect_loss(self, limit_s: float = DETECT_S) -> None:
        """The modality stops having estimates."""

        def out_s() -> float:
            stale = self.rig.watch.events("stale", self.started_s, (self.modality,))
            event_s = [event.local_s for event in stale]
            line_s = self.rig.watch.latest(self.modality).out_s
            return min([*event_s, line_s if line_s >= self.started_s else math.inf])

        if self.expect(lambda: out_s() < math.inf, limit_s, "still has estimates"):
            self.detected_s = out_s() - self.started_s

    def expect_no_estimate(self, seconds: float) -> None:
        """No estimate comes for this long."""
        since_s = self.rig.now_s()
        if self.rig.watch.wait_for(lambda: self.rig.watch.latest(self.modality).ok_s > since_s, seconds):
            self.broken.append("an unexpected estimate came")

    def expect_event(self, kind: str, *words: str, limit_s: float = EVENT_S) -> None:
        """An event of this kind names this modality and all these words."""

        def has_come() -> bool:
            events = self.rig.watch.events(kind, self.started_s, (self.modality, *words))
            self.message = events[0].message[:200] if events else self.message
            return bool(events)

        self.expect(has_come, limit_s, f"no event {kind!r} with {', '.join(words) or 'this modality'}")

    def expect_estimates(self, seconds: float) -> None:
        """Estimates continue, without a break of more than a second.

        A busy machine may let the sender wait for nearly as long, and then the session says that its
        signal is old; no other reason may come.
        """
        watch, until_s = self.rig.watch, time.monotonic() + seconds
        before_s = watch.latest(self.modality).ok_s
        while time.monotonic() < until_s:
            time.sleep(0.05)
            latest = watch.latest(self.modality)
            if latest.not_silent_s > self.started_s:
                self.broken.append(f"no estimate, but one was expected: {latest.not_silent}")
                return
            before_s = max(before_s, latest.ok_s)
            if self.rig.now_s() - before_s > DETECT_S * self.rig.patience:
                self.broken.append("no estimate for more than a second")
                return

    def expect_recovery(self, extra_s: float = 0.0) -> None:
        """There are estimates again. extra_s : allowed beyond the general promise"""
        if math.isnan(self.returned_s):
            self.returned()
        limit_s = BACK_S + WINDOW_S + self.rig.settle_s + extra_s
        watch = self.rig.watch

        def back() -> bool:
            latest = watch.latest(self.modality)
            return latest.ok_s > self.returned_s and latest.ok_s > latest.out_s

        if self.expect(back, limit_s, "no estimate again"):
            self.back_s = watch.latest(self.modality).ok_s - self.returned_s

    def describe(self) -> str:
        """The result so far in one line."""
        times = [
            f"{word} {value:.2f} s"
            for word, value in (("noticed after", self.detected_s), ("back after", self.back_s))
            if math.isfinite(value)
        ]
        message = [self.message] if self.message else []
        parts = [*times, *message, *(f"BROKEN: {promise}" for promise in self.broken)]
        return f"{self.name} ({self.modality}): {'; '.join(parts) or 'no effect, as promised'}"
