"""One raw stream for the display: a thread that fetches what is there, thirty times per second.

A display wants frames, not samples: asking at the pace of the frames costs a tenth of what waking up for
each sample of a 1 kHz stream does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque

import numpy as np

from bci_m2s.errors import BciM2sError
from bci_m2s.lsl.network import LslNetwork
from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.sources.lsl import LslSource
from bci_m2s.types import FloatArray, StreamInfo

FETCH_EVERY_S = 1 / 30
CLOCK_EVERY_S = 2.0
CLOCK_WAIT_S = 0.2
KEEP_S = 3.0  # a window that was busy for longer gets the newest only
AGAIN_AFTER_S = 5.0  # of silence: another sender may have taken the place
OPEN_WAIT_S = 2.0
_log = logging.getLogger(__name__)


class RawReader:
    """Reads a stream until ``close``; opens it again when it falls silent. Starts at once.

    Parameters
    ----------
    facts : which stream
    network : what is on the network

    Attributes
    ----------
    info : of the open stream, None before
    waiting : samples that nobody has taken yet
    dropped : samples that were thrown away because nobody took them in time
    problem : why nothing is open, in words
    """

    def __init__(self, facts: ShownStream, network: LslNetwork) -> None:
        self.facts, self._network = facts, network
        self.info: StreamInfo | None = None
        self.dropped, self.received = 0, 0
        self.problem = f"looking for {facts.title}"
        self._offset_s = math.nan
        self._chunks: deque[tuple[FloatArray, np.ndarray]] = deque()
        self.waiting = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"panel-{facts.modality}", daemon=True)
        self._thread.start()

    def take(self) -> tuple[FloatArray, np.ndarray] | None:
        """Everything since the last call: (n,) local times and (n, channels) float32; None if nothing."""
        with self._lock:
            chunks, self.waiting = list(self._chunks), 0
            self._chunks.clear()
        if not chunks:
            return None
        times, samples = zip(*chunks, strict=True)
        return np.concatenate(times), np.concatenate(samples)

    def close(self, wait_s: float = 1.0) -> None:
        """End the thread; the inlet is let go by it."""
        self._closing.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            where = self.facts
            selector = (where.name, where.type, where.source_id)
            source = LslSource(
                *selector, wait_s=OPEN_WAIT_S, network=self._network, stopped=self._closing.is_set
            )
            try:
                source.open()
                if source.info.channel_format == "string":
                    raise BciM2sError(f"{where.title}: text cannot be drawn")
                self.info, self.problem = source.info, ""
                self._read(source)
            except BciM2sError as problem:
                self.problem = str(problem)
                self._closing.wait(0.5)
            except Exception as problem:  # a display must go on; the session does anyway
                self.problem = f"{where.title}: {type(problem).__name__}: {problem}"
                _log.exception("reading %r failed", where.title)
                self._closing.wait(1.0)
            finally:
                source.close()

    def _read(self, source: LslSource) -> None:
        asked_s, silent_since = -math.inf, time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now - asked_s >= CLOCK_EVERY_S:
                offset_s = source.clock_offset_s(CLOCK_WAIT_S)
                if not math.isnan(offset_s):
                    self._offset_s, asked_s = offset_s, now
            if self._fetch(source):
                silent_since = now
            elif now - silent_since > AGAIN_AFTER_S:
                self.problem = f"{self.facts.title} is silent"
                return
            self._closing.wait(FETCH_EVERY_S)

    def _fetch(self, source: LslSource) -> bool:
        """Take all that is there; whether there was any."""
        some = False
        while len(chunk := source.pull(0.0)):
            some = True
            offset_s = 0.0 if math.isnan(self._offset_s) else self._offset_s
            self._keep(chunk.times + offset_s, chunk.samples.astype(np.float32))
        return some

    def _keep(self, times: FloatArray, samples: np.ndarray) -> None:
        most = max(64, int(KEEP_S * self.facts.rate_hz))
        with self._lock:
            self._chunks.append((times, samples))
            self.waiting += len(times)
            self.received += len(times)
            while self.waiting > most and len(self._chunks) > 1:
                dropped = len(self._chunks.popleft()[0])
                self.waiting -= dropped
                self.dropped += dropped
