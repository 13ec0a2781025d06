"""Commands to the engine, sent by a thread of their own: the window never waits for an answer."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from bci_m2s.errors import BciM2sError
from bci_m2s.session.control.client import ControlClient

REPLY_WAIT_S = 5.0  # a new recording takes a moment to begin
RETRY_S = 2.0
_log = logging.getLogger(__name__)


class Commander(QObject):
    """Talks to the engine of one session at a time, where that is on this machine.

    Signals
    -------
    replied(request, reply) : the engine's answer; {"error": text} when there was none
    connected(bool) : whether commands can be given now
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
