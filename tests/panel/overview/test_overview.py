"""The overview with real outlets: who is on it, and what a click opens."""

import contextlib

import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtTest import QTest
from support.panel_sessions import FakeSession
from support.panel_windows import own_style, until

from bci_m2s.panel.client.everybody import EverybodyClient
from bci_m2s.panel.look.theme import DARK
from bci_m2s.panel.overview.window import NOBODY, OverviewWindow

pytestmark = pytest.mark.live


class Opened:
    """Stands where a panel's process would."""

    is_open = True

    def __init__(self):
        self.left = False

    def news(self):
        return ""

    def leave(self):
        self.left = True


@pytest.fixture
def window(qtbot):
    opened = []

    def open_panel(session_id, _folder):
        opened.append((session_id, Opened()))
        return opened[-1][1]

    client = EverybodyClient()
    with own_style():
        made = OverviewWindow(client, DARK, open_panel=open_panel)
        made.opened = opened
        qtbot.addWidget(made)
        client.start()
        yield made
        made.shut_down()


def test_participants_are_shown_and_a_click_opens_one(window):
    assert window.counts.text() == NOBODY
    with contextlib.ExitStack() as sessions:
        made = [
            sessions.enter_context(contextlib.closing(FakeSession(participant=name)))
            for name in ("p02", "p01", "")
        ]
        p02, p01, alone = made

        def all_answer():
            for session in made:
                session.report()
                session.estimate()
            said = window.board.accessibleDescription()
            return said.count("POSITIVE") == 2 and "connecting" not in said

        window.show()
        until(all_answer, window.board.accessibleDescription)
        members = window._client.members
        assert list(members) == ["p01", "p02"]  # who is no participant is not on it
        assert window.counts.text().startswith("2 participants: 2 fine")
        place = window.board._place(1).center()
        QTest.mouseClick(window.board, Qt.MouseButton.LeftButton, pos=QPointF(place).toPoint())
        assert [session_id for session_id, _ in window.opened] == [p02.session_id]
        QTest.mouseClick(window.board, Qt.MouseButton.LeftButton, pos=QPointF(place).toPoint())
        assert len(window.opened) == 1  # it is open
        QTest.keyClick(window.board, Qt.Key.Key_Left)
        QTest.keyClick(window.board, Qt.Key.Key_Return)
        assert window.opened[1][0] == p01.session_id
        assert alone.session_id not in [session_id for session_id, _ in window.opened]
    until(lambda: window.counts.text().startswith("2 participants: 2 ended"), window.counts.text)
    window.shut_down()
    assert all(panel.left for _, panel in window.opened)
