"""The message bar: an info goes by itself, an error waits for a person, the list keeps both."""

import pytest
from PyQt6.QtCore import Qt

from bci_m2s.panel.controls.messages import KEEP, LONGEST, STAYS_S, MessageBar
from bci_m2s.panel.look.theme import DARK, LIGHT


@pytest.fixture
def bar(qtbot):
    made = MessageBar(DARK)
    qtbot.addWidget(made)
    made.resize(800, 30)
    made.show()
    return made


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize(("kind", "sign"), [("info", ""), ("warn", "▲ ")])
def test_news_and_refusals_go_by_themselves(bar, qtbot, kind, sign, monkeypatch):
    assert STAYS_S[kind] >= 5
    monkeypatch.setitem(STAYS_S, kind, 0.05)
    bar.notify("marker 'x' recorded", kind)
    assert bar.label.full_text == f"{sign}marker 'x' recorded"
    assert not bar.dismiss_button.isVisible()
    qtbot.waitUntil(lambda: bar.label.full_text == "", timeout=120_000)
    assert [message.text for message in bar.history] == ["marker 'x' recorded"]


def test_an_error_stays_until_it_is_dismissed(bar, qtbot, monkeypatch):
    monkeypatch.setitem(STAYS_S, "info", 0.001)
    bar.notify("before")
    bar.notify("the disk is full", "error")
    bar.notify("after")
    qtbot.wait(30)
    assert bar.shown.text == "the disk is full"
    assert bar.label.full_text == "■ the disk is full"
    press(qtbot, bar.dismiss_button)
    assert bar.label.full_text == ""
    assert not bar.dismiss_button.isVisible()
    assert [message.text for message in bar.history] == ["before", "the disk is full", "after"]


def test_errors_are_counted(bar, qtbot):
    for number in range(3):
        bar.notify(f"error {number}", "error")
    assert bar.label.full_text == "■ error 2  (and 2 more)"
    press(qtbot, bar.dismiss_button)
    bar.notify("again", "error")
    assert bar.label.full_text == "■ again"


def test_the_list_has_the_newest_first_and_an_end(bar, qtbot):
    for number in range(KEEP + 20):
        bar.notify(f"info {number}")
    press(qtbot, bar.list_button)
    assert bar.popup.isVisible()
    rows = bar.popup
    assert rows.count() == KEEP
    assert rows.item(0).text().endswith(f"info {KEEP + 19}")
    assert rows.item(KEEP - 1).text().endswith("info 20")
    bar.popup.close()


def test_text_is_plain_and_not_endless(bar):
    bar.notify("<img src=x>\nline\x1b[2J" + "y" * 10_000, "error")
    assert bar.label.textFormat() == Qt.TextFormat.PlainText
    assert bar.shown.text.startswith("<img src=x> line?[2J")
    assert len(bar.shown.text) == LONGEST
    assert "<img" not in bar.label.toolTip()


def test_a_theme_changes_the_colour(bar):
    bar.notify("x", "error")
    bar.set_theme(LIGHT)
    assert bar.label.styleSheet() == f"color: {LIGHT.bad}"
