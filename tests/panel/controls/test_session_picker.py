"""The list of sessions: there where there is a choice, and only then."""

import pytest

from bci_m2s.panel.client.facts import parse_session
from bci_m2s.panel.controls.session_picker import SessionPicker, session_name


def session(number, text="{}"):
    return parse_session(text, f"uid-{number}", "lab-pc", float(number), f"run-{number}")


@pytest.fixture
def picker(qtbot):
    made = SessionPicker()
    qtbot.addWidget(made)
    return made


def test_one_session_is_no_choice(picker):
    picker.show_sessions([], "")
    assert picker.isHidden()
    picker.show_sessions([session(1)], "uid-1")
    assert picker.isHidden()


def test_the_one_that_is_shown_is_picked_and_the_next_follows_in_a_circle(picker, qtbot):
    sessions = [session(3), session(2), session(1)]
    picker.show_sessions(sessions, "uid-2")
    assert not picker.isHidden()
    assert picker.currentText() == "run-2 · lab-pc"
    with qtbot.waitSignal(picker.chosen, timeout=120_000) as emitted:
        picker.take_next()
    assert emitted.args == ["uid-1"]
    assert picker.currentText() == "run-2 · lab-pc"  # until it is shown
    picker.show_sessions(sessions, "uid-1")
    with qtbot.waitSignal(picker.chosen, timeout=120_000) as emitted:
        picker.take_next()
    assert emitted.args == ["uid-3"]


def test_showing_sessions_chooses_none(picker, qtbot):
    with qtbot.assertNotEmitted(picker.chosen):
        picker.show_sessions([session(1), session(2)], "uid-2")
        picker.show_sessions([session(2)], "uid-2")
        picker.take_next()


def test_names_say_who_and_where_and_are_never_html(picker):
    text = '{"participant": "sub-07", "model": {"name": "<b>m</b>"}}'
    one = session(1, text)
    assert session_name(one) == "sub-07 · <b>m</b> · lab-pc"
    picker.show_sessions([one, session(2)], "uid-1")
    assert "<b>" not in picker.toolTip()
    assert "&lt;b&gt;" in picker.toolTip()


def test_a_strangers_session_is_marked(picker):
    picker.show_sessions([session(2), session(1)], "uid-2", own={"uid-2"})
    assert picker.itemText(0) == "run-2 · lab-pc"
    assert picker.itemText(1) == "run-1 · lab-pc · not a session of this user"
