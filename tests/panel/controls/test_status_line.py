"""The status line: recorded or not is never in doubt, trouble is named, only a failed recording blinks."""

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QToolTip

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.panel.controls.status_line import (
    Doubts,
    StatusLine,
    bytes_text,
    doubted,
    long_text,
    status_items,
)
from bci_m2s.panel.look.theme import DARK, LIGHT

STREAM = {
    "name": "EEG",
    "state": "ok",
    "lost": 0,
    "clock_offset_s": 0.0001,
    "problem": "",
    "bad_channels": {},
}
RECORDING = {
    "file": "session.xdf", "bytes": 184_000_000, "samples": 800, "waiting_bytes": 0, "lost_samples": 0,
    "problem": "", "free_bytes": 41_000_000_000, "seconds_left": 170_000.0,
}  # fmt: skip
STATUS = {
    "state": "ok", "elapsed_s": 754.2, "problems": [], "streams": [STREAM], "recording": RECORDING,
    "ended": "", "take": {"session": "sub-01_run-02", "number": 2, "folder": "take-2"},
}  # fmt: skip
SESSION = {"mode": "live", "model": {"name": "demo", "simulated": False}, "session_id": "abc"}


def said(status=None, session=SESSION, **how):
    return status_items({**STATUS, **(status or {})}, SessionDescription.lenient(session), **how)


def show(view, status, session, now_s, received_s=None):
    described = SessionDescription.lenient(session) if session else None
    view.show_status(status, described, now_s, now_s if received_s is None else received_s)


def test_without_a_session_none_is_waited_for():
    assert status_items({}, None)["session"].text == "no session"
    assert "state" not in status_items({}, None)
    assert "waiting" in status_items({}, SessionDescription.lenient(SESSION))["state"].text


@pytest.fixture
def view(qtbot):
    made = StatusLine(DARK)
    qtbot.addWidget(made)
    made.resize(1366, 40)
    made.show()
    return made


def test_a_good_session_is_quiet():
    items = said()
    assert items["session"].text == "sub-01_run-02 take 2"
    assert items["model"].text == "model demo"
    assert "simulated" not in items
    assert (items["recording"].text, items["recording"].state) == ("● REC 0:12:34  184 MB", "accent")
    assert items["disk"].text == "disk 41 GB, 47 h left"
    assert items["clock"].text == "clock ok ±0.1 ms"
    assert items["lost"].text == "lost 0"
    assert (items["state"].text, items["state"].state) == ("● ok", "ok")
    assert {item.state for item in items.values()} <= {"", "muted", "accent", "ok"}


def test_what_is_simulated_is_said():
    assert said(session={**SESSION, "model": {"name": "m", "simulated": True}})["simulated"].state == "warn"
    signals = said(session={**SESSION, "simulated_signals": {"seed": 0}})["simulated"]
    assert signals.details == "the signals are simulated"


def test_a_replay_is_said():
    assert said(session={**SESSION, "mode": "replay"})["session"].text == "sub-01_run-02 take 2 · replay"


def test_no_recording_is_said_in_words():
    items = said({"recording": None})
    assert items["recording"].text == "○ not recording"
    assert items["disk"].text == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"problem": "No space left on device"}, "No space left"),
        ({"lost_samples": 12}, "12 samples were not"),
    ],
)
def test_a_failed_recording_is_red_and_blinks(changes, words):
    status = {"recording": {**RECORDING, **changes}}
    steady, blink = (said(status, blink=blink)["recording"] for blink in (False, True))
    assert steady.text == blink.text  # nothing moves
    assert words in steady.text
    assert (steady.state, blink.state) == ("bad", "")


@pytest.mark.parametrize("status", [{}, {"state": "bad", "problems": ["the GPU failed"]}, {"ended": "x"}])
def test_nothing_else_blinks(status):
    assert said(status, blink=True) == said(status, blink=False)


def test_a_disk_that_fills_up_is_amber():
    full = {**RECORDING, "seconds_left": 300.0}
    assert (said({"recording": full})["disk"].text, said({"recording": full})["disk"].state) == (
        "▲ disk 41 GB, 5 min left",
        "warn",
    )
    assert said({"recording": {**RECORDING, "free_bytes": 900_000_000}})["disk"].state == "warn"


def test_clocks_and_losses():
    unknown = {"streams": [STREAM, {**STREAM, "clock_offset_s": None}]}
    assert (said(unknown)["clock"].text, said(unknown)["clock"].state) == ("▲ clock unknown", "warn")
    far = {"streams": [STREAM, {**STREAM, "clock_offset_s": -412.3, "lost": 1312}]}
    assert said(far)["clock"].text == "clock ok ±412 s"
    assert (said(far)["lost"].text, said(far)["lost"].state) == ("▲ lost 1,312", "warn")
    assert said({"streams": [{"name": "EEG"}]})["clock"].text == ""


def test_the_worst_state_names_its_cause():
    silent = {**STREAM, "name": "Tobii", "state": "bad"}
    flat = {**STREAM, "state": "warn", "bad_channels": {"T8": "flat"}}
    assert said({"state": "bad", "streams": [flat, silent]})["state"].text == "■ problem: Tobii is silent"
    assert said({"state": "warn", "streams": [flat]})["state"].text == "▲ check: EEG: 1 bad channel"
    failed = said({"state": "bad", "problems": ["estimates.csv: No space left"]})["state"]
    assert failed.text == "■ problem: estimates.csv: No space left"


def test_a_drift_is_named():
    drift = {"distance": 1.7, "is_beyond": True, "drivers": "T7 beta, gamma"}
    state = said({"state": "warn", "streams": [{**STREAM, "state": "warn", "drift": drift}]})["state"]
    assert state.text == "▲ check: EEG: drift from the training: T7 beta, gamma"


def test_a_session_that_ended_says_why():
    items = said({"ended": "stopped by the operator"}, silent_s=60.0)
    assert items["state"].text == "○ ended: stopped by the operator"
    assert items["recording"].text == "○ recorded 0:12:34  184 MB"


def test_an_engine_that_says_nothing_is_found_out(view):
    show(view, STATUS, SESSION, 102.9, received_s=100.0)
    assert view.items["state"].full_text == "● ok"
    show(view, STATUS, SESSION, 108.2, received_s=100.0)
    assert view.items["state"].full_text == "■ engine silent for 8 s"
    assert view.items["recording"].full_text == "▲ REC? last seen 0:12:34  184 MB"
    show(view, STATUS, SESSION, 108.5)
    assert view.items["state"].full_text == "● ok"


def test_blinking_is_once_a_second(view):
    status = {**STATUS, "recording": {**RECORDING, "problem": "gone"}}
    seen = []
    for quarter in range(8):
        show(view, status, SESSION, 10.0 + quarter / 4)
        seen.append(view.items["recording"].styleSheet() == f"color: {DARK.bad}")
    assert seen == [True, True, False, False] * 2


def test_before_a_session_it_says_so(view):
    assert view.items["session"].full_text == "no session"
    show(view, {}, {}, 5.0)
    assert view.items["session"].full_text == "no session"
    show(view, {}, SESSION, 5.0)
    assert "waiting" in view.items["state"].full_text
    assert not view.items["recording"].isVisible()


def test_everything_fits_at_1366_px(view, qtbot):
    long = {**STREAM, "name": "A very long amplifier name " * 4, "state": "bad"}
    status = {**STATUS, "state": "bad", "streams": [long]}
    status["recording"] = {**RECORDING, "problem": "No space left on device, " * 5}
    show(view, status, {**SESSION, "model": {"name": "m" * 100, "simulated": True}}, 1.0)
    qtbot.waitUntil(lambda: view.items["state"].geometry().right() <= 1366, timeout=120_000)
    assert view.width() == 1366
    cut = {name for name, item in view.items.items() if item.text() != item.full_text}
    assert cut <= {"session", "model", "recording", "state"}
    assert view.items["recording"].text().startswith("■ REC FAILED")


def test_a_click_shows_the_details(view, qtbot):
    show(view, STATUS, SESSION, 1.0)
    qtbot.mouseClick(view.items["recording"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "session.xdf" in QToolTip.text(), timeout=120_000)


def test_a_theme_changes_the_colours(view):
    show(view, STATUS, SESSION, 1.0)
    view.set_theme(LIGHT)
    assert view.items["state"].styleSheet() == f"color: {LIGHT.ok}"


NONSENSE = [None, 3, -1, float("nan"), "<b>x</b>", [], [1, "a", None], {}, {"a": {}}, True, 1e300]


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_survived(view, value):
    for key in STATUS:
        show(view, {**STATUS, key: value}, SESSION, 1.0)
    for key in RECORDING:
        show(view, {**STATUS, "recording": {**RECORDING, key: value}}, SESSION, 1.0)
    for key in STREAM:
        show(view, {**STATUS, "streams": [{**STREAM, key: value}, value]}, SESSION, 1.0)
    for key in (*SESSION, "simulated_signals", "participant"):
        show(view, STATUS, {**SESSION, key: value}, 1.0)
    assert view.items["recording"].full_text.startswith("● REC")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1200, "1.2 kB"),
        (41e9, "41 GB"),
        (999.6e6, "1.0 GB"),
        (2.5e12, "2.5 TB"),
    ],
)
def test_sizes(value, text):
    assert bytes_text(value) == text


def test_times():
    assert [long_text(s) for s in (480, 7200, 300_000)] == ["8 min", "2 h", "3 days"]


def test_a_strangers_ok_is_not_green_and_its_problems_are_shown():
    doubts = Doubts(stranger="it is on another machine, 'lab-2'")
    good = doubted(said(), doubts)
    assert good["state"].state == good["access"].state == "muted"
    assert "not a session of this user" in good["access"].text
    assert "lab-2" in good["state"].details
    assert "ok" not in {item.state for item in good.values()}
    bad = said({"state": "bad", "problems": ["no signal"]})
    assert doubted(bad, doubts)["state"] == bad["state"]


def test_two_outlets_of_one_source_id_are_a_warning_that_names_them(view):
    twins = "two outlets claim one source id: 'a' on 'x' [1] and 'b' on 'y' [2] (id)"
    described = SessionDescription.lenient(SESSION)
    view.show_status(STATUS, described, 1.0, 1.0, doubts=Doubts(twins=twins))
    assert view.items["state"].full_text == f"▲ {twins}"
    assert view.items["state"].shown.state == "warn"
    bad = said({"state": "bad", "problems": ["no signal"]})
    assert doubted(bad, Doubts(twins=twins))["state"] == bad["state"]  # what is worse stays
    view.show_status(STATUS, described, 1.0, 1.0)
    assert view.items["state"].full_text == "● ok"
