"""Streams that appear while a session runs: an experiment is often started after the recording."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.session.setup.connect import Connected, open_unnamed, unnamed_streams
from bci_m2s.session.takes import Takes
from bci_m2s.sources import Environment
from bci_m2s.types import StreamInfo

LOOK_S = 1.0


class Newcomers:
    """Adds marker streams to a session as they appear, and names once what else came.

    Parameters
    ----------
    connected : what the session has; a sender that returns is not new
    takes : of the session, started
    record_also : as in the pipeline; "all" adds every other stream, to be recorded
    notify : gets lines for the operator
    """

    def __init__(
        self, connected: Connected, takes: Takes, record_also: str, notify: Callable[[str], None]
    ) -> None:
        self._takes, self._record_also, self._notify = takes, record_also, notify
        self._known = {_identity(source.info) for source in connected.all()}
        self._known |= {_identity(info) for info in connected.left_out}
        self._stop = threading.Event()
        self._environment = Environment(connected.clock, notify, self._stop.is_set)
        self._thread = threading.Thread(target=self._run, name="newcomers", daemon=True)

    def __enter__(self) -> Newcomers:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            for info in unnamed_streams():
                if not self._stop.is_set() and _identity(info) not in self._known:
                    self._known.add(_identity(info))
                    self._take(info)

    def _take(self, info: StreamInfo) -> None:
        is_markers = is_marker_stream(info)
        if not is_markers and self._record_also != "all":
            self._notify(f"note: {info.describe()} appeared; the pipeline does not name it: not recorded")
            return
        for source in open_unnamed([info], "markers" if is_markers else "recorded", self._environment):
            self._takes.add(source, is_markers)


def _identity(info: StreamInfo) -> tuple[str, ...]:
    """What a sender that was restarted has in common with its predecessor."""
    return (info.name, info.type, info.source_id or info.uid, info.host)
