"""Takes commands in lines of text from experiment programs, LabRecorder's clients among them.

Without a key it listens on this computer's own address only. With one, a connection's first line must be
``key KEY``. Lines are carried out in the order in which they come, one after another per connection.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bci_m2s.errors import BciM2sError, CommandError
from bci_m2s.session.control.connections import Connection, LimitedServer
from bci_m2s.session.control.lines import TooLongError
from bci_m2s.session.remote.address import KEY_VARIABLE, PORT, Address, is_loopback, resolved
from bci_m2s.session.remote.incoming import (
    ALL_AT_ONCE,
    ALL_PER_SECOND,
    AT_ONCE,
    PER_SECOND,
    SILENCE_S,
    Allowance,
    Patience,
    SlowError,
    incoming,
)
from bci_m2s.session.remote.words import VERBS, reply_of, request_of
from bci_m2s.text import printable

Handle = Callable[[Mapping[str, Any], float], Mapping[str, Any]]

PROOF_S = 5.0  # for the key
ACCEPT_S = 0.02  # between two connections: who opens them without end must not take the time of others
MOST_WAITING = 64  # lines of a connection; then its sender has to wait
HTTP = re.compile(rb"[A-Z]+ [^ ]* HTTP/\d")  # a page in a browser can send text to any port of its computer
SAID = ("filename", "select_all", "stop")  # what the terminal repeats
TOO_MANY = f"not done: expected {PER_SECOND:g} lines per second at most"
_log = logging.getLogger(__name__)


class RemoteServer(LimitedServer):
    """Listens once it is made, carries commands out from ``serve`` on until it is closed.

    Raises
    ------
    CommandError
        Nobody can listen there, or others can connect and there is no key.
    """

    allow_reuse_address = sys.platform != "win32"  # a session may follow another one at once

    def __init__(self, address: Address) -> None:
        self.address_family, number = resolved(address)
        if address.key is None and not is_loopback(number):
            raise CommandError(
                f"remote: {address}: others can connect there: got no key, expected remote.key in the "
                f"pipeline or {KEY_VARIABLE}; without one only 127.0.0.1"
            )
        self.key, self.allowance = address.key, Allowance(ALL_PER_SECOND, ALL_AT_ONCE)
        self.handle: Handle  # known before anything is accepted
        self.notify: Callable[[str], None]
        try:
            super().__init__(number, address.port, _Remote)
        except CommandError as problem:
            hint = " (does LabRecorder run? it has the same port)" if address.port == PORT else ""
            raise CommandError(f"remote: {problem}{hint}") from None
        self.address = Address(address.host, self.server_address[1], address.key)

    def serve(self, handle: Handle, notify: Callable[[str], None]) -> None:
        """Accept from now on.

        handle : carries out a request that came so many seconds ago; called from several threads at once
        notify : gets lines for the operator
        """
        self.handle, self.notify = handle, notify
        self.begin("remote")

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept, not faster than every ``ACCEPT_S``."""
        self.closing.wait(ACCEPT_S)
        return super().get_request()

    def describe(self) -> str:
        """A line for the operator."""
        who = "with the key" if self.key else "any program of this computer may give commands"
        return f"remote control on {self.address}: {who}"


class _Remote(Connection):
    """A program's connection: this thread reads, another one carries out, so that stamps are right."""

    server: RemoteServer

    def handle(self) -> None:
        connection: socket.socket = self.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(SILENCE_S)
        self._came: queue.Queue[tuple[bytes, float, str] | None] = queue.Queue(MOST_WAITING)
        worker = threading.Thread(target=self._work, name="remote-work", daemon=True)
        worker.start()
        try:
            self._read()
        finally:
            self._came.put(None)
            worker.join()

    def _read(self) -> None:
        begun_s, patience = time.monotonic(), Patience()
        own, all_ = Allowance(PER_SECOND, AT_ONCE), self.server.allowance

        def over() -> bool:
            is_late = bool(self.server.key) and not self.proven and time.monotonic() - begun_s > PROOF_S
            return is_late or self.server.closing.is_set()

        try:
            for line, came_s in incoming(self.connection, over):
                if HTTP.match(line):
                    return
                may_spend = self.proven or not self.server.key  # a stranger's one line costs nobody else
                is_within = not may_spend or (own.spend() and (own.is_calm or all_.spend()))
                refusal = "" if is_within else TOO_MANY
                if refusal:
                    own.forfeit()
                if refusal or line.strip():
                    self._came.put((line, came_s, refusal))
                if pause_s := patience.pause_s(bool(refusal)):
                    self.server.closing.wait(pause_s)
        except (TooLongError, SlowError) as problem:
            self._came.put((b"", time.monotonic(), str(problem)))

    def _work(self) -> None:
        is_refused, is_deaf, patience = False, False, Patience()
        while (item := self._came.get()) is not None:
            if is_refused:
                continue
            self.busy = True
            line, came_s, refusal = item
            reply = f"ERR {refusal}" if refusal else self._reply(line, came_s)
            try:
                if not is_deaf:
                    self.wfile.write(reply.encode() + b"\n")
            except OSError:  # it does not fetch replies, or is gone; what else it sends is carried out
                is_deaf = True
            self.busy = False
            is_error = reply.startswith("ERR")
            if pause_s := patience.pause_s(is_error):
                self.server.closing.wait(pause_s)
            if is_error and self.server.key and not self.proven:
                is_refused = True
                self.cut()

    def _reply(self, line: bytes, came_s: float) -> str:
        """Carry out a line; what to answer."""
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            return "ERR got bytes that are no text, expected UTF-8"
        word, _, rest = text.partition(" ")
        if word.casefold() == "key":
            self.proven = not self.server.key or _same(rest.strip(), self.server.key)
            return "OK" if self.proven else "ERR wrong key"
        if self.server.key and not self.proven:
            return "ERR expected the line 'key KEY' first"
        if text.casefold() == "help":
            return "commands: " + "; ".join(
                f"{name} {verb.argument}".strip() for name, verb in VERBS.items()
            )
        reply = self._carried_out(text, came_s)
        self.proven = self.proven or not reply.startswith("ERR")
        return reply

    def _carried_out(self, text: str, came_s: float) -> str:
        try:
            request = request_of(text)
            answer = self.server.handle(request, max(0.0, time.monotonic() - came_s))
        except BciM2sError as problem:
            return reply_of("", {"error": str(problem)})
        except Exception as problem:
            _log.exception("a remote command failed")
            return reply_of("", {"error": f"{type(problem).__name__}: {problem}"})
        if request["do"] in SAID:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self.server.notify(f"remote: {printable(answer['said'], 500)}")
        return reply_of(request["do"], answer)


def _same(given: str, key: str) -> bool:
    """Whether this is the key, in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), key.encode())
