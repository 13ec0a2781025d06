"""Any sources as LSL outlets: recorded files and simulated people for every program on the network.

The source id is the original one with a tag behind it, new for each sender unless given: inlets find a lost
stream again by its source id, and must not take a replay for the headset that it was recorded from.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pylsl

from bci_m2s.lsl.network import refuse_absurd
from bci_m2s.lsl.outlet import make_outlet, push
from bci_m2s.sources import Source
from bci_m2s.types import StreamInfo

CHUNK_S = 0.01  # how often due samples are pushed
LINGER_S = 1.0  # outlets outlive the last sample by this much at most: what is in flight dies with them
BUFFERED_S = 60  # liblsl keeps this much for a slow consumer


class Sender:
    """Pushes paced sources as LSL outlets until they end. One thread calls ``run``.

    Parameters
    ----------
    sources : opened, run and closed by the sender. They must be paced with the LSL clock (``speed`` a
        number, ``clock`` pylsl.local_clock); their stamps go out as they are.
    tag : goes behind each source id; None: a new random one; "": the ids stay as they are
    linger_s : how long, at most, consumers may take to fetch the last samples, s
    """

    def __init__(
        self, sources: Sequence[Source], *, tag: str | None = None, linger_s: float = LINGER_S
    ) -> None:
        self._sources = list(sources)
        self._tag = uuid.uuid4().hex[:12] if tag is None else tag
        self._linger_s = linger_s
        self._outlets: list[Any] = []
        self.infos: tuple[StreamInfo, ...] = ()  # as sent, once open

    def __enter__(self) -> Sender:
        self.open()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def open(self) -> None:
        """Open the sources and offer their streams. Raises StreamError for one that LSL cannot carry."""
        try:
            for source in self._sources:
                source.open()
            infos = [self._sent_info(number, source.info) for number, source in enumerate(self._sources)]
            for info in infos:
                refuse_absurd(info, " cannot be sent over LSL")
            self._outlets = [make_outlet(info, BUFFERED_S) for info in infos]
            self.infos = tuple(infos)
        except BaseException:
            self.close()
            raise

    def wait_for_consumers(self, timeout_s: float, stop: threading.Event | None = None) -> bool:
        """Wait until every outlet has a consumer; false when the time was up first.

        LSL delivers nothing that was pushed before a consumer connected.
        """
        stop, until = stop or threading.Event(), pylsl.local_clock() + timeout_s
        for outlet in self._outlets:
            while not outlet.have_consumers():
                if stop.is_set() or pylsl.local_clock() >= until:
                    return False
                outlet.wait_for_consumers(0.1)
        return True

    def run(self, duration_s: float | None = None, stop: threading.Event | None = None) -> tuple[int, ...]:
        """Send until all sources end, `duration_s` is over or `stop` is set; return samples per source."""
        stop = stop or threading.Event()
        counts = [0] * len(self._sources)
        tick = begun = pylsl.local_clock()
        while not stop.is_set() and not all(source.finished for source in self._sources):
            if duration_s is not None and tick - begun >= duration_s:
                break
            for number, (source, outlet) in enumerate(zip(self._sources, self._outlets, strict=True)):
                counts[number] += _push_due(source, outlet, stop)
            tick = max(tick + CHUNK_S, pylsl.local_clock())
            stop.wait(tick - pylsl.local_clock())
        until = pylsl.local_clock() + self._linger_s
        while any(outlet.have_consumers() for outlet in self._outlets) and pylsl.local_clock() < until:
            if stop.wait(CHUNK_S):
                break
        return tuple(counts)

    def close(self) -> None:
        """Withdraw the streams. Harmless when called twice."""
        self._outlets.clear()
        for source in self._sources:
            source.close()

    def _sent_info(self, number: int, info: StreamInfo) -> StreamInfo:
        source_id = info.source_id
        if self._tag:
            source_id = f"{source_id or f'{info.name}-{info.type}'}/{self._tag}-{number}"
        return replace(info, name=info.name or info.type or "unnamed", source_id=source_id, uid="", host="")


def _push_due(source: Source, outlet: Any, stop: threading.Event) -> int:
    """Push all that is due without waiting; return the number of samples."""
    count = 0
    while not stop.is_set():
        chunk = source.pull(0.0)
        if not len(chunk):
            break
        push(outlet, chunk)
        count += len(chunk)
    return count
