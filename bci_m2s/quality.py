"""Is a stream what it says it is? The effective sampling rate against the nominal one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bci_m2s.windows import Block

SPAN_S = 10.0  # the rate is measured over the newest so many seconds of a segment ...
SHORTEST_S = 5.0  # ... once there are so many: jitter of stamps is then far below a percent
DOUBTFUL = 0.01  # relative difference that is worth a warning
WRONG = 0.05  # relative difference that makes features wrong: filters are designed for the nominal rate


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """Effective rate (NaN while unknown) and what it means."""

    effective_hz: float = float("nan")
    doubtful: bool = False
    wrong: bool = False

    def describe(self, nominal_hz: float) -> str:
        """In words."""
        return f"effective rate {self.effective_hz:.4g} Hz, nominal {nominal_hz:g} Hz"


class RateGuard:
    """Compares samples with stamps, block by block. Depends on stamps alone, not on arrival.

    Parameters
    ----------
    nominal_hz : what the sender says, > 0
    hop_s : length of a block
    """

    def __init__(self, nominal_hz: float, hop_s: float) -> None:
        self._nominal_hz = nominal_hz
        self._blocks: deque[tuple[int, float]] = deque(maxlen=max(2, round(SPAN_S / hop_s) + 1))

    def push(self, block: Block) -> RateVerdict:
        """Take the next block; the verdict on the newest ``SPAN_S`` seconds of its segment."""
        if block.number == 0:
            self._blocks.clear()
        self._blocks.append((block.last_index, block.end_s))
        (first_index, first_s), (last_index, last_s) = self._blocks[0], self._blocks[-1]
        if (last_index - first_index) / self._nominal_hz < SHORTEST_S:
            return RateVerdict()
        span_s = last_s - first_s
        effective_hz = (last_index - first_index) / span_s if span_s > 0 else float("inf")
        off = abs(effective_hz / self._nominal_hz - 1)
        return RateVerdict(effective_hz, off > DOUBTFUL, off > WRONG)
