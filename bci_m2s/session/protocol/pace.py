"""The clock of a guided session: a simulated person's may be fast, while answers keep up."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable

from bci_m2s.types import Estimate

LOOK_S = 0.1  # real time between two looks at how late answers are
BEHIND_S, IN_TIME_S = 2.0, 1.0  # of the session's time: slower above the one, faster below the other
SLOWER, FASTER = 0.7, 1.1
HELD_BACK = "this computer is busy: time passes more slowly, so that answers keep up"


class FastClock:
    """A clock that runs faster than another one from now on; ``sleep`` and waits shrink with it.

    Parameters
    ----------
    from_s : what it shows first, where that is later than what the other one shows

    Attributes
    ----------
    speed : how many times faster it may run; never slower than the other one
    """

    def __init__(self, clock: Callable[[], float], speed: float = 1.0, from_s: float = -math.inf) -> None:
        self._clock, self.speed = clock, speed
        self._share = 1.0
        self._since_s = clock()
        self._at_s = max(self._since_s, from_s)
        self._changing = threading.Lock()

    def __call__(self) -> float:
        """The time, s."""
        with self._changing:
            return self._now_s(self._clock())

    def sleep(self, seconds: float) -> None:
        """Sleep for seconds of this clock."""
        time.sleep(seconds / (self.speed * self._share))

    def pace(self, behind_s: float) -> bool:
        """Run slower where answers come late, and faster again once they do not; whether it is slower now.

        behind_s : age of the newest samples that were judged, s of this clock
        """
        share = self._share
        if behind_s > BEHIND_S:
            share = max(1.0 / self.speed, share * SLOWER)
        elif behind_s < IN_TIME_S:
            share = min(1.0, share * FASTER)
        with self._changing:
            real_s = self._clock()
            self._at_s, self._since_s = self._now_s(real_s), real_s
            self._share = share
        return share < 1.0

    def _now_s(self, real_s: float) -> float:
        return self._at_s + (real_s - self._since_s) * self.speed * self._share


def keep_pace(
    clock: FastClock,
    latest: Callable[[], Iterable[Estimate]],
    notify: Callable[[str], None],
    over: threading.Event,
) -> None:
    """Pace a clock by the latest estimates until `over` is set.

    latest : the newest of each kind; none before the first
    notify : is told once that it runs slower
    """
    is_told = False
    while not over.wait(LOOK_S):
        judged_s = [one.stamps.last_sample_s for one in latest() if math.isfinite(one.stamps.last_sample_s)]
        if judged_s and clock.pace(clock() - min(judged_s)) and not is_told:
            notify(HELD_BACK)
            is_told = True
