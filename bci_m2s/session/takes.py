"""A session as a row of takes: runs of an engine over the same opened sources, one after another.

A recording has to begin like a session does, with filters that start and a baseline that is logged, or it
could not be verified. So switching it on ends the run and begins another one; the inlets keep what comes
meanwhile. Switching it off only lets go of the files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.publisher import Publisher
from bci_m2s.errors import CommandError, OutputError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.pipeline.baseline_file import save_baseline
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup import build
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.session.setup.connect import Connected
from bci_m2s.session.take_folders import Folder, Folders
from bci_m2s.session.take_switch import TakeSwitch
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source

if TYPE_CHECKING:
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.model.predictor import Predictor

SWITCH_S = 4.5  # longest that the operator waits for a take to begin


@dataclass(slots=True, eq=False)
class Take:
    """One run. number : how many takes with a folder there were; folder : None while nothing is kept."""

    number: int
    folder: Folder | None
    pipeline: Pipeline
    engine: Engine
    files: Sequence[Sink]
    _closing: threading.Lock = field(default_factory=threading.Lock)  # guards ``folder``

    @property
    def is_recorded(self) -> bool:
        """Whether raw samples are being kept now."""
        return self.folder is not None and self.folder.recorder is not None

    def close_folder(self, model: str) -> Path | None:
        """Complete the folder once, by whoever comes first: a command, or the end of the take.

        Returns it, None where nothing is left to complete. Raises OutputError.
        """
        with self._closing:
            folder, self.folder = self.folder, None
            if folder is None:
                return None
            save_baseline(folder.path / "baseline.json", self.pipeline, model)
            return folder.path


class Takes:
    """Makes a session's takes, and the next one when the operator switches the recording on.

    One thread (the session's) calls ``first``, ``began``, ``finished`` and ``next``; ``record_on`` and
    ``record_off`` are called by others, one after another (``Commands`` sees to it).

    Parameters
    ----------
    plan, predictor, connected, session : of the session, with its description
    outlets : open; they stay through all takes
    evidence : computes what estimates rest on, for every engine
    notify : gets lines for the operator
    root : folder of the session's results; None: see ``Folders``

    Attributes
    ----------
    now : the take that runs, or ran last
    switch : whether another one is on its way, and why the session ended
    takes_commands : whether commands can reach this session; in status reports
    """

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
    ) -> None:
        self._plan, self._predictor, self._connected = plan, predictor, connected
        self._outlets, self._evidence, self._notify = outlets, evidence, notify
        self._infos = {modality: source.info for modality, source in connected.sources.items()}
        self._begun_s = connected.clock()
        infos = list(self._infos.values())
        shared = plan.settings.shared_with_group
        self._folders = Folders(root, plan.path.stem, session, infos, connected.clock, shared)
        self._adding = threading.Lock()
        self.switch = TakeSwitch()
        self.takes_commands = False
        self.now: Take

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
    def settings(self) -> PipelineSettings:
        """The pipeline's."""
        return self._plan.settings

    @property
    def pipeline(self) -> str:
        """Name of the pipeline's file."""
        return self._plan.path.name

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._plan.contract.name

    def describe(self) -> str:
        """A line about the take that begins."""
        folder = self.now.folder
        return f"take {self.now.number}: " + (f"recording into {folder.path}" if folder else "not recorded")

    def first(self, pipeline: Pipeline, publisher: Publisher, record: bool) -> Take:
        """The first take, not started; it writes into `root` where there is one. Raises OutputError.

        publisher : that the pipeline emits into
        """
        self.now = self._make(pipeline, publisher, self._folders.first(record))
        return self.now

    def began(self) -> None:
        """The newest take runs."""
        if not self.switch.began():  # the end was asked for while the takes changed
            self.now.engine.request_stop()

    def finished(self) -> Path | None:
        """The take's engine has finished: complete its folder, which is returned. Raises OutputError."""
        return self.now.close_folder(self.model)

    def next(self) -> Take | None:
        """Another take where one is wanted; the one before is finished.

        It adopts the person's baseline; while it settles, the pipeline of the one before goes on answering.
        """
        folder = self.switch.next()
        if folder is None:
            return None
        plan, clock = self._plan, self._connected.clock
        before = self.now.engine
        publisher = build.make_publisher(plan, clock, before.publisher.history)
        publisher.latest.update(before.publisher.latest)
        pipeline = build.make_pipeline(plan, self._predictor, self._infos, clock, publisher.emit)
        pipeline.take_over(self.now.pipeline)
        with self._adding:
            self.now = self._make(pipeline, publisher, folder, before)
        return self.now

    def about(self) -> dict[str, Any]:
        """What status reports say of all this."""
        take = self.now
        folder = take.folder
        return {
            "take": {
                "session": self._folders.called,
                "number": take.number,
                "folder": folder.path.name if folder is not None else None,
            },
            "ended": self.switch.ended,
            "commands": self.takes_commands and not self.switch.ended,
        }

    # ---- for the operator, from any thread ----

    def stop(self) -> None:
        """End the session."""
        self.switch.stop()
        self.now.engine.request_stop()

    def record_on(self) -> str:
        """Begin a take that is recorded; returns a sentence about it.

        Raises
        ------
        CommandError
            It is recorded already, the session is ending, or estimates have failed.
        OutputError
            No folder can be made, or the disk is full.
        """
        take = self.now
        self._refuse_to_record(take)
        if self.switch.is_switching:
            raise CommandError("a recording is about to begin; see the terminal")
        folder, in_time = self._folders.next(), True
        if self.switch.want(folder):
            take.engine.request_stop()
            in_time = self.switch.wait(SWITCH_S)
        self._refuse_to_record(take)
        if not in_time:
            raise CommandError(f"the recording has not begun after {SWITCH_S:g} s; see the terminal")
        return f"recording into {folder.path}" + (f"; {folder.warning}" if folder.warning else "")

    def _refuse_to_record(self, take: Take) -> None:
        if self.switch.ended:
            raise CommandError(f"nothing is recorded: the session has ended ({self.switch.ended})")
        if take.is_recorded and take.folder is not None:
            raise CommandError(f"recording already, into {take.folder.path}")
        if problem := take.engine.inference_problem:
            raise CommandError(f"a recording needs estimates, which failed: {problem}; restart the session")

    def record_off(self) -> str:
        """End the recording; estimates go on. Returns a sentence about it.

        Raises
        ------
        CommandError
            Nothing is being recorded, or the session is ending.
        OutputError
            The recording is closed, but not all of it could be written.
        """
        take = self.now
        folder = take.folder
        if folder is None or folder.recorder is None:
            raise CommandError("nothing is being recorded")
        try:
            take.engine.stop_recording(take.files)
        except OutputError:
            with suppress(OutputError):  # the first one says more
                take.close_folder(self.model)
            raise
        take.close_folder(self.model)
        samples = folder.recorder.state().samples_written
        words = f"recording closed: {folder.path}, {samples} samples"
        with suppress(OSError):  # the terminal may be gone
            self._notify(words)
        return words

    # ---- parts ----

    def _make(
        self,
        pipeline: Pipeline,
        publisher: Publisher,
        folder: Folder | None,
        before: Engine | None = None,
    ) -> Take:
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
        )
        return Take(self._folders.made, folder, pipeline, engine, files)
