"""A session as a row of takes: runs of an engine over the same opened sources, one after another.

A recording has to begin like a session does, with filters that start and a baseline that is logged, or it
could not be verified. So switching it on ends the run and begins another one; the inlets keep what comes
meanwhile. Switching it off only lets go of the files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.publisher import Publisher
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.pipeline.baseline_file import save_baseline
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup import build
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.session.setup.connect import Connected
from bci_m2s.session.take_control import Take, TakeControl
from bci_m2s.session.take_folders import Folder, Folders
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source

if TYPE_CHECKING:
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.engine.loops import Loops
    from bci_m2s.model.contract import WindowContract
    from bci_m2s.model.predictor import Predictor


@dataclass(slots=True, eq=False, kw_only=True)
class EstimatingTake(Take):
    """A take with its pipeline. model : name of the pipeline's"""

    pipeline: Pipeline
    model: str

    def complete(self, folder: Path) -> None:
        """Write the person's baseline. Raises OutputError."""
        save_baseline(folder / "baseline.json", self.pipeline, self.model)


class Takes(TakeControl):
    """Makes a session's takes, and the next one when the operator switches the recording on.

    The session's thread calls ``first`` and ``next`` too.

    Parameters
    ----------
    plan, predictor, connected, session : of the session, with its description
    outlets : open; they stay through all takes
    evidence : computes what estimates rest on, for every engine
    notify : gets lines for the operator
    root : folder of the session's results; None: see ``Folders``
    loops : threads that serve other sessions too; None for threads of its own
    """

    now: EstimatingTake

    def __init__(
        self,
        plan: build.Plan,
        predictor: Predictor,
        connected: Connected,
        session: SessionDescription,
        outlets: Sequence[Sink],
        evidence: Evidence | None,
        notify: Callable[[str], None],
        root: Path | None,
        loops: Loops | None = None,
    ) -> None:
        self._loops = loops
        self._plan, self._predictor, self._connected = plan, predictor, connected
        self._outlets, self._evidence = outlets, evidence
        self._infos = {modality: source.info for modality, source in connected.sources.items()}
        self._begun_s = connected.clock()
        infos = list(self._infos.values())
        shared = plan.settings.shared_with_group
        super().__init__(Folders(root, plan.path.stem, session, infos, connected.clock, shared), notify)
        self._adding = threading.Lock()

    # ---- for the session ----

    def add(self, source: Source, is_markers: bool) -> None:
        """Take another opened source into this take and those that follow. Any thread.

        is_markers : else it is only recorded
        """
        with self._adding:
            had = self._connected
            if is_markers:
                self._connected = replace(had, markers=(*had.markers, source))
            else:
                self._connected = replace(had, others=(*had.others, source))
            self.now.engine.add(source, is_markers)

    @property
    def uids(self) -> set[str]:
        """Of the streams that are read. Any thread."""
        return {source.info.uid for source in self._connected.all()}

    @property
    def settings(self) -> PipelineSettings:
        """The pipeline's."""
        return self._plan.settings

    @property
    def recorded(self) -> str:
        """Which streams a recording holds, in words."""
        if self.settings.record_also == "all":
            return "all streams on the network"
        return "the pipeline's streams and every marker stream; record_also: all in it records all"

    @property
    def channels(self) -> dict[str, Sequence[str]]:
        """Labels that the model needs, by modality of the pipeline."""
        return {
            modality: self._plan.contract.modalities[modality].channels
            for modality in self._plan.settings.streams
        }

    @property
    def window(self) -> WindowContract:
        """Of the model."""
        return self._plan.contract.window

    @property
    def classes(self) -> list[str]:
        """Names of the classes of every head."""
        return [name for names in self._plan.contract.class_names.values() for name in names]

    @property
    def pipeline(self) -> str:
        """Name of the pipeline's file."""
        return self._plan.path.name

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._plan.contract.name

    def first(self, pipeline: Pipeline, publisher: Publisher, record: bool) -> EstimatingTake:
        """The first take, not started; it writes into `root` where there is one. Raises OutputError.

        publisher : that the pipeline emits into
        """
        self.now = self._make(pipeline, publisher, self._folders.first(record))
        return self.now

    def next(self) -> EstimatingTake | None:
        """Another take where one is wanted; the one before is finished.

        It adopts the person's baseline; while it settles, the pipeline of the one before goes on answering.
        """
        folder = self.switch.next()
        if folder is None:
            return None
        plan, clock = self._plan, self._connected.clock
        before = self.now.engine
        history, is_judged = before.publisher.history, before.publisher.statistics.is_judged
        publisher = build.make_publisher(plan, clock, history, is_judged)
        publisher.latest.update(before.publisher.latest)
        pipeline = build.make_pipeline(plan, self._predictor, self._infos, clock, publisher.emit)
        pipeline.take_over(self.now.pipeline)
        with self._adding:
            self.now = self._make(pipeline, publisher, folder, before)
        return self.now

    # ---- parts ----

    def _make(
        self,
        pipeline: Pipeline,
        publisher: Publisher,
        folder: Folder | None,
        before: Engine | None = None,
    ) -> EstimatingTake:
        files, recorder, connected = list[Sink](), None, self._connected
        if folder is not None:
            recorder = folder.recorder
            files = build.make_sinks(self._plan, folder.path, folder.session, False, recorder)
        publisher.attach(files, self._outlets)
        engine = Engine(
            pipeline,
            connected.sources,
            publisher,
            connected.clock,
            connected.markers,
            recorder=recorder,
            evidence=self._evidence,
            about=self.about,
            begun_s=self._begun_s,
            others=connected.others,
            before=before,
            loops=self._loops,
        )
        return EstimatingTake(
            number=self._folders.made,
            folder=folder,
            engine=engine,
            files=files,
            pipeline=pipeline,
            model=self.model,
        )
