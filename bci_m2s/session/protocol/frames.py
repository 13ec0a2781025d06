"""When a clip began, from the times at which its frames are reported."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

FIRST_FRAME, LAST_FRAME = 4, 50  # the first ones come while sound is still being prepared
FEW_FRAMES = 10


@dataclass
class Frames:
    """The frames of one clip, as its player reports them, in the order of their coming.

    arrivals_s : when each was reported, s; positions_s : its time in the clip, s
    """

    arrivals_s: list[float] = field(default_factory=list)
    positions_s: list[float] = field(default_factory=list)

    def add(self, arrival_s: float, position_s: float) -> None:
        """Note a frame; a position that is not after the last one is the same frame again."""
        if not self.positions_s or position_s > self.positions_s[-1]:
            self.arrivals_s.append(arrival_s)
            self.positions_s.append(position_s)

    @property
    def are_enough(self) -> bool:
        """Whether all frames that the onset rests on have come."""
        return len(self.positions_s) > LAST_FRAME

    @property
    def used(self) -> int:
        """How many frames the onset rests on."""
        return len(self._zeros_s())

    def onset_s(self) -> float:
        """When the clip's time was zero: median of arrival - position, s; NaN without a frame."""
        zeros_s = self._zeros_s()
        return statistics.median(zeros_s) if zeros_s else math.nan

    def spread_s(self) -> float:
        """Standard deviation of arrival - position over the same frames, s; NaN for fewer than two."""
        zeros_s = self._zeros_s()
        return statistics.stdev(zeros_s) if len(zeros_s) > 1 else math.nan

    def _zeros_s(self) -> list[float]:
        zeros_s = [arrival - at for arrival, at in zip(self.arrivals_s, self.positions_s, strict=True)]
        return zeros_s[FIRST_FRAME : LAST_FRAME + 1] or zeros_s[-1:]
