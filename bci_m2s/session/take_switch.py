"""From one take to the next: the operator's threads want one, the session's thread makes it."""

from __future__ import annotations

import threading

from bci_m2s.session.take_folders import Folder


class TakeSwitch:
    """Whether a take is to follow the one that runs. One lock guards all of it.

    Attributes
    ----------
    ended : why the session ended, "" while it runs
    why_stopped : why it was asked to end, "" while it was not
    """

    def __init__(self) -> None:
        self._change = threading.Condition()  # guards what follows
        self._next: Folder | None = None  # of the take that is wanted or starting
        self._is_starting = self._is_stopping = False
        self.ended = self.why_stopped = ""

    @property
    def is_over(self) -> bool:
        """Whether the session has ended, or was asked to."""
        return self._is_stopping or bool(self.ended)

    @property
    def is_switching(self) -> bool:
        """Whether another take is on its way."""
        return self._next is not None

    # ---- the operator's threads ----

    def want(self, folder: Folder) -> bool:
        """Have a take made that writes there; once the session has ended it is abandoned: false."""
        with self._change:
            if not self.ended:
                self._next, self._is_starting = folder, False
                return True
        folder.abandon()
        return False

    def wait(self, timeout_s: float) -> bool:
        """Wait until the take that is wanted runs or never will; whether either came in time."""
        with self._change:
            return self._change.wait_for(lambda: not self.is_switching, timeout_s)

    def stop(self, reason: str) -> None:
        """No take is to follow the one that runs. The first reason stands."""
        with self._change:
            self._is_stopping = True
            self.why_stopped = self.why_stopped or reason

    # ---- the session's thread ----

    def began(self) -> bool:
        """The newest take runs; false where it is to end at once."""
        with self._change:
            if self._is_starting:  # else what is wanted is still to come
                self._next, self._is_starting = None, False
                self._change.notify_all()
            return not self._is_stopping

    def next(self) -> Folder | None:
        """The folder of the take that is wanted, which starts now; None where none is."""
        with self._change:
            self._is_starting = self._next is not None and not self._is_stopping
            return self._next if self._is_starting else None

    def end(self, reason: str) -> None:
        """No take follows; one that was wanted is abandoned. The first reason stands."""
        with self._change:
            folder, self._next = self._next, None
            self.ended = self.ended or reason
            self._change.notify_all()
        if folder is not None:
            folder.abandon()
