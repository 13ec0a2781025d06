"""Windows of their own: what is remembered, sessions that come and go, and what closing does."""

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pylsl
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QMessageBox
from support.panel_sessions import CLASSES, FakeSession
from support.panel_windows import (
    Engine,
    activate,
    commanded_session,
    feed,
    follow,
    markers_of,
    own_style,
    panel_windows,
    requested,
    until,
)

from bci_m2s.panel.controls.dialogs import MarkerDialog
from bci_m2s.panel.operate import first_start
from bci_m2s.panel.operate.offers import Choice, Offer


@pytest.fixture(scope="module", autouse=True)
def style(qapp):
    assert qapp is not None
    with own_style(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("bci_m2s.panel.window.FRAME_MS", 250)  # nobody looks at the traces
        yield


@pytest.fixture
def commanded():
    with commanded_session() as made:
        yield made


@pytest.fixture
def session(commanded):
    return commanded[0]


@pytest.fixture
def engine(commanded):
    return commanded[1]


@pytest.fixture
def open_window(tmp_path):
    with panel_windows(tmp_path) as make:
        yield make


@pytest.fixture
def window(open_window, session, engine):
    assert engine.requests == []
    return follow(open_window, session)


def test_marker_buttons_get_other_texts_and_keep_them(window, engine, open_window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    (dialog,) = window.findChildren(MarkerDialog)
    texts = ["eyes open", "", "eyes & mouth", "w" * 60, "x" * 60, "y" * 60, "z" * 60]
    for field, text in zip(dialog.fields, texts, strict=False):
        field.setText(text)
    dialog.accept()
    activate(window)
    button = window.controls.button("marker-2")
    assert button.text() == "2  eyes && mouth"
    assert window.controls.button("marker-6").isVisible()
    assert not window.controls.button("marker-7").isVisible()
    qtbot.keyClick(window, Qt.Key.Key_2)
    assert requested(engine) == {"do": "mark", "text": "eyes & mouth"}
    qtbot.keyClick(window, Qt.Key.Key_7)
    qtbot.keyClick(window, Qt.Key.Key_1)
    assert requested(engine, 2) == {"do": "mark", "text": "eyes open"}  # 7 has no text any more
    window.resize(1366, 768)
    assert window.width() == 1366  # long texts are cut, they do not widen the window
    assert open_window().remembered.markers[:2] == ("eyes open", "eyes & mouth")


def test_several_sessions_can_be_chosen_from(window, session, qtbot):
    assert not window.sessions.isVisible()
    other = FakeSession()
    try:
        until(window.sessions.isVisible)
        assert window.client.facts.session_id == session.session_id  # who comes later takes no place
        qtbot.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
        shown = lambda: window.client.facts and window.client.facts.session_id  # noqa: E731
        until(lambda: shown() == other.session_id)
        feed(window, other)
        until(lambda: other.session["outlet_name"] in window.sessions.currentText())
    finally:
        other.close()
    until(lambda: shown() == session.session_id)
    until(lambda: not window.sessions.isVisible())


def test_a_theme_changes_what_is_drawn_and_what_was_chosen_is_remembered(window, qtbot, open_window):
    before = window.grab().toImage().pixelColor(3, 3).lightness()
    qtbot.keyClick(window, Qt.Key.Key_T)
    assert window.theme.name == "light"
    assert window.grab().toImage().pixelColor(3, 3).lightness() > before + 100
    traces = window.presenter.traces["eeg"].rows
    traces.restore({"span_s": 20})
    settings = traces.settings()
    window.close()
    again = open_window(window.client.facts.session_id)
    assert again.theme.name == "light"
    assert str(again.presenter.trace_settings[traces.montage]["span_s"]) == str(settings["span_s"])


def test_closing_leaves_the_session_alone(window, engine, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()
    assert engine.requests == []


def test_the_past_is_loaded_from_the_engine(session, engine, open_window):
    row = {"classes": list(CLASSES), "t": [0.0], "p": [[0.2, 0.3, 0.5]], "share": [1.0]}
    engine.history = {"bin_s": 1.0, "lines": {"eeg": {"emotion": row}}, "markers": [[1e9, "early", "lab"]]}
    window = open_window(session.session_id)
    until(lambda: window.client.facts is not None)
    feed(window, session)
    until(lambda: "early" in markers_of(window.views.timeline))


def test_the_engine_dies_and_another_returns(window, session, engine, qtbot):
    window.presenter.traces["eeg"].rows.restore({"span_s": 20})
    engine.close()
    session.close()
    until(lambda: window.client.is_silent)
    until(lambda: not window.actions_by_name["record"].isEnabled())
    other = FakeSession()
    served = Engine(other.session_id)
    try:
        found = lambda: window.client.facts.session_id == other.session_id  # noqa: E731
        until(found)
        feed(window, other)
        until(lambda: window.actions_by_name["record"].isEnabled())
        qtbot.keyClick(window, Qt.Key.Key_1)
        assert requested(served) == {"do": "mark", "text": "trial/start/negative"}
        assert window.presenter.traces["eeg"].rows.settings()["span_s"] == 20  # what was chosen stays
    finally:
        served.close()
        other.close()


def test_an_engine_that_cannot_be_started_is_said_once(open_window, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first_start, "EngineProcess", refuse)
    window = open_window()
    window.first_start._start(Choice(Offer(Path("x.yaml"), "x"), {"eeg": "cap"}))
    assert window.messages.shown.kind == "error"
    assert "No space left" in window.messages.shown.text
    assert window.first_start.engine is None
    assert not window.first_start._may_start  # else it would be tried and said every two seconds


def test_an_ended_session_says_so(window, session):
    feed(window, session, ended="stopped by Ctrl-C")
    block = window.views.answer.blocks["eeg", "emotion"]
    words = lambda: block.toolTip() + block.accessibleName()  # noqa: E731
    until(lambda: "stopped by Ctrl-C" in words())
    assert not window.actions_by_name["record"].isEnabled()


@pytest.fixture
def uncommanded():
    """A session whose commands nobody serves here."""
    with closing(FakeSession()) as made:
        yield made


def test_another_machines_session_is_view_only(uncommanded, open_window):
    window = open_window(uncommanded.session_id)
    feed(window, uncommanded)
    assert not window.actions_by_name["record"].isEnabled()
    says = window.views.status.items["access"]
    until(lambda: "view only" in says.text() and says.isVisible())
    assert "view only" in window.controls.field.placeholderText()
    window.mark("x")
    assert "view only" in window.messages.shown.text


def test_a_stranger_who_says_ok_is_not_believed(uncommanded, open_window):
    window = open_window(uncommanded.session_id)
    feed(window, uncommanded)
    items = window.views.status.items
    until(lambda: "not a session of this user" in items["access"].full_text)
    assert items["state"].shown.state == "muted"
    assert "● ok" not in items["state"].full_text
    uncommanded.announce()
    feed(window, uncommanded)
    until(lambda: items["state"].full_text == "● ok")


def test_an_imitator_of_an_outlet_is_said_until_somebody_has_seen_it(window, session):
    source_id = f"{session.session_id}-emotion"
    imitator = pylsl.StreamOutlet(pylsl.StreamInfo("imitator", "Emotion", 8, 0, "double64", source_id))
    until(lambda: window.messages.shown is not None and "'imitator' on" in window.messages.shown.text)
    assert window.messages.shown.kind == "error"
    feed(window, session)
    assert window.views.status.items["state"].shown.state == "warn"
    del imitator


def test_html_from_the_network_is_text(open_window):
    evil = "<img src=x><b>bold</b>"
    session = FakeSession(model={"name": evil, "simulated": False})
    try:
        window = open_window(session.session_id)
        until(lambda: window.client.facts is not None)
        feed(window, session, markers=[[window.client.status_received_s, evil, evil]])
        holding = [label for label in window.findChildren(QLabel) if "<img" in label.text()]
        assert holding
        assert all(label.textFormat() is Qt.TextFormat.PlainText for label in holding)
    finally:
        session.close()


class StartedEngine:
    """Stands for a process that the panel started and that still runs."""

    pipeline, status = "demo", None


def test_closing_asks_about_a_session_that_was_started_from_here(window, engine):
    window.first_start.engine = StartedEngine()
    window.close()
    assert window.isVisible()
    (box,) = window.findChildren(QMessageBox)
    next(button for button in box.buttons() if button.text() == "End it").click()
    assert not window.isVisible()
    assert requested(engine) == {"do": "stop"}


def test_a_session_that_was_started_from_here_may_go_on(window, engine):
    window.first_start.engine = StartedEngine()
    window.close()
    (box,) = window.findChildren(QMessageBox)
    box.defaultButton().click()
    assert not window.isVisible()
    assert engine.requests == []


@pytest.mark.live
@pytest.mark.nightly
def test_ten_thousand_samples_a_second_for_half_a_minute_do_not_pile_up(open_window, qtbot):
    session = FakeSession(eeg_rate_hz=10_000.0)
    try:
        window = open_window(session.session_id)
        until(lambda: bool(window.presenter.traces))
        until(session.eeg.have_consumers)
        reader, waiting = window.client.readers["eeg"], []
        begun_s = sent_s = time.monotonic()
        while sent_s - begun_s < 30:
            qtbot.wait(20)
            now_s = time.monotonic()
            session.send("eeg", now_s - sent_s)
            sent_s = now_s
            waiting.append(reader.waiting)
        until(lambda: reader.received + reader.dropped >= 299_000)
        third = len(waiting) // 3
        assert np.median(waiting[-third:]) <= np.median(waiting[:third]) + 1000
        assert max(waiting) <= 3 * 10_000 + 1024  # what is kept at most, were nobody to take it
    finally:
        session.close()
