"""``events.jsonl``: everything that happened, one JSON object a line, with both clocks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from bci_m2s.errors import OutputError
from bci_m2s.types import Estimate, Event


class EventSink:
    """Appends events; `local_s` is null where the session is not live."""

    def __init__(self, folder: Path, session: Mapping[str, Any]) -> None:
        del session
        self.path = folder / "events.jsonl"
        self._file: TextIO | None = None

    def open(self) -> None:
        """Create the file."""
        try:
            self._file = self.path.open("x", encoding="utf-8")
        except OSError as problem:
            raise OutputError(f"{self.path}: cannot be created: {problem.strerror}") from None

    def estimate(self, estimate: Estimate, wall_s: float) -> None:
        """Estimates have a file of their own."""

    def event(self, event: Event) -> None:
        """Append a line and hand it to the operating system."""
        assert self._file is not None
        line = {
            "kind": event.kind,
            "message": event.message,
            "local_s": None if math.isnan(event.local_s) else event.local_s,
            "wall_s": event.wall_s,
            "utc": datetime.fromtimestamp(event.wall_s, UTC).isoformat(timespec="milliseconds"),
            **event.fields,
        }
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
