"""One line of estimates from several modalities: which one answers now, and what two say together.

Pure: no threads, no clock. A modality is *usable* while its newest window has an estimate and its next one
is less than a hop overdue. ``auto`` lets one modality lead: the first usable one in the order of
preference. It is left as soon as it is not usable, and comes back once it has been usable for
``back_after_s`` without a break, so that a loose contact does not make the answer jump. ``fused`` chooses
a leader in the same way and, at the leader's windows, averages what all usable modalities say.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from bci_m2s.types import Emit, Estimate, Event, FloatArray, Status, no_listener

Mode = Literal["auto", "fused"]
STOPPED_HOPS = 2.0  # after its newest window: the next one was due after one hop, and is one overdue
ROUNDING = 1e-6  # of a hop; stamps are sums of many intervals
REPORTED_EVERY_S = 1.0  # how often a silent stream is said to be silent, see ``Pipeline.no_estimates``


@dataclass(slots=True)
class _Newest:
    """What a modality said last.

    at_s : when, -inf before its first window; since_s : begin of the unbroken run of usable windows
    """

    estimates: list[Estimate] = field(default_factory=list)
    at_s: float = -math.inf
    since_s: float = math.nan
    given: bool = True  # already part of the output; true while there is nothing to give

    @property
    def ok(self) -> bool:
        return bool(self.estimates) and self.estimates[0].status is Status.OK

    @property
    def has_window(self) -> bool:
        return bool(self.estimates) and not math.isnan(self.estimates[0].end_s)


class Chooser:
    """Turns the estimates of several modalities into one line of estimates.

    Parameters
    ----------
    mode : "auto" or "fused"
    modalities : in the order of preference
    hop_s : time between two windows of a modality, s
    back_after_s : how long a modality that failed must be usable again before it leads again, s
    unknown_below : for each modality, the least confidence of an answer by head; what is not there is 0
    emit : gets every change of the leader as an event; "" stands for nobody

    Attributes
    ----------
    sorted : whether windows are taken in the order of their times, see ``sort_by_time``
    current : what estimates are made of now, "eeg" or "eeg+eye" for instance; "" while nothing is usable
    """

    def __init__(
        self,
        mode: Mode,
        modalities: Sequence[str],
        hop_s: float,
        back_after_s: float = 2.0,
        unknown_below: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
        emit: Emit = no_listener,
    ) -> None:
        self._fused, self._back_after_s = mode == "fused", back_after_s
        self._hop_s, self._stopped_s = hop_s, (STOPPED_HOPS - ROUNDING) * hop_s
        self._unknown_below, self._emit = unknown_below, emit
        self._newest = {name: _Newest() for name in modalities}
        self._reached_s = dict.fromkeys(modalities, -math.inf)
        self._now_s = -math.inf
        self._leader = ""
        self._have_led: set[str] = set()
        self.sorted, self._pushed = False, 0
        # windows that wait for their turn: time, place in the order of preference, number, estimates
        self._held: list[tuple[float, int, int, Sequence[Estimate]]] = []
        self.current = ""

    def sort_by_time(self) -> None:
        """From now on take windows in the order of their times, however they are pushed.

        For recorded signals, which are pushed chunk by chunk: what comes out then does not depend on the
        chunks. A window waits until every modality has had a later one, or for ``finish``; live, that would
        be far too long.
        """
        self.sorted = True

    def push(self, estimates: Sequence[Estimate], at_s: float) -> list[Estimate]:
        """Take all heads of one window of one modality; return what is to be published now.

        That is one window's heads or nothing (more where windows are sorted); a window is given out once
        at most. While nothing is usable it is the "no estimate" of the first modality in the order of
        preference whose windows still come, else of the first that is said to be silent.

        Parameters
        ----------
        estimates : as ``Pipeline.push`` makes them; with NaN for `end_s` where there was no window and
            the modality is only said to be silent
        at_s : when the window's last sample was taken, or, without a window, the time now; finite, in a
            clock that all modalities share. The largest one so far is the time that ages are counted to.
        """
        if not self.sorted:
            return self._choose(estimates, at_s)
        name = estimates[0].modality
        self._pushed += 1
        heapq.heappush(self._held, (at_s, list(self._newest).index(name), self._pushed, estimates))
        self._reached_s[name] = max(self._reached_s[name], at_s)
        return self._release(min(self._reached_s.values()))

    def finish(self) -> list[Estimate]:
        """What is due when nothing more comes; nothing unless windows are sorted."""
        return self._release(math.inf)

    def _release(self, until_s: float) -> list[Estimate]:
        made: list[Estimate] = []
        while self._held and self._held[0][0] <= until_s:
            at_s, _, _, estimates = heapq.heappop(self._held)
            made += self._choose(estimates, at_s)
        return made

    def _choose(self, estimates: Sequence[Estimate], at_s: float) -> list[Estimate]:
        self._take(estimates, at_s)
        usable = [name for name in self._newest if self._is_usable(name)]
        self._lead(usable)
        leader = self._leader or self._first_that_reports()
        self.current = "+".join(usable) if self._fused else self._leader
        if not leader or self._newest[leader].given:
            return []
        self._newest[leader].given = True
        if self._fused and len(usable) > 1:
            return self._average(usable)
        return list(self._newest[leader].estimates)

    def _take(self, estimates: Sequence[Estimate], at_s: float) -> None:
        before = self._newest[estimates[0].modality]
        made = _Newest(list(estimates), at_s, given=False)
        if made.ok:
            unbroken = before.ok and at_s - before.at_s < self._stopped_s
            made.since_s = before.since_s if unbroken else at_s
        self._newest[estimates[0].modality] = made
        self._now_s = max(self._now_s, at_s)

    def _is_usable(self, name: str) -> bool:
        newest = self._newest[name]
        return newest.ok and self._now_s - newest.at_s < self._stopped_s

    def _lead(self, usable: Sequence[str]) -> None:
        if self._leader in usable:
            for name in usable[: usable.index(self._leader)]:
                if self._may_return(name):
                    steady_s = self._newest[name].at_s - self._newest[name].since_s
                    return self._change(name, f"{name} has been usable for {steady_s:.1f} s")
        elif usable:
            self._change(usable[0], self._why_left() if self._leader else f"{usable[0]} is usable")
        elif self._leader:
            self._change("", self._why_left())
        return None

    def _may_return(self, name: str) -> bool:
        newest = self._newest[name]
        steady_s = newest.at_s - newest.since_s
        return name not in self._have_led or steady_s >= self._back_after_s - ROUNDING * self._hop_s

    def _why_left(self) -> str:
        newest = self._newest[self._leader]
        if not newest.ok:
            return f"{self._leader}: {newest.estimates[0].reason}"
        return f"{self._leader}: no window for {self._now_s - newest.at_s:.2f} s"

    def _change(self, to: str, reason: str) -> None:
        message = f"estimates come from {to or 'no modality'}: {reason}"
        fields = {"from": self._leader, "to": to, "reason": reason}
        self._emit(Event("failover", message, fields=fields))
        self._leader = to
        if to:
            self._have_led.add(to)

    def _first_that_reports(self) -> str:
        """Who says why there is no estimate: a modality with windows before one that is silent."""
        for wanted, patience_s in ((True, self._stopped_s), (False, REPORTED_EVERY_S + self._stopped_s)):
            for name, newest in self._newest.items():
                if newest.has_window is wanted and self._now_s - newest.at_s < patience_s:
                    return name
        return ""

    def _average(self, usable: Sequence[str]) -> list[Estimate]:
        newest = [self._newest[name].estimates for name in usable]
        by_head = [{estimate.head: estimate for estimate in estimates} for estimates in newest]
        made = []
        for leading in self._newest[self._leader].estimates:
            parts = tuple(heads[leading.head] for heads in by_head)
            probabilities = fuse(parts)
            confidence = float(probabilities.max())
            limits = [self._unknown_below.get(name, {}).get(leading.head, 0.0) for name in usable]
            oldest_s = min(part.stamps.last_sample_s for part in parts)  # an age must not flatter
            made.append(
                replace(
                    leading,
                    modality="+".join(usable),
                    probabilities=probabilities,
                    confidence=confidence,
                    unknown=confidence < sum(limits) / len(limits),
                    stamps=replace(leading.stamps, last_sample_s=oldest_s),
                    parts=parts,
                    filled="; ".join(f"{part.modality} {part.filled}" for part in parts if part.filled),
                    drift=max((part.drift for part in parts if part.drift >= 0), default=math.nan),
                )
            )
        return made


def fuse(parts: Sequence[Estimate]) -> FloatArray:
    """The average of calibrated probabilities, (classes,) float64; the same parts give the same bits.

    The linear opinion pool with equal weights (Stone 1961, The Opinion Pool, Ann. Math. Statist. 32).

    Parameters
    ----------
    parts : one estimate per modality, all of one head and with status OK; they are added in their order
    """
    total = parts[0].probabilities.copy()
    for part in parts[1:]:
        total += part.probabilities
    return total / len(parts)


def combinations(mode: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Everything that ``Estimate.modality`` can be: the modalities, then, where fused, their unions.

    mode : "each", "auto" or "fused"; modalities : in the order of preference
    """
    sizes = range(2, len(modalities) + 1) if mode == "fused" else ()
    unions = ["+".join(names) for size in sizes for names in itertools.combinations(modalities, size)]
    return (*modalities, *unions)
