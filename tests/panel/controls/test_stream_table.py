"""The stream table: each fact in words and with a shape, cells that change in place, nonsense survived."""

import pytest
from PyQt6.QtGui import QColor

from bci_m2s.panel.controls.stream_table import COLUMNS, EMPTY, StreamTable, row_cells
from bci_m2s.panel.look.theme import DARK, LIGHT

GOOD = {
    "modality": "eeg", "name": "actiCHamp-1", "state": "ok", "rate_hz": 1000.0, "measured_hz": 1000.02,
    "samples": 5000, "lost": 0, "age_s": 0.0062, "problem": "", "bad_channels": {},
    "clock_offset_s": 0.00012, "baseline": {"state": "complete", "seconds_left": 0.0},
}  # fmt: skip
MARKERS = {**GOOD, "modality": "markers", "name": "Presentation", "rate_hz": 0.0, "measured_hz": None}


@pytest.fixture
def table(qtbot):
    made = StreamTable(DARK)
    qtbot.addWidget(made)
    made.resize(900, 100)
    made.show()
    return made


def test_how_far_the_signal_is_from_the_trainings_fits_into_the_small_window(table):
    table.resize(640, 100)  # of 1366 pixels
    eye = {**GOOD, "modality": "eye", "name": "Simulated eye tracker"}
    rows = [{**one, "drift": {"distance": 0.424}} for one in ({**GOOD, "name": "Simulated EEG"}, eye)]
    table.show_status({"streams": rows}, {"eeg": 62, "eye": 5})
    text = shown(table, 0, "quality").text()
    assert "drift 0.42" in text
    needed = table.fontMetrics().horizontalAdvance(text)
    assert needed + 10 < table.table.columnWidth(COLUMNS.index("quality"))


def cell(name, n_channels=62, **changes):
    return row_cells({**GOOD, **changes}, {"eeg": n_channels})[COLUMNS.index(name)]


def shown(table, row, name):
    return table.table.item(row, COLUMNS.index(name))


@pytest.mark.parametrize(
    ("column", "changes", "text", "state"),
    [
        ("stream", {}, "actiCHamp-1", ""),
        ("quality", {"drift": {"distance": 0.424}}, "● 62 of 62 good; drift 0.42 of limit 1", "ok"),
        (
            "quality",
            {"state": "warn", "drift": {"distance": 1.7, "drivers": "T7 beta"}},
            "▲ 62 of 62 good; drift 1.70 of limit 1: T7 beta",
            "warn",
        ),
        ("quality", {"drift": {"distance": "nonsense"}}, "● 62 of 62 good", "ok"),
        ("rate", {}, "1000.0 of 1000 Hz", ""),
        ("rate", {"measured_hz": 985.0}, "▲ 985.0 of 1000 Hz", "warn"),
        ("rate", {"measured_hz": 940.0}, "■ 940.0 of 1000 Hz", "bad"),
        ("rate", {"measured_hz": None}, "1000 Hz, measuring", "muted"),
        ("rate", {"rate_hz": 0.0}, "irregular", "muted"),
        ("lost", {}, "0", ""),
        ("lost", {"lost": 1312}, "▲ 1,312", "warn"),
        ("age", {}, "6 ms", ""),
        ("age", {"age_s": 3.24}, "3.2 s", ""),
        ("age", {"age_s": 600.0}, "10 min", ""),
        ("age", {"age_s": None}, "–", "muted"),
        ("clock", {}, "+0.12 ms", ""),
        ("clock", {"clock_offset_s": -12.4}, "-12.4 s", ""),
        ("clock", {"clock_offset_s": None}, "–", "muted"),
        ("baseline", {}, "● complete", "ok"),
        ("baseline", {"baseline": {"state": "collecting", "seconds_left": 22.6}}, "▲ 23 s left", "warn"),
        ("baseline", {"baseline": {"state": "waiting"}}, "▲ waiting", "warn"),
        ("baseline", {"baseline": {"state": "none"}}, "none", "muted"),
        ("quality", {}, "● 62 of 62 good", "ok"),
        (
            "quality",
            {"state": "warn", "bad_channels": {"T8": "flat", "Fp1": "noisy"}},
            "▲ 60 of 62 good (T8 flat, Fp1 noisy)",
            "warn",
        ),
        ("quality", {"state": "bad", "problem": "signal 3.2 s old"}, "■ signal 3.2 s old", "bad"),
        ("quality", {"state": "bad"}, "■ silent: no samples; is the sender running?", "bad"),
        ("quality", {"state": "warn", "lost": 3}, "▲ samples were lost", "warn"),
    ],
)
def test_each_fact_is_said(column, changes, text, state):
    assert cell(column, **changes)[:2] == (text, state)


def test_many_bad_channels_are_counted_and_all_in_the_tooltip():
    bad = {f"C{number}": "flat" for number in range(9)}
    text, _, details = cell("quality", state="warn", bad_channels=bad)
    assert text == "▲ 53 of 62 good (C0 flat, C1 flat, C2 flat, C3 flat and 5 more)"
    assert "C8: flat" in details


def test_without_a_channel_count_the_bad_ones_are_counted():
    assert (
        cell("quality", n_channels=0, state="warn", bad_channels={"T8": "flat"})[0] == "▲ 1 bad (T8 flat)"
    )


def test_a_row_each_and_the_height_follows(table):
    assert table.empty.text() == EMPTY
    assert table.empty.isVisible()
    table.show_status({"streams": [GOOD]}, {"eeg": 62})
    low = table.height()
    assert not table.empty.isVisible()
    table.show_status({"streams": [GOOD, MARKERS, {**GOOD, "name": "third"}]}, {"eeg": 62})
    assert table.table.rowCount() == 3
    assert table.height() > low
    assert shown(table, 1, "stream").text() == "Presentation"
    table.show_status({"streams": [GOOD] * 12}, {})
    assert table.height() < low + 3 * 40  # more than four rows scroll
    table.show_status({}, {})
    assert table.empty.isVisible()


def test_cells_change_in_place(table):
    table.show_status({"streams": [GOOD, MARKERS]}, {"eeg": 62})
    before = [shown(table, 0, name) for name in COLUMNS]
    table.show_status({"streams": [{**GOOD, "age_s": 3.2}, MARKERS]}, {"eeg": 62})
    assert [shown(table, 0, name) for name in COLUMNS] == before
    assert shown(table, 0, "age").text() == "3.2 s"


def test_columns_of_numbers_never_get_narrower(table):
    table.show_status({"streams": [{**GOOD, "lost": 1_234_567}]}, {})
    wide = table.table.columnWidth(COLUMNS.index("lost"))
    table.show_status({"streams": [GOOD]}, {})
    assert table.table.columnWidth(COLUMNS.index("lost")) == wide


def test_colours_follow_state_and_theme(table):
    table.show_status({"streams": [{**GOOD, "state": "bad", "problem": "x"}]}, {})
    assert shown(table, 0, "quality").foreground().color() == QColor(DARK.bad)
    table.set_theme(LIGHT)
    assert shown(table, 0, "quality").foreground().color() == QColor(LIGHT.bad)
    assert shown(table, 0, "stream").foreground().color() == QColor(LIGHT.text)


def test_streams_of_a_session_that_has_ended_alarm_nobody(table):
    waiting = {"state": "collecting", "seconds_left": 4.0}
    silent = {**GOOD, "state": "bad", "lost": 12, "measured_hz": 900.0, "baseline": waiting}
    table.show_status({"streams": [silent], "ended": "the protocol is complete"}, {"eeg": 62})
    assert shown(table, 0, "quality").text() == "○ ended"
    assert "silent" in shown(table, 0, "quality").toolTip()
    assert shown(table, 0, "lost").text() == "12"  # what was counted stays
    assert {shown(table, 0, name).foreground().color().name() for name in COLUMNS} == {DARK.muted.lower()}
    table.show_status({"streams": [GOOD], "ended": ""}, {"eeg": 62})
    assert shown(table, 0, "quality").text() == "● 62 of 62 good"


def test_text_of_the_network_is_no_markup(table):
    table.show_status({"streams": [{**GOOD, "name": "<b>bold</b>\n\x07" + "x" * 5000}]}, {})
    item = shown(table, 0, "stream")
    assert item.text().startswith("<b>bold</b> ?x")
    assert len(item.text()) <= 200
    assert "<b>" not in item.toolTip()
    assert "&lt;b&gt;" in item.toolTip()


NONSENSE = [None, 3, -1, float("nan"), "x", [], [1, "a", None], {}, {"a": {}}, True, 1e300]


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_survived(table, value):
    table.show_status({"streams": value}, {})
    for key in GOOD:
        table.show_status({"streams": [{**GOOD, key: value}, value]}, {"eeg": 62})
        assert table.table.rowCount() >= 1
    table.show_status({"streams": [{**GOOD, "baseline": {"state": value, "seconds_left": value}}]}, {})
    table.show_status({"streams": [{**GOOD, "bad_channels": {"T8": value}}]}, {})


def test_what_a_stranger_calls_good_is_not_green(table):
    table.show_status({"streams": [GOOD]}, {"eeg": 62}, is_trusted=False)
    assert "ok" not in {state for _, state, _ in table._shown[0]}
