"""What one reader thread writes of its stream and the other threads read."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from bci_m2s.engine.ring import Cursor, Ring
from bci_m2s.lsl.markers import MarkerReader
from bci_m2s.sources import Source
from bci_m2s.types import LONGEST_MARKER, Chunk

RING_S = 30.0
RATE_SPAN_S = 5.0  # of deliveries that a rate is measured over; there is none before
BURST_S = 1.0  # at first: what waited until the reader came is no rate
STALE_AFTER_S = 0.8  # of silence: what is shown is not of now, and this is reported within a second


class StreamState:
    """One stream on its way from the reader to inference. Each field has one writer.

    Parameters
    ----------
    source : opened
    name : modality, or "markers"

    Attributes
    ----------
    last_received_s : local time of the newest delivery, NaN before the first; by the reader
    clock_offset_s : sender to local clock, NaN while unknown; by the thread that asks senders
    problem : why the stream may not be what was opened, "" when it is; by the same thread
    wanted_n : how many samples are to be there before inference is woken for them; by inference
    recorded_as : number of the stream in the recording, -1 for none
    stamps_recorded_as : number of the stream of the sender's own stamps there, -1 for none
    """

    def __init__(self, source: Source, name: str) -> None:
        info = source.info
        self.source, self.name = source, name
        self.is_text = info.channel_format == "string"
        self.markers = MarkerReader(info)
        capacity = max(1024, int(RING_S * info.rate_hz))
        number = "f4" if info.channel_format == "float32" else "f8"
        self.ring = Ring(capacity, info.n_channels, object if self.is_text else number)
        self.cursor: Cursor = self.ring.cursor()
        self.last_received_s = self.clock_offset_s = math.nan
        self.problem, self.wanted_n = "", 1
        self._overrun, self.recorded_as, self.stamps_recorded_as = 0, -1, -1
        self._counts: deque[tuple[float, int]] = deque()  # (received, samples) of the last seconds
        self._first_s = math.nan  # of deliveries; by the counting thread

    def write(self, chunk: Chunk) -> None:
        """Take what was pulled; the chunk's arrays may be reused afterwards."""
        if self.is_text:  # a thousand long texts would fill the memory; the recording has them whole
            short = np.array(
                [[str(text)[:LONGEST_MARKER] for text in row] for row in chunk.samples], object
            )
            chunk = Chunk(chunk.times, short, chunk.received_s)
        self.ring.write(chunk)
        self.last_received_s = float(chunk.received_s[-1])

    @property
    def is_wanted(self) -> bool:
        """Whether inference has something to do: enough samples, or the last ones."""
        available = self.cursor.available
        return available >= self.wanted_n or (available > 0 and self.source.finished)

    def newly_overrun(self) -> int:
        """Samples that the ring lost since the last call. By inference."""
        missed, self._overrun = self.cursor.lost - self._overrun, self.cursor.lost
        return missed

    def silent_s(self, now_s: float, begun_s: float) -> float:
        """Seconds since the newest delivery, or since the beginning."""
        return now_s - (begun_s if math.isnan(self.last_received_s) else self.last_received_s)

    def count(self) -> None:
        """Note how many samples there are now; called a few times a second, by one thread."""
        now_s, total, counts = self.last_received_s, self.ring.total, self._counts
        if math.isnan(now_s):
            return
        if not now_s - (counts[-1][0] if counts else self._first_s) <= RATE_SPAN_S:
            self._first_s, self._counts = now_s, deque()  # at first, and after a silence
        elif now_s > (counts[-1][0] if counts else self._first_s + BURST_S):
            counts.append((now_s, total))
            while len(counts) > 2 and counts[1][0] <= now_s - RATE_SPAN_S:
                counts.popleft()

    def measured_hz(self) -> float:
        """Samples a second over the last ``RATE_SPAN_S`` of deliveries; NaN before. Any thread."""
        counts = self._counts  # by place, never by iterator: the counting thread may add to it meanwhile
        if not counts:
            return math.nan
        first_s, first = counts[0]
        last_s, last = self.last_received_s, self.ring.total
        return (last - first) / (last_s - first_s) if last_s - first_s >= RATE_SPAN_S else math.nan


def silent_after_s(rate_hz: float, usual_s: float) -> float:
    """How long a stream may be silent: `usual_s`, two samples of a slow one, for ever without a rate."""
    return max(usual_s, 2 / rate_hz) if rate_hz > 0 else math.inf
