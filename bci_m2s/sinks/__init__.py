"""Where results go. Adding a sink: one file here and one line in ``SINKS``."""

from __future__ import annotations

from typing import Any, Protocol

from bci_m2s.types import Published


class Sink(Protocol):
    """Takes results. The engine's writer thread alone opens, feeds and closes it.

    Built as Class(folder: Path | None, session: Mapping) with what ``session.yaml`` holds. ``problem``
    says what cannot be written now, "" when all is well; after ``close`` it says what was never written.
    """

    @property
    def problem(self) -> str:
        """What cannot be written, in words."""

    def open(self) -> None:
        """Create files or outlets. Raises OutputError; never overwrites."""

    def take(self, item: Published) -> None:
        """Take one result: an estimate, an event, or a report of the session's state.

        Whatever kind a sink does not keep it ignores; kinds may be added. Reports come once a second and
        when the state changed.
        """

    def close(self) -> None:
        """Finish. Harmless when called twice or before ``open``."""


SINKS: dict[str, Any] = {
    "outlet": "bci_m2s.sinks.estimates:OutletSink",
    "table": "bci_m2s.sinks.table:TableSink",
    "events": "bci_m2s.sinks.events:EventSink",
    "status": "bci_m2s.sinks.status:StatusSink",
}
