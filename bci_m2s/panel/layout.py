"""Where the views stand, and what gives way on small screens.

    status line
    traces, sweep            | estimate
    gaze, pupil              | plane | head map
    timeline of the session
    streams, latency         | buttons
    messages

On a screen of 1366 × 768 the head map gives way; a narrower window puts the right column below.
"""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QBoxLayout, QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

MAP_MIN_WIDTH, MAP_MIN_HEIGHT = 1500, 800
SIDE_BY_SIDE_MIN_WIDTH = 1100
LATENCY_WIDTH = 190


class Arrangement(QWidget):
    """The panel's central widget.

    Parameters
    ----------
    status, answer, plane, head_map, timeline, table, latency, controls, messages, empty : the views
    """

    def __init__(
        self,
        *,
        status: QWidget,
        answer: QWidget,
        plane: QWidget,
        head_map: QWidget,
        timeline: QWidget,
        table: QWidget,
        latency: QWidget,
        controls: QWidget,
        messages: QWidget,
        empty: QWidget,
    ) -> None:
        super().__init__()
        self.traces = QSplitter(Qt.Orientation.Vertical)
        self._head_map, self._plane, self._wants_plane = head_map, plane, False
        self._maps = QWidget()
        maps = QHBoxLayout(self._maps)
        maps.setContentsMargins(0, 0, 0, 0)
        maps.addWidget(plane, 1)
        maps.addWidget(head_map, 1)
        self.right = QSplitter(Qt.Orientation.Vertical)
        self.right.addWidget(answer)
        self.right.addWidget(self._maps)
        self.main = QSplitter(Qt.Orientation.Horizontal)
        self.main.addWidget(self.traces)
        self.main.addWidget(self.right)
        self.is_adjusted = False  # by the user: then the parts stay as they are
        for splitter in (self.traces, self.right, self.main):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(6)
            splitter.splitterMoved.connect(self._adjusted)
        session = QWidget()
        rows = QVBoxLayout(session)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.main, 1)
        rows.addWidget(timeline)
        self._pages = QStackedWidget()
        self._pages.addWidget(empty)
        self._pages.addWidget(session)
        latency.setMinimumWidth(LATENCY_WIDTH)
        facts = QHBoxLayout()
        facts.addWidget(table, 6)
        facts.addWidget(latency, 1)
        self._bottom = QHBoxLayout()
        self._bottom.addLayout(facts, 7)
        self._bottom.addWidget(controls, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        layout.addWidget(status)
        layout.addWidget(self._pages, 1)
        layout.addLayout(self._bottom)
        layout.addWidget(messages)

    def show_session(self, shown: bool) -> None:
        """Show the session's views, or the empty state."""
        self._pages.setCurrentIndex(1 if shown else 0)

    @property
    def shows_session(self) -> bool:
        """Whether the session's views are up."""
        return self._pages.currentIndex() == 1

    def show_plane(self, wanted: bool) -> None:
        """Whether the session's classes have places in the valence–arousal plane."""
        self._wants_plane = wanted
        self.fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Views give way on small screens."""
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
        self._head_map.setVisible(has_map)
        self._plane.setVisible(self._wants_plane)
        self._maps.setVisible(has_map or self._wants_plane)
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
        return not self._head_map.isHidden()
