"""Commands to a real command socket, from a thread of their own."""

import contextlib
import sys
import threading
import time
import uuid

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.panel.operate import operator as module
from bci_m2s.panel.operate.operator import Commander
from bci_m2s.session.control.server import ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folder's rules are those of POSIX")
LIMIT_MS = 120_000


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory, monkeypatch):
    """A runtime folder of the test's own, with a short path; lost engines are looked for more often."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    monkeypatch.setattr(module, "RETRY_S", 0.1)


class Engine:
    """Notes what is requested; holds every answer back while ``gate`` is closed."""

    def __init__(self, session_id=None):
        self.session_id = session_id or uuid.uuid4().hex
        self.requests = []
        self.gate = threading.Event()
        self.gate.set()
        self._server = ControlServer(self.session_id, self._handle)

    def _handle(self, request):
        self.requests.append(request)
        assert self.gate.wait(120)
        if request["do"] == "refuse":
            raise CommandError("not now")
        return {"said": f"{request['do']} by {self.session_id}"}

    def close(self):
        self.gate.set()
        self._server.close()


@pytest.fixture
def engine():
    with contextlib.closing(Engine()) as made:
        yield made


@pytest.fixture
def commander(qtbot):
    made = Commander()
    made.replies, made.states = [], []
    made.replied.connect(lambda request, reply: made.replies.append((request, reply)))
    made.connected.connect(made.states.append)
    assert qtbot is not None
    yield made
    made.close()


def reply_to(commander, qtbot, request):
    before = len(commander.replies)
    commander.send(request)
    qtbot.waitUntil(lambda: len(commander.replies) > before, timeout=LIMIT_MS)
    asked, reply = commander.replies[-1]
    assert asked == request
    return reply


def connected(commander, qtbot, engine):
    commander.follow(engine.session_id)
    qtbot.waitUntil(lambda: commander.is_connected, timeout=LIMIT_MS)


def test_a_command_is_answered_and_a_refusal_too(commander, engine, qtbot):
    connected(commander, qtbot, engine)
    assert commander.states == [True]
    said = f"mark by {engine.session_id}"
    assert reply_to(commander, qtbot, {"do": "mark", "text": "x"}) == {"ok": True, "said": said}
    assert reply_to(commander, qtbot, {"do": "refuse"}) == {"error": "not now"}
    assert engine.requests == [{"do": "mark", "text": "x"}, {"do": "refuse"}]


def test_commands_are_given_in_order(commander, engine, qtbot):
    connected(commander, qtbot, engine)
    requests = [{"do": "mark", "text": str(number)} for number in range(50)]
    for request in requests:
        commander.send(request)
    qtbot.waitUntil(lambda: len(commander.replies) == 50, timeout=LIMIT_MS)
    assert engine.requests == requests


def test_without_a_session_a_command_is_answered_in_words(commander, qtbot):
    assert "engine cannot be reached" in reply_to(commander, qtbot, {"do": "stop"})["error"]
    commander.follow("no id at all")  # as the network may say
    assert "engine cannot be reached" in reply_to(commander, qtbot, {"do": "stop"})["error"]
    assert commander.states == []


def test_the_engine_vanishes_between_two_commands_and_returns(commander, engine, qtbot):
    connected(commander, qtbot, engine)
    reply_to(commander, qtbot, {"do": "mark", "text": "1"})
    engine.close()
    assert "has ended" in reply_to(commander, qtbot, {"do": "mark", "text": "2"})["error"]
    qtbot.waitUntil(lambda: not commander.is_connected, timeout=LIMIT_MS)
    assert "engine cannot be reached" in reply_to(commander, qtbot, {"do": "mark", "text": "3"})["error"]
    with contextlib.closing(Engine(engine.session_id)) as again:
        qtbot.waitUntil(lambda: commander.is_connected, timeout=LIMIT_MS)
        assert reply_to(commander, qtbot, {"do": "mark", "text": "4"})["ok"] is True
        assert again.requests == [{"do": "mark", "text": "4"}]  # the lost ones are not given later
    assert commander.states == [True, False, True]


def test_two_sessions_one_after_the_other(commander, engine, qtbot):
    with contextlib.closing(Engine()) as other:
        connected(commander, qtbot, engine)
        reply_to(commander, qtbot, {"do": "mark", "text": "1"})
        commander.follow(other.session_id)
        reply_to(commander, qtbot, {"do": "mark", "text": "2"})
        commander.follow("")
        assert (
            "engine cannot be reached" in reply_to(commander, qtbot, {"do": "mark", "text": "3"})["error"]
        )
        qtbot.waitUntil(lambda: not commander.is_connected, timeout=LIMIT_MS)
        assert [request["text"] for request in engine.requests] == ["1"]
        assert [request["text"] for request in other.requests] == ["2"]


def test_a_command_goes_to_the_session_that_was_shown_when_it_was_given(commander, engine, qtbot):
    with contextlib.closing(Engine()) as other:
        connected(commander, qtbot, engine)
        engine.gate.clear()
        commander.send({"do": "mark", "text": "1"})
        qtbot.waitUntil(lambda: len(engine.requests) == 1, timeout=LIMIT_MS)
        commander.send({"do": "stop"})  # waits for the answer to the first
        commander.follow(other.session_id)
        engine.gate.set()
        qtbot.waitUntil(lambda: len(commander.replies) == 2, timeout=LIMIT_MS)
        assert {"do": "stop"} not in other.requests


def test_it_closes_quickly_while_a_command_is_under_way(engine, qtbot):
    made = Commander()
    replies = []
    made.replied.connect(lambda *said: replies.append(said))
    connected(made, qtbot, engine)
    engine.gate.clear()
    made.send({"do": "mark", "text": "x"})
    qtbot.waitUntil(lambda: bool(engine.requests), timeout=LIMIT_MS)
    begun_s = time.monotonic()
    made.close()
    assert time.monotonic() - begun_s < 100  # the gate stays shut for longer
    engine.gate.set()
    qtbot.waitUntil(lambda: not made._thread.is_alive(), timeout=LIMIT_MS)
    assert replies == []  # nobody is there any more to hear it
    made.close()


def test_answers_come_in_the_thread_of_the_window(engine, qtbot):
    made = Commander()
    heard = module.QObject()
    threads = []

    class Window(module.QObject):
        def take(self, request, reply):
            threads.append((threading.current_thread(), request, reply))

    window = Window(heard)
    made.replied.connect(window.take)
    connected(made, qtbot, engine)
    made.send({"do": "mark", "text": "x"})
    qtbot.waitUntil(lambda: bool(threads), timeout=LIMIT_MS)
    assert threads[0][0] is threading.main_thread()
    made.close()
