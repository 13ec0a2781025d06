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
    description_xml: str  # what the sender said of itself, as an XDF header keeps it; "" where nobody did

    def open(self) -> None:
        """Connect or load. Raises StreamError or RecordingError."""

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next samples in order, waiting at most `timeout_s`; empty when none came."""

    def clock_offset_s(self, timeout_s: float) -> float:
        """Seconds to add to a stamp to get local time; 0.0 where both are one clock."""

    def problem(self) -> str:
        """Why the stream may no longer be what was opened; "" when it is. Never blocks for long.

        Called a few times per second by one thread that is not the one that pulls.
        """

    def notices(self) -> list[str]:
        """What became known of the sender since the last call, in words: a twin appeared, it returned."""

    def close(self) -> None:
        """Let go. Harmless when called twice or before ``open``."""


# What YAML may say after `source:`, and the class that it names ("module:class", loaded on use, so
# that a replay does not need liblsl and a live session does not need mne).
SOURCES = {
    "lsl": "bci_m2s.sources.lsl:LslSource",
    "replay": "bci_m2s.sources.replay:ReplaySource",
    "simulated": "bci_m2s.sources.simulated:SimulatedSource",
}
