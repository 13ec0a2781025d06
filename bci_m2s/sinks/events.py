"""``events.jsonl``: everything that happened, one JSON object per line, with both clocks."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.files.append_file import AppendFile
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import event_line
from bci_m2s.types import Event, Published


class EventSink:
    """Appends events; `local_s` is null where the session is not live."""

    kind = "file"

    def __init__(self, folder: Path, session: SessionDescription) -> None:
        del session
        self.path = folder / "events.jsonl"
        self._file: AppendFile | None = None

    @property
    def problem(self) -> str:
        """Why lines cannot be written, "" when they can."""
        return self._file.problem if self._file else ""

    def open(self) -> None:
        """Create the file. Raises OutputError."""
        self._file = AppendFile(self.path)

    def take(self, item: Published) -> None:
        """Append one line per event and hand it to the operating system."""
        if isinstance(item, Event):
            assert self._file is not None
            self._file.append((event_line(item) + "\n").encode("utf-8", "replace"))
            self._file.flush()

    def close(self) -> None:
        """Close the file; ``problem`` stands when lines are missing from it."""
        if self._file is not None:
            self._file.close()
