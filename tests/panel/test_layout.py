"""Where the views stand, and which give way: at the sizes where that changes, and after a hand did it."""

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QWidget

from bci_m2s.panel.layout import MAP_MIN_HEIGHT, MAP_MIN_WIDTH, SIDE_BY_SIDE_MIN_WIDTH, Arrangement, Views

NAMES = (
    "status",
    "answer",
    "plane",
    "head_map",
    "timeline",
    "table",
    "latency",
    "guide",
    "controls",
    "messages",
    "empty",
)


@pytest.fixture
def views():
    return {name: QLabel(name) for name in NAMES}


@pytest.fixture
def place(views, qtbot):
    rest = {name: views[name] for name in ("guide", "controls", "messages", "empty")}
    shown = Views(**{name: view for name, view in views.items() if name not in rest})
    made = Arrangement(shown, **rest)
    qtbot.addWidget(made)
    for _ in range(2):
        made.traces.addWidget(QWidget())
    made.resize(1920, 1080)
    made.show()
    made.show_session(True)
    return made


def test_either_the_session_or_the_empty_state_is_seen(place, views):
    assert place.main.isVisibleTo(place)
    assert (views["timeline"].isVisible(), views["empty"].isVisible()) == (True, False)
    place.show_session(False)
    assert not place.main.isVisibleTo(place)
    assert (views["timeline"].isVisible(), views["empty"].isVisible()) == (False, True)
    for name in ("status", "table", "latency", "controls", "messages"):
        assert views[name].isVisible()


@pytest.mark.parametrize(
    ("width", "height", "has_map"),
    [
        (MAP_MIN_WIDTH, MAP_MIN_HEIGHT, True),
        (MAP_MIN_WIDTH - 1, MAP_MIN_HEIGHT, False),
        (MAP_MIN_WIDTH, MAP_MIN_HEIGHT - 1, False),
    ],
)
def test_the_map_gives_way_first(place, views, width, height, has_map):
    place.resize(width, height)
    assert place.has_map is has_map
    assert views["head_map"].isVisible() is has_map
    assert views["answer"].isVisible()


def test_the_right_column_goes_below_on_a_narrow_window(place):
    place.resize(SIDE_BY_SIDE_MIN_WIDTH, 900)
    assert place.main.orientation() is Qt.Orientation.Horizontal
    place.resize(SIDE_BY_SIDE_MIN_WIDTH - 1, 900)
    assert place.main.orientation() is Qt.Orientation.Vertical
    place.resize(SIDE_BY_SIDE_MIN_WIDTH, 900)
    assert place.main.orientation() is Qt.Orientation.Horizontal


def test_the_plane_is_there_where_it_is_wanted_and_its_room_goes_with_it(place, views):
    assert not views["plane"].isVisible()
    place.show_plane(True)
    assert views["plane"].isVisible()
    assert views["head_map"].isVisible()
    place.resize(1366, 768)
    assert views["plane"].isVisible()
    assert not views["head_map"].isVisible()
    before = views["answer"].height()
    place.show_plane(False)
    assert not views["plane"].isVisible()
    place.right.refresh()
    assert views["answer"].height() > before  # the estimate has the whole column


def test_parts_that_were_moved_by_hand_stay(place):
    place.main.setSizes([900, 900])
    assert not place.is_adjusted
    place.fit()
    assert place.main.sizes()[0] > place.main.sizes()[1]  # the traces have more room than the rest
    place.main.setSizes([900, 900])
    place.main.splitterMoved.emit(900, 1)  # as a hand does
    assert place.is_adjusted
    kept = place.main.sizes()
    place.fit()
    place.show_plane(True)
    assert place.main.sizes() == kept
