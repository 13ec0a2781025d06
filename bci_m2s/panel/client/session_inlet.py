"""One of a session's own streams: what its sender tells of it, and its samples in local time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pylsl

from bci_m2s.errors import StreamError
from bci_m2s.lsl.network import NO_ANSWER, refuse_absurd
from bci_m2s.types import StreamInfo

ASK_S = 0.5  # for a description
CLOCK_EVERY_S = 5.0


class SessionInlet:
    """One slow stream of the session."""

    def __init__(self, raw: Any, take: Callable[[float, Any], None]) -> None:
        self._inlet = pylsl.StreamInlet(raw, max_buflen=10, recover=False, processing_flags=0)
        self._take = take
        self._offset_s, self._asked_s = 0.0, -math.inf

    def serve(self) -> bool:
        """Hand on what is there, in local time; false when the sender is gone."""
        try:
            if time.monotonic() - self._asked_s > CLOCK_EVERY_S:
                self._asked_s = time.monotonic()
                self._offset_s = float(self._inlet.time_correction(timeout=0.2))
        except pylsl.util.TimeoutError:
            pass  # the offset of before still holds; it is asked for again soon
        except pylsl.util.LostError:
            return False
        try:
            while True:
                values, stamp_s = self._inlet.pull_sample(timeout=0.0)
                if stamp_s is None or not values:
                    return True
                self._take(stamp_s + self._offset_s, values)
        except pylsl.util.LostError:
            return False


def full_description(raw: Any, brief: StreamInfo) -> Any:
    """What a sender tells of its stream; None when it does not answer or is absurd.

    Its description lives as long as this object: pylsl's element only points into it.
    """
    try:
        refuse_absurd(brief)
        return pylsl.StreamInlet(raw, max_buflen=1, recover=False).info(timeout=ASK_S)
    except (*NO_ANSWER, StreamError):
        return None
