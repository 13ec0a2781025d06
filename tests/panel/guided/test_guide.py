"""A guided session in the panel: what the experimenter and the participant see, and what they ask for."""

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QGuiApplication
from support.pictures import pixels, value_of

from bci_m2s.panel.guided.guide import GuideStrip
from bci_m2s.panel.guided.participant import FORE, ParticipantWindow
from bci_m2s.panel.guided.pictograms import pictogram
from bci_m2s.panel.guided.step import read_step
from bci_m2s.panel.look.theme import DARK

SAM = {"scale": "valence", "kind": "sam", "words": "How pleasant?", "points": 9, "choices": []}
CHOICE = {"scale": "emotion", "kind": "choice", "words": "What?", "points": 9, "choices": ["sad", "happy"]}
TEXT = {"scale": "note", "kind": "text", "words": "Anything?", "points": 9, "choices": []}


def status(**changes):
    state = {
        "name": "films",
        "step": "trial",
        "text": "Watch.",
        "trial": 3,
        "trials": 12,
        "seconds_left": 4.4,
        "is_paused": False,
        "question": None,
    }
    return {"protocol": {**state, **changes}}


@pytest.fixture
def sent():
    return []


@pytest.fixture
def strip(qtbot, sent):
    made = GuideStrip(DARK, sent.append)
    qtbot.addWidget(made)
    yield made
    made.close_participant()


def test_a_session_that_is_not_guided_shows_nothing(strip):
    strip.show_status({}, True)
    assert strip.isHidden()
    assert strip.participant is None


def test_the_experimenter_reads_the_step_and_asks_for_changes(strip, sent, qtbot):
    strip.show_status(status(check=["EEG: 60 of 62 channels good"]), True)
    assert strip.words.text() == "films: trial 3 of 12, 4 s"
    assert strip.lines.text() == "EEG: 60 of 62 channels good"
    for action in ("pause", "repeat", "exclude", "skip"):
        qtbot.mouseClick(strip.buttons[action], Qt.MouseButton.LeftButton)
    strip.show_status(status(is_paused=True), True)
    assert strip.buttons["pause"].text() == "Go on"
    qtbot.mouseClick(strip.buttons["pause"], Qt.MouseButton.LeftButton)
    assert [request["action"] for request in sent] == ["pause", "repeat", "exclude", "skip", "resume"]


def test_a_panel_that_may_only_look_shows_the_participant_nothing(strip):
    strip.show_status(status(), False)
    assert not strip.buttons["pause"].isEnabled()
    assert strip.participant is None


def test_the_participants_window_goes_with_the_session(strip):
    strip.show_status(status(), True)
    assert strip.participant.isVisible()
    strip.show_status({**status(), "ended": "the protocol is complete"}, True)
    assert strip.participant is None


def test_on_one_screen_the_participants_window_leaves_room_for_the_panel_and_fills_it_on_request(
    strip, qtbot
):
    strip.show_status(status(), True)
    window, room = strip.participant, QGuiApplication.primaryScreen().availableGeometry()
    assert not window.isFullScreen()
    assert window.width() <= room.width() / 2 + 1
    assert room.top() + room.height() / 8 < window.y()
    assert window.y() + window.height() < room.bottom() - room.height() / 4
    qtbot.mouseClick(strip.fill, Qt.MouseButton.LeftButton)
    assert window.isFullScreen()
    strip.show_status(status(), True)
    assert not strip.fill.isVisible()
    for key, is_full in ((Qt.Key.Key_Escape, False), (Qt.Key.Key_F11, True), (Qt.Key.Key_F11, False)):
        qtbot.keyClick(window, key)
        assert window.isFullScreen() is is_full
    strip.show_status(status(question=SAM), True)
    assert strip.fill.isVisible()
    small = window.buttons[0].iconSize().width()
    window.fill_screen(True)
    window.resize(1600, 900)
    strip.show_status(status(question=SAM), True)
    assert window.buttons[0].iconSize().width() > small


def test_a_question_is_of_a_trial_not_one_of_some_questions(strip):
    strip.show_status(status(step="question", trial=1, trials=3, question=SAM), True)
    assert strip.words.text().endswith(f": question after trial 1 of 3: {SAM['words']}")


@pytest.mark.parametrize(
    ("question", "key", "value"),
    [(SAM, Qt.Key.Key_7, "7"), (CHOICE, Qt.Key.Key_2, "2"), (CHOICE, Qt.Key.Key_9, "")],
)
def test_keys_answer(strip, sent, qtbot, question, key, value):
    strip.show_status(status(question=question), True)
    window = strip.participant
    assert window.words.text() == question["words"]
    qtbot.keyClick(window, key)
    qtbot.keyClick(window, key)  # a second press is no second answer
    expected = [{"do": "protocol", "action": "answer", "value": value}] if value else []
    assert sent == expected


def test_buttons_and_text_answer(strip, sent, qtbot):
    strip.show_status(status(question=SAM), True)
    window = strip.participant
    assert len(window.buttons) == 9
    qtbot.mouseClick(window.buttons[0], Qt.MouseButton.LeftButton)
    strip.show_status(status(question=TEXT), True)
    assert window.buttons == []
    qtbot.keyClicks(window.field, "a bit tired")
    qtbot.keyClick(window.field, Qt.Key.Key_Return)
    assert [request["value"] for request in sent] == ["1", "a bit tired"]
    strip.show_status(status(), True)
    assert window.words.text() == "Watch."
    assert not window.field.isVisible()


def test_the_participant_sees_a_cross_and_no_label(qtbot):
    window = ParticipantWindow()
    qtbot.addWidget(window)
    window.resize(400, 300)
    window.show_step(read_step(status(cross=True, text="Look.")))
    assert window.words.text() == ""
    bright = pixels(window) == value_of(FORE)
    assert bright.sum() > 200
    assert abs(int(bright.any(axis=1).sum()) - int(bright.any(axis=0).sum())) <= 2  # as high as wide


def test_pictures_of_a_scale_differ():
    for scale in ("valence", "arousal", "dominance", "other"):
        images = [
            pictogram(scale, share, 64, QColor("#FFFFFF")).pixmap(64).toImage() for share in (0, 0.5, 1)
        ]
        assert images[0] != images[1] != images[2]


@pytest.mark.parametrize(
    "state",
    [
        {"question": {"kind": "other"}},
        {"question": 3, "trial": "x", "trials": -1, "seconds_left": "soon"},
        {"check": [1, None, "a" * 5000], "text": "b" * 5000},
        {"question": {**SAM, "points": 1e9}},
        {"question": {**CHOICE, "choices": list(range(100))}},
    ],
)
def test_what_the_network_says_is_read_with_care(strip, state):
    strip.show_status(status(**state), True)
    assert strip.isVisible()
    assert len(strip.participant.buttons) <= 9


def test_a_participants_window_that_was_closed_comes_back_with_a_question(strip):
    strip.show_status(status(), True)
    strip.participant.close()
    strip.show_status(status(), True)
    assert strip.participant.isHidden()
    strip.show_status(status(question=SAM), True)
    assert strip.participant.isVisible()
