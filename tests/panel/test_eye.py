"""Gaze and pupil: which channels they are, when the track is lost, what a row shows."""

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.look.theme import DARK, LIGHT
from bci_m2s.panel.traces.eye_layout import (
    Losses,
    eye_layout,
    loss_word,
    row_range,
    shown_values,
    still_fits,
)
from bci_m2s.panel.traces.eye_rows import EyeRows
from bci_m2s.panel.traces.sweep_view import SweepView
from bci_m2s.simulator.eye import LABELS, UNITS
from bci_m2s.simulator.session import SimulatedSession
from bci_m2s.simulator.settings import SimulatorSettings

RATE_HZ = 120.0
START_S = 50_000.0


@pytest.fixture(scope="module")
def session():
    return SimulatedSession(SimulatorSettings())


def open_view(qtbot, title="Tracker", labels=LABELS, units=UNITS, rate_hz=RATE_HZ):
    made = SweepView(DARK, EyeRows, ShownStream("eye", title, rate_hz, tuple(labels), tuple(units)))
    qtbot.addWidget(made)
    made.resize(700, 200)
    made.show()
    return made


@pytest.fixture
def view(qtbot):
    return open_view(qtbot)


def play(view, samples, start_s=START_S, chunk=5, now=False):
    times = start_s + np.arange(len(samples)) / RATE_HZ
    for start in range(0, len(samples), chunk):
        view.push(times[start : start + chunk], samples[start : start + chunk])
        view.frame(float(times[start : start + chunk][-1]) if now else None)


def pixels(view, rect=None):
    image = view.canvas.grab(rect or view.canvas.plot).toImage()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint32).reshape(image.height(), -1)[:, : image.width()].copy()


def rgb(colour):
    return 0xFF000000 | int(colour[1:], 16)


def test_channels_of_the_simulator():
    layout = eye_layout(LABELS, UNITS)
    assert [(row.name, row.unit, row.channels) for row in layout.rows] == [
        ("gaze x", "", (0,)),
        ("gaze y", "", (1,)),
        ("pupil", "mm", (2, 3)),
    ]
    assert layout.confidence == 4


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("confidence", "norm_pos_x", "norm_pos_y", "gaze_point_3d_x", "diameter0_2d", "diameter1_2d"),
         [("gaze x", (1,)), ("gaze y", (2,)), ("pupil", (4, 5))]),
        (("Gaze Point X", "Gaze Point Y"), [("gaze x", (0,)), ("gaze y", (1,))]),
        (("PupilDiameter",), [("pupil", (0,))]),
        (("left", "right"), [("left", (0,)), ("right", (1,))]),
        (tuple("abcdefgh"), [(name, (i,)) for i, name in enumerate("abcdef")]),
    ],
)  # fmt: skip
def test_channels_of_others(labels, expected):
    layout = eye_layout(labels, [""] * len(labels))
    assert [(row.name, row.channels) for row in layout.rows] == expected


def test_what_is_lost_is_not_drawn():
    layout = eye_layout(LABELS, UNITS)
    samples = np.array(
        [
            [0.5, 0.5, 4, 4, 0.9],
            [0.5, np.nan, 4, 4, 0.9],
            [0.5, 0.5, 4, 4, 0.2],
            [0.5, 0.5, 0, -1, 0.9],
            [0.5, 0.5, 0, 4, 0.9],
        ],
        dtype=np.float32,
    )
    values, lost, unseen = shown_values(layout, samples)
    assert list(lost) == [False, True, True, False, False]
    assert list(unseen) == [False, False, False, True, False]
    np.testing.assert_array_equal(values[3:, 2], [np.nan, np.nan])
    assert samples[3, 2] == 0  # the caller's own stays


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_losses_do_not_depend_on_chunks(chunk):
    rng = np.random.default_rng(2)
    lost = np.repeat(rng.random(30) < 0.4, rng.integers(1, 9, 30))
    times = np.arange(len(lost)) / 100.0
    losses = Losses()
    for start in range(0, len(lost), chunk):
        losses.push(times[start : start + chunk], lost[start : start + chunk], start == 0)
    found = np.zeros(len(lost), dtype=bool)
    for start_s, stop_s in [*losses.spans, (losses.since_s, np.inf)]:
        found |= (times >= start_s - 1e-9) & (times < stop_s - 1e-9)
    np.testing.assert_array_equal(found, lost)


def test_a_gap_ends_a_loss():
    losses = Losses()
    losses.push(np.array([0.0, 0.01, 0.02]), np.array([False, True, True]), True)
    losses.push(np.array([5.0]), np.array([True]), True)
    assert list(losses.spans) == [(0.01, 0.02)]
    assert losses.since_s == 5.0


@pytest.mark.parametrize(
    ("length_s", "word"),
    [(0.02, ""), (0.05, "blink"), (0.15, "blink"), (0.4, "blink"), (0.71, "lost 0.7 s")],
)
def test_loss_word(length_s, word):
    assert loss_word(length_s) == word


@pytest.mark.parametrize(
    ("values", "unit", "kind", "expected"),
    [
        ([0.2, 0.7], "", "gaze", (0.0, 1.0)),
        ([100, 1800], "px", "gaze", (-200.0, 2200.0)),
        ([4.0, 4.1], "mm", "pupil", (3.5, 4.6)),
        ([7.0], "", "", (6.6, 7.4)),
        ([0.0], "", "", None),
    ],
)
def test_row_range(values, unit, kind, expected):
    low, high = row_range(np.array(values, dtype=np.float32), unit, kind)
    if expected is None:
        assert low < 0 < high
    else:
        assert (low, high) == pytest.approx(expected, abs=0.11 * (expected[1] - expected[0]))
    assert low <= min(values)
    assert high >= max(values)


def test_a_range_stays_while_it_fits():
    values = np.array([4.0, 4.5], dtype=np.float32)
    now = row_range(values, "mm", "pupil")
    assert still_fits(values, now, "mm", "pupil")
    assert not still_fits(values + 2, now, "mm", "pupil")
    assert not still_fits(values, (-20.0, 40.0), "mm", "pupil")
    nothing = np.array([np.nan], dtype=np.float32)
    assert still_fits(nothing, now, "mm", "pupil")
    assert row_range(nothing, "mm", "pupil") is None


def test_blinks_of_the_simulator_are_found_and_shaded(view, session):
    play(view, session.eye(0, int(9.0 * RATE_HZ)))
    found = [span for span in view.rows._losses.spans if loss_word(span[1] - span[0]) == "blink"]
    blinks = session.eyes.blinks(0.0, 8.8)
    assert len(found) == len(blinks) > 1
    for (start_s, stop_s), blink in zip(found, blinks, strict=True):
        assert start_s - START_S == pytest.approx(blink.start_s, abs=0.05)  # low confidence at its edges
        assert stop_s - start_s == pytest.approx(blink.duration_s, abs=0.1)
        middle = (view.canvas.place_px(start_s) + view.canvas.place_px(stop_s)) / 2
        column = pixels(view)[:, round(middle) - view.canvas.plot.left()]
        assert (column == rgb(DARK.raised)).mean() > 0.9
    assert (pixels(view) == rgb(DARK.raised)).any(axis=0).mean() < 0.15


def test_every_row_has_its_trace_and_value(view, session):
    samples = session.eye(0, 1000)
    play(view, samples)
    shown = (pixels(view) & 255) > 130  # smoothed lines are not all of the full colour
    assert all(part.any(axis=0).mean() > 0.6 for part in np.array_split(shown, 3))
    rows = view.rows._layout.rows
    assert view.rows._value(rows[0]) == (False, f"{samples[-1, 0]:.2f}")
    assert view.rows._value(rows[2]) == (False, f"{samples[-1, 2:4].mean():.2f} mm")
    view.rows.set_states({"pupil_left": "lost", "nobody": "flat"})
    assert view.rows._value(rows[2]) == (True, "lost")
    view.rows.set_states({})
    play(view, np.full((60, 5), np.nan), START_S + 1000 / RATE_HZ)
    assert view.rows._value(rows[0]) == (False, "–")


def test_tracker_without_a_pupil_is_not_lost(view, session):
    samples = session.eye(0, 500)
    samples[:, 2:4] = 0
    play(view, samples)
    assert (pixels(view) == rgb(DARK.raised)).any(axis=0).mean() < 0.2


def test_zero_pupil_is_a_loss_once_a_pupil_was_seen(view):
    samples = np.tile(np.array([0.5, 0.5, 4, 4, 1], dtype=np.float32), (300, 1))
    samples[100:118, 2:4] = 0
    play(view, samples)
    assert list(view.rows._losses.spans) == [
        (pytest.approx(START_S + 100 / RATE_HZ), pytest.approx(START_S + 118 / RATE_HZ))
    ]


@pytest.mark.parametrize("chunk", [1, 40])
def test_picture_does_not_depend_on_chunks(view, qtbot, session, chunk):
    samples = session.eye(0, 360)  # all before the ranges are found for the second time
    play(view, samples[:50])
    play(view, samples[50:], START_S + 50 / RATE_HZ)
    other = open_view(qtbot)
    play(other, samples, chunk=chunk)
    view.rows.fit()
    other.rows.fit()
    np.testing.assert_array_equal(pixels(view), pixels(other))


def test_numbers_change_four_times_a_second_at_most(view, session, monkeypatch):
    asked = []
    monkeypatch.setattr(view.canvas, "update_gutter", lambda: asked.append(1))
    play(view, session.eye(0, int(5 * RATE_HZ)))
    assert 15 <= len(asked) <= 21


def test_freezing_span_theme_and_markers(view, session):
    samples = session.eye(0, 900)
    play(view, samples[:600])
    view.set_frozen(True)
    before = pixels(view)
    play(view, samples[600:], START_S + 5.0)
    np.testing.assert_array_equal(pixels(view), before)
    view.set_frozen(False)
    view.frame()
    assert view.canvas.place_px(START_S + 7.4) is not None
    view.canvas.set_span(5.0)
    assert view.canvas.place_px(START_S + 1.0) is None
    assert (pixels(view) == rgb(DARK.trace)).any(axis=0).mean() > 0.5
    cursor = (pixels(view) == rgb(DARK.accent)).any(axis=0).sum()
    view.canvas.add_marker(START_S + 6.0, "x")
    assert (pixels(view) == rgb(DARK.accent)).any(axis=0).sum() == cursor + 1
    view.set_theme(LIGHT)
    assert (pixels(view) == rgb(LIGHT.trace)).any(axis=0).mean() > 0.5
    view.resize(500, 90)
    QApplication.processEvents()
    assert (pixels(view) == rgb(LIGHT.trace)).any(axis=0).mean() > 0.25


def test_silence_is_said_and_another_width_survived(view, session):
    play(view, np.zeros((10, 3)))
    assert view.canvas.page is None
    assert view.canvas._message == "Tracker: got 3 channels, expected 5"
    samples = session.eye(0, 600)
    play(view, samples, now=True)
    newest = view.canvas.page.newest
    view.frame(START_S + 5.0 + 4.5)
    assert view.canvas.page.newest > newest + 3.5 * view.canvas.page.width / 10
    play(view, samples[:300], START_S - 500)  # time goes back
    assert view.canvas.place_px(START_S - 499) is not None


def test_other_channels_are_plain_traces(qtbot):
    view = open_view(qtbot, "Other", ("a", "b"), ("", ""), 0.0)
    rng = np.random.default_rng(0)
    play(view, 100 + rng.standard_normal((600, 2)))
    assert [row.name for row in view.rows._layout.rows] == ["a", "b"]
    shown = pixels(view) == rgb(DARK.trace)
    assert all(part.any(axis=0).mean() > 0.3 for part in np.array_split(shown, 2))
