"""What a panel may ask of a running session, checked field by field.

=================  =====================  =======================================================
``do``             further fields         answer
=================  =====================  =======================================================
``mark``           ``text``               ``said``
``baseline_start``                        ``said``
``baseline_end``                          ``said``; refused before 10 s of usable signal
``record_on``                             ``said``
``record_off``                            ``said``
``stop``                                  ``said``
``state``                                 ``status``: the object of the status stream
``history``                               the object of ``History.as_json``
=================  =====================  =======================================================
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from bci_m2s.errors import CommandError, nearest
from bci_m2s.session.takes import Takes
from bci_m2s.text import quoted

WITHOUT_FIELDS = ("baseline_start", "baseline_end", "record_on", "record_off", "stop", "state", "history")
FIELDS: Mapping[str, tuple[str, ...]] = {"mark": ("text",), **dict.fromkeys(WITHOUT_FIELDS, ())}


class Commands:
    """Carries out commands; ``handle`` is what a ``ControlServer`` is given.

    Attributes
    ----------
    engine : that runs now; any thread may put the next one in its place
    """

    def __init__(self, takes: Takes) -> None:
        self._takes, self.engine = takes, takes.now.engine
        self._recording = threading.Lock()  # one change of the recording at a time

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request; several threads may.

        Raises
        ------
        CommandError
            The request is none of those above, or it is refused; the message says why.
        """
        do = _checked(request)
        if do in ("record_on", "record_off"):
            return {"said": self._switch(do)}
        if do == "mark":
            return {"said": self.engine.mark(request["text"])}
        if do == "baseline_start":
            return {"said": self.engine.start_baseline()}
        if do == "baseline_end":
            return {"said": self.engine.end_baseline()}
        if do == "state":
            return {"status": self.engine.reporter.report().values}
        if do == "history":
            return self.engine.publisher.history.as_json()
        self._takes.stop()
        return {"said": "the session ends"}

    def _switch(self, do: str) -> str:
        if not self._recording.acquire(blocking=False):
            raise CommandError("a recording is already being started or ended")
        try:
            return self._takes.record_on() if do == "record_on" else self._takes.record_off()
        finally:
            self._recording.release()


def _checked(request: Mapping[str, Any]) -> str:
    """The command's name, every field checked. Raises CommandError."""
    do = request.get("do")
    if not isinstance(do, str) or do not in FIELDS:
        raise CommandError(f"do: got {quoted(do)}, expected a command{nearest(str(do)[:60], FIELDS)}")
    wanted = ("do", *FIELDS[do])
    for name in request:
        if name not in wanted:
            raise CommandError(f"{do}: {quoted(name)} is not a field of it; valid: {', '.join(wanted)}")
    for name in FIELDS[do]:
        if not isinstance(request.get(name), str):
            got = type(request[name]).__name__ if name in request else "nothing"
            raise CommandError(f"{do}: {name}: got {got}, expected a text")
    return do
