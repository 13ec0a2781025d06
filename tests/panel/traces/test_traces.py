"""The traces: every control does what it says, and what is on the screen is what came."""

from itertools import pairwise

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QWheelEvent
from PyQt6.QtWidgets import QApplication
from support.nightly import nightly
from support.pictures import pixels as whole
from support.pictures import value_of

from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.look.theme import DARK, LIGHT
from bci_m2s.panel.traces.channel_rows import ChannelRows, short_label
from bci_m2s.panel.traces.sweep_view import KEEP_S, SweepView
from bci_m2s.panel.traces.trace_rows import (
    fitted_scales,
    main_unit,
    placed_labels,
    shown_unit,
    trace_rows,
)

LABELS = ("Fp1", "Fp2", "C3", "C4", "T7", "T8", "O1", "O2")
RATE_HZ = 250.0


def open_view(qtbot, title="Cap", labels=LABELS, unit="uV", rate_hz=RATE_HZ):
    stream = ShownStream("eeg", title, rate_hz, tuple(labels), (unit,) * len(labels))
    made = SweepView(DARK, ChannelRows, stream)
    qtbot.addWidget(made)
    made.resize(640, 400)
    made.show()
    return made


@pytest.fixture
def view(qtbot):
    return open_view(qtbot)


def signal(seconds=12.0, n_channels=8, rate_hz=RATE_HZ, start_s=50_000.0):
    rng = np.random.default_rng(0)
    n = int(seconds * rate_hz)
    times = start_s + np.arange(n) / rate_hz
    values = 20 * rng.standard_normal((n, n_channels)) + 30 * np.sin(2 * np.pi * 10 * times)[:, None]
    return times, values.astype(np.float32)


def play(view, times, values, chunk=40, now=False):
    for start in range(0, len(times), chunk):
        view.push(times[start : start + chunk], values[start : start + chunk])
        view.frame(float(times[start : start + chunk][-1]) if now else None)


def pixels(view):
    """The sweep as the widget shows it: (height, width) of 0xffRRGGBB."""
    plot = view.canvas.plot
    image = view.canvas.grab(plot).toImage()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint32).reshape(image.height(), -1)[:, : image.width()].copy()


def rgb(colour):
    return 0xFF000000 | int(colour[1:], 16)


def rows_with(view, colour):
    """Share of the pixels of each channel's row that have a colour."""
    seen = pixels(view) == rgb(colour)
    return np.array([part.mean() for part in np.array_split(seen, len(LABELS))])


def choose(box, data):
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def test_before_there_are_samples_everything_can_be_chosen(view, qtbot):
    assert view.controls.scale_box.currentText() == "auto 100 µV"
    assert view.controls.visible_box.currentText() == "all 8"
    for box in (view.controls.filter_box, view.controls.notch_box, view.controls.span_box):
        box.setCurrentIndex(2)
    qtbot.mouseClick(view.controls.larger, Qt.MouseButton.LeftButton)
    view.rows.set_states({"T8": "flat"})
    view.canvas.add_marker(1.0, "x")
    view.push(np.array([1.0]), np.zeros((1, 3)))
    view.frame(1.0)
    assert view.canvas.page is None
    assert view.rows.settings()["scale"] == 200.0
    assert view.canvas.span_s == 20.0


def test_a_stream_without_channels_is_survived(qtbot):
    view = open_view(qtbot, labels=())
    view.push(np.array([1.0]), np.zeros((1, 3)))
    view.frame(1.0)
    view.rows.restore({"scale": "10", "visible": "1", "span_s": "20"})
    assert view.controls.visible_box.currentText() == "all channels"
    assert view.canvas.page is None


def test_before_samples_it_says_what_it_waits_for(view):
    assert view.canvas.page is None
    plain = pixels(view)
    view.canvas.set_message("looking for another one")
    assert (pixels(view) != plain).any()
    play(view, *signal(1))
    assert view.canvas.page is not None


def test_every_channel_is_drawn_in_its_row(view):
    play(view, *signal())
    assert (rows_with(view, DARK.trace) > 0.02).all()


def test_a_frame_paints_a_few_columns_only(view, monkeypatch):
    times, values = signal()
    play(view, times[:-40], values[:-40])
    QApplication.processEvents()
    painted = []
    monkeypatch.setattr(view.canvas, "paintEvent", lambda event: painted.append(event.rect()))
    play(view, times[-40:], values[-40:])
    QApplication.processEvents()
    assert len(painted) == 1
    assert 0 < painted[0].width() < 50
    assert view.canvas.plot.contains(painted[0])


def test_gap_is_drawn_as_a_gap(view):
    times, values = signal(9.5, start_s=50_000.0)
    keep = (times < 50_003) | (times > 50_004)
    play(view, times[keep], values[keep])
    shown, width = pixels(view), view.canvas.plot.width()
    inside = shown[:, int(width * 0.305) : int(width * 0.395)]
    assert set(np.unique(inside)) == {rgb(DARK.surface)}
    before = shown[:, int(width * 0.2) : int(width * 0.29)]
    assert (before == rgb(DARK.trace)).any(axis=0).all()


def test_filters_begin_anew_after_a_gap(view):
    times = 50_000 + np.arange(1000) / RATE_HZ
    times[500:] += 1.0
    offset = np.where(np.arange(1000) < 500, 0.0, 5000.0)
    play(view, times, np.repeat(offset[:, None], 8, axis=1))
    assert np.nanmax(np.abs(view.canvas.page.high)) < 1e-3


def test_bad_channels_are_grey_counted_and_named(view):
    play(view, *signal())
    assert view.controls.count.text() == ""
    view.rows.set_states({"T8": "flat", "C3": "railed", "Cz": "flat", "O1": "good", "O2": "<b>x</b>"})
    assert view.controls.count.text() == "2 of 8 bad"
    assert view.controls.count.toolTip() == "<qt>C3 railed, T8 flat</qt>"
    grey, normal = rows_with(view, DARK.bad_trace), rows_with(view, DARK.trace)
    assert list(np.flatnonzero(normal < 0.01)) == [2, 5]
    assert (grey[[2, 5]] > 0.01).all()
    red, blue = pixels(view)[:, :60] >> 16 & 255, pixels(view)[:, :60] & 255
    assert ((red > 150) & (blue < 90)).any()  # the words, in amber
    view.rows.set_states({})
    assert view.controls.count.text() == ""
    assert (rows_with(view, DARK.trace) > 0.02).all()


def test_volts_are_shown_as_microvolts(view, qtbot):
    times, values = signal(4)
    play(view, times, values)
    other = open_view(qtbot, unit="V")
    play(other, times, values.astype(np.float64) * 1e-6)
    assert other.controls.scale_box.itemText(0) == view.controls.scale_box.itemText(0)
    assert "µV" in other.controls.scale_box.itemText(0)
    assert (pixels(view) != pixels(other)).mean() < 0.01  # float32 rounds otherwise


@pytest.mark.parametrize("chunk", [1, *nightly(7), 250])
def test_picture_does_not_depend_on_chunks(view, qtbot, chunk):
    times, values = signal(2.4)
    choose(view.controls.scale_box, 100.0)
    play(view, times, values)
    other = open_view(qtbot)
    choose(other.controls.scale_box, 100.0)
    play(other, times, values, chunk)
    np.testing.assert_array_equal(pixels(view), pixels(other))


def test_freezing_stops_the_sweep_and_loses_nothing(view, qtbot):
    times, values = signal(8)
    choose(view.controls.scale_box, 100.0)
    play(view, times[:1000], values[:1000])
    view.set_frozen(True)
    stopped = pixels(view)
    play(view, times[1000:], values[1000:])
    np.testing.assert_array_equal(pixels(view), stopped)
    view.set_frozen(False)
    view.frame()
    other = open_view(qtbot)
    choose(other.controls.scale_box, 100.0)
    play(other, times, values)
    np.testing.assert_array_equal(pixels(view), pixels(other))


def test_nothing_grows_while_it_is_frozen_or_hidden(view):
    view.set_frozen(True)
    times, values = signal(100, rate_hz=100.0)
    for start in range(0, len(times), 100):
        view.push(times[start : start + 100], values[start : start + 100])
    view.set_frozen(False)
    view.frame()
    kept, _ = view._trail.kept(1e9)
    assert kept[-1] - kept[0] <= KEEP_S + 1


def test_scale_buttons_and_box(view, qtbot):
    play(view, *signal())
    fitted = view.controls.scale_box.itemText(0)
    assert fitted == "auto 200 µV"
    quiet = rows_with(view, DARK.surface).mean()
    qtbot.mouseClick(view.controls.smaller, Qt.MouseButton.LeftButton)
    assert view.rows.settings()["scale"] == 100.0
    assert rows_with(view, DARK.surface).mean() < quiet
    qtbot.mouseClick(view.controls.larger, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(view.controls.larger, Qt.MouseButton.LeftButton)
    assert view.rows.settings()["scale"] == 500.0
    assert rows_with(view, DARK.surface).mean() > quiet
    choose(view.controls.scale_box, None)
    assert view.rows.settings()["scale"] == "auto"


def test_who_has_the_keys_is_seen(view, qtbot):
    play(view, *signal(2.0))
    view.activateWindow()
    qtbot.waitUntil(view.isActiveWindow, timeout=120_000)
    edge = lambda: view.canvas.grab().toImage().pixelColor(0, 60).name().upper()  # noqa: E731
    view.controls.span_box.setFocus()
    assert edge() == DARK.surface
    view.canvas.setFocus(Qt.FocusReason.TabFocusReason)
    assert edge() == DARK.accent


def test_filters_and_notch(view):
    times, _ = signal()
    slow = 200 * np.sin(2 * np.pi * 0.1 * times)
    mains = 50 * np.sin(2 * np.pi * 50 * times)
    choose(view.controls.scale_box, 100.0)
    play(view, times, np.repeat((slow + mains)[:, None], 8, axis=1))
    page = view.canvas.page
    with_mains = np.nanmean(page.high - page.low)
    choose(view.controls.notch_box, "50 Hz")
    page = view.canvas.page
    assert np.nanmean(page.high - page.low) < 0.1 * with_mains
    assert np.nanmax(np.abs(page.high)) < 60
    choose(view.controls.filter_box, "off")
    assert np.nanmax(np.abs(view.canvas.page.high)) > 150
    assert (view.controls.preset, view.controls.notch) == ("off", "50 Hz")


def test_without_a_high_pass_offsets_do_not_move_traces_out_of_their_rows(view):
    choose(view.controls.filter_box, "off")
    times, values = signal()
    play(view, times, values + 1000 * np.arange(8))
    assert (rows_with(view, DARK.trace) > 0.02).all()


def test_span(view, qtbot):
    times, values = signal()
    play(view, times, values)
    with qtbot.waitSignal(view.canvas.span_changed, timeout=120_000) as emitted:
        choose(view.controls.span_box, 5.0)
    assert emitted.args == [5.0]
    assert view.canvas.span_s == 5.0
    newest = times[-1] - 4.0
    assert view.canvas.place_px(newest) is not None
    assert view.canvas.place_px(newest - 2) is None
    assert (rows_with(view, DARK.trace) > 0.02).all()  # what was kept is drawn again


def test_resize_and_theme_draw_what_is_kept(view):
    play(view, *signal())
    view.resize(900, 500)
    QApplication.processEvents()
    assert (rows_with(view, DARK.trace) > 0.02).all()
    view.set_theme(LIGHT)
    assert (rows_with(view, LIGHT.trace) > 0.02).all()
    assert not (pixels(view) == rgb(DARK.trace)).any()
    assert QColor(view.canvas.grab().toImage().pixelColor(2, 2)).name().upper() == LIGHT.surface


@pytest.mark.parametrize("ratio", [1.5, *nightly(2.0)])
def test_picture_has_the_pixels_of_the_screen(view, monkeypatch, ratio):
    monkeypatch.setattr(view.canvas, "devicePixelRatioF", lambda: ratio)
    view.resize(700, 450)
    QApplication.processEvents()
    play(view, *signal())
    plot = view.canvas.plot
    assert view.canvas.page.width == int(plot.width() * ratio)
    assert (plot.left() * ratio).is_integer()
    assert (plot.top() * ratio).is_integer()


def wheel(view, y, notches):
    place = QPointF(view.canvas.plot.left() + 50, y)
    event = QWheelEvent(
        place,
        view.canvas.mapToGlobal(place),
        QPoint(),
        QPoint(0, int(120 * notches)),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view.canvas, event)


def test_wheel_drag_and_double_click(view, qtbot):
    play(view, *signal())
    plot = view.canvas.plot
    for part in (0.3, 0.3, 0.3, 0.3, 0.8):  # a touchpad sends parts of a notch
        wheel(view, plot.bottom(), part)
    assert (view.rows.zoom.first, view.rows.zoom.count) == (4, 4)
    assert view.rows.zoom.bar.isVisible()
    assert view.controls.visible_box.currentText() == "4 of 8"
    top, right = plot.topLeft() + QPoint(40, 10), plot.height() // 4
    qtbot.mousePress(view.canvas, Qt.MouseButton.LeftButton, pos=top)
    qtbot.mouseMove(view.canvas, top + QPoint(0, 2 * right))
    qtbot.mouseRelease(view.canvas, Qt.MouseButton.LeftButton, pos=top)
    assert view.rows.zoom.first == 2
    view.rows.zoom.bar.setValue(1)
    assert view.rows.zoom.first == 1
    wheel(view, plot.top(), -1)
    assert (view.rows.zoom.first, view.rows.zoom.count) == (1, 5)
    qtbot.mouseDClick(view.canvas, Qt.MouseButton.LeftButton, pos=top)
    assert (view.rows.zoom.first, view.rows.zoom.count) == (0, 8)
    assert not view.rows.zoom.bar.isVisible()


def test_keys_and_box_choose_channels(view, qtbot):
    play(view, *signal())
    choose(view.controls.visible_box, 4)
    assert view.rows.settings()["visible"] == 4
    for key, first in (("Down", 1), ("PageDown", 4), ("Up", 3), ("PageUp", 0)):
        qtbot.keyClick(view.canvas, getattr(Qt.Key, f"Key_{key}"))
        assert view.rows.zoom.first == first
    qtbot.keyClick(view.canvas, Qt.Key.Key_Home)
    assert view.rows.settings()["visible"] == 0


def test_settings_come_back_and_nonsense_does_not(view):
    settings = {"scale": "50", "filter": "0.5–45 Hz", "notch": "60 Hz", "span_s": "20.0", "visible": "4"}
    view.rows.restore(settings)
    chosen = {"scale": 50.0, "unit": "µV", "filter": "0.5–45 Hz", "notch": "60 Hz", "span_s": 20.0}
    chosen |= {"visible": 4}
    assert view.rows.settings() == chosen
    for nonsense in (
        {},
        {"scale": "nan", "filter": 3, "notch": None, "span_s": [], "visible": "-2"},
        {"scale": -1, "filter": "x", "span_s": 1e9, "visible": 1.5},
        {"scale": True, "span_s": "inf", "visible": "9" * 40},
    ):
        view.rows.restore(nonsense)
        assert {**view.rows.settings(), "scale": 50.0} == chosen


def test_a_montage_is_known_by_its_labels_and_units(view, qtbot):
    same = open_view(qtbot).rows.montage
    others = [open_view(qtbot, unit="V"), open_view(qtbot, labels=["A", "B"])]
    assert view.rows.montage == same
    assert len({same, *(other.rows.montage for other in others)}) == 3


def test_automatic_is_as_for_a_new_montage(view, qtbot):
    usual = view.rows.settings()
    view.rows.restore(
        {"scale": "10", "visible": "1", "span_s": "20", "filter": "0.5–45 Hz", "notch": "50 Hz"}
    )
    assert view.rows.settings() != usual
    qtbot.mouseClick(view.controls.auto, Qt.MouseButton.LeftButton)
    assert view.rows.settings() == usual
    assert view.canvas.span_s == usual["span_s"]


def test_scale_belongs_to_its_unit(view, qtbot):
    choose(view.controls.scale_box, 20.0)
    chosen = view.rows.settings()
    view = open_view(qtbot)
    view.rows.restore(chosen)
    assert view.rows.settings() == chosen
    times, values = signal(0.3)
    play(view, times, values)
    assert view.rows._scales == {"µV": 20.0}  # at once, not only when there is enough signal
    view = open_view(qtbot, "Chest", ["ECG"], "mV")
    view.rows.restore(chosen)
    assert view.rows.settings()["scale"] == "auto"
    play(view, times, values[:, :1])
    assert view.rows._scales == {"mV": 1.0}


def test_scale_is_found_also_when_time_begins_anew_at_once(view):
    times, values = signal(5)
    play(view, times[:50] + 1e6, values[:50])
    play(view, times, values)
    assert view.controls.scale_box.itemText(0) == "auto 200 µV"


def test_filter_says_what_the_rate_does_not_allow(view, qtbot):
    assert "display" in view.controls.filter_box.toolTip()
    view = open_view(qtbot, "Slow", rate_hz=64.0)
    assert view.controls.filter_box.currentText() == "from 1 Hz"
    assert "the Nyquist frequency is 32 Hz" in view.controls.filter_box.toolTip()


def test_choosing_is_signalled(view, qtbot):
    with qtbot.waitSignal(view.controls.changed, timeout=120_000):
        choose(view.controls.notch_box, "60 Hz")


def test_silence_moves_the_sweep_on_and_is_said(view):
    times, values = signal(6)
    play(view, times, values, now=True)
    newest = view.canvas.page.newest
    silent = pixels(view)
    view.frame(times[-1] + 3.6)
    assert view.canvas.page.newest - newest == pytest.approx(3.1 * view.canvas.page.width / 10, abs=2)
    assert (pixels(view) == rgb(DARK.raised)).sum() > 500 > (silent == rgb(DARK.raised)).sum()  # the plate
    play(view, times + 8, values, now=True)
    assert (pixels(view) == rgb(DARK.raised)).sum() < 500


def test_marker_stays_until_the_sweep_passes(view):
    times, values = signal(30)
    play(view, times[:1500], values[:1500])
    view.canvas.add_marker(times[1000], "stimulus <b>1</b>\n")
    view.canvas.add_marker(float("nan"), "never")
    assert view.canvas.place_px(times[1000]) == pytest.approx(
        view.canvas.plot.left() + 0.4 * view.canvas.plot.width(), abs=2
    )
    assert (pixels(view) == rgb(DARK.accent)).any(axis=0).sum() >= 2  # its line and the cursor
    play(view, times[1500:4000], values[1500:4000])
    assert view.canvas.place_px(times[1000]) is None
    assert (pixels(view) == rgb(DARK.accent)).any(axis=0).sum() == 1


def test_another_number_of_channels_is_said_and_survived(view):
    times, values = signal(1)
    play(view, times, values[:, :5])
    assert view.canvas.page is None
    assert view.canvas._message == "Cap: got 5 channels, expected 8"
    play(view, times, values)
    assert view.canvas.page is not None


def test_time_that_goes_back_begins_a_new_sweep(view):
    times, values = signal(5)
    play(view, times, values)
    play(view, times[:250] - 1000, values[:250])
    assert view.canvas.place_px(times[0]) is None
    assert view.canvas.place_px(times[200] - 1000) is not None


@pytest.mark.parametrize("rate_hz", [0.0, 2.0, 64.0, 20_000.0])
def test_any_rate_is_drawn(qtbot, rate_hz):
    view = open_view(qtbot, "Odd", ("a", "", "a"), "", rate_hz)
    real_hz = rate_hz if rate_hz > 0 else 30.0
    n = int(min(3 * real_hz, 3000)) + 5
    times = 1000 + np.arange(n) / real_hz
    play(view, times, np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32))
    assert view.canvas.page is not None
    view.rows.set_states({"a": "noisy"})
    assert view.controls.count.text() == "2 of 3 bad"


def test_lost_samples_and_loss_codes_do_not_spoil_a_channel(view):
    times, values = signal()
    values[1000:1010] = np.nan
    values[1500] = 1e9
    values[1600] = np.inf
    values[:, 3] = np.nan
    play(view, times, values)
    page = view.canvas.page
    assert np.nanmax(np.abs(page.high[:, [0, 1, 2, 4]])) < 300
    assert np.isnan(page.high[:, 3]).all()


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("microvolts", ("µV", 1)), ("µV", ("µV", 1)), ("V", ("µV", 1e6)), ("mV", ("mV", 1)), ("", ("", 1))],
)
def test_shown_unit(unit, expected):
    assert shown_unit(unit) == expected


def test_unknown_unit_is_kept_short_and_printable():
    assert shown_unit("strange\nunit\x07") == ("strange…", 1.0)
    assert main_unit(["mV", "µV", "µV"]) == "µV"
    assert main_unit([]) == ""


@pytest.mark.parametrize(
    ("value", "steps", "expected"),
    [
        (3, 0, 5),
        (5, 0, 5),
        (5, 1, 10),
        (10, -1, 5),
        (0.021, 0, 0.05),
        (100, 2, 500),
        (1, -1, 0.5),
        (0, 0, 1e-9),
    ],
)
def test_steps_of_1_2_5(value, steps, expected):
    assert step_125(value, steps) == expected


def test_each_unit_has_its_own_scale_and_bad_channels_do_not_count():
    spread = np.array([10, 10, 5000, 0.2, np.nan], dtype=np.float32)
    units = ["µV", "µV", "µV", "mV", "px"]
    scales = fitted_scales(spread, units, np.array([True, True, False, True, True]))
    assert scales == {"µV": 50.0, "mV": 1.0, "px": 1.0}


def test_rows_keep_traces_near_and_leave_out_what_is_not_seen():
    good = np.array([True, True, False, True])
    rows = trace_rows(np.full(4, 100.0), np.zeros(4, dtype=np.float32), good, 1, 2, DARK)
    (bad, bad_colour), (fine, colour) = rows.layers
    assert (list(bad), bad_colour, list(fine), colour) == ([2], DARK.bad_trace, [1], DARK.trace)
    assert rows.origin[1] + rows.origin[2] == pytest.approx(1.0)  # as much room above as below
    assert rows.gain[1] * 100 == pytest.approx(rows.origin[2] - rows.origin[1])  # a scale fills a row
    assert rows.gain[1] * 100 < 0.5
    reach = np.array([4.0, 1.5]) * rows.gain[1] * 100  # a bad one hides fewer others
    np.testing.assert_allclose(rows.bottom[1:3], np.minimum(rows.origin[1:3] + reach, 1.0))


def test_a_trace_that_is_cut_off_has_marks(view):
    times, values = signal()
    play(view, times, values)

    def marked():
        return np.count_nonzero(pixels(view) == value_of(DARK.warn))

    assert marked() == 0
    choose(view.controls.scale_box, 2.0)
    assert marked() > 100
    view.controls.choose_auto()
    assert marked() == 0


def test_channels_that_the_model_uses_are_marked_where_it_does_not_use_all(qtbot):
    def opened(used):
        stream = ShownStream("eeg", "Cap", RATE_HZ, LABELS, ("uV",) * len(LABELS), used=used)
        view = SweepView(DARK, ChannelRows, stream)
        qtbot.addWidget(view)
        view.resize(900, 400)
        view.show()
        play(view, *signal())
        return view

    plain, four = opened(()), opened(LABELS[:4])
    assert four.controls.used.full_text == f"4 of {len(LABELS)} used by the model"

    def names(view):
        return whole(view.canvas)[:, : view.canvas.plot.left()]

    assert (names(four) != names(plain)).any()
    everything = opened(LABELS)
    assert everything.controls.used.full_text == plain.controls.used.full_text == ""
    np.testing.assert_array_equal(names(everything), names(plain))


def test_labels_do_not_cover_each_other_and_bad_ones_are_always_there():
    centres = [5.0 * i for i in range(62)]
    urgent = [i in (1, 40) for i in range(62)]
    chosen = placed_labels(centres, 12.0, urgent)
    assert {1, 40} <= set(chosen)
    assert all(b - a >= 3 for a, b in pairwise(chosen))
    assert len(chosen) >= 15
    assert placed_labels(centres, 4.0, [False] * 62) == list(range(62))
    assert placed_labels([], 4.0, []) == []
    assert placed_labels([9.0], 4.0, [True]) == [0]


def test_labels_are_kept_short():
    assert short_label("Fp1") == "Fp1"
    assert short_label("a" * 500) == "a" * 11 + "…"
    assert short_label("a\nb") == "a b"
