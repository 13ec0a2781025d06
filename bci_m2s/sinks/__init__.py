"""Where results go: outlets, tables, recordings; who feeds them is in `engine`.

Adding a sink: one file here and one line in ``SINKS``, or one file in your own package and an entry point
in the group ``bci_m2s.sinks``.
"""

from __future__ import annotations

from typing import Protocol

from bci_m2s.registry import Registry
from bci_m2s.types import Published


class Sink(Protocol):
    """Takes results. The engine's writer thread alone opens, feeds and closes it.

    Built as Class(folder: Path | None, session: SessionDescription, **params) with the parameters of the
    pipeline file. Subclasses inherit what is usual.
    """

    @property
    def problem(self) -> str:
        """What cannot be written now, in words, "" when all is well; after ``close`` what never was."""
        return ""

    def open(self) -> None:
        """Create files or outlets. Raises OutputError; never overwrites."""
        return

    def take(self, item: Published) -> None:
        """Take one result: an estimate, an event, or a report of the session's state.

        Whatever kind a sink does not keep it ignores; kinds may be added. Reports come once a second and
        when the state changed.
        """

    def close(self) -> None:
        """Finish. Harmless when called twice or before ``open``."""
        return


# What YAML may name under `sinks:`. The class says its `kind`: "outlet" is made once for a live session,
# without a folder, and stays through all takes; "file" is made for each output folder.
SINKS = Registry(
    "sink",
    "bci_m2s.sinks",
    {
        "outlet": "bci_m2s.sinks.outlets:OutletSink",
        "table": "bci_m2s.sinks.files:TableSink",
        "events": "bci_m2s.sinks.files:EventSink",
        "status": "bci_m2s.sinks.outlets:StatusSink",
    },
    needs=("kind", "open", "take", "close"),
)
# Those that every session has, by kind: a replay must not load liblsl to learn the kind of an outlet.
USUAL = {"outlet": ("outlet", "status"), "file": ("table", "events")}
