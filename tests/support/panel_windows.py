"""Panels in this process, and the engine's side of their commands."""

import time
from contextlib import closing, contextmanager

from PyQt6.QtCore import QSettings
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from bci_m2s.errors import CommandError
from bci_m2s.panel.app import PanelOptions
from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.window import PanelWindow
from bci_m2s.session.control.server import ControlServer
from support.panel_sessions import FakeSession

LIMIT_S = 120.0


def until(condition, what="it does not come", limit_s=LIMIT_S, every_ms=20):
    """Let Qt work until a condition holds, which is returned; what : the failure, or what gives it."""
    limit = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < limit, what() if callable(what) else what
        QTest.qWait(every_ms)
    return found


class Engine:
    """The engine's side of the command socket: notes each request, answers as it is set to."""

    def __init__(self, session_id):
        self.requests = []
        self.refusal = ""
        self.history = {"bin_s": 1.0, "lines": {}, "markers": []}
        self._server = ControlServer(session_id, self.handle)

    def handle(self, request):
        if request["do"] == "history":
            return self.history
        self.requests.append(request)
        if self.refusal:
            raise CommandError(self.refusal)
        return {"said": f"{request['do']} is done"}

    def close(self):
        self._server.close()


@contextmanager
def commanded_session():
    """A session, and the engine's side of its commands."""
    with closing(FakeSession()) as session, closing(Engine(session.session_id)) as engine:
        yield session, engine


@contextmanager
def own_style():
    """Take back what panels give the whole application: other tests draw their views by themselves."""
    yield
    QApplication.instance().setStyleSheet("")


@contextmanager
def panel_windows(folder):
    """Opens panels whose settings and logs are in a folder, and shuts them down."""
    store, opened = QSettings(str(folder / "panel.ini"), QSettings.Format.IniFormat), []

    def make(session_id="", **options):
        client = SessionClient(session_id)
        window = PanelWindow(client, store, PanelOptions(session=session_id, **options), folder)
        window.resize(1600, 900)
        window.show()
        activate(window)
        client.start()
        opened.append(window)
        return window

    yield make
    for window in opened:
        window.leave()
        window.shut_down()
        window.deleteLater()


def follow(make, session):
    """A panel that shows a session and can command it."""
    window = make(session.session_id)
    until(lambda: window.arrangement.main.isVisibleTo(window))
    until(lambda: window.commander.is_connected)
    feed(window, session)
    return window


def activate(window):
    """This platform has nobody who would give a window its keys, at first or after a dialog."""
    window.activateWindow()
    until(window.isActiveWindow)


def feed(window, session, **status):
    """Send reports until the panel has taken one."""
    mark = session.counter = getattr(session, "counter", 0) + 1

    def taken():
        session.report(**{"commands": True, **status}, mark=mark)
        return window.client.status.get("mark") == mark

    until(taken)
    shown = window.presenter.numbers_shown
    until(lambda: window.presenter.numbers_shown > shown)


def markers_of(timeline):
    """Texts of the markers on a timeline, the oldest first."""
    return [text for _, text in timeline.canvas.markers]


def requested(engine, count=1):
    """The newest of the requests that an engine got; waits until there are `count`."""
    until(lambda: len(engine.requests) >= count)
    return engine.requests[-1]
