"""The operator's commands: what the keys and buttons ask of the engine, and what it answered.

The state of every button is the engine's, as its status says; a press asks for a change and shows nothing
by itself. Commands are sent by a thread of their own: the window never waits for an answer.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction

from bci_m2s.errors import BciM2sError
from bci_m2s.panel.client.facts import mapping, mappings, plain_text
from bci_m2s.session.control.client import ControlClient

VIEW_ONLY = "view only: this panel cannot send commands to the engine"
REPLY_WAIT_S = 5.0  # a new recording takes a moment to begin
RETRY_S = 2.0
_log = logging.getLogger(__name__)
NEEDS_ENGINE = ("record", "mark", "baseline", "stop")


class Commander(QObject):
    """Talks to the engine of one session at a time, where that is on this machine.

    replied(request, reply) : signal: the engine's answer; {"error": text} when there was none
    connected(bool) : signal: whether commands can be given now
    """

    replied = pyqtSignal(dict, dict)
    connected = pyqtSignal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # each with the session that was followed when it was given: another one must not get it
        self._requests: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._session_id, self._closing = "", False
        self._client: ControlClient | None = None
        self._client_of = self._tried = ""
        self.is_connected = False  # written by the thread, read by the window
        self._thread = threading.Thread(target=self._run, name="panel-commands", daemon=True)
        self._thread.start()

    def follow(self, session_id: str) -> None:
        """Speak to this session from now on; "" to none."""
        self._session_id = session_id
        self._requests.put((session_id, {}))  # wakes the thread

    @property
    def has_tried(self) -> bool:
        """Whether it is known by now if the session takes commands."""
        return self._tried == self._session_id

    def send(self, request: dict[str, Any]) -> None:
        """Give a command; the answer comes as a signal."""
        self._requests.put((self._session_id, request))

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._requests.put(None)
        self._thread.join(1.0)

    def _run(self) -> None:
        while True:  # what was given before the end is still sent: "stop", as the window closes
            self._connect()
            try:
                given = self._requests.get(timeout=RETRY_S)
            except queue.Empty:
                continue
            if given is None:
                break
            session_id, request = given
            if request:
                self._connect()
                reply = self._request(request, session_id)
                if not self._closing:  # the window may be gone
                    self.replied.emit(request, reply)
        self._drop()

    def _connect(self) -> None:
        wanted = self._session_id
        if self._client is not None and self._client_of != wanted:
            self._drop()
        if self._client is None and wanted:
            try:
                self._client, self._client_of = ControlClient.find(wanted), wanted
            except BciM2sError:
                self._client = None
        self._tried = wanted
        self._set_connected(self._client is not None)

    def _request(self, request: dict[str, Any], session_id: str) -> dict[str, Any]:
        if self._client is None or self._client_of != session_id:
            return {"error": "the engine cannot be reached (another machine, or it has ended)"}
        try:
            return self._client.request(request, REPLY_WAIT_S)
        except BciM2sError as problem:
            self._drop()
            return {"error": str(problem)}
        except Exception as problem:
            _log.exception("a command failed")
            self._drop()
            return {"error": f"{type(problem).__name__}: {problem}"}

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._set_connected(False)

    def _set_connected(self, connected: bool) -> None:
        if connected != self.is_connected:
            self.is_connected = connected
            if not self._closing:
                self.connected.emit(connected)


class Operator(QObject):
    """Turns actions into commands.

    actions : by name, see ``actions.SPECS``; markers : those of the marker buttons
    commander : sends the commands
    notify : shows a line; second argument: "info", "warn" or "error"
    on_history : gets every good reply to "history"
    """

    def __init__(
        self,
        actions: Mapping[str, QAction],
        markers: list[QAction],
        commander: Commander,
        notify: Callable[[str, str], None],
        on_history: Callable[[Mapping[str, Any]], None],
    ) -> None:
        super().__init__()
        self._actions, self._markers, self._commander = actions, markers, commander
        self._notify, self._on_history = notify, on_history
        self._is_recording, self._is_collecting = False, False
        self._ended = False
        commander.replied.connect(self._reply)
        commander.connected.connect(self._connected)
        self._connected(False)

    # ---- what the operator does ----

    def record(self) -> None:
        """Switch the recording on or off."""
        self._actions["record"].setChecked(self._is_recording)  # until the engine has done it
        self._commander.send({"do": "record_off" if self._is_recording else "record_on"})
        words = "ending the recording …" if self._is_recording else "starting a recording …"
        self._notify(words, "info")

    def mark(self, text: str) -> None:
        """Write a marker."""
        self._commander.send({"do": "mark", "text": text})

    def baseline(self) -> None:
        """Begin a baseline, or end the one that is being collected."""
        self._commander.send({"do": "baseline_end" if self._is_collecting else "baseline_start"})

    def stop(self) -> None:
        """End the session."""
        self._commander.send({"do": "stop"})

    @property
    def refusal(self) -> str:
        """Why the engine takes no command from here, in words; "" while it does, or while that is asked."""
        if self._ended:
            return "the session has ended"
        return VIEW_ONLY if self._commander.has_tried and not self._commander.is_connected else ""

    # ---- what the engine says ----

    def take_status(self, status: Mapping[str, Any], is_silent: bool) -> None:
        """Let the buttons show what the engine does now; a silent one takes no commands."""
        self._ended = bool(plain_text(status.get("ended"))) or is_silent
        self._is_recording = status.get("recording") is not None and not self._ended
        streams = mappings(status.get("streams"))
        states = [mapping(stream.get("baseline")).get("state") for stream in streams]
        self._is_collecting = "collecting" in states
        record, baseline = self._actions["record"], self._actions["baseline"]
        record.setChecked(self._is_recording)
        record.setText("End recording" if self._is_recording else "Record")
        baseline.setText("End baseline" if self._is_collecting else "Baseline")
        self._allow(self._commander.is_connected and not self._ended)

    def _connected(self, connected: bool) -> None:
        self._allow(connected and not self._ended)
        if connected:
            self._commander.send({"do": "history"})

    def _allow(self, allowed: bool) -> None:
        for action in (*(self._actions[name] for name in NEEDS_ENGINE), *self._markers):
            if action.isEnabled() != allowed:
                action.setEnabled(allowed)

    def _reply(self, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        error = plain_text(reply.get("error"))
        if request.get("do") == "history":
            if not error:
                self._on_history(reply)
            return
        if error:
            self._notify(error, "warn")
            return
        self._notify(plain_text(reply.get("said")) or _done(request), "info")


def _done(request: Mapping[str, Any]) -> str:
    words = {
        "mark": f"marker {plain_text(request.get('text'))!r} written",
        "baseline_start": "the baseline starts again",
        "baseline_end": "the baseline ends here",
        "record_on": "recording started",
        "record_off": "recording ended and closed",
        "stop": "the session ends",
    }
    return words.get(str(request.get("do")), "done")
