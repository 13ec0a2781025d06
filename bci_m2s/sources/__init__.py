"""Where samples come from: LSL, recordings, the simulator; what is made of them is in `pipeline`.

Adding a source: one file here and one line in ``SOURCES``, or one file in your own package and an entry
point in the group ``bci_m2s.sources``; either leads to a class of ``StreamSettings``.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bci_m2s.registry import Registry
from bci_m2s.sources.facts import Name, Seconds, StreamFacts
from bci_m2s.types import Chunk, StreamInfo

__all__ = ["Name", "Seconds"]  # for settings of sources
WAIT_S = 0.02


class Source(Protocol):
    """One stream. A single thread opens, pulls and closes it.

    ``info`` is complete once ``open`` has returned. ``finished`` turns true when no sample will ever
    come again (end of a file); a live stream never finishes. Subclasses inherit what is usual.
    """

    info: StreamInfo
    finished: bool
    description_xml: str  # what the sender said of itself, as an XDF header keeps it; "" where nobody did

    def open(self) -> None:
        """Connect or load. Raises StreamError or RecordingError."""

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next samples in order, waiting at most `timeout_s`; empty when none came."""

    def clock_offset_s(self, timeout_s: float) -> float:  # noqa: ARG002
        """Seconds to add to a stamp to get local time; 0.0 where both are one clock."""
        return 0.0

    def problem(self) -> str:
        """Why the stream may no longer be what was opened; "" when it is. Never blocks for long.

        Called a few times per second by one thread that is not the one that pulls.
        """
        return ""

    def notices(self) -> list[str]:
        """What became known of the sender since the last call, in words: a twin appeared, it returned."""
        return []

    def close(self) -> None:
        """Let go. Harmless when called twice or before ``open``."""


class LocalSource(Source):
    """A source whose samples are made here, stamped in the local clock: all of it but ``pull``.

    Attributes
    ----------
    begun_s : local time at which it was opened
    """

    description_xml = ""
    finished = False

    def __init__(self, info: StreamInfo, clock: Callable[[], float]) -> None:
        self.info, self.clock = info, clock

    def open(self) -> None:
        """Begin now."""
        self.begun_s = self.clock()

    def wait(self, timeout_s: float) -> None:
        """Let others work for a moment, so that there is something to pull."""
        time.sleep(min(timeout_s, WAIT_S))

    def close(self) -> None:
        """Make no more samples."""
        self.finished = True


@dataclass(frozen=True, slots=True)
class Environment:
    """What a source may need to know of the session that it is made for.

    clock : local clock, s
    notify : takes a line for people
    stopped : whether to give up waiting
    folder : where relative paths start: the pipeline file's folder
    stream_type : LSL type that the model's contract names for this modality, "Markers" for markers
    """

    clock: Callable[[], float]
    notify: Callable[[str], None]
    stopped: Callable[[], bool]
    folder: Path = Path()
    stream_type: str = ""


class StreamSettings(StreamFacts):
    """What a pipeline file says of one stream. A source is a subclass with fields of its own.

    Every key is checked against the fields, so that a misspelt one is refused with file and line.
    """

    source: Name
    """Name of the source."""
    stamps: Literal["sent", "arrival"] = "sent"
    """`sent`: as the sender stamps. `arrival`: by a regular clock when they come, where a sender's are not
    LSL time."""

    @abstractmethod
    def make_source(self, environment: Environment) -> Source:
        """Return the source, not opened yet. Raises BciM2sError for what cannot be."""


# What YAML may say after `source:`, and the settings of that source. They load the source itself when it is
# made, so that a replay does not need liblsl and a live session does not need mne.
SOURCES = Registry(
    "source",
    "bci_m2s.sources",
    {
        "lsl": "bci_m2s.sources.streams:LslStream",
        "replay": "bci_m2s.sources.streams:ReplayStream",
        "simulated": "bci_m2s.sources.streams:SimulatedStream",
    },
    needs=("make_source", "model_fields"),
)
