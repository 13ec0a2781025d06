"""Labels that cut, tooltips without markup, work beside the window."""

import threading

import pytest
from PyQt6.QtCore import QObject, Qt

from bci_m2s.panel.look.background import Background
from bci_m2s.panel.look.text import ElidedLabel, shape, tip


def test_a_label_is_cut_where_its_place_ends(qtbot):
    label = ElidedLabel("a rather long sentence that does not fit")
    qtbot.addWidget(label)
    label.show()
    label.resize(80, 20)
    assert label.text().endswith("…")
    assert label.full_text.endswith("fit")
    label.resize(label.sizeHint())
    assert label.text() == label.full_text
    assert label.textFormat() == Qt.TextFormat.PlainText


def test_a_label_says_when_it_may_shrink(qtbot):
    free, fixed = ElidedLabel("a rather long sentence", 30), ElidedLabel("a rather long sentence", None)
    qtbot.addWidget(free)
    qtbot.addWidget(fixed)
    assert free.minimumSizeHint().width() == 30
    assert fixed.minimumSizeHint() == fixed.sizeHint()


def test_a_tooltip_is_plain():
    assert tip("<b>a</b>\nb\x07") == "<qt>&lt;b&gt;a&lt;/b&gt;<br>b?</qt>"
    assert tip("") == ""
    assert len(tip("x" * 100_000)) < 3000


def test_every_state_has_a_shape_of_its_own():
    assert len({shape(state) for state in ("ok", "warn", "bad", "")}) == 4


def test_work_is_done_elsewhere_and_reported_here(qtbot):
    owner, reported = QObject(), []
    background = Background(owner)
    background.start(
        threading.current_thread,
        lambda thread: reported.append((thread, threading.current_thread())),
        reported.append,
    )
    assert background.busy
    qtbot.waitUntil(lambda: bool(reported), timeout=120_000)
    worker, reporter = reported[0]
    assert worker is not reporter
    assert reporter is threading.current_thread()
    assert not background.busy
    assert not background._timer.isActive()


def test_a_failure_is_reported(qtbot):
    owner, reported = QObject(), []

    def fail():
        raise ValueError("no")

    Background(owner).start(fail, lambda _: reported.append(None), reported.append)
    qtbot.waitUntil(lambda: bool(reported), timeout=120_000)
    assert isinstance(reported[0], ValueError)


def test_nothing_is_reported_to_an_owner_that_is_gone(qtbot):
    owner, reported, go_on = QObject(), [], threading.Event()
    background = Background(owner)
    background.start(lambda: go_on.wait(120), reported.append, reported.append)
    owner.deleteLater()
    with qtbot.waitSignal(owner.destroyed, timeout=120_000):
        pass
    go_on.set()
    with pytest.raises(RuntimeError):
        background._timer.isActive()  # deleted with its owner
    qtbot.wait(100)
    assert reported == []
