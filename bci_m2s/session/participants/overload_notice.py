"""Says in one line for everybody that windows are skipped, and when none are any more."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bci_m2s.engine.engine import Engine
from bci_m2s.engine.overload import Overload
from bci_m2s.session.participants.one import Participant


class OverloadNotice:
    """Looks at everybody now and then. One thread uses it."""

    def __init__(self, participants: Sequence[Participant], console: Console) -> None:
        self._participants, self._console = participants, console
        self._overload, self._due, self._skipped = Overload(), 0, 0
        self._counted: dict[str, tuple[Engine, int, int]] = {}  # by participant: of the take's engine

    def look(self, now_s: float) -> None:
        """Print what is to be said. now_s : ``time.monotonic``"""
        slow = sum(self._count(one) for one in self._participants)
        if line := self._overload.look(now_s, self._due, self._skipped):
            who = f"{slow} of {len(self._participants)} participants: " if self._overload.words else ""
            self._console.print(f"{who}{line}", style="bold yellow", soft_wrap=True)

    def _count(self, participant: Participant) -> bool:
        """Add what is new of one; whether windows of theirs are being skipped."""
        if participant.takes is None:
            return False
        engine = participant.takes.now.engine
        due, skipped = engine.windows
        before = self._counted.get(participant.name)
        was = before[1:] if before is not None and before[0] is engine else (0, 0)  # each take counts anew
        self._counted[participant.name] = (engine, due, skipped)
        self._due, self._skipped = self._due + due - was[0], self._skipped + skipped - was[1]
        return engine.overload.is_on
