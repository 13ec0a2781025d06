"""A recording without a model as a row of takes: it waits for ``start``, and again after ``stop``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.publisher import Publisher
from bci_m2s.engine.record_only import RecordOnly
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.session.take_control import Take, TakeControl
from bci_m2s.session.take_folders import Folder, Folders
from bci_m2s.sinks import SINKS, Sink
from bci_m2s.sources import Source
from bci_m2s.sources.operator import OperatorMarkers


class RecordTakes(TakeControl):
    """Makes takes that only record. Between them samples are received and dropped, markers refused.

    Parameters
    ----------
    sources : opened, by name
    clock : local clock
    session : what recordings say of themselves
    root : folder of the recordings
    recorded : which streams they hold, in words
    notify : gets lines for the operator
    shared : the group may read them too
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        clock: Callable[[], float],
        session: SessionDescription,
        root: Path,
        recorded: str,
        notify: Callable[[str], None],
        shared: bool = False,
    ) -> None:
        self.sources, self._clock, self._recorded = dict(sources), clock, recorded
        self._markers: list[Source] = [OperatorMarkers(clock)]
        self._others: list[Source] = []
        self._begun_s = clock()
        self._adding = threading.Lock()
        infos = [source.info for source in sources.values()]
        super().__init__(Folders(root, "record", session, infos, clock, shared), notify)
        self.now = self._make(None)

    @property
    def recorded(self) -> str:
        """Which streams a recording holds, in words."""
        return self._recorded

    def add(self, source: Source, is_markers: bool) -> None:
        """Take another opened source into this take and those that follow. Any thread."""
        with self._adding:
            (self._markers if is_markers else self._others).append(source)
            self.now.engine.add(source, is_markers)

    def next(self) -> Take | None:
        """Another take where one is wanted; the one before is finished."""
        folder = self.switch.next()
        if folder is None:
            return None
        with self._adding:
            self.now = self._make(folder)
        return self.now

    @property
    def takes_markers(self) -> bool:
        """Only while something is recorded: it would be in no file."""
        return self.now.is_recorded

    def _make(self, folder: Folder | None) -> Take:
        publisher = Publisher({}, RecordOnly.hop_s, self._clock)
        files, recorder = list[Sink](), None
        if folder is not None and folder.recorder is not None:
            from bci_m2s.sinks.recording import RecordSink

            recorder = folder.recorder
            files = [SINKS["events"](folder.path, folder.session), RecordSink(recorder, folder.session)]
        publisher.attach(files)
        infos = {name: source.info for name, source in self.sources.items()}
        engine = Engine(
            RecordOnly(infos, publisher.emit),
            self.sources,
            publisher,
            self._clock,
            self._markers,
            recorder=recorder,
            about=self.about,
            begun_s=self._begun_s,
            others=self._others,
        )
        return Take(number=self._folders.made, folder=folder, engine=engine, files=files)
