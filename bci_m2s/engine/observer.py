"""What stands in for inference where streams are only recorded: it finds the gaps."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bci_m2s.engine.stream_state import STALE_AFTER_S, StreamState, silent_after_s
from bci_m2s.errors import CommandError
from bci_m2s.signal.windows import GAP_S, BlockCutter, describe_gaps, describe_repairs
from bci_m2s.types import Estimate, Event

SLOWEST_HZ = 1e-3  # a stream that is slower is as good as irregular


class Observer:
    """Reads what the readers brought, and tells of gaps and silence. The face of ``Inference``.

    Parameters and attributes as there, as far as there is no model.
    """

    chosen = None
    failure = None
    problem = ""
    skipped = 0
    goes_on = True

    def __init__(
        self,
        streams: Mapping[str, StreamState],
        put: Callable[[Estimate | Event], None],
        clock: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._streams, self._put, self._clock, self._stop = streams, put, clock, stop
        self.heads: dict[str, tuple[str, ...]] = {}
        self.markers_seen: deque[tuple[float, str, str]] = deque()
        self.wake, self.readers_done = threading.Event(), threading.Event()
        # only stamps matter, but a cutter wants to cut: a second, or one sample of a slow stream
        self._cutters = {
            name: BlockCutter(1, info.rate_hz, max(1.0, 1 / info.rate_hz), GAP_S)
            for name, info in ((name, stream.source.info) for name, stream in streams.items())
            if info.rate_hz >= SLOWEST_HZ
        }
        self._lost = dict.fromkeys(streams, 0)
        self._silent: set[str] = set()

    def lost_samples(self, name: str) -> int:
        """Samples missing in the gaps of a stream, by the stamps."""
        return self._lost[name]

    def bad_channels(self, name: str) -> dict[str, str]:
        """Nothing is known of what the channels should be."""
        del name
        return {}

    def baseline(self, name: str) -> tuple[str, float]:
        """Without a model there is none."""
        del name
        return "none", 0.0

    def start_baseline(self) -> str:
        """Raises CommandError: there is none."""
        raise CommandError("nothing is estimated here: there is no baseline")

    def end_baseline(self) -> str:
        """Raises CommandError: there is none."""
        return self.start_baseline()

    def run(self) -> None:
        """The thread's work."""
        self._say("started", "recording started")
        self._begun_s = self._clock()
        for name, stream in self._streams.items():
            info = stream.source.info
            fields = {"modality": name, "uid": info.uid, "host": info.host}
            self._say("connected", f"{name}: {info.describe()}", fields)
        while not (self.readers_done.is_set() and self._nothing_left()):
            self.wake.wait(0.1)
            self.wake.clear()
            for name, stream in self._streams.items():
                self._advance(name, stream)
                self._tell_silence(name, stream)
            if self._nothing_left() and all(stream.source.finished for stream in self._streams.values()):
                self._stop.set()
        self._say("stopped", "recording stopped")

    def _nothing_left(self) -> bool:
        return all(stream.cursor.available == 0 for stream in self._streams.values())

    def _advance(self, name: str, stream: StreamState) -> None:
        chunk, cutter = stream.cursor.read(), self._cutters.get(name)
        if cutter is None or not len(chunk):
            return
        for _ in cutter.push(replace(chunk, samples=np.zeros((len(chunk), 1)))):  # they may be text
            pass
        if cutter.gaps:
            message, fields = describe_gaps(cutter.gaps)
            self._lost[name] += fields["lost_samples"]
            self._say("gap", f"{name}: {message}", {"modality": name, **fields})
            cutter.gaps.clear()
        if cutter.repairs:
            message, fields = describe_repairs(cutter.repairs)
            self._say("stamps_repaired", f"{name}: {message}", {"modality": name, **fields})
            cutter.repairs.clear()

    def _tell_silence(self, name: str, stream: StreamState) -> None:
        """Once a silence: markers are silent by nature, and a slow stream between its samples."""
        silent_s = stream.silent_s(self._clock(), self._begun_s)
        if silent_s < silent_after_s(stream.source.info.rate_hz, STALE_AFTER_S):
            self._silent.discard(name)
        elif name in self._cutters and name not in self._silent and not stream.source.finished:
            self._silent.add(name)
            self._say("stale", f"{name}: signal {silent_s:.1f} s old", {"modality": name})

    def _say(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        self._put(Event(kind, message, self._clock(), time.time(), dict(fields or {})))
