"""A source that others can watch: what is pulled of it also goes out as an LSL stream.

A display draws the headset's own stream. Where there is none, because samples come from a file or from the
simulator in this process, this makes one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from bci_m2s.lsl.formats import RAW_TYPE
from bci_m2s.lsl.network import refuse_absurd
from bci_m2s.lsl.outlet import make_outlet, push
from bci_m2s.sources import Source
from bci_m2s.types import Chunk

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
        self.clock_offset_s, self.problem = source.clock_offset_s, source.problem
        self.notices = source.notices
        self.sent_info = replace(source.info, type=RAW_TYPE, source_id=source_id, uid="", host="")
        self._outlet: Any = None

    def open(self) -> None:
        """Open the source and offer the stream."""
        self._source.open()
        self.offer()

    def offer(self) -> None:
        """Offer the stream of a source that is open already. Raises StreamError if LSL cannot carry it."""
        refuse_absurd(self.sent_info, " cannot be sent over LSL")
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

    def close(self) -> None:
        """Withdraw the stream and close the source. Harmless when called twice."""
        self._outlet = None
        self._source.close()
