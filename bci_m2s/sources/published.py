"""A source that others can watch: what is pulled of it also goes out as an LSL stream.

A display draws the headset's own stream. Where there is none, because samples come from a file or from the
simulator in this process, this makes one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pylsl

from bci_m2s.errors import StreamError
from bci_m2s.lsl.formats import HIGHEST_RATE_HZ, MOST_CHANNELS, RAW_TYPE
from bci_m2s.sources import Source
from bci_m2s.types import Chunk, StreamInfo

FORMATS = ("float32", "double64", "string", "int8", "int16", "int32", "int64")
BUFFERED_S = 10  # liblsl keeps this much for a display that is late


class PublishedSource:
    """Wraps a source; see ``Source`` for the protocol. The stream is there from ``offer`` to ``close``.

    Parameters
    ----------
    source : opened; belongs to this one from now on
    source_id : names the stream on the network, in the way of LSL
    """

    def __init__(self, source: Source, source_id: str) -> None:
        self._source = source
        self.info, self.finished = source.info, source.finished
        self.description_xml = source.description_xml
        self.sent_info = replace(source.info, type=RAW_TYPE, source_id=source_id, uid="", host="")
        self._outlet: Any = None

    def open(self) -> None:
        """Open the source and offer the stream."""
        self._source.open()
        self.offer()

    def offer(self) -> None:
        """Offer the stream of a source that is open already. Raises StreamError if LSL cannot carry it."""
        refuse_unsendable(self.sent_info)
        self._outlet = make_outlet(self.sent_info, BUFFERED_S)

    def pull(self, timeout_s: float) -> Chunk:
        """Return the source's next samples, and send them where somebody listens, stamped in local time."""
        chunk = self._source.pull(timeout_s)
        self.finished = self._source.finished
        outlet = self._outlet
        if len(chunk) and outlet is not None and outlet.have_consumers():
            offset_s = self._source.clock_offset_s(0.0)
            known_s = 0.0 if math.isnan(offset_s) else offset_s
            push(outlet, Chunk(chunk.times + known_s, chunk.samples, chunk.received_s))
        return chunk

    def clock_offset_s(self, timeout_s: float) -> float:
        """As the source says."""
        return self._source.clock_offset_s(timeout_s)

    def problem(self) -> str:
        """As the source says."""
        return self._source.problem()

    def notices(self) -> list[str]:
        """As the source says."""
        return self._source.notices()

    def close(self) -> None:
        """Withdraw the stream and close the source. Harmless when called twice."""
        self._outlet = None
        self._source.close()


def refuse_unsendable(info: StreamInfo) -> None:
    """Raise StreamError for a stream that LSL cannot carry."""
    wrong = ""
    if not 0 <= info.rate_hz <= HIGHEST_RATE_HZ:
        wrong = f"rate: got {info.rate_hz:g} Hz, expected 0 to {HIGHEST_RATE_HZ:g} Hz"
    elif not 1 <= info.n_channels <= MOST_CHANNELS:
        wrong = f"channels: got {info.n_channels}, expected 1 to {MOST_CHANNELS}"
    elif info.channel_format not in FORMATS:
        wrong = f"channel format: got {info.channel_format!r}, expected one of {', '.join(FORMATS)}"
    if wrong:
        raise StreamError(f"stream {info.name!r} cannot be sent over LSL: {wrong}")


def make_outlet(info: StreamInfo, buffered_s: int) -> Any:
    """Offer a stream that is described like `info`; uid and host are liblsl's.

    buffered_s : how much liblsl keeps for a slow consumer, s (irregular: hundreds of samples)
    """
    raw = pylsl.StreamInfo(
        info.name, info.type, info.n_channels, info.rate_hz, info.channel_format, info.source_id
    )
    channels = raw.desc().append_child("channels")
    for label, unit in zip(info.labels, info.units, strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        channel.append_child_value("type", info.type)
    return pylsl.StreamOutlet(raw, max_buffered=buffered_s)


def push(outlet: Any, chunk: Chunk) -> None:
    """Send a chunk with its stamps as they are."""
    if chunk.samples.dtype == object:
        outlet.push_chunk(chunk.samples.ravel().tolist(), chunk.times.tolist())
    else:
        outlet.push_chunk(chunk.samples, chunk.times.tolist())
