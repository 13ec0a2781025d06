"""What a panel or a program may ask of a running session, checked field by field.

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
``estimate``                              ``estimates``: the newest of each modality and head
``filename``       ``text``               ``said``; LabRecorder's options: the next takes' folder
``select_all``                            ``said``
``select_none``                           refused
``update``                                ``said``
``protocol``           ``action``, ``value``  ``said``; see ``session/protocol/controls.py``
=================  =====================  =======================================================
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from bci_m2s.errors import CommandError, nearest
from bci_m2s.session.remote.estimates import newest_estimates
from bci_m2s.session.remote.file_name import FileName
from bci_m2s.session.take_control import TakeControl
from bci_m2s.text import quoted

OF_LABRECORDER = ("select_all", "select_none", "update")
WITHOUT_FIELDS = (
    *("baseline_start", "baseline_end", "record_on", "record_off", "stop", "state", "history", "estimate"),
    *OF_LABRECORDER,
)
FIELDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mark", "filename"), ("text",)),
    "protocol": ("action", "value"),
    **dict.fromkeys(WITHOUT_FIELDS, ()),
}


class Commands:
    """Carries out commands; ``handle`` is what a ``ControlServer`` is given.

    Attributes
    ----------
    engine : that runs now; any thread may put the next one in its place
    protocol : takes an action and its value where the session is guided
    """

    def __init__(self, takes: TakeControl) -> None:
        self._takes, self.engine = takes, takes.now.engine
        self._file_name = FileName()
        self._recording = threading.Lock()  # one change of the recording at a time
        self.protocol: Callable[[str, str], str] | None = None

    def handle(self, request: Mapping[str, Any], ago_s: float = 0.0) -> dict[str, Any]:
        """Carry out one request; several threads may.

        ago_s : how long it has waited, for the stamp of a marker

        Raises
        ------
        CommandError
            The request is none of those above, or it is refused; the message says why.
        """
        do = _checked(request)
        if do == "protocol":
            if self.protocol is None:
                raise CommandError("this session is not a guided one")
            return {"said": self.protocol(request["action"], request["value"])}
        if do == "state":
            return {"status": self.engine.reporter.report().values}
        if do == "history":
            return self.engine.publisher.history.as_json()
        if do == "estimate":
            return {"estimates": newest_estimates(self.engine.publisher, self.engine.clock())}
        if do == "mark":
            if not self._takes.takes_markers:
                raise CommandError("marker: nothing is being recorded")
            return {"said": self._mark(request["text"], self.engine.clock() - ago_s)}
        if do == "filename":
            return {"said": self._name_folder(request["text"])}
        return {"said": self._without_fields(do)}

    def _without_fields(self, do: str) -> str:
        if do in ("record_on", "record_off"):
            return self._switch(do)
        if do == "baseline_start":
            return self.engine.start_baseline()
        if do == "baseline_end":
            return self.engine.end_baseline()
        if do in OF_LABRECORDER:
            return self._select(do)
        self._takes.stop()
        return "the session ends"

    def _mark(self, text: str, at_s: float) -> str:
        said = self.engine.mark(text, at_s)
        return said if self._takes.now.is_recorded else f"{said}; nothing is being recorded"

    def _name_folder(self, options: str) -> str:
        self._refuse_guided()
        folder, remark = self._file_name.take(options)
        return self._takes.name_folder(folder) + (f"; {remark}" if remark else "")

    def _select(self, do: str) -> str:
        """Answer what LabRecorder's clients ask about streams, which are the session's matter here."""
        if do == "select_none":
            raise CommandError(f"select none: this session records {self._takes.recorded}")
        if do == "select_all":
            return f"recorded are {self._takes.recorded}"
        return "streams are looked for all the time"

    def _refuse_guided(self) -> None:
        if self.protocol is not None:
            raise CommandError("a guided session is recorded from its beginning to its end")

    def _switch(self, do: str) -> str:
        self._refuse_guided()
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
        name = do[:60] if isinstance(do, str) else ""
        raise CommandError(f"do: got {quoted(do)}, expected a command{nearest(name, FIELDS)}")
    wanted = ("do", *FIELDS[do])
    for name in request:
        if name not in wanted:
            raise CommandError(f"{do}: {quoted(name)} is not a field of it; valid: {', '.join(wanted)}")
    for name in FIELDS[do]:
        if not isinstance(request.get(name), str):
            got = type(request[name]).__name__ if name in request else "nothing"
            raise CommandError(f"{do}: {name}: got {got}, expected a text")
    return do
