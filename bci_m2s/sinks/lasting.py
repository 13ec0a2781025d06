"""A sink that outlives an engine: outlets stay when a session goes from one take to the next."""

from __future__ import annotations

from bci_m2s.sinks import Sink
from bci_m2s.types import Published


class LastingSink:
    """Passes everything on to a sink that its owner opened and will close."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def problem(self) -> str:
        """That of the sink."""
        return self._sink.problem

    def open(self) -> None:
        """Do nothing: it is open."""

    def take(self, item: Published) -> None:
        """Pass it on."""
        self._sink.take(item)

    def close(self) -> None:
        """Do nothing: its owner will."""
