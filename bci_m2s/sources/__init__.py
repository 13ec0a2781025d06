"""Where samples come from. Adding a source: one file here and one line in ``SOURCES``."""

from __future__ import annotations

from typing import Protocol

from bci_m2s.types import Chunk, StreamInfo


class Source(Protocol):
    """One stream. A single thread opens, pulls and closes it.

    ``info`` is complete once ``open`` has returned. ``finished`` turns true when no sample will ever
    come again (end of a file); a live stream never finishes.
    """

    info: StreamInfo
    finished: bool

    def open(self) -> None:
        """Connect or load. Raises StreamError or RecordingError."""

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next samples in order, waiting at most `timeout_s`; empty when none came."""

    def clock_offset_s(self, timeout_s: float) -> float:
        """Seconds to add to a stamp to get local time; 0.0 where both are one clock."""

    def close(self) -> None:
        """Let go. Harmless when called twice or before ``open``."""


# What YAML may say after `source:`, and the class that it names ("module:class", loaded on use, so
# that a replay does not need liblsl and a live session does not need mne).
SOURCES = {
    "lsl": "bci_m2s.sources.lsl:LslSource",
    "replay": "bci_m2s.sources.replay:ReplaySource",
    "simulated": "bci_m2s.sources.simulated:SimulatedSource",
}
