"""The whole window against real LSL outlets and a real command socket: every control does what it says.

The tests share one window and one session, and leave them as they were.
"""

import logging
import os
import threading

import pytest
from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QLabel, QMessageBox
from support.panel_windows import (
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

from bci_m2s.panel.app import errors_shown, log_to
from bci_m2s.panel.client.facts import SessionFacts, ShownStream, mapped_stream
from bci_m2s.panel.controls.actions import SPECS
from bci_m2s.panel.controls.dialogs import KeysDialog, MarkerDialog


@pytest.fixture(scope="module")
def shared(qapp, tmp_path_factory):
    """A session, its engine's command socket, and a panel that shows it."""
    assert qapp is not None
    with (
        own_style(),
        commanded_session() as (session, engine),
        panel_windows(tmp_path_factory.mktemp("panel")) as open_window,
    ):
        yield follow(open_window, session), session, engine


@pytest.fixture
def session(shared):
    return shared[1]


@pytest.fixture
def engine(shared):
    return shared[2]


@pytest.fixture
def window(shared):
    window, session, engine = shared
    engine.refusal = ""
    engine.requests.clear()
    window.resize(1600, 900)
    activate(window)
    feed(window, session)
    window.messages.dismiss()
    return window


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
        (Qt.Key.Key_2, Qt.KeyboardModifier.NoModifier, {"do": "mark", "text": "trial/start/neutral"}),
    ],
)
def test_keys_give_commands(window, engine, qtbot, key, modifier, request_):
    qtbot.keyClick(window, key, modifier)
    assert requested(engine) == request_
    until(lambda: window.messages.shown is not None)


def test_record_and_baseline_say_what_they_would_do(window, session, engine, qtbot):
    recording = {"file": "session.xdf", "bytes": 1000, "problem": "", "lost_samples": 0}
    collecting = session.stream("eeg", baseline={"state": "collecting", "seconds_left": 12.0})
    feed(window, session, recording=recording, streams=[collecting])
    assert window.actions_by_name["record"].text() == "End recording"
    assert window.actions_by_name["record"].isChecked()
    assert window.actions_by_name["baseline"].text() == "End baseline"
    qtbot.keyClick(window, Qt.Key.Key_R)
    assert requested(engine) == {"do": "record_off"}
    assert window.actions_by_name["record"].isChecked()  # until the engine says otherwise
    qtbot.keyClick(window, Qt.Key.Key_B)
    assert requested(engine, 2) == {"do": "baseline_end"}
    feed(window, session)
    assert not window.actions_by_name["record"].isChecked()


def test_free_text_becomes_a_marker(window, engine, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_M)
    field = window.controls.field
    until(lambda: field.hasFocus() or window.focusWidget() is field)
    qtbot.keyClicks(field, "person R yawns 2x")  # r, 2 and the rest are no commands here
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert requested(engine) == {"do": "mark", "text": "person R yawns 2x"}
    assert len(engine.requests) == 1
    assert field.text() == ""


def test_escape_writes_no_marker(window, engine, qtbot):
    window.controls.field.setFocus()
    qtbot.keyClicks(window.controls.field, "never mind")
    qtbot.keyClick(window.controls.field, Qt.Key.Key_Escape)
    qtbot.keyClick(window, Qt.Key.Key_1)
    assert requested(engine) == {"do": "mark", "text": "trial/start/negative"}


def test_a_refusal_is_shown(window, engine, qtbot):
    engine.refusal = "recording: got a full disk, expected some room"
    qtbot.keyClick(window, Qt.Key.Key_R)
    until(lambda: window.messages.shown is not None and "full disk" in window.messages.shown.text)
    assert not window.actions_by_name["record"].isChecked()


def test_ending_a_session_asks_first(window, engine, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    (box,) = window.findChildren(QMessageBox)
    assert engine.requests == []
    box.button(QMessageBox.StandardButton.No).click()
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    until(lambda: len(window.findChildren(QMessageBox)) > 0)
    box = window.findChildren(QMessageBox)[-1]
    box.button(QMessageBox.StandardButton.Yes).click()
    assert requested(engine) == {"do": "stop"}


def test_enter_does_not_end_a_session(window, engine, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    (box,) = window.findChildren(QMessageBox)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    until(lambda: not window.findChildren(QMessageBox))
    activate(window)
    qtbot.keyClick(window, Qt.Key.Key_1)
    assert requested(engine) == {"do": "mark", "text": "trial/start/negative"}


def test_keys_change_how_traces_and_head_are_drawn(window, qtbot):
    controls, head = window.presenter.traces["eeg"].controls, window.views.head_map
    controls.restore({"scale": 100.0, "unit": "µV"})
    qtbot.keyClick(window, Qt.Key.Key_Plus)
    assert controls.settings()["scale"] == 50.0
    qtbot.keyClick(window, Qt.Key.Key_Equal)
    assert controls.settings()["scale"] == 20.0
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    assert controls.settings()["scale"] == 50.0
    qtbot.keyClick(window, Qt.Key.Key_V)
    assert window.presenter.traces["eeg"].rows.settings()["visible"] == 4
    for key, what, box in (
        (Qt.Key.Key_F, "filter", controls.filter_box),
        (Qt.Key.Key_N, "notch", controls.notch_box),
        (Qt.Key.Key_W, "span_s", controls.span_box),
    ):
        begun, seen = controls.settings()[what], set()
        for _ in range(box.count()):
            qtbot.keyClick(window, key)
            seen.add(controls.settings()[what])
        assert len(seen) == box.count()
        assert controls.settings()[what] == begun
    qtbot.keyClick(window, Qt.Key.Key_E)
    assert head.mode == "evidence"
    before = head.band
    qtbot.keyClick(window, Qt.Key.Key_D)
    assert head.band != before


def test_a_right_click_on_a_marker_button_edits_the_texts(window):
    window.controls.button("marker-1").customContextMenuRequested.emit(QPoint())
    (dialog,) = window.findChildren(MarkerDialog)
    dialog.reject()
    shown = [field.text() for field in dialog.fields]
    assert shown[:3] == ["trial/start/negative", "trial/start/neutral", "trial/start/positive"]
    assert shown[3:7] == [*(text.replace("start", "stop") for text in shown[:3]), "baseline/start"]
    assert window.controls.button("marker-1").text().split() == ["1", "start", "negative"]
    assert window.remembered.markers == ()  # they follow the model until somebody writes others


def test_a_held_estimate_is_not_taken_for_one_of_now(window, session, qtbot):
    block = window.views.answer.blocks["eeg", "emotion"]

    def shown():
        session.estimate((0.1, 0.2, 0.7))
        return block.shown.headline == "POSITIVE"

    until(shown)
    qtbot.keyClick(window, Qt.Key.Key_P)
    until(lambda: "view frozen for" in block.toolTip())
    assert (block.shown.headline, block.shown.tone) == ("POSITIVE", "frozen")
    qtbot.keyClick(window, Qt.Key.Key_P)
    until(lambda: "frozen" not in block.toolTip())


def test_freezing_the_view_holds_it_and_goes_on(window, session, qtbot):
    until(session.eeg.have_consumers)
    view = window.presenter.traces["eeg"]
    drawn = lambda: view.grab().toImage()  # noqa: E731
    qtbot.keyClick(window, Qt.Key.Key_P)
    assert window.actions_by_name["freeze"].isChecked()
    window.presenter.frame()
    before = drawn()
    reader = window.client.readers["eeg"]
    received = reader.received
    session.send("eeg", 0.5)
    until(lambda: reader.received > received)
    window.presenter.frame()
    assert drawn() == before
    qtbot.keyClick(window, Qt.Key.Key_P)

    def moved():
        session.send("eeg", 0.1)
        return drawn() != before

    until(moved)


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_the_bottom_row_leaves_the_room_to_the_views(window, size):
    window.resize(*size)
    bars = window.views.answer.blocks["eeg", "emotion"].bars
    until(lambda: bars._shown == 3)  # none of the classes is left out
    assert window.controls.height() <= 140  # two rows of marker buttons
    assert window.views.latency.height() <= 140


def test_screenshot_is_a_new_file_each_time(window, qtbot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    qtbot.keyClick(window, Qt.Key.Key_S)
    qtbot.keyClick(window, Qt.Key.Key_S)
    files = sorted(tmp_path.glob("bci_m2s-*.png"))
    assert len(files) == 2
    assert all(QImage(str(file)).width() == 1600 for file in files)
    assert str(files[0].parent) in window.messages.shown.text


def test_full_screen_and_back(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    assert window.actions_by_name["fullscreen"].isChecked()
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert not window.isFullScreen()


def test_help_lists_every_key(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_F1)
    (dialog,) = window.findChildren(KeysDialog)
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert all(spec.key in texts and spec.help in texts for spec in SPECS.values())
    assert "Write the marker 'trial/stop/positive'." in texts
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in dialog.findChildren(QLabel))
    dialog.close()


# ---- what is shown ----


def test_an_estimate_and_why_there_is_none(window, session):
    blocks = window.views.answer.blocks

    def says(place, word, **estimate):
        def look():
            session.estimate(modality=place, **estimate)
            return word in blocks[place, "emotion"].toolTip() + blocks[place, "emotion"].accessibleName()

        until(look)

    says("eeg", "POSITIVE", probabilities=(0.1, 0.2, 0.7))
    why = {"modality": "eye", "head": "emotion", "reason": "track lost 80 % of the step"}
    feed(window, session, latest=[why])
    says("eye", "track lost 80 %", probabilities=None)


def test_timeline_plane_and_age_take_estimates(window, session):
    def shown():
        session.estimate((0.0, 0.0, 1.0))
        return window.views.plane.is_now and "ms" in window.views.latency.words

    until(shown)
    assert window.views.timeline.combo.count() == 2


def test_bad_channels_are_greyed_named_and_crossed(window, session):
    bad = session.stream("eeg", state="warn", bad_channels={"T8": "flat", "O1": "noisy"})
    feed(window, session, streams=[bad, session.stream("eye")])
    view = window.presenter.traces["eeg"]
    assert view.rows.states == {"T8": "flat", "O1": "noisy"}
    assert window.views.head_map._bad == {"T8", "O1"}
    table = window.views.table.table
    cells = [table.item(0, column).text() for column in range(table.columnCount())]
    assert any("T8" in cell for cell in cells)


def test_markers_reach_the_timeline_once(window, session):
    now_s = window.client.status_received_s
    markers = [[now_s, "stimulus 7", "lab"], ["nonsense"], [None, "x", "y"], 3]
    feed(window, session, markers=markers)
    feed(window, session, markers=markers)
    assert markers_of(window.views.timeline) == ["stimulus 7"]


# ---- when things go wrong ----


def test_the_head_shows_the_eeg_whatever_comes_first():
    def stream(modality, type_, n):
        labels = tuple(f"{modality}{number}" for number in range(n))
        return ShownStream(modality, modality, 250.0, labels, ("",) * n, type=type_)

    def mapped(*streams):
        facts = SessionFacts.model_construct(streams={stream.modality: stream for stream in streams})
        found = mapped_stream(facts)
        return found and found.modality

    heart, brain = stream("ecg", "ECG", 12), stream("brain", "eeg", 8)
    assert mapped(heart, brain) == "brain"
    assert mapped(heart, stream("eeg", "", 8)) == "eeg"
    assert mapped(heart) == "ecg"
    assert mapped(stream("eeg", "EEG", 2)) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"streams": 5, "recording": [], "markers": {}, "latest": "no"},
        {"streams": [None, {"modality": 3, "bad_channels": []}], "recording": {"bytes": "many"}},
        {"elapsed_s": "long", "take": 7, "problems": [1, 2], "state": {}},
        {"streams": [{"modality": "eeg", "bad_channels": {"T8": 7}, "rate_hz": 1e400, "lost": 10**400}]},
    ],
)
def test_nonsense_from_the_network_changes_nothing(window, session, nonsense):
    feed(window, session, **nonsense)
    feed(window, session)
    assert window.arrangement.main.isVisibleTo(window)


@pytest.mark.qt_no_exception_capture
def test_an_uncaught_error_is_shown_and_logged(window, tmp_path, caplog):
    def fail():
        raise ZeroDivisionError("of all things")

    with log_to(tmp_path / "panel.log"), errors_shown(window):
        caplog.set_level(logging.WARNING, logger="bci_m2s")  # for this test alone
        QTimer.singleShot(0, fail)
        shown = lambda: window.messages.shown and "of all things" in window.messages.shown.text  # noqa: E731
        until(shown)
        window.messages.dismiss()
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        until(shown)
    assert window.isVisible()
    assert "ZeroDivisionError: of all things" in (tmp_path / "panel.log").read_text()
    if os.name == "posix":
        assert (tmp_path / "panel.log").stat().st_mode & 0o777 == 0o600


def takes(window, width, height):
    """Whether the window takes a size; the map comes and goes when the event loop is next run."""
    window.resize(width, height)
    return (window.width(), window.height()) == (width, height)


def test_a_small_screen_lets_the_map_give_way_and_a_narrow_one_stacks(window):
    window.resize(1920, 1080)
    until(lambda: window.arrangement.has_map)
    window.resize(1366, 768)
    until(lambda: not window.arrangement.has_map)
    assert window.arrangement.main.orientation() is Qt.Orientation.Horizontal
    window.resize(900, 1000)
    stacked = lambda: window.arrangement.main.orientation() is Qt.Orientation.Vertical  # noqa: E731
    until(stacked)
    for width, height in ((1920, 1080), (1366, 768), (1280, 720), (1024, 768)):
        until(lambda size=(width, height): takes(window, *size), "something demands more room")
