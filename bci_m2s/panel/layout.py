"""Where the views stand, and what gives way on small screens.

    status line
    step of a guided session
    traces, sweep            | estimate
    gaze, pupil              | plane | head map
    timeline of the session
    streams, latency         | buttons
    messages

On a screen of 1366 × 768 the head map gives way, on one of 1024 × 768 the age; a narrower window puts the
right column below, and has the plane only where it is tall.
"""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QBoxLayout, QSplitter, QStackedWidget, QWidget

from bci_m2s.panel.answer.answer import AnswerView
from bci_m2s.panel.answer.plane import PlaneView
from bci_m2s.panel.answer.sparkline import Sparkline
from bci_m2s.panel.controls.status_line import StatusLine
from bci_m2s.panel.controls.stream_table import StreamTable
from bci_m2s.panel.head.topography import TopographyView
from bci_m2s.panel.look.view import in_column, in_row
from bci_m2s.panel.timeline.timeline import TimelineView

MAP_MIN_WIDTH, MAP_MIN_HEIGHT = 1500, 800
SIDE_BY_SIDE_MIN_WIDTH = 1010
LATENCY_MIN_WIDTH = 1200
STACKED_PLANE_MIN_HEIGHT = 1000
LATENCY_WIDTH = 190


@dataclass(frozen=True, slots=True)
class Views:
    """Every view that shows a session; the traces come and go with its streams."""

    status: StatusLine
    answer: AnswerView
    plane: PlaneView
    head_map: TopographyView
    timeline: TimelineView
    table: StreamTable
    latency: Sparkline


class Arrangement(QWidget):
    """The panel's central widget. empty : shown instead of the views where there is no session"""

    def __init__(
        self, views: Views, guide: QWidget, controls: QWidget, messages: QWidget, empty: QWidget
    ) -> None:
        super().__init__()
        self._views, self._wants_plane = views, False
        self.is_adjusted = False  # by the user: then the parts stay as they are
        self.traces, self.right = QSplitter(Qt.Orientation.Vertical), QSplitter(Qt.Orientation.Vertical)
        self.main = QSplitter(Qt.Orientation.Horizontal)
        self._pages = QStackedWidget()
        self._pages.addWidget(empty)
        self._pages.addWidget(self._make_session_page())
        views.latency.setMinimumWidth(LATENCY_WIDTH)
        self._bottom = in_row((in_row((views.table, 6), (views.latency, 1)), 7), (controls, 3))
        parts = views.status, guide, (self._pages, 1), self._bottom, messages
        self.setLayout(in_column(*parts, margins=(6, 6, 6, 6), spacing=6))

    def _make_session_page(self) -> QWidget:
        self._maps = QWidget()
        self._maps.setLayout(in_row((self._views.plane, 1), (self._views.head_map, 1)))
        for splitter, widgets in (
            (self.right, (self._views.answer, self._maps)),
            (self.main, (self.traces, self.right)),
            (self.traces, ()),
        ):
            for widget in widgets:
                splitter.addWidget(widget)
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(6)
            splitter.splitterMoved.connect(self._adjusted)
        page = QWidget()
        page.setLayout(in_column((self.main, 1), self._views.timeline))
        return page

    def show_session(self, shown: bool) -> None:
        """Show the session's views, or the empty state."""
        self._pages.setCurrentIndex(1 if shown else 0)

    def show_plane(self, wanted: bool) -> None:
        """Whether the session's classes have places in the valence–arousal plane."""
        self._wants_plane = wanted
        self.fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Let views give way to the size of the window, in device-independent pixels."""
        width, height = self.width(), self.height()
        side_by_side = width >= SIDE_BY_SIDE_MIN_WIDTH
        self.main.setOrientation(Qt.Orientation.Horizontal if side_by_side else Qt.Orientation.Vertical)
        way = QBoxLayout.Direction
        self._bottom.setDirection(way.LeftToRight if side_by_side else way.TopToBottom)
        has_map = width >= MAP_MIN_WIDTH and height >= MAP_MIN_HEIGHT
        self._views.head_map.setVisible(has_map)
        has_plane = self._wants_plane and (side_by_side or height >= STACKED_PLANE_MIN_HEIGHT)
        self._views.plane.setVisible(has_plane)
        self._maps.setVisible(has_map or has_plane)
        self._views.latency.setVisible(width >= LATENCY_MIN_WIDTH)
        if not self.is_adjusted:
            # Qt scales these to the room that there is
            self.main.setSizes([1300, 800])
            self.right.setSizes([500, 600])
            self.traces.setSizes([500, *[200] * (self.traces.count() - 1)])

    def _adjusted(self) -> None:
        self.is_adjusted = True

    @property
    def has_map(self) -> bool:
        """Whether there is room for the head map."""
        return not self._views.head_map.isHidden()
