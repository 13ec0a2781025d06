"""Streams that appear while a session runs: an experiment is often started after the recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.session.setup.connect import UNNAMED, open_unnamed, unnamed_streams
from bci_m2s.sources import Environment, Source
from bci_m2s.types import StreamInfo

LOOK_S = 1.0
TWIN_S = 4.0  # a sender that is gone is listed for 2.5 s
Taker = Callable[[Source, bool], None]
MOST_TRIES = 3  # to connect to a stream


class Newcomers:
    """Adds marker streams to a session or recording as they appear, and names once what else came.

    Parameters
    ----------
    known : streams that are there already; a sender that returns is not new
    takers : who is to have a stream, each with a source of its own: takes an opened source, and whether it
        gives markers
    record_also : as in a pipeline; "all" adds every other stream, to be recorded
    clock : local clock, s
    notify : gets lines for the operator
    remark : at the end of a line about a stream that is taken
    is_others : whether a stream is meant for somebody, who will take it
    """

    def __init__(
        self,
        known: Iterable[StreamInfo],
        takers: Callable[[StreamInfo], Sequence[Taker]],
        record_also: str,
        clock: Callable[[], float],
        notify: Callable[[str], None],
        remark: str = UNNAMED,
        is_others: Callable[[StreamInfo], bool] = lambda _info: False,
    ) -> None:
        self._is_others = is_others
        self._takers, self._record_also, self._notify, self._remark = takers, record_also, notify, remark
        self._known: dict[tuple[str, ...], str] = {}  # uid of whoever is read, or named, by identity
        self._first_seen_s: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        for info in known:
            self._know(info)
        self._stop = threading.Event()
        self._environment = Environment(clock, notify, self._stop.is_set)
        self._thread = threading.Thread(target=self._run, name="newcomers", daemon=True)

    def __enter__(self) -> Newcomers:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            streams = [info for info in unnamed_streams() if not self._is_others(info)]
            present = {info.uid for info in streams}
            for info in streams:
                if not self._stop.is_set() and self._is_new(info, present):
                    self._take(info)

    def _is_new(self, info: StreamInfo, present: set[str]) -> bool:
        """Whether nobody reads it yet; a sender that returns is found again by its inlet.

        Only when its predecessor does not go away is it a twin, which is new.
        """
        if info.uid in self._known.values():
            return False
        before = self._known.get(_identity(info))
        if before is None:
            return True
        first_s = self._first_seen_s.setdefault(info.uid, time.monotonic())
        if before not in present:
            self._known[_identity(info)] = info.uid
            return False
        return time.monotonic() - first_s > TWIN_S

    def _take(self, info: StreamInfo) -> None:
        is_markers = is_marker_stream(info)
        if not is_markers and self._record_also != "all":
            self._know(info)
            self._notify(f"note: {info.describe()} appeared; the pipeline does not name it: not recorded")
            return
        role = "markers" if is_markers else "recorded"
        environment, takers = self._environment, self._takers(info)
        if not takers:  # who connects later takes it, or has it already
            self._know(info)
        for add in takers:
            for source in open_unnamed([info], role, environment, self._remark):
                self._know(info)
                add(source, is_markers)
            environment = replace(environment, notify=lambda _words: None)  # it is said once
        self._tries[info.uid] = self._tries.get(info.uid, 0) + 1
        if self._tries[info.uid] >= MOST_TRIES:
            self._know(info)

    def _know(self, info: StreamInfo) -> None:
        identity = _identity(info)
        self._known[identity if identity not in self._known else (*identity, info.uid)] = info.uid


def _identity(info: StreamInfo) -> tuple[str, ...]:
    """What a sender that was restarted has in common with its predecessor."""
    return (info.name, info.type, info.source_id or info.uid, info.host)
