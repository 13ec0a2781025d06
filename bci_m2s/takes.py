"""A session as a row of takes: runs of an engine over the same opened sources, one after another.

A recording has to begin like a session does, with filters that start and a baseline that is told, or it
could not be verified. So switching it on ends the run and begins another one; the inlets keep what comes
meanwhile. Switching it off only lets go of the files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci_m2s import build
from bci_m2s.baseline_file import save_baseline
from bci_m2s.connect import Connected
from bci_m2s.engine import Engine
from bci_m2s.errors import CommandError, OutputError
from bci_m2s.history import History
from bci_m2s.pipeline import Pipeline
from bci_m2s.sinks import Sink
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.evidence import Evidence
    from bci_m2s.sinks.recorder import Recorder

SESSIONS = Path("sessions")  # under the current folder, for recordings that were given no folder
SWITCH_S = 4.5  # longest that the operator waits for a take to begin


@dataclass(frozen=True, slots=True)
class Shared:
    """What all takes of a session have in common.

    session : its description; outlets : open; tell : says a line to the operator
    """

    plan: build.Plan
    predictor: build.Predictor
    connected: Connected
    session: Mapping[str, Any]
    outlets: Sequence[Sink]
    evidence: Evidence | None
    tell: Callable[[str], None]

    @property
    def infos(self) -> dict[str, StreamInfo]:
        """Streams by modality."""
        return {modality: source.info for modality, source in self.connected.sources.items()}


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a take's results go. session : what ``session.yaml`` in it holds; recorder : None where raw
    samples are not kept; warning : of a disk that is nearly full
    """

    path: Path
    session: Mapping[str, Any]
    recorder: Recorder | None
    warning: str = ""


@dataclass(slots=True, eq=False)
class Take:
    """One run. number : how many takes with a folder there were; folder : None while nothing is kept."""

    number: int
    folder: Folder | None
    pipeline: Pipeline
    engine: Engine
    files: Sequence[Sink]

    @property
    def is_recorded(self) -> bool:
        """Whether raw samples are being kept now."""
        return self.folder is not None and self.folder.recorder is not None


class Takes:
    """Makes a session's takes, and the next one when the operator switches the recording on.

    One thread (the session's) calls ``first``, ``began``, ``finished``, ``next`` and ``end``; ``record_on``
    and ``record_off`` are called by others.

    Parameters
    ----------
    shared : what all takes have in common
    root : folder of the session's results; None: one under ``SESSIONS``, made when it is needed

    Attributes
    ----------
    now : the take that runs, or ran last
    ended : why the session ended, "" while it runs
    takes_commands : whether somebody hands commands on; told in status reports
    """

    def __init__(self, shared: Shared, root: Path | None) -> None:
        self._shared, self._root = shared, root
        self._begun_s = shared.connected.clock()
        self._n_folders = 0
        self._history: History | None = None  # of the whole session
        self._command = threading.Lock()  # one command at a time
        self._files = threading.Lock()  # a folder is closed once: by a command or by the end of its take
        self._change = threading.Condition()  # guards what follows
        self._wanted: Folder | None = None  # of the next take
        self._running: Take | None = None
        self._stopped = False
        self.ended, self.takes_commands = "", False
        self.now: Take

    # ---- for the session ----

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._shared.plan.contract.name

    def describe(self) -> str:
        """A line about the take that begins."""
        folder = self.now.folder
        return f"take {self.now.number}: " + (f"recording into {folder.path}" if folder else "not recorded")

    def first(self, pipeline: Pipeline, record: bool) -> Take:
        """The first take, not started; it writes into `root` where there is one. Raises OutputError."""
        folder = self._open(self._root, record) if self._root is not None else None
        self.now = self._make(pipeline, folder)
        return self.now

    def began(self) -> None:
        """The newest take runs."""
        with self._change:
            self._running = self.now
            self._change.notify_all()
            if self._stopped:  # was asked for while the takes changed
                self.now.engine.request_stop()

    def finished(self) -> Path | None:
        """The take's engine has finished: complete its folder, which is returned. Raises OutputError."""
        return self._close_folder(self.now)

    def next(self) -> Take | None:
        """Another take where one is wanted; the one before is finished. It adopts the person's baseline."""
        with self._change:
            folder, self._wanted = self._wanted, None
        if folder is None or self._stopped:
            return None
        shared = self._shared
        pipeline = build.make_pipeline(shared.plan, shared.predictor, shared.infos, shared.connected.clock)
        for modality, stage in self.now.pipeline.stages.items():
            statistics = stage.normaliser.statistics()
            if statistics is not None:
                pipeline.stages[modality].adopt_baseline(*statistics)
        self.now = self._make(pipeline, folder)
        return self.now

    def end(self, reason: str) -> None:
        """No take follows; whoever waits for one is told the reason. The first reason stands."""
        with self._change:
            self.ended = self.ended or reason
            self._change.notify_all()

    def about(self) -> dict[str, Any]:
        """What status reports say of all this."""
        take = self.now
        folder = take.folder
        return {
            "take": {"number": take.number, "folder": folder.path.name if folder is not None else None},
            "ended": self.ended,
            "commands": self.takes_commands and not self.ended,
        }

    # ---- for the operator, from any thread ----

    def stop(self) -> None:
        """End the session."""
        with self._change:
            self._stopped = True
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
        with self._command:
            take = self.now
            self._refuse_to_record(take)
            folder = self._open(build.make_folder(self._next_path()), record=True)
            with self._change:
                self._wanted = folder
                take.engine.request_stop()
                self._change.wait_for(
                    lambda: bool(self.ended) or self._running not in (None, take), SWITCH_S
                )
                if self.ended and folder.recorder is not None:
                    folder.recorder.close()
            self._refuse_to_record(take)
            if self._running is take:
                raise CommandError(f"the recording has not begun after {SWITCH_S:g} s; see the terminal")
        return f"recording into {folder.path}" + (f"; {folder.warning}" if folder.warning else "")

    def _refuse_to_record(self, take: Take) -> None:
        if self.ended:
            raise CommandError(f"nothing is recorded: the session has ended ({self.ended})")
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
        with self._command:
            take = self.now
            folder = take.folder
            if folder is None or folder.recorder is None:
                raise CommandError("nothing is being recorded")
            try:
                take.engine.stop_recording(take.files)
            except OutputError:
                with suppress(OutputError):  # the first one says more
                    self._close_folder(take)
                raise
            self._close_folder(take)
            samples = folder.recorder.state().samples_written
        said = f"recording closed: {folder.path}, {samples} samples"
        with suppress(OSError):  # the terminal may be gone
            self._shared.tell(said)
        return said

    # ---- parts ----

    def _make(self, pipeline: Pipeline, folder: Folder | None) -> Take:
        shared, files = self._shared, list[Sink]()
        recorder = None
        if folder is not None:
            recorder = folder.recorder
            files = build.make_sinks(
                shared.plan, folder.path, folder.session, outlet=False, recorder=recorder
            )
        engine = Engine(
            pipeline,
            shared.connected.sources,
            [*shared.outlets, *files],
            shared.connected.clock,
            shared.connected.markers,
            recorder=recorder,
            evidence=shared.evidence,
            about=self.about,
            begun_s=self._begun_s,
            history=self._history,
        )
        self._history = engine.history
        return Take(self._n_folders, folder, pipeline, engine, files)

    def _open(self, path: Path, record: bool) -> Folder:
        """Make an empty folder ready for a take. Raises OutputError."""
        shared, recorder, warning = self._shared, None, ""
        if record:
            infos = list(shared.infos.values())
            recorder, warning = build.make_recorder(path, infos, shared.connected.clock)
        begun_utc = datetime.now(UTC).isoformat(timespec="seconds")
        session = {**shared.session, "take": self._n_folders + 1, "begun_utc": begun_utc}
        try:
            build.write_session(path, session)
        except OutputError:
            if recorder is not None:
                recorder.close()
            raise
        self._n_folders += 1
        return Folder(path, session, recorder, warning)

    def _next_path(self) -> Path:
        if self._root is None:
            self._root = _new_root(self._shared.plan.path.stem)
        if self._n_folders or _in_use(self._root):  # a first try may have failed in it
            return _unused(self._root, "take-{}", max(2, self._n_folders + 1))
        return self._root

    def _close_folder(self, take: Take) -> Path | None:
        with self._files:
            folder, take.folder = take.folder, None
            if folder is not None:
                save_baseline(folder.path / "baseline.json", take.pipeline, self.model)
        return folder.path if folder is not None else None


def _new_root(name: str) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y-%m-%dT%H%M%S")
    first = SESSIONS / f"{stamp}-{name}"
    return first if not _in_use(first) else _unused(SESSIONS, f"{stamp}-{name}-{{}}", 2)


def _unused(root: Path, pattern: str, number: int) -> Path:
    """The first of numbered folders that holds nothing."""
    while _in_use(path := root / pattern.format(number)):
        number += 1
    return path


def _in_use(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
