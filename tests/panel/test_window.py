"""The whole window against real LSL outlets and a real command socket: every control does what it says."""

import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QSettings, Qt, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QLabel, QMessageBox
from support.panel_sessions import CLASSES, FakeSession

from bci_m2s.errors import CommandError
from bci_m2s.panel.app import PanelOptions, errors_shown, log_to
from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.client.facts import SessionFacts, StreamFacts, mapped_stream
from bci_m2s.panel.controls.actions import SPECS
from bci_m2s.panel.controls.dialogs import KeysDialog, MarkerDialog
from bci_m2s.panel.operate import first_start
from bci_m2s.panel.operate.offers import Offer
from bci_m2s.panel.window import PanelWindow
from bci_m2s.session.control.server import ControlServer

LIMIT_MS = 120_000


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


@pytest.fixture
def session():
    made = FakeSession()
    yield made
    made.close()


@pytest.fixture
def engine(session):
    made = Engine(session.session_id)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path):
    return QSettings(str(tmp_path / "panel.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def open_window(qtbot, store, tmp_path):
    """Opens panels, and shuts them down."""
    opened = []

    def make(session_id="", **options):
        client = SessionClient(session_id)
        window = PanelWindow(client, store, PanelOptions(session=session_id, **options), tmp_path)
        qtbot.addWidget(window)
        window.resize(1600, 900)
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=LIMIT_MS)  # else its keys are nobody's
        client.start()
        opened.append(window)
        return window

    yield make
    for window in opened:
        window.leave()
        window.shut_down()
    QApplication.instance().setStyleSheet("")  # other tests draw their views by themselves


@pytest.fixture
def window(open_window, session, engine, qtbot):
    del engine
    made = open_window(session.session_id)
    qtbot.waitUntil(made.arrangement.isVisible, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: made.arrangement.main.isVisibleTo(made), timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: made.commander.is_connected, timeout=LIMIT_MS)
    feed(made, session, qtbot)
    return made


def feed(window, session, qtbot, **status):
    """Send reports until the panel has taken one."""
    mark = session.counter = getattr(session, "counter", 0) + 1

    def taken():
        session.report(**{"commands": True, **status}, mark=mark)
        return window.client.status.get("mark") == mark

    qtbot.waitUntil(taken, timeout=LIMIT_MS)
    shown = window.presenter.numbers_shown
    qtbot.waitUntil(lambda: window.presenter.numbers_shown > shown, timeout=LIMIT_MS)


def requested(engine, qtbot, count=1):
    qtbot.waitUntil(lambda: len(engine.requests) >= count, timeout=LIMIT_MS)
    return engine.requests[-1]


def press(window, qtbot, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(window, key, modifier)


def back_to(window, qtbot):
    """After a dialog: this platform has nobody who would give the window its keys back."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=LIMIT_MS)


# ---- controls ----


def test_every_key_belongs_to_an_action_of_the_window(window):
    for name, spec in SPECS.items():
        assert window.actions_by_name[name].shortcut().toString() == spec.key
    keys = [action.shortcut().toString() for action in window.actions() if not action.shortcut().isEmpty()]
    assert len(keys) == len(set(keys))
    assert {"1", "2", "3"} <= set(keys)


@pytest.mark.parametrize(
    ("key", "modifier", "request_"),
    [
        (Qt.Key.Key_R, Qt.KeyboardModifier.NoModifier, {"do": "record_on"}),
        (Qt.Key.Key_B, Qt.KeyboardModifier.NoModifier, {"do": "baseline_start"}),
        (Qt.Key.Key_2, Qt.KeyboardModifier.NoModifier, {"do": "mark", "text": "stop"}),
    ],
)
def test_keys_give_commands(window, engine, qtbot, key, modifier, request_):
    press(window, qtbot, key, modifier)
    assert requested(engine, qtbot) == request_
    qtbot.waitUntil(lambda: window.messages.shown is not None, timeout=LIMIT_MS)


def test_record_and_baseline_say_what_they_would_do(window, session, engine, qtbot):
    recording = {"file": "session.xdf", "bytes": 1000, "problem": "", "lost_samples": 0}
    collecting = session.stream("eeg", baseline={"state": "collecting", "seconds_left": 12.0})
    feed(window, session, qtbot, recording=recording, streams=[collecting])
    assert window.actions_by_name["record"].text() == "End recording"
    assert window.actions_by_name["record"].isChecked()
    assert window.actions_by_name["baseline"].text() == "End baseline"
    press(window, qtbot, Qt.Key.Key_R)
    assert requested(engine, qtbot) == {"do": "record_off"}
    assert window.actions_by_name["record"].isChecked()  # until the engine says otherwise
    press(window, qtbot, Qt.Key.Key_B)
    assert requested(engine, qtbot, 2) == {"do": "baseline_end"}
    feed(window, session, qtbot)
    assert not window.actions_by_name["record"].isChecked()


def test_free_text_becomes_a_marker(window, engine, qtbot):
    press(window, qtbot, Qt.Key.Key_M)
    field = window.controls.field
    qtbot.waitUntil(lambda: field.hasFocus() or window.focusWidget() is field, timeout=LIMIT_MS)
    qtbot.keyClicks(field, "person R yawns 2x")  # r, 2 and the rest are no commands here
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert requested(engine, qtbot) == {"do": "mark", "text": "person R yawns 2x"}
    assert len(engine.requests) == 1
    assert field.text() == ""


def test_escape_writes_no_marker(window, engine, qtbot):
    window.controls.field.setFocus()
    qtbot.keyClicks(window.controls.field, "never mind")
    qtbot.keyClick(window.controls.field, Qt.Key.Key_Escape)
    press(window, qtbot, Qt.Key.Key_1)
    assert requested(engine, qtbot) == {"do": "mark", "text": "start"}


def test_a_refusal_is_shown(window, engine, qtbot):
    engine.refusal = "recording: got a full disk, expected some room"
    press(window, qtbot, Qt.Key.Key_R)
    qtbot.waitUntil(
        lambda: window.messages.shown is not None and "full disk" in window.messages.shown.text,
        timeout=LIMIT_MS,
    )
    assert not window.actions_by_name["record"].isChecked()


def test_ending_a_session_asks_first(window, engine, qtbot):
    press(window, qtbot, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    (box,) = window.findChildren(QMessageBox)
    assert engine.requests == []
    box.button(QMessageBox.StandardButton.No).click()
    press(window, qtbot, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(window.findChildren(QMessageBox)) > 0, timeout=LIMIT_MS)
    box = window.findChildren(QMessageBox)[-1]
    box.button(QMessageBox.StandardButton.Yes).click()
    assert requested(engine, qtbot) == {"do": "stop"}


def test_enter_does_not_end_a_session(window, engine, qtbot):
    press(window, qtbot, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    (box,) = window.findChildren(QMessageBox)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not window.findChildren(QMessageBox), timeout=LIMIT_MS)
    back_to(window, qtbot)
    press(window, qtbot, Qt.Key.Key_1)
    assert requested(engine, qtbot) == {"do": "mark", "text": "start"}


def test_keys_change_how_traces_and_head_are_drawn(window, qtbot):
    controls, head = window.presenter.traces["eeg"].controls, window.views.head_map
    controls.restore({"scale": 100.0, "unit": "µV"})
    press(window, qtbot, Qt.Key.Key_Plus)
    assert controls.settings()["scale"] == 50.0
    press(window, qtbot, Qt.Key.Key_Equal)
    assert controls.settings()["scale"] == 20.0
    press(window, qtbot, Qt.Key.Key_Minus)
    assert controls.settings()["scale"] == 50.0
    press(window, qtbot, Qt.Key.Key_V)
    assert window.presenter.traces["eeg"].rows.settings()["visible"] == 4
    for key, what, box in (
        (Qt.Key.Key_F, "filter", controls.filter_box),
        (Qt.Key.Key_N, "notch", controls.notch_box),
        (Qt.Key.Key_W, "span_s", controls.span_box),
    ):
        begun, seen = controls.settings()[what], set()
        for _ in range(box.count()):
            press(window, qtbot, key)
            seen.add(controls.settings()[what])
        assert len(seen) == box.count()
        assert controls.settings()[what] == begun
    press(window, qtbot, Qt.Key.Key_E)
    assert head.mode == "evidence"
    before = head.band
    press(window, qtbot, Qt.Key.Key_D)
    assert head.band != before


def test_marker_buttons_get_other_texts_and_keep_them(window, engine, open_window, qtbot):
    press(window, qtbot, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    (dialog,) = window.findChildren(MarkerDialog)
    texts = ["eyes open", "", "eyes & mouth", "w" * 60, "x" * 60, "y" * 60, "z" * 60]
    for field, text in zip(dialog.fields, texts, strict=False):
        field.setText(text)
    dialog.accept()
    back_to(window, qtbot)
    button = window.controls.button("marker-2")
    assert button.text() == "2  eyes && mouth"
    assert window.controls.button("marker-6").isVisible()
    assert not window.controls.button("marker-7").isVisible()
    press(window, qtbot, Qt.Key.Key_2)
    assert requested(engine, qtbot) == {"do": "mark", "text": "eyes & mouth"}
    press(window, qtbot, Qt.Key.Key_7)
    press(window, qtbot, Qt.Key.Key_1)
    assert requested(engine, qtbot, 2) == {"do": "mark", "text": "eyes open"}  # 7 has no text any more
    window.resize(1366, 768)
    assert window.width() == 1366  # long texts are cut, they do not widen the window
    assert open_window().remembered.markers[:2] == ("eyes open", "eyes & mouth")


def test_a_right_click_on_a_marker_button_edits_the_texts(window):
    window.controls.button("marker-1").customContextMenuRequested.emit(QPoint())
    (dialog,) = window.findChildren(MarkerDialog)
    dialog.reject()
    assert window.remembered.markers == ("start", "stop", "artefact")


def test_several_sessions_can_be_chosen_from(window, session, qtbot):
    assert not window.sessions.isVisible()
    other = FakeSession()
    try:
        qtbot.waitUntil(window.sessions.isVisible, timeout=LIMIT_MS)
        assert window.client.facts.session_id == session.session_id  # who comes later takes no place
        press(window, qtbot, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
        shown = lambda: window.client.facts and window.client.facts.session_id  # noqa: E731
        qtbot.waitUntil(lambda: shown() == other.session_id, timeout=LIMIT_MS)
        feed(window, other, qtbot)
        qtbot.waitUntil(lambda: other.session["outlet_name"] in window.sessions.currentText())
    finally:
        other.close()
    qtbot.waitUntil(lambda: shown() == session.session_id, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: not window.sessions.isVisible(), timeout=LIMIT_MS)


def test_a_held_estimate_is_not_taken_for_one_of_now(window, session, qtbot):
    block = window.views.answer.blocks["eeg", "emotion"]

    def shown():
        session.estimate((0.1, 0.2, 0.7))
        return block.said.headline == "POSITIVE"

    qtbot.waitUntil(shown, timeout=LIMIT_MS)
    press(window, qtbot, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: "view frozen for" in block.toolTip(), timeout=LIMIT_MS)
    assert (block.said.headline, block.said.tone) == ("POSITIVE", "frozen")
    press(window, qtbot, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: "frozen" not in block.toolTip(), timeout=LIMIT_MS)


def test_freezing_the_view_holds_it_and_goes_on(window, session, qtbot):
    qtbot.waitUntil(session.eeg.have_consumers, timeout=LIMIT_MS)
    view = window.presenter.traces["eeg"]
    drawn = lambda: view.grab().toImage()  # noqa: E731
    press(window, qtbot, Qt.Key.Key_P)
    assert window.actions_by_name["freeze"].isChecked()
    window.presenter.frame()
    before = drawn()
    reader = window.client.readers["eeg"]
    received = reader.received
    session.send("eeg", 0.5)
    qtbot.waitUntil(lambda: reader.received > received, timeout=LIMIT_MS)
    window.presenter.frame()
    assert drawn() == before
    press(window, qtbot, Qt.Key.Key_P)

    def moved():
        session.send("eeg", 0.1)
        return drawn() != before

    qtbot.waitUntil(moved, timeout=LIMIT_MS)


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_the_bottom_row_leaves_the_room_to_the_views(window, qtbot, size):
    window.resize(*size)
    bars = window.views.answer.blocks["eeg", "emotion"].bars
    qtbot.waitUntil(lambda: bars._shown == 3, timeout=LIMIT_MS)  # none of the classes is left out
    assert window.controls.height() <= 130
    assert window.views.latency.height() <= 130


def test_screenshot_is_a_new_file_each_time(window, qtbot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(window, qtbot, Qt.Key.Key_S)
    press(window, qtbot, Qt.Key.Key_S)
    files = sorted(tmp_path.glob("bci_m2s-*.png"))
    assert len(files) == 2
    assert all(QImage(str(file)).width() == 1600 for file in files)
    assert str(files[0].parent) in window.messages.shown.text


def test_full_screen_and_back(window, qtbot):
    press(window, qtbot, Qt.Key.Key_F11)
    assert window.isFullScreen()
    assert window.actions_by_name["fullscreen"].isChecked()
    press(window, qtbot, Qt.Key.Key_F11)
    assert not window.isFullScreen()


def test_theme_changes_what_is_drawn_and_is_remembered(window, qtbot, open_window):
    before = window.grab().toImage().pixelColor(3, 3).lightness()
    press(window, qtbot, Qt.Key.Key_T)
    assert window.theme.name == "light"
    assert window.grab().toImage().pixelColor(3, 3).lightness() > before + 100
    window.close()
    assert open_window().theme.name == "light"


def test_help_lists_every_key(window, qtbot):
    press(window, qtbot, Qt.Key.Key_F1)
    (dialog,) = window.findChildren(KeysDialog)
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert all(spec.key in texts and spec.help in texts for spec in SPECS.values())
    assert "Write the marker 'stop'." in texts
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in dialog.findChildren(QLabel))
    dialog.close()


def test_closing_leaves_the_session_alone(window, engine, qtbot):
    press(window, qtbot, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()
    assert engine.requests == []


def test_what_was_chosen_is_remembered(window, open_window, store):
    traces = window.presenter.traces["eeg"].rows
    traces.restore({"span_s": 20})
    settings = traces.settings()
    window.close()
    store.sync()
    again = open_window(window.client.facts.session_id)
    assert str(again.presenter.trace_settings["span_s"]) == str(settings["span_s"])


# ---- what is shown ----


def test_an_estimate_and_why_there_is_none(window, session, qtbot):
    blocks = window.views.answer.blocks

    def says(place, word, **estimate):
        def look():
            session.estimate(modality=place, **estimate)
            return word in blocks[place, "emotion"].toolTip() + blocks[place, "emotion"].accessibleName()

        qtbot.waitUntil(look, timeout=LIMIT_MS)

    says("eeg", "POSITIVE", probabilities=(0.1, 0.2, 0.7))
    why = {"modality": "eye", "head": "emotion", "reason": "track lost 80 % of the step"}
    feed(window, session, qtbot, latest=[why])
    says("eye", "track lost 80 %", probabilities=None)


def test_timeline_plane_and_age_take_estimates(window, session, qtbot):
    def shown():
        session.estimate((0.0, 0.0, 1.0))
        return window.views.plane.is_now and "ms" in window.views.latency.words

    qtbot.waitUntil(shown, timeout=LIMIT_MS)
    assert window.views.timeline.combo.count() == 2


def test_bad_channels_are_greyed_named_and_crossed(window, session, qtbot):
    bad = session.stream("eeg", state="warn", bad_channels={"T8": "flat", "O1": "noisy"})
    feed(window, session, qtbot, streams=[bad, session.stream("eye")])
    view = window.presenter.traces["eeg"]
    assert view.rows.states == {"T8": "flat", "O1": "noisy"}
    assert window.views.head_map._bad == {"T8", "O1"}
    table = window.views.table.table
    cells = [table.item(0, column).text() for column in range(table.columnCount())]
    assert any("T8" in cell for cell in cells)


def test_markers_reach_the_timeline_once(window, session, qtbot):
    now_s = window.client.status_received_s
    markers = [[now_s, "stimulus 7", "lab"], ["nonsense"], [None, "x", "y"], 3]
    feed(window, session, qtbot, markers=markers)
    feed(window, session, qtbot, markers=markers)
    assert window.views.timeline.markers == ["stimulus 7"]


def test_the_past_is_loaded_from_the_engine(session, engine, open_window, qtbot):
    row = {"classes": list(CLASSES), "t": [0.0], "p": [[0.2, 0.3, 0.5]], "share": [1.0]}
    engine.history = {"bin_s": 1.0, "lines": {"eeg": {"emotion": row}}, "markers": [[1e9, "early", "lab"]]}
    window = open_window(session.session_id)
    qtbot.waitUntil(lambda: window.client.facts is not None, timeout=LIMIT_MS)
    feed(window, session, qtbot)
    qtbot.waitUntil(lambda: "early" in window.views.timeline.markers, timeout=LIMIT_MS)


# ---- when things go wrong ----


def test_the_engine_dies_and_another_returns(window, session, engine, qtbot):
    window.presenter.traces["eeg"].rows.restore({"span_s": 20})
    engine.close()
    session.close()
    qtbot.waitUntil(lambda: window.client.is_silent, timeout=LIMIT_MS)
    qtbot.waitUntil(lambda: not window.actions_by_name["record"].isEnabled(), timeout=LIMIT_MS)
    other = FakeSession()
    served = Engine(other.session_id)
    try:
        found = lambda: window.client.facts.session_id == other.session_id  # noqa: E731
        qtbot.waitUntil(found, timeout=LIMIT_MS)
        feed(window, other, qtbot)
        qtbot.waitUntil(lambda: window.actions_by_name["record"].isEnabled(), timeout=LIMIT_MS)
        press(window, qtbot, Qt.Key.Key_1)
        assert requested(served, qtbot) == {"do": "mark", "text": "start"}
        assert window.presenter.traces["eeg"].rows.settings()["span_s"] == 20  # what was chosen stays
    finally:
        served.close()
        other.close()


def test_an_engine_that_cannot_be_started_is_said_once(open_window, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first_start, "EngineProcess", refuse)
    window = open_window()
    window.first_start._start(Offer(Path("x.yaml"), "x"), {"eeg": "cap"})
    assert window.messages.shown.kind == "error"
    assert "No space left" in window.messages.shown.text
    assert window.first_start.engine is None
    assert not window.first_start._may_start  # else it would be tried and said every two seconds


def test_the_head_shows_the_eeg_whatever_comes_first():
    def stream(modality, type_, n):
        labels = tuple(f"{modality}{number}" for number in range(n))
        return StreamFacts(modality, modality, 250.0, labels, ("",) * n, type=type_)

    def mapped(*streams):
        facts = SessionFacts.model_construct(streams={stream.modality: stream for stream in streams})
        found = mapped_stream(facts)
        return found and found.modality

    heart, brain = stream("ecg", "ECG", 12), stream("brain", "eeg", 8)
    assert mapped(heart, brain) == "brain"
    assert mapped(heart, stream("eeg", "", 8)) == "eeg"
    assert mapped(heart) == "ecg"
    assert mapped(stream("eeg", "EEG", 2)) is None


def test_an_ended_session_says_so(window, session, qtbot):
    feed(window, session, qtbot, ended="stopped by Ctrl-C")
    block = window.views.answer.blocks["eeg", "emotion"]
    words = lambda: block.toolTip() + block.accessibleName()  # noqa: E731
    qtbot.waitUntil(lambda: "stopped by Ctrl-C" in words(), timeout=LIMIT_MS)
    assert not window.actions_by_name["record"].isEnabled()


def test_another_machines_session_is_view_only(session, open_window, qtbot):
    window = open_window(session.session_id)  # nobody serves its commands here
    feed(window, session, qtbot)
    assert not window.actions_by_name["record"].isEnabled()
    says = window.views.status.items["access"]
    qtbot.waitUntil(lambda: "view only" in says.text() and says.isVisible(), timeout=LIMIT_MS)
    assert "view only" in window.controls.field.placeholderText()
    window.mark("x")
    assert "view only" in window.messages.shown.text


@pytest.mark.parametrize(
    "nonsense",
    [
        {"streams": 5, "recording": [], "markers": {}, "latest": "no"},
        {"streams": [None, {"modality": 3, "bad_channels": []}], "recording": {"bytes": "many"}},
        {"elapsed_s": "long", "take": 7, "problems": [1, 2], "state": {}},
        {"streams": [{"modality": "eeg", "bad_channels": {"T8": 7}, "rate_hz": 1e400, "lost": 10**400}]},
    ],
)
def test_nonsense_from_the_network_changes_nothing(window, session, qtbot, nonsense):
    feed(window, session, qtbot, **nonsense)
    feed(window, session, qtbot)
    assert window.arrangement.main.isVisibleTo(window)


def test_html_from_the_network_is_text(open_window, qtbot):
    evil = "<img src=x><b>bold</b>"
    session = FakeSession(model={"name": evil, "simulated": False})
    try:
        window = open_window(session.session_id)
        qtbot.waitUntil(lambda: window.client.facts is not None, timeout=LIMIT_MS)
        feed(window, session, qtbot, markers=[[window.client.status_received_s, evil, evil]])
        holding = [label for label in window.findChildren(QLabel) if "<img" in label.text()]
        assert holding
        assert all(label.textFormat() is Qt.TextFormat.PlainText for label in holding)
    finally:
        session.close()


@pytest.mark.qt_no_exception_capture
def test_an_uncaught_error_is_shown_and_logged(window, qtbot, tmp_path):
    def fail():
        raise ZeroDivisionError("of all things")

    with log_to(tmp_path / "panel.log"), errors_shown(window):
        logging.getLogger("bci_m2s").setLevel(logging.WARNING)
        QTimer.singleShot(0, fail)
        shown = lambda: window.messages.shown and "of all things" in window.messages.shown.text  # noqa: E731
        qtbot.waitUntil(shown, timeout=LIMIT_MS)
        window.messages.dismiss()
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        qtbot.waitUntil(shown, timeout=LIMIT_MS)
    assert window.isVisible()
    assert "ZeroDivisionError: of all things" in (tmp_path / "panel.log").read_text()


class StartedEngine:
    """Stands for a process that the panel started and that still runs."""

    pipeline, status = "demo", None


def test_closing_asks_about_a_session_that_was_started_from_here(window, engine, qtbot):
    window.first_start.engine = StartedEngine()
    window.close()
    assert window.isVisible()
    (box,) = window.findChildren(QMessageBox)
    next(button for button in box.buttons() if button.text() == "End it").click()
    assert not window.isVisible()
    assert requested(engine, qtbot) == {"do": "stop"}


def test_a_session_that_was_started_from_here_may_go_on(window, engine):
    window.first_start.engine = StartedEngine()
    window.close()
    (box,) = window.findChildren(QMessageBox)
    box.defaultButton().click()
    assert not window.isVisible()
    assert engine.requests == []


# ---- load ----


@pytest.mark.live
@pytest.mark.nightly
def test_ten_thousand_samples_a_second_for_half_a_minute_do_not_pile_up(open_window, qtbot):
    session = FakeSession(eeg_rate_hz=10_000.0)
    try:
        window = open_window(session.session_id)
        qtbot.waitUntil(lambda: bool(window.presenter.traces), timeout=LIMIT_MS)
        qtbot.waitUntil(session.eeg.have_consumers, timeout=LIMIT_MS)
        reader, waiting = window.client.readers["eeg"], []
        begun_s = sent_s = time.monotonic()
        while sent_s - begun_s < 30:
            qtbot.wait(20)
            now_s = time.monotonic()
            session.send("eeg", now_s - sent_s)
            sent_s = now_s
            waiting.append(reader.waiting)
        qtbot.waitUntil(lambda: reader.received + reader.dropped >= 299_000, timeout=LIMIT_MS)
        third = len(waiting) // 3
        assert np.median(waiting[-third:]) <= np.median(waiting[:third]) + 1000
        assert max(waiting) <= 3 * 10_000 + 1024  # what is kept at most, were nobody to take it
    finally:
        session.close()


def test_a_small_screen_lets_the_map_give_way_and_a_narrow_one_stacks(window, qtbot):
    window.resize(1920, 1080)
    qtbot.waitUntil(lambda: window.arrangement.has_map, timeout=LIMIT_MS)
    window.resize(1366, 768)
    qtbot.waitUntil(lambda: not window.arrangement.has_map, timeout=LIMIT_MS)
    assert window.arrangement.main.orientation() is Qt.Orientation.Horizontal
    window.resize(1000, 1000)
    stacked = lambda: window.arrangement.main.orientation() is Qt.Orientation.Vertical  # noqa: E731
    qtbot.waitUntil(stacked, timeout=LIMIT_MS)
    for width, height in ((1920, 1080), (1366, 768)):
        window.resize(width, height)
        assert (window.width(), window.height()) == (width, height)  # nothing demands more room
