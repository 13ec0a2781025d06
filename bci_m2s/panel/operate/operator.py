"""The operator's commands: what the keys and buttons ask of the engine, and what it answered.

The state of every button is the engine's, as its status says; a press asks for a change and shows nothing
by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QAction

from bci_m2s.panel.client.facts import mapping, mappings, plain_text
from bci_m2s.panel.operate.commander import Commander

VIEW_ONLY = "view only: this panel cannot send commands to the engine"
NEEDS_ENGINE = ("record", "mark", "baseline", "stop")


class Operator(QObject):
    """Turns actions into commands.

    Parameters
    ----------
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
