"""What stands in for inference where streams are only recorded: it finds the gaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from bci_m2s.feed import Feed
from bci_m2s.types import Estimate, Event
from bci_m2s.windows import BlockCutter

GAP_S = 0.1  # stamps may leave the nominal interval by this before a gap is declared
STALE_AFTER_S = 0.8


class Observer:
    """Reads what the readers brought, and tells of gaps and silence. The face of ``Inference``.

    Parameters and attributes as there, as far as there is no model.
    """

    chosen = None
    failure = None
    problem = ""
    skipped = 0

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        put: Callable[[Estimate | Event], None],
        clock: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._feeds, self._put, self._clock, self._stop = feeds, put, clock, stop
        self.heads: dict[str, tuple[str, ...]] = {}
        self.markers_seen: list[tuple[float, str]] = []
        self.wake, self.readers_done = threading.Event(), threading.Event()
        # one block is a second: only stamps matter, but a cutter wants to cut
        self._cutters = {
            name: BlockCutter(feed.source.info.n_channels, feed.source.info.rate_hz, 1.0, GAP_S)
            for name, feed in feeds.items()
            if feed.source.info.rate_hz > 0
        }
        self._lost = dict.fromkeys(feeds, 0)
        self._silent: set[str] = set()

    def lost_samples(self, name: str) -> int:
        """Samples missing in the gaps of a stream, by the stamps."""
        return self._lost[name]

    def bad_channels(self, name: str) -> dict[str, str]:
        """Nothing is known of what the channels should be."""
        del name
        return {}

    def run(self) -> None:
        """The thread's work."""
        self._say("started", "recording started")
        self._begun_s = self._clock()
        for name, feed in self._feeds.items():
            info = feed.source.info
            fields = {"modality": name, "uid": info.uid, "host": info.host}
            self._say("connected", f"{name}: {info.describe()}", fields)
        while not (self.readers_done.is_set() and self._nothing_left()):
            self.wake.wait(0.1)
            self.wake.clear()
            for name, feed in self._feeds.items():
                self._advance(name, feed)
                self._tell_silence(name, feed)
            if self._nothing_left() and all(feed.source.finished for feed in self._feeds.values()):
                self._stop.set()
        self._say("stopped", "recording stopped")

    def _nothing_left(self) -> bool:
        return all(feed.cursor.available == 0 for feed in self._feeds.values())

    def _advance(self, name: str, feed: Feed) -> None:
        chunk, cutter = feed.cursor.read(), self._cutters.get(name)
        if cutter is None or not len(chunk):
            return
        for _ in cutter.push(chunk):
            pass
        for gap in cutter.gaps:
            self._lost[name] += gap.lost
            feed.gap_received_s = float(chunk.received_s[-1])
            fields = {"after_s": gap.after_s, "step_s": gap.step_s, "lost_samples": gap.lost}
            self._say("gap", f"{name}: {gap.describe()}", {"modality": name, **fields})
        cutter.gaps.clear()

    def _tell_silence(self, name: str, feed: Feed) -> None:
        """Once a silence: markers are silent by nature."""
        silent_s = feed.silent_s(self._clock(), self._begun_s)
        if silent_s < STALE_AFTER_S:
            self._silent.discard(name)
        elif name in self._cutters and name not in self._silent and not feed.source.finished:
            self._silent.add(name)
            self._say("stale", f"{name}: signal {silent_s:.1f} s old", {"modality": name})

    def _say(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        self._put(Event(kind, message, self._clock(), time.time(), dict(fields or {})))
