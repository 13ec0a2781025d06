"""The valence–arousal plane: where the point is, when it is of now, and what network values cannot do."""

import math

import numpy as np
import pytest
from support.pictures import colours_of, pixels, place_px, value_of

from bci_m2s.colours import class_colour
from bci_m2s.panel.answer.plane import NO_PLANE, SHAPES, PlaneView
from bci_m2s.panel.answer.plane_feed import mean_point
from bci_m2s.panel.look.theme import DARK, LIGHT

PLACES = {"negative": (-0.7, 0.3), "neutral": (0.0, 0.0), "positive": (0.7, 0.4)}


@pytest.fixture
def view(qtbot):
    made = PlaneView(DARK)
    qtbot.addWidget(made)
    made.resize(350, 300)
    made.show()
    return made


def point_of(view):
    """Where the dot is painted: the middle of the largest patch in the text's colour, in plane units."""
    wanted = pixels(view.plot) == value_of(DARK.text)
    full = wanted.copy()
    for _ in range(3):  # letters are thinner than the dot
        full[1:-1, 1:-1] &= full[:-2, 1:-1] & full[2:, 1:-1] & full[1:-1, :-2] & full[1:-1, 2:]
    y, x = np.nonzero(full)
    if not len(x):
        return None
    middle, corner = place_px(view.plot, 0.0, 0.0), place_px(view.plot, 1.0, 1.0)
    return (
        (x.mean() + 0.5 - middle.x()) / (corner.x() - middle.x()),
        (y.mean() + 0.5 - middle.y()) / (corner.y() - middle.y()),
    )


def test_the_mean_point_is_weighted_with_the_probabilities():
    places = [[-1.0, 0.5], [0.0, 0.0], [1.0, 1.0]]
    assert mean_point([0.25, 0.25, 0.5], places) == pytest.approx((0.25, 0.625))
    assert mean_point([0.0, 0.0, 1.0], places) == pytest.approx((1.0, 1.0))
    assert mean_point([1.0, 1.0, 2.0], places) == pytest.approx((0.25, 0.625))


@pytest.mark.parametrize(
    ("shares", "places"),
    [
        ([np.nan] * 3, np.zeros((3, 2))),
        ([0.0, 0.0], np.zeros((2, 2))),
        ([], np.zeros((0, 2))),
    ],
)
def test_no_mean_point_of_what_is_no_estimate(shares, places):
    assert all(map(math.isnan, mean_point(shares, places)))


def test_without_coordinates_the_view_says_so(view):
    view.tick(100.0)
    assert view.note.full_text == NO_PLANE
    assert not view.plot.isVisible()
    view.set_coordinates(PLACES)
    assert view.note.full_text == ""
    assert view.plot.isVisible()
    assert DARK.grid in colours_of(view.plot)


def test_places_are_marked_in_the_colours_of_their_classes(view):
    view.set_coordinates(PLACES)
    assert {class_colour(place).upper() for place in range(3)} <= colours_of(view)


def test_the_point_is_where_it_was_told(view):
    view.set_coordinates(PLACES)
    view.add(100.0, -0.4, 0.8)
    view.tick(100.1)
    assert point_of(view) == pytest.approx((-0.4, 0.8), abs=0.03)
    view.add(100.25, 0.5, -0.5)
    view.tick(100.5)
    assert point_of(view) == pytest.approx((0.5, -0.5), abs=0.03)


def test_what_is_outside_is_drawn_at_the_border(view):
    view.set_coordinates({})
    view.add(100.0, 5.0, -7.0)
    view.tick(100.1)
    assert point_of(view) == pytest.approx((1.0, -1.0), abs=0.03)


def test_without_an_estimate_the_dot_is_hollow(view):
    view.set_coordinates(PLACES)
    view.add(100.0, 0.5, -0.5)
    view.tick(100.1)
    assert view.is_now
    view.add(100.25, np.nan, np.nan)
    view.tick(100.5)
    assert not view.is_now
    assert view.note.full_text == "no estimate"
    assert point_of(view) is None
    view.add(100.5, 0.5, -0.5)
    view.tick(100.75)
    assert view.is_now


def test_a_point_grows_old(view):
    view.set_coordinates(PLACES)
    view.add(100.0, 0.5, -0.5)
    view.tick(101.0)
    assert view.is_now
    view.tick(103.0)
    assert not view.is_now


def trail_pixels(view):
    """Painted pixels where nothing but the trail can be: arousal −0.9 to −0.7, valence −0.7 to −0.1."""
    image = pixels(view.plot)
    first, last = place_px(view.plot, -0.7, -0.7), place_px(view.plot, -0.1, -0.9)
    part = image[int(first.y()) : int(last.y()), int(first.x()) : int(last.x())]
    return int((part != value_of(DARK.surface)).sum())


def test_the_trail_is_of_the_last_minute_and_stops_at_a_hole(view):
    view.set_coordinates(PLACES)
    view.add(100.0, -0.8, -0.8)
    view.add(101.0, 0.8, -0.8)
    view.add(101.2, 0.8, 0.9)
    view.tick(101.3)
    assert trail_pixels(view) > 50
    view.tick(130.0)
    assert trail_pixels(view) > 50
    view.tick(162.0)
    assert trail_pixels(view) == 0
    view.set_coordinates(PLACES)
    view.add(200.0, -0.8, -0.8)
    view.add(200.5, np.nan, np.nan)
    view.add(201.0, 0.8, -0.8)
    view.add(201.2, 0.8, 0.9)
    view.tick(201.3)
    assert trail_pixels(view) == 0


def test_the_trail_is_bounded(view):
    view.set_coordinates(PLACES)
    for number in range(20_000):
        view.add(100 + 0.001 * number, 0.1, 0.1)
    assert len(view._trail) < 60


def test_a_point_without_a_time_is_left_out(view):
    view.set_coordinates(PLACES)
    view.add(math.nan, 0.1, 0.1)
    view.tick(100.0)
    assert point_of(view) is None


def test_names_stand_on_nothing_and_inside_the_plane(view):
    crowd = {f"class {number}": (0.06 * number, 0.03 * number) for number in range(6)}
    view.set_coordinates({**crowd, "at the border": (1.0, 1.0)})
    view.grab()
    shown = [item for item in view._names if item.isVisible()]
    boxes = [item.mapRectToScene(item.boundingRect()) for item in shown]
    marks = [view.plot.rect_around(x, y, 8) for x, y, _ in view._places.values()]
    assert len(boxes) >= 3
    assert "at the border" in [item.toPlainText() for item in shown]
    room = view.plot.getViewBox().sceneBoundingRect()
    for number, box in enumerate(boxes):
        assert room.contains(box)
        assert not any(box.intersects(other) for other in [*marks, *boxes[:number]])


def test_neighbouring_classes_have_different_shapes(view):
    view.set_coordinates({str(number): (0.1 * number, 0.0) for number in range(7)})
    assert len({spot.symbol() for spot in view._marks.points()}) == 7 == len(SHAPES)


@pytest.mark.parametrize("size", [(520, 200), (200, 520), (160, 150)])
def test_the_whole_plane_is_seen_whatever_the_shape_of_the_view(view, size):
    view.resize(*size)
    view.set_coordinates(PLACES)
    view.grab()
    (left, right), (low, high) = view.plot.getViewBox().viewRange()
    assert left <= -1.05 < 1.05 <= right
    assert low <= -1.05 < 1.05 <= high
    across, along = place_px(view.plot, 1.0, 0.0), place_px(view.plot, 0.0, 1.0)
    middle = place_px(view.plot, 0.0, 0.0)
    assert across.x() - middle.x() == pytest.approx(middle.y() - along.y(), abs=1.5)


def test_the_user_can_look_closer(view):
    view.set_coordinates(PLACES)
    view.plot.getViewBox().setRange(xRange=(0.4, 0.9), yRange=(0.2, 0.7), padding=0)
    view.grab()
    assert [item.toPlainText() for item in view._names if item.isVisible()] == ["positive"]


def test_another_theme_has_other_colours(view):
    view.set_coordinates(PLACES)
    view.set_theme(LIGHT)
    colours = colours_of(view.plot)
    assert LIGHT.grid in colours
    assert DARK.grid not in colours
