"""Breaks of a stream's stamps, and how they are told: found together, they are one event."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from bci_m2s.types import Emit, Event

# So many breaks within that time are jitter if the samples between them are as many as stamps say, but for
# so many steps: where each is a loss, they add up.
LONGEST_JITTER_S = 5.0  # beyond it stamps are damaged, not late
JITTER_BREAKS, JITTER_SPAN_S, JITTER_STEPS = 4, 60.0, 1.5


@dataclass(frozen=True, slots=True)
class Gap:
    """A break between two samples: `step_s` from stamp to stamp, `lost` samples by the nominal rate.

    at_sample : number of the first sample behind it, in the stream
    is_counted : it is the sender's own count of samples that shows it, not the stamps
    """

    after_s: float
    step_s: float
    lost: int
    at_sample: int = 0
    is_counted: bool = False

    def describe(self) -> str:
        """In words."""
        if self.is_counted:
            return f"{self.lost} samples lost by the sender's own count; its stamps show no gap"
        if np.isnan(self.step_s):
            return "stamp is not a number"
        if self.step_s < 0:
            return f"stamps jumped back {-self.step_s:.3g} s"
        length = f"{self.step_s:.3g}" if self.step_s < 1000 else f"{self.step_s:.0f}"
        return f"gap of {length} s ({self.lost} samples)"


class BreakReport:
    """Breaks and repairs of a stream's stamps as events; breaks found together make one event.

    Parameters
    ----------
    rate_hz : by which breaks that lose nothing are told from gaps; 0 for not at all

    Attributes
    ----------
    lost_samples : of all breaks reported so far
    jitter : that stamps jitter rather than lose anything, and the way out; "" while nothing shows it
    """

    def __init__(self, emit: Emit, rate_hz: float = 0.0) -> None:
        self._emit, self._rate_hz, self.lost_samples, self.jitter = emit, rate_hz, 0, ""
        self._recent: deque[Gap] = deque(maxlen=JITTER_BREAKS)
        self._counted: deque[int] = deque(maxlen=JITTER_BREAKS)  # lost samples of the latest breaks
        self._bridge_s = 0.0
        self._gaps: list[Gap] = []
        self._repairs: list[tuple[int, int]] = []

    def gap(self, gap: Gap) -> None:
        """Note a break."""
        self._gaps.append(gap)

    def repair(self, first: int, n: int) -> None:
        """Note `n` repaired stamps from sample `first` on."""
        self._repairs.append((first, n))

    def report(self) -> None:
        """Emit everything noted since the last report: at most one event of each kind."""
        if gaps := self._gaps:
            self._gaps, last = [], gaps[-1]
            jitter_s = max(map(self._jitter_s, gaps))
            lost = 0 if jitter_s else sum(gap.lost for gap in gaps)
            self.lost_samples += lost
            self._counted.append(lost)
            if jitter_s:  # neither was what had been counted of these breaks before
                self.lost_samples -= sum(self._counted)
                self._counted.clear()
            more = f", {len(gaps) - 1} more breaks just before" if len(gaps) > 1 else ""
            if jitter_s:
                self._say_jitter(jitter_s)
                more += f"; {self.jitter}"
            fields = {
                "at_sample": last.at_sample,
                "after_s": gaps[0].after_s,
                "step_s": last.step_s,
                "lost_samples": lost,
                "breaks": len(gaps),
            }
            self._emit(Event("gap", last.describe() + more, fields=fields))
        if repairs := self._repairs:
            self._repairs, n = [], sum(n for _, n in repairs)
            message = f"{n} stamps were no numbers and were predicted"
            fields = {"at_sample": repairs[0][0], "samples": n}
            self._emit(Event("stamps_repaired", message, fields=fields))

    def _say_jitter(self, jitter_s: float) -> None:
        """The words stay until a wider gap has to be bridged."""
        bridge_s = math.ceil(12 * jitter_s) / 10
        if self._bridge_s < bridge_s <= LONGEST_JITTER_S:
            self._bridge_s = bridge_s
            self.jitter = (
                f"nothing is lost: stamps jitter by {jitter_s:.2g} s, which `gap_s: {bridge_s:g}` or "
                "`stamps: arrival` in the pipeline bridges"
            )

    def _jitter_s(self, gap: Gap) -> float:
        """How far stamps step where breaks follow each other and lose nothing; 0 elsewhere.

        Between the oldest and the newest of the latest breaks as many samples came as their stamps say.
        """
        self._recent.append(gap)
        first = self._recent[0]
        if len(self._recent) < JITTER_BREAKS or not self._rate_hz or gap.is_counted:
            return 0.0
        span_s = (gap.after_s + gap.step_s) - (first.after_s + first.step_s)
        came_s = (gap.at_sample - first.at_sample) / self._rate_hz
        jitter_s = max(abs(one.step_s) for one in self._recent)
        if not (0 < span_s <= JITTER_SPAN_S and abs(span_s - came_s) <= JITTER_STEPS * jitter_s):
            return 0.0  # NaN compares false
        return jitter_s
