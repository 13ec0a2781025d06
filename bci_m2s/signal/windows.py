"""Windows of steps: which are due, and whether they are valid.

A *step* is ``step_s / hop_s`` blocks, and a *window* is T steps end to end. A window is due at the end of
every block.
"""

from __future__ import annotations

from collections import deque
from operator import itemgetter

import numpy as np

from bci_m2s.signal.blocks import Block
from bci_m2s.types import FloatArray, Status, Step, Window


class WindowAssembler:
    """Keeps the last steps of a segment and gives, at each block, the window that is due and its status.

    Parameters
    ----------
    modality : name written into the windows
    steps, blocks_per_step, hop_s : shape of the window
    settle_s : time that filters need at the beginning of a segment; steps must begin after it
    max_missing : largest share of NaN in any step of a valid window
    """

    def __init__(
        self,
        modality: str,
        steps: int,
        blocks_per_step: int,
        hop_s: float,
        settle_s: float,
        max_missing: float,
    ) -> None:
        self._modality, self._hop_s, self._max_missing = modality, hop_s, max_missing
        self._blocks_per_step, self._blocks = blocks_per_step, steps * blocks_per_step
        self._settle_blocks = int(np.ceil(round(settle_s / hop_s, 9)))
        # of each block: its step, what share of that is NaN, its first sample and stamp
        self._recent: deque[tuple[Step | None, float, int, float]] = deque(maxlen=self._blocks)

    def usable(self, step: Step | None, block: Block) -> bool:
        """Whether this step alone may be used, for a baseline for instance."""
        begun_after = block.number + 1 - self._blocks_per_step >= self._settle_blocks
        return step is not None and begun_after and missing_share(step.values) <= self._max_missing

    def push(self, step: Step | None, block: Block) -> Window:
        """Take the step that ends with `block`; return the window that is due now."""
        if block.number == 0:
            self._recent.clear()
        missing = 0.0 if step is None else missing_share(step.values)
        self._recent.append((step, missing, block.first_index, block.start_s))
        status, reason = self._time_status(block)
        values, coupling, filled = None, None, ""
        if status is Status.OK:
            steps = self._steps()
            status, reason, values, filled = self._steps_status(steps)
            coupling = _coupling_of([step for step, _ in steps])
        return Window(
            modality=self._modality,
            first_index=self._recent[0][2],
            last_index=block.last_index,
            start_s=self._recent[0][3],
            end_s=block.end_s,
            received_s=block.received_s,
            status=status,
            reason=reason,
            features=values,
            filled=filled,
            coupling=coupling,
        )

    def _steps(self) -> list[tuple[Step, float]]:
        """The window's steps, each with its share of NaN."""
        ends = range(self._blocks_per_step - 1, self._blocks, self._blocks_per_step)
        found = (self._recent[end] for end in ends)
        return [(step, missing) for step, missing, *_ in found if step is not None]

    def _steps_status(self, steps: list[tuple[Step, float]]) -> tuple[Status, str, FloatArray | None, str]:
        worst, most_missing = max(steps, key=itemgetter(1))
        if most_missing > self._max_missing:
            return Status.BAD_SIGNAL, worst.problem or "too many features are missing", None, ""
        words = dict.fromkeys(step.filled for step, _ in steps if step.filled)
        if most_missing:
            words[f"training mean: {worst.problem or 'some features are missing'}"] = None
        return Status.OK, "", np.array([step.values for step, _ in steps]), "; ".join(words)

    def _time_status(self, block: Block) -> tuple[Status, str]:
        done = block.number + 1
        left_s = (self._settle_blocks + self._blocks - done) * self._hop_s
        if left_s <= 0:
            return Status.OK, ""
        if block.gap is not None:
            return Status.GAP, f"{block.gap.describe()}, {left_s:.3g} s until the next whole window"
        if done < self._settle_blocks:
            settle_left_s = (self._settle_blocks - done) * self._hop_s
            return Status.SETTLING, f"filters settle, {settle_left_s:.3g} s left"
        return Status.FILLING, f"window fills, {left_s:.3g} s left"


def _coupling_of(steps: list[Step]) -> FloatArray | None:
    found = [step.coupling for step in steps if step.coupling is not None]
    return np.array(found) if len(found) == len(steps) else None


def missing_share(values: FloatArray) -> float:
    """Share of NaN in (F,) values."""
    return int(np.count_nonzero(np.isnan(values))) / len(values)
