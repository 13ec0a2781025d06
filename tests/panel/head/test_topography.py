"""The topography: where electrodes lie, what is between them, what is left out, and what is said of it."""

import threading

import numpy as np
import pytest
from PyQt6.QtGui import QColor
from support.pictures import place_px

from bci_m2s.panel.head import head_map, topography
from bci_m2s.panel.head.band_power import BANDS
from bci_m2s.panel.head.scalp import GRID, SMOOTHING, cells, interpolation, locate
from bci_m2s.panel.head.topography import ALL_BANDS, TopographyView
from bci_m2s.panel.look.theme import DARK, LIGHT
from bci_m2s.simulator.devices import SEED_62

WAIT_MS = 20_000  # mne's montages take a second, on a busy machine several


@pytest.fixture
def view(qtbot):
    made = TopographyView(DARK)
    qtbot.addWidget(made)
    made.resize(400, 320)
    made.show()
    return made


def settle(qtbot, view):
    qtbot.waitUntil(lambda: not view._background.busy, timeout=WAIT_MS)


def with_montage(qtbot, view, labels, values):
    view.set_montage(labels)
    settle(qtbot, view)
    view.show_power(in_each_band(values))
    settle(qtbot, view)
    return view.map.scene


def in_each_band(values):
    """The same values in every band."""
    return np.repeat(values[:, None], len(BANDS), axis=1)


def at(head_map, place):
    """Colour painted at a place of the head."""
    image = head_map.plot.grab().toImage()
    ratio, point = image.devicePixelRatio(), place_px(head_map.plot, *place)
    return image.pixelColor(round(point.x() * ratio), round(point.y() * ratio))


def tick_texts(plot, side):
    return [text for _, text in plot.getPlotItem().getAxis(side)._tickLevels[0]]


def between(xy, side):
    """The place far out on one side that is farthest from all electrodes."""
    where = cells()[1]
    where = where[(side * where[:, 0] > 0.6) & (np.hypot(*where.T) < 0.95)]
    return where[np.linalg.norm(where[:, None] - xy, axis=2).min(axis=1).argmax()]


# ---- places and the matrix ----


def test_places_are_those_of_the_head():
    places = locate(["Cz", "FPZ", "oz", "T7", "T8", "nonsense", "CB1"])
    assert places.unknown == ("nonsense",)
    np.testing.assert_array_equal(places.columns, [0, 1, 2, 3, 4, 6])
    cz, fpz, oz, t7, t8, cb1 = places.xy
    assert np.hypot(*cz) < 0.1
    assert fpz[1] > 0.6
    assert oz[1] < -0.6
    assert t7[0] < -0.6 < 0.6 < t8[0]
    assert cb1[0] < 0 > cb1[1]
    assert (np.hypot(*places.xy.T) < 1.0).all()


def test_the_map_goes_through_the_electrodes():
    places = locate(SEED_62)
    values = np.random.default_rng(2).normal(0.0, 1.0, 62)
    inside, where = cells()
    matrix = interpolation(places.xy)
    assert matrix.shape == (inside.sum(), 62)
    picture = matrix @ values
    nearest = np.linalg.norm(places.xy[:, None] - where, axis=2).argmin(axis=1)
    assert np.abs(picture[nearest] - values).max() < 0.3  # half a cell away
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-3)  # a constant stays one
    assert inside.shape == (GRID, GRID)
    assert SMOOTHING < 1e-3


def test_two_electrodes_at_one_place_are_no_problem_and_a_line_is_none():
    xy = locate(["Fz", "Cz", "C3", "C4", "Pz", "Cz"]).xy
    assert np.isfinite(interpolation(xy)).all()
    assert interpolation(np.column_stack([np.linspace(-1, 1, 6), np.zeros(6)])) is None
    assert interpolation(xy[:3]) is None


# ---- the view ----


def test_nothing_is_promised_before_there_is_a_stream(view):
    assert view.map.scene.message == "no EEG stream yet"


def test_the_back_of_the_head_lights_up_where_the_power_is(qtbot, view):
    y = locate(SEED_62).xy[:, 1]
    scene = with_montage(qtbot, view, SEED_62, 10.0 - 6.0 * y)
    assert scene.picture is not None
    assert not scene.bars
    back, front = at(view.map, (0.12, -0.93)), at(view.map, (0.12, 0.93))
    assert back.lightnessF() > front.lightnessF() + 0.25
    low, high = scene.limits
    assert low <= (10.0 - 6.0 * y).min()
    assert high >= (10.0 - 6.0 * y).max()


def test_a_bad_channel_is_crossed_named_and_left_out(qtbot, view):
    values = np.zeros(62)
    values[SEED_62.index("T8")] = 1000.0
    scene = with_montage(qtbot, view, SEED_62, values)
    assert scene.picture.max() > 100
    view.set_bad(["T8", "of another stream"])
    settle(qtbot, view)
    scene = view.map.scene
    assert scene.picture.max() < 1
    assert scene.left_out(SEED_62.index("T8"))
    assert "T8" in view.note.text()
    assert "another" not in view.note.text()
    assert view.map.name_at(*scene.xy[SEED_62.index("T8")]) == "T8: left out of the map"
    assert len(view.map._crossed.points()) == 1


def test_a_channel_without_a_value_is_left_out(qtbot, view):
    values = np.ones(62)
    values[3] = np.nan
    scene = with_montage(qtbot, view, SEED_62, values)
    assert np.isfinite(scene.picture).all()
    assert SEED_62[3] in view.note.text()


def test_a_matrix_is_made_once_for_each_set_of_bad_channels(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    for bad in (["T8"], [], ["T8"], []):
        view.set_bad(bad)
        settle(qtbot, view)
    assert len(view._matrices) == 2
    view.show_power(in_each_band(np.arange(62.0) + 1))
    assert not view._background.busy  # an update is one product, nothing is made


def test_few_electrodes_are_bars(qtbot, view):
    scene = with_montage(qtbot, view, ("TP9", "AF7", "x", "y"), np.array([1.0, 2.0, 3.0, np.nan]))
    assert scene.bars
    assert scene.picture is None
    assert "2 of 4 channels have no known place" in view.note.text()
    assert view.map.currentWidget() is view.map.bars
    assert tick_texts(view.map.bars, "left") == ["TP9", "AF7", "x", "y"]
    assert tick_texts(view.map.bars, "right") == ["1", "2", "3", "–"]
    widths = view.map._bars.opts["width"]
    assert widths[0] < widths[1] < widths[2]
    assert widths[3] == 0


def test_of_many_bars_the_first_are_legible_and_the_user_moves_to_the_others(qtbot, view):
    labels = tuple(f"x{number}" for number in range(100))
    with_montage(qtbot, view, labels, np.arange(100.0))
    bars = view.map.bars
    low, high = bars.getViewBox().viewRange()[1]
    assert high == pytest.approx(0.6)
    assert bars.height() / (high - low) > 14  # pixels per row
    bars.getViewBox().translateBy(y=-1000)
    assert bars.getViewBox().viewRange()[1][0] == pytest.approx(-99.6)


def test_few_electrodes_have_names_and_many_have_none(qtbot, view):
    with_montage(qtbot, view, ("TP9", "AF7", "AF8", "TP10"), np.arange(4.0))
    assert [name.toPlainText() for name in view.map._names] == ["TP9", "AF7", "AF8", "TP10"]
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    assert view.map._names == []


def test_the_picked_band_is_shown(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.ones(62))
    view.show_power(np.tile(np.arange(5.0) * 10, (62, 1)))
    assert view.band == "alpha"
    assert view.map.scene.values[0] == 20.0
    qtbot.keyClicks(view.picker, "g")
    view.picker.textActivated.emit("gamma")
    assert view.band == "gamma"
    assert view.map.scene.values[0] == 40.0


def test_evidence_is_for_and_against_around_zero(qtbot, view):
    view.set_montage(SEED_62)
    settle(qtbot, view)
    x = locate(SEED_62).xy[:, 0]
    view.buttons["evidence"].click()
    assert view.mode == "evidence"
    assert view.band == ALL_BANDS
    assert [view.picker.itemText(place) for place in range(6)] == [ALL_BANDS, *BANDS]
    assert "no evidence" in view.map.scene.message
    view.show_evidence(np.tile(x[:, None] / 5, (1, 5)), "POSITIVE")
    settle(qtbot, view)
    scene = view.map.scene
    assert scene.ends == "against – for POSITIVE"
    assert view.map._scale.levels() == scene.limits
    assert scene.limits[0] == -scene.limits[1]
    np.testing.assert_allclose(scene.values, x)
    right, left = at(view.map, between(scene.xy, side=1)), at(view.map, between(scene.xy, side=-1))
    assert right.blue() > right.red()
    assert left.red() > left.blue()
    assert view.note.text() == "gradient × input"
    view.set_mode("power")
    assert view.band == "alpha"


def test_values_of_another_stream_are_not_mixed_up(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    view.set_montage(("TP9", "AF7", "AF8", "TP10"))
    view.show_power(in_each_band(np.arange(62.0)))
    settle(qtbot, view)
    assert not len(view.map.scene.values)
    view.show_power(in_each_band(np.arange(4.0)))
    settle(qtbot, view)
    assert view.map.scene.picture is not None


def test_hovering_names_what_is_there(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    named = [view.map.name_at(0.0, y) for y in (0.82, 0.0, -0.74)]
    assert [name.split(":")[0] for name in named] == ["FPZ", "CZ", "OZ"]
    assert named[1] == f"CZ: {SEED_62.index('CZ')} dB re 1 µV²"
    assert view.map.name_at(1.0, 1.0) == ""


def test_places_that_come_late_are_those_of_a_stream_that_is_gone(qtbot, view, monkeypatch):
    go_on = threading.Event()

    def slow(labels):
        if labels == SEED_62:
            go_on.wait(120)
        return locate(labels)

    monkeypatch.setattr(topography, "locate", slow)
    view.set_montage(SEED_62)
    view.set_montage(("TP9", "AF7", "AF8", "TP10"))
    qtbot.waitUntil(lambda: view._places is not None, timeout=WAIT_MS)
    go_on.set()
    settle(qtbot, view)
    assert len(view._places.columns) == 4


def test_a_matrix_that_comes_late_is_not_taken_for_another_streams(qtbot, view, monkeypatch):
    go_on, first = threading.Event(), locate(("Fz", "Cz", "C3", "Pz")).xy

    def slow(xy):
        if np.array_equal(xy, first):
            go_on.wait(120)
        return interpolation(xy)

    monkeypatch.setattr(topography, "interpolation", slow)
    view.set_montage(("Fz", "Cz", "C3", "Pz"))
    settle(qtbot, view)
    view.show_power(in_each_band(np.arange(4.0)))  # its matrix is under way
    second = ("TP9", "AF7", "AF8", "TP10")
    view.set_montage(second)
    qtbot.waitUntil(lambda: view._places is not None, timeout=WAIT_MS)
    view.show_power(in_each_band(np.arange(4.0)))
    qtbot.waitUntil(lambda: view.map.scene.picture is not None, timeout=120_000)
    go_on.set()
    settle(qtbot, view)
    view.show_power(in_each_band(np.arange(4.0)))
    np.testing.assert_allclose(
        view.map.scene.picture, interpolation(locate(second).xy) @ np.arange(4.0), atol=1e-4
    )


def test_another_stream_has_a_range_of_its_own(qtbot, view):
    labels = ("TP9", "AF7", "AF8", "TP10")
    with_montage(qtbot, view, SEED_62, np.linspace(0.0, 7.0, 62))
    scene = with_montage(qtbot, view, labels, np.array([1.0, 2.0, 3.0, 6.0]))
    assert scene.limits == (1.0, 6.0)


def test_a_theme_changes_the_colours(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    view.set_mode("evidence")
    view.show_evidence(np.zeros((62, 5)), "x")
    view.set_theme(LIGHT)
    settle(qtbot, view)
    assert at(view.map, (0.12, 0.03)).lightnessF() > 0.9  # nothing speaks for it: the surface's colour


def test_the_picture_has_the_screens_own_pixels(qtbot, view):
    with_montage(qtbot, view, SEED_62, np.arange(62.0))
    assert view.map.grab().width() == round(view.map.width() * view.map.devicePixelRatioF())


# ---- colour scales ----


def test_limits_do_not_dance():
    values = np.array([3.2, 9.7])
    limits = head_map.power_limits(values, None)
    assert limits == (3.0, 10.0)
    assert head_map.power_limits(values * 0.95, limits) == (3.0, 10.0)
    assert head_map.power_limits(np.array([3.2, 12.1]), limits) == (3.0, 13.0)
    assert head_map.power_limits(np.array([5.0, 5.5]), limits) == (4.0, 7.0)


@pytest.mark.parametrize(("largest", "end"), [(0.13, 0.15), (1.0, 1.0), (6.2, 7.0), (71.0, 100.0)])
def test_evidence_ends_are_round(largest, end):
    low, high = head_map.evidence_limits(np.array([-largest, 0.1 * largest]), None)
    assert (low, high) == (pytest.approx(-end), pytest.approx(end))


def test_evidence_of_nothing_has_limits():
    low, high = head_map.evidence_limits(np.zeros(3), None)
    assert low < 0 < high


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_the_middle_of_the_diverging_scale_is_quiet(theme):
    table = head_map.diverging(theme).getLookupTable(nPts=257)
    middle, surface = table[len(table) // 2, :3].astype(int), QColor(theme.surface).getRgb()[:3]
    assert np.abs(middle - surface).max() < 25
    lightness = [np.abs(end.astype(int) - middle).sum() for end in (table[0, :3], table[-1, :3])]
    assert min(lightness) > 150


def test_the_sequential_scale_gets_lighter_all_the_way():
    luma = head_map.sequential().getLookupTable(nPts=256)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > -0.6).all()
    assert luma[-1] - luma[0] > 150
