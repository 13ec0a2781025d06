"""Where takes of a session go: the first into the session's folder, later ones into folders inside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bci_m2s.errors import OutputError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.session.description import utc_now, write_session
from bci_m2s.session.setup import build
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.recording.recorder import Recorder

SESSIONS = Path("sessions")  # under the current folder, for recordings that were given no folder


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a take's results go. session : what ``session.yaml`` in it holds; recorder : None where raw
    samples are not kept; warning : of a disk that is nearly full
    """

    path: Path
    session: SessionDescription
    recorder: Recorder | None
    warning: str = ""

    def abandon(self) -> None:
        """For a take that never comes: its recording is an empty one."""
        if self.recorder is not None:
            self.recorder.close()


class Folders:
    """Makes the folders of a session's takes; one thread at a time.

    Parameters
    ----------
    root : of the session; None: one under ``SESSIONS``, made when it is needed
    name : part of that one's name
    session : description of the session
    infos : streams that will be recorded
    clock : local clock
    shared : the group may read them too

    Attributes
    ----------
    made : how many there are
    called : name of the session: of the folder it was given, else of its pipeline; it never changes
    asked_for : folder inside the session's for the takes that follow, "" for ``take-2`` and so on. Plain
        names with "/" between them
    """

    def __init__(
        self,
        root: Path | None,
        name: str,
        session: SessionDescription,
        infos: Sequence[StreamInfo],
        clock: Callable[[], float],
        shared: bool = False,
    ) -> None:
        self._root, self._name, self._shared = root, name, shared
        self._session, self._infos, self._clock = session, infos, clock
        self.made = 0
        self.asked_for = ""
        self.called = root.name if root is not None else name

    def first(self, record: bool) -> Folder | None:
        """The session's own folder, made and empty; None where it has none. Raises OutputError."""
        return self._open(self._root, record) if self._root is not None else None

    def next(self) -> Folder:
        """A folder for another take, which is recorded. Raises OutputError: cannot be made, disk full."""
        return self._open(build.make_folder(self._next_path(), self._shared), record=True)

    def _open(self, path: Path, record: bool) -> Folder:
        recorder, warning = None, ""
        if record:
            recorder, warning = build.make_recorder(path, self._infos, self._clock)
        session = self._session.model_copy(update={"take": self.made + 1, "begun_utc": utc_now()})
        folder = Folder(path, session, recorder, warning)
        try:
            write_session(path, session)
        except OutputError:
            folder.abandon()
            raise
        self.made += 1
        return folder

    def _next_path(self) -> Path:
        if self._root is None:
            self._root = _new_root(self._name)
        if self.asked_for:
            return _inside(self._root, self.asked_for)
        if self.made or _in_use(self._root):  # a first try may have failed in it
            return _unused(self._root, "take-{}", max(2, self.made + 1))
        return self._root


def _new_root(name: str) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y-%m-%dT%H%M%S")
    first = SESSIONS / f"{stamp}-{name}"
    return first if not _in_use(first) else _unused(SESSIONS, f"{stamp}-{name}-{{}}", 2)


def _inside(root: Path, name: str) -> Path:
    """A folder of this name that holds nothing; a number follows the name where it is in use.

    Raises OutputError where a link leads out of `root`.
    """
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise OutputError(f"{path}: leads to {path.resolve()}, expected a folder inside {root}")
    return path if not _in_use(path) else _unused(path.parent, f"{path.name}-{{}}", 2)


def _unused(root: Path, pattern: str, number: int) -> Path:
    """The first of numbered folders that holds nothing."""
    while _in_use(path := root / pattern.format(number)):
        number += 1
    return path


def _in_use(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
