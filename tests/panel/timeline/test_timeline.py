"""The timeline: what it keeps of a session in bounded memory, and that it paints what it keeps."""

import json
import math

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from support.pictures import colours_of, pixels, place_px, value_of

from bci_m2s.colours import class_colour
from bci_m2s.engine.history import History
from bci_m2s.panel.look.theme import DARK, LIGHT
from bci_m2s.panel.timeline.bins import (
    FIRST_BIN_S,
    MOST_BINS,
    Bins,
    State,
    extent_s,
    history_rows,
    tick_step_s,
)
from bci_m2s.panel.timeline.timeline import MOST_MARKERS, TimelineView
from bci_m2s.types import Estimate, Stamps, Status

CLASSES = ("negative", "neutral", "positive")
BEGIN_S = 1000.0
SHARES = np.array([0.2, 0.3, 0.5])


def states_of(bins, now_s, seen_from_s=0.0, step_s=1.0):
    states, _ = bins.columns(np.arange(0.0, now_s + step_s, step_s), now_s, seen_from_s)
    return [State(state).name for state in states]


# ---- bins ----


def test_bins_hold_mean_probabilities():
    bins = Bins(CLASSES)
    bins.add(0.1, SHARES)
    bins.add(0.2, SHARES[::-1])
    states, means = bins.columns(np.array([0.0, 0.5]), 0.5, 0.0)
    assert states.tolist() == [State.GOOD]
    assert means[0] == pytest.approx([0.35, 0.3, 0.35])


def test_holes_silence_the_unseen_and_the_future_are_told_apart():
    bins = Bins(CLASSES)
    for number in range(40):
        bins.add(10 + 0.25 * number, SHARES if number < 20 else None, "14 of 62 channels bad")
    assert states_of(bins, 26.0, seen_from_s=10.0) == (
        ["UNSEEN"] * 10 + ["GOOD"] * 5 + ["NONE"] * 7 + ["SILENT"] * 4
    )
    states, means = bins.columns(np.array([20.0, 30.0, 40.0]), 22.0, 0.0)
    assert State(states[1]) is State.FUTURE
    assert not means.any()
    assert bins.reason(16.0) == "14 of 62 channels bad"
    assert bins.reason(11.0) == ""


def test_an_estimate_a_second_leaves_no_holes():
    bins = Bins(CLASSES)
    for number in range(30):
        bins.add(number * 1.03, SHARES)
    assert set(states_of(bins, 30.0, step_s=0.5)[:-1]) == {"GOOD"}


def test_a_column_of_many_bins_says_of_what_most_are():
    bins = Bins(CLASSES)
    for number in range(400):
        bins.add(0.25 * number, None if 40 <= 0.25 * number < 48 else SHARES)
    wide, means = bins.columns(np.array([0.0, 40.0, 50.0, 60.0]), 100.0, 0.0)
    assert [State(state).name for state in wide] == ["GOOD", "NONE", "GOOD"]
    assert means[2] == pytest.approx(SHARES)


def test_bins_double_when_they_are_used_up():
    bins = Bins(CLASSES)
    for t_s in np.arange(0.0, 2 * MOST_BINS * FIRST_BIN_S, 0.5):
        bins.add(float(t_s), SHARES if t_s < 600 else None, "gap")
    assert bins.bin_s == 2 * FIRST_BIN_S
    _, means = bins.columns(np.array([0.0, 1.0]), 2000.0, 0.0)
    assert means[0] == pytest.approx(SHARES)
    states = states_of(bins, 1999.0)
    assert states[:600] == ["GOOD"] * 600
    assert set(states[600:]) == {"NONE"}
    assert bins.reason(700.0) == "gap"


@pytest.mark.parametrize("t_s", [math.nan, math.inf, -1.0, 1e12])
def test_broken_stamps_are_ignored(t_s):
    bins = Bins(CLASSES)
    bins.add(t_s, SHARES)
    assert bins.bin_s == FIRST_BIN_S
    assert "GOOD" not in states_of(bins, 10.0)


def test_a_history_fills_only_what_was_not_seen():
    bins = Bins(CLASSES)
    bins.add(5.2, SHARES)
    t_s, other = np.arange(10.0), np.array([1.0, 0.0, 0.0])
    for _ in range(2):  # loading it twice changes nothing
        bins.fill(1.0, t_s, np.tile(other, (10, 1)), np.where(t_s < 8, 1.0, 0.0))
    states, means = bins.columns(np.arange(11.0), 10.0, 0.0)
    assert [State(state).name for state in states] == ["GOOD"] * 8 + ["NONE"] * 2
    assert means[3] == pytest.approx(other)
    assert means[5] == pytest.approx(SHARES)


def test_a_coarse_history_makes_the_bins_coarse():
    bins = Bins(CLASSES)
    bins.fill(8.0, np.arange(0.0, 8000.0, 8.0), np.tile(SHARES, (1000, 1)), np.ones(1000))
    assert bins.bin_s == 8.0
    assert set(states_of(bins, 7990.0, step_s=8.0)[:-1]) == {"GOOD"}


@pytest.mark.parametrize(
    ("row", "bin_s"),
    [
        (None, 1.0),
        ([], 1.0),
        ({}, 1.0),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0]]}, 1.0),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0]], "share": [1.0, 1.0]}, 1.0),
        ({"classes": ["a", "b"], "t": [1.0], "p": [[1.0]], "share": [1.0]}, 1.0),
        ({"classes": ["a"], "t": ["x"], "p": [[1.0]], "share": [1.0]}, 1.0),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0]], "share": [1.0]}, "wide"),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0]], "share": [1.0]}, 0.0),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0]], "share": [1.0]}, math.nan),
        ({"classes": ["a"], "t": [1.0], "p": [[1.0], [1.0, 2.0]], "share": [1.0]}, 1.0),
        ({"classes": [], "t": [], "p": [], "share": []}, 1.0),
        ({"classes": ["a"] * 65, "t": [1.0], "p": [[0.0] * 65], "share": [1.0]}, 1.0),
        ({"classes": ["a"], "t": [10**400], "p": [[1.0]], "share": [1.0]}, 1.0),
        ({"classes": "ab", "t": 1.0, "p": 2.0, "share": None}, 1.0),
    ],
)
def test_malformed_rows_are_left_out(row, bin_s):
    assert history_rows(row, bin_s) is None


def test_null_is_nan():
    row = {"classes": ["a", "b"], "t": [1.0, 2.0], "p": [[None, None], [0.5, 0.5]], "share": [0.0, 1.0]}
    _, _, _, means, _ = history_rows(row, 1.0)
    assert np.isnan(means[0]).all()


# ---- the axis ----


def test_the_axis_grows_in_steps_from_a_minute():
    assert [extent_s(value) for value in (0, 60, 61, 100, 3600, 3601)] == [60, 60, 90, 120, 3600, 4500]
    elapsed = np.arange(60.0, 30 * 3600.0, 7.0)
    ratio = np.array([extent_s(float(value)) for value in elapsed]) / elapsed
    assert ratio.min() >= 1.0
    assert ratio.max() <= 1.51


def test_ticks_are_round():
    assert [tick_step_s(value, 10) for value in (60, 600, 7200)] == [10, 60, 900]


# ---- the view ----


@pytest.fixture
def view(qtbot):
    made = TimelineView(DARK)
    qtbot.addWidget(made)
    made.resize(900, 150)
    made.show()
    qtbot.waitExposed(made)
    return made


def feed(view, until_s, begin_s=0.0, shares=SHARES, line="emotion", reason=""):
    for t_s in np.arange(begin_s, until_s, 0.25).tolist():
        view.add(line, BEGIN_S + t_s, shares, reason)


def x_of(view, t_s):
    return place_px(view.canvas, t_s, 0.5).x()


def column_of(view, t_s):
    """Pixels from the probability 1 down to 0 at a moment."""
    top, bottom = (round(place_px(view.canvas, t_s, share).y()) for share in (1.0, 0.0))
    return pixels(view.canvas)[top + 1 : bottom, int(x_of(view, t_s))]


def texts_of(items):
    return [item.toPlainText() for item in items if item.isVisible()]


def test_an_empty_timeline_says_what_will_be_there(view):
    view.tick(BEGIN_S)
    assert view.canvas.describe(5.0) == ()
    assert class_colour(0).upper() not in colours_of(view)


def test_probabilities_are_stacked_in_their_colours_and_proportions(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 40.0)
    view.tick(BEGIN_S + 40.0)
    column = column_of(view, 20.0)
    shares = [np.mean(column == value_of(class_colour(place))) for place in range(3)]
    assert shares == pytest.approx(SHARES, abs=0.05)
    assert column[-2] == value_of(class_colour(0))  # the first class is at the bottom
    future = set(column_of(view, 50.0).tolist())
    assert not {value_of(class_colour(place)) for place in range(3)} & future


def test_what_is_painted_piece_by_piece_is_what_is_painted_at_once(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    rng = np.random.default_rng(0)
    for t_s in np.arange(0.0, 150.0, 0.35).tolist():
        if not 50 < t_s < 58:
            view.add("emotion", BEGIN_S + t_s, None if 20 < t_s < 30 else rng.dirichlet((1, 1, 1)))
        view.tick(BEGIN_S + t_s)
    view.tick(BEGIN_S + 150.5)
    grown = pixels(view.canvas)
    view.canvas._paint()
    assert np.array_equal(grown, pixels(view.canvas))


def test_what_comes_late_is_painted_in_its_place(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    view.tick(BEGIN_S)
    view.tick(BEGIN_S + 30.0)
    late = value_of(class_colour(0))
    assert late not in pixels(view.canvas)
    feed(view, 20.0, begin_s=10.0)
    view.tick(BEGIN_S + 31.0)
    there = (pixels(view.canvas) == late).any(axis=0)
    assert there[int(x_of(view, 11.0)) : int(x_of(view, 19.0))].all()


def test_it_is_drawn_twice_a_second_at_most_and_no_more_than_is_in_view(view, monkeypatch):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 50.0)
    view.tick(BEGIN_S + 50.0)
    columns_of = []
    bins = view._lines["emotion"]
    columns = bins.columns
    monkeypatch.setattr(bins, "columns", lambda *args: columns_of.append(len(args[0])) or columns(*args))
    feed(view, 51.0, begin_s=50.0)
    view.tick(BEGIN_S + 50.2)
    assert columns_of == []
    view.tick(BEGIN_S + 51.0)
    assert len(columns_of) == 1
    assert columns_of[0] <= view.canvas.width() * view.devicePixelRatioF()


def test_the_user_can_look_at_a_part_and_go_back_to_the_whole(view, qtbot):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 50.0)
    view.tick(BEGIN_S + 50.0)
    view.canvas.getViewBox().setXRange(20.0, 30.0, padding=0)
    assert x_of(view, 20.0) < 0.1 * view.width()
    assert x_of(view, 30.0) > 0.9 * view.width()
    feed(view, 70.0, begin_s=50.0)
    view.tick(BEGIN_S + 70.0)  # the whole is longer now, what is looked at stays
    assert view.canvas.getViewBox().viewRange()[0] == pytest.approx([20.0, 30.0])
    qtbot.mouseDClick(view.canvas.viewport(), Qt.MouseButton.LeftButton)
    assert view.canvas.getViewBox().viewRange()[0] == pytest.approx([0.0, 90.0])
    feed(view, 95.0, begin_s=70.0)
    view.tick(BEGIN_S + 95.0)  # the whole stays the whole
    assert view.canvas.getViewBox().viewRange()[0] == pytest.approx([0.0, 120.0])


def test_a_probability_is_never_above_one_or_below_zero_however_the_user_drags(view):
    view.tick(BEGIN_S)
    view.canvas.getViewBox().setRange(xRange=(-500.0, 500.0), yRange=(-5.0, 5.0))
    (begin_s, end_s), (low, high) = view.canvas.getViewBox().viewRange()
    assert (begin_s, end_s, low) == pytest.approx((0.0, 60.0, 0.0))
    assert high < 2.0


@pytest.mark.parametrize(
    ("reason", "said"), [("signal 3.2 s old", "no estimate: signal 3.2 s old"), ("", "no estimate")]
)
def test_the_mouse_tells_time_probabilities_reasons_and_markers(view, reason, said):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 20.0)
    feed(view, 30.0, begin_s=20.0, shares=None, reason=reason)
    view.add_marker(BEGIN_S + 10.0, "clip <b>1</b>")
    view.tick(BEGIN_S + 40.0)
    assert view.canvas.describe(10.05) == (
        "0:10",
        "negative 0.20",
        "neutral 0.30",
        "positive 0.50",
        "marker clip <b>1</b>",
    )
    assert view.canvas.describe(25.05) == ("0:25", said)
    assert view.canvas.describe(35.05) == ("0:35", "nothing came")
    assert view.canvas.describe(50.05) == ("0:50",)
    assert view.canvas.describe(-0.3) == ()


def test_the_tooltip_is_plain_text(view, monkeypatch):
    shown = []
    monkeypatch.setattr("bci_m2s.panel.look.plot.QToolTip.showText", lambda *args: shown.append(args[1]))
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 20.0)
    view.add_marker(BEGIN_S + 10.0, "<img src=x>")
    view.tick(BEGIN_S + 20.0)
    view.canvas.scene().sigMouseMoved.emit(view.canvas.getViewBox().mapViewToScene(QPointF(10.0, 0.5)))
    assert "&lt;img src=x&gt;" in shown[0]
    assert "0.50" in shown[0]


def test_what_the_panel_did_not_see_is_said(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 50.0, begin_s=30.0)
    view.tick(BEGIN_S + 50.0)
    assert view.canvas.describe(10.05) == ("0:10", "not seen by this panel")
    assert texts_of(view.canvas._words) == ["not seen by this panel"]


def engine_history(heads, until_s=30):
    """As the engine sends it: estimates for 10 s, none for 10 s, estimates again."""
    history = History(heads)
    for number in range(4 * until_s):
        for head, classes in heads.items():
            is_ok = not 40 <= number < 80
            shares = np.full(len(classes), 1 / len(classes) if is_ok else math.nan)
            status, stamps = Status.OK if is_ok else Status.GAP, Stamps(published_s=BEGIN_S + 0.25 * number)
            history.add(Estimate("eeg", head, 0, 0, 0.0, 0.0, status, "", shares, 0.5, stamps=stamps))
    history.mark(BEGIN_S + 5.0, "clip 1", "operator")
    sent = json.loads(json.dumps(history.as_json()))
    return {**sent, "lines": sent["lines"][""]}


def test_a_history_fills_the_past_of_a_panel_that_starts_late(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 50.0, begin_s=30.0)
    for _ in range(2):
        view.load_history(engine_history({"emotion": CLASSES}))
    view.tick(BEGIN_S + 50.0)
    assert view.canvas.describe(5.05)[1:] == (
        "negative 0.33",
        "neutral 0.33",
        "positive 0.33",
        "marker clip 1",
    )
    assert view.canvas.describe(15.05) == ("0:15", "no estimate")
    assert view.canvas.describe(40.05)[1] == "negative 0.20"


def test_a_history_of_several_lines_finds_its_places(view):
    heads = {"valence": ("low", "high"), "arousal": ("calm", "mid", "wild")}
    view.set_heads(heads)
    view.set_session(BEGIN_S)
    view.load_history(engine_history({**heads, "other": ("a", "b")}))
    view.tick(BEGIN_S + 30.0)
    for line, names in heads.items():
        view.combo.setCurrentText(line)
        assert view.canvas.describe(5.05)[1].startswith(names[0]), line
    assert view.combo.count() == 2


@pytest.mark.parametrize(
    "history",
    [
        {},
        {"lines": 3},
        {"lines": {"emotion": 3}, "bin_s": 1},
        {"lines": {3: {}, "emotion": []}, "bin_s": None, "markers": 5},
        {
            "markers": [
                3,
                [],
                ["x", "y"],
                [math.nan, "t", ""],
                [10**400, "t"],
                [None, 1, 2],
                [BEGIN_S, None],
            ]
        },
        {"lines": {"emotion": {"classes": ["other"], "t": [1], "p": [[1]], "share": [1]}}, "bin_s": 1},
    ],
)
def test_a_malformed_history_does_no_harm(view, history):
    view.load_history(history)
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    view.load_history(history)
    feed(view, 50.0, begin_s=30.0)
    view.tick(BEGIN_S + 50.0)
    assert view.canvas.describe(10.05)[1] == "not seen by this panel"
    assert view.canvas.describe(40.05)[1] == "negative 0.20"


def test_the_combo_chooses_among_lines(view):
    view.set_heads({"emotion": CLASSES})
    assert view.combo.isHidden()
    view.set_heads({"valence": ("low", "high"), "arousal": ("calm", "wild")})
    assert not view.combo.isHidden()
    view.set_session(BEGIN_S)
    feed(view, 20.0, line="valence", shares=np.array([0.4, 0.6]))
    feed(view, 20.0, line="arousal", shares=np.array([0.1, 0.9]))
    feed(view, 20.0, line="nonsense", shares=np.array([0.1, 0.9]))
    view.tick(BEGIN_S + 20.0)
    assert view.canvas.describe(10.05) == ("0:10", "low 0.40", "high 0.60")
    view.combo.setCurrentText("arousal")
    assert view.canvas.describe(10.05) == ("0:10", "calm 0.10", "wild 0.90")
    assert view.legend.accessibleName() == "classes: calm, wild"
    assert view.combo.findText("nonsense") < 0


def test_another_session_begins_empty_and_the_same_told_again_does_not(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 20.0)
    view.add_marker(BEGIN_S + 5.0, "clip 1")
    view.set_session(BEGIN_S + 0.3)
    view.tick(BEGIN_S + 20.0)
    assert len(view.canvas.describe(5.05)) == 5
    view.set_session(BEGIN_S + 30.0)
    view.tick(BEGIN_S + 40.0)
    assert not [line for line in view.canvas.describe(5.05) if "clip" in line or "0.20" in line]


def test_stamps_of_the_far_future_are_ignored(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    view.tick(BEGIN_S)
    view.add("emotion", BEGIN_S + 1e5, SHARES)
    view.add("emotion", math.nan, SHARES)
    assert view._lines["emotion"].bin_s == FIRST_BIN_S


def test_a_marker_told_again_is_one_marker_and_their_number_is_bounded(view):
    view.set_session(BEGIN_S)
    for _ in range(3):
        view.add_marker(BEGIN_S + 1.0, "first")
    assert len(view._markers) == 1
    for number in range(MOST_MARKERS + 50):
        view._keep_marker(BEGIN_S + 2.0 + number, f"marker {number}")
    assert len(view._markers) == MOST_MARKERS
    assert not [key for key in view._markers if key[1] == "first"]


def test_texts_of_markers_do_not_overlap(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    for number in range(40):
        view.add_marker(BEGIN_S + 1.5 * number, f"clip {number} with a long name")
    view.tick(BEGIN_S + 60.0)
    view.grab()
    shown = [item for item in view.canvas._texts if item.isVisible()]
    rooms = [item.mapRectToScene(item.boundingRect()).adjusted(1, 1, -1, -1) for item in shown]
    assert len(rooms) >= 10
    assert not [1 for room in rooms for other in rooms if room is not other and room.intersects(other)]
    assert all(room.right() <= view.canvas.width() for room in rooms)
    assert shown[0].toPlainText().startswith("clip 39")  # the newest comes first


def test_another_theme_has_other_colours(view):
    view.set_heads({"emotion": CLASSES})
    view.set_session(BEGIN_S)
    feed(view, 20.0)
    view.tick(BEGIN_S + 20.0)
    assert value_of(LIGHT.surface) not in pixels(view.canvas)
    view.set_theme(LIGHT)
    assert value_of(LIGHT.surface) in pixels(view.canvas)
    assert value_of(DARK.surface) not in pixels(view.canvas)
