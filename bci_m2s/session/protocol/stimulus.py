"""What a trial shows: the contract that players of clips and programs of your own share."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Shown:
    """One item as it was shown.

    onset_s, stop_s : its first and the end of its last frame, s, on the clock that the stimulus was given;
        NaN where nothing was shown
    spread_s : standard deviation of the frames around the onset's estimate, s; NaN: not estimated
    frame_s : how long a frame lasts, s; NaN: unknown, or no frames
    flags : what to know of it, each in a few words: an uncertain onset, dropped frames
    completed : false if it was interrupted or failed
    figures : what the player counted, by name: ``dropped_frames``, ``avsync_s``
    """

    onset_s: float = math.nan
    stop_s: float = math.nan
    spread_s: float = math.nan
    frame_s: float = math.nan
    flags: tuple[str, ...] = ()
    completed: bool = True
    figures: Mapping[str, float] = field(default_factory=dict)


class Stimulus(Protocol):
    """Shows items, one at a time. One thread calls it; any may set `interrupted`."""

    def check(self, items: Iterable[tuple[str, float | None]]) -> list[str]:
        """What stands in the way of showing these, a line each; empty where nothing does.

        items : each with its duration, s, or None, as `present` will be given them
        """
        ...

    def present(
        self,
        item: str,
        duration_s: float | None,
        interrupted: threading.Event,
        on_onset: Callable[[float], None],
    ) -> Shown:
        """Show an item, and return at its end.

        Parameters
        ----------
        item : as the protocol names it
        duration_s : shown so long at most, s; None: to its own end
        interrupted : set by another thread, it ends the item within 0.3 s
        on_onset : called once, from this call, as soon as the onset is known, up to two seconds after
            it: with its stamp, s. Not called where nothing was shown

        A failure of the player is no exception: the item is not `completed`, and its flags say why.
        """
        ...

    def close(self) -> None:
        """End the player. Nothing can be shown afterwards."""
        ...
