"""Recording on and off: what the operator switches of a session, whether or not it estimates."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci_m2s.engine.engine import Engine
from bci_m2s.errors import CommandError, OutputError
from bci_m2s.session.take_folders import Folder, Folders
from bci_m2s.session.take_switch import TakeSwitch
from bci_m2s.sinks import Sink

SWITCH_S = 4.5  # longest that the operator waits for a take to begin


@dataclass(slots=True, eq=False, kw_only=True)
class Take:
    """One run. number : how many takes with a folder there were; folder : None while nothing is kept."""

    number: int
    folder: Folder | None
    engine: Engine
    files: Sequence[Sink]
    _closing: threading.Lock = field(default_factory=threading.Lock)  # guards ``folder``

    @property
    def is_recorded(self) -> bool:
        """Whether raw samples are being kept now."""
        return self.folder is not None and self.folder.recorder is not None

    def close_folder(self) -> Path | None:
        """Complete the folder once, by whoever comes first: a command, or the end of the take.

        Returns it, None where nothing is left to complete. Raises OutputError.
        """
        with self._closing:
            folder, self.folder = self.folder, None
            if folder is None:
                return None
            self.complete(folder.path)
            return folder.path

    def complete(self, folder: Path) -> None:
        """Write into the folder what is known at its end. Raises OutputError."""


class TakeControl(ABC):
    """The takes of a session as the operator switches them.

    One thread (the session's) calls ``began`` and ``finished``; ``record_on`` and ``record_off`` are called
    by others, one after another (``Commands`` sees to it).

    Parameters
    ----------
    folders : of its takes
    notify : gets lines for the operator

    Attributes
    ----------
    now : the take that runs, or ran last
    switch : whether another one is on its way, and why the session ended
    takes_commands : whether commands can reach this session; in status reports
    can_answer : whether a participant could be asked elsewhere than at the terminal
    is_running : whether a take has begun
    more_about : further entries of status reports
    """

    now: Take

    def __init__(self, folders: Folders, notify: Callable[[str], None]) -> None:
        self._folders, self._notify = folders, notify
        self.switch = TakeSwitch()
        self.takes_commands = self.is_running = False
        self.can_answer: Callable[[], bool] = lambda: False
        self.more_about: Callable[[], Mapping[str, Any]] = dict

    @property
    @abstractmethod
    def recorded(self) -> str:
        """Which streams a recording holds, in words."""

    # ---- for the session ----

    def describe(self) -> str:
        """A line about the take that begins."""
        folder = self.now.folder
        return f"take {self.now.number}: " + (f"recording into {folder.path}" if folder else "not recorded")

    def began(self) -> None:
        """The newest take runs."""
        self.is_running = True
        if not self.switch.began():  # the end was asked for while the takes changed
            self.now.engine.request_stop()

    def finished(self) -> Path | None:
        """The take's engine has finished: complete its folder, which is returned. Raises OutputError."""
        return self.now.close_folder()

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
            **self.more_about(),
        }

    # ---- for the operator, from any thread ----

    def stop(self, reason: str = "stopped by the operator") -> None:
        """End the session."""
        self.switch.stop(reason)
        self.now.engine.request_stop()

    @property
    def takes_markers(self) -> bool:
        """Whether a marker leads anywhere now."""
        return True

    def name_folder(self, name: str) -> str:
        """Put the takes that follow into this folder inside the session's; returns a sentence about it.

        name : plain names with "/" between them
        """
        self._folders.asked_for = name
        return f"recordings that follow go into {name} in the session's folder"

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
                take.close_folder()
            raise
        take.close_folder()
        samples = folder.recorder.state().samples_written
        words = f"recording closed: {folder.path}, {samples} samples"
        with suppress(OSError):  # the terminal may be gone
            self._notify(words)
        return words
