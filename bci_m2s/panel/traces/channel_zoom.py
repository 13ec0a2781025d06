"""Which channels are on the screen: wheel zooms, drag scrolls, double click shows all, keys do the same."""

from __future__ import annotations

import math

from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QScrollBar

from bci_m2s.panel.traces.sweep_canvas import SweepCanvas

BAR_WIDTH_PX = 10
NOTCH = 120  # of a wheel, in Qt's eighths of a degree
IN, OUT = 0.8, 1.25  # factor of the number of channels for one notch of the wheel


class ChannelZoom(QObject):
    """A run of neighbouring channels. It listens to the canvas and to its own scroll bar.

    changed : signal: other channels are to be shown
    first, count, total : first channel shown, how many, and how many there are
    bar : scroll bar, hidden while all channels are shown
    """

    changed = pyqtSignal()

    def __init__(self, canvas: SweepCanvas, total: int) -> None:
        super().__init__(canvas)
        self._canvas, self.total = canvas, total
        self._turned = 0.0  # of the wheel, less than a notch
        self._drag: tuple[float, int] | None = None  # where it began: height, first channel
        self.bar = QScrollBar(Qt.Orientation.Vertical)
        self.bar.setFixedWidth(BAR_WIDTH_PX)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the traces shall not change their width
        self.bar.setSizePolicy(policy)
        self._choose(0, total)
        self.bar.valueChanged.connect(lambda first: self.show_channels(first, self.count))
        canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        canvas.installEventFilter(self)

    @property
    def visible(self) -> int:
        """How many channels are shown, 0 for all: what is remembered from one stream to the next."""
        return 0 if self.count == self.total else self.count

    def show_channels(self, first: int, count: int) -> None:
        """Show `count` channels from `first` on, as far as there are; 0 for all."""
        self._choose(first, count)
        self.changed.emit()

    def _choose(self, first: int, count: int) -> None:
        self.count = min(max(count or self.total, 1), max(self.total, 1))
        self.first = min(max(first, 0), max(0, self.total - self.count))
        self.bar.blockSignals(True)
        self.bar.setVisible(self.count < self.total)
        self.bar.setPageStep(self.count)
        self.bar.setRange(0, max(0, self.total - self.count))
        self.bar.setValue(self.first)
        self.bar.blockSignals(False)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take the canvas's wheel, mouse and keys."""
        if self.total and isinstance(event, QWheelEvent):
            self._on_wheel(event)
            return True
        if self.total and isinstance(event, QMouseEvent):
            self._on_mouse(event)
        if self.total and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._on_key(event.key())
        return super().eventFilter(watched, event)

    def _on_wheel(self, event: QWheelEvent) -> None:
        self._turned += event.angleDelta().y()  # a touchpad sends a notch in many small parts
        while abs(self._turned) >= NOTCH:
            self._zoom(event.position().y(), IN if self._turned > 0 else OUT)
            self._turned -= math.copysign(NOTCH, self._turned)

    def _zoom(self, y_px: float, factor: float) -> None:
        """Show more or fewer channels; the one at a height stays there."""
        plot = self._canvas.plot
        share = min(max((y_px - plot.top()) / max(1, plot.height()), 0.0), 1.0)
        count = self.count * factor
        wanted = math.ceil(count) if factor > 1 else math.floor(count)
        wanted = min(max(wanted, 1), self.total)
        self.show_channels(round(self.first + share * (self.count - wanted)), wanted)

    def _on_mouse(self, event: QMouseEvent) -> None:
        kind, y_px = event.type(), event.position().y()
        if kind == QEvent.Type.MouseButtonDblClick:
            self.show_channels(0, 0)
        elif kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._drag = y_px, self.first
        elif kind == QEvent.Type.MouseButtonRelease:
            self._drag = None
        elif kind == QEvent.Type.MouseMove and self._drag is not None:
            row_px = max(1.0, self._canvas.plot.height() / self.count)
            self.show_channels(self._drag[1] + round((self._drag[0] - y_px) / row_px), self.count)

    def _on_key(self, key: int) -> bool:
        """Whether the key means something here."""
        moves = {
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_PageUp: -self.count,
            Qt.Key.Key_PageDown: self.count,
        }
        if key == Qt.Key.Key_Home:
            self.show_channels(0, 0)
        elif key in moves:
            self.show_channels(self.first + moves[Qt.Key(key)], self.count)
        else:
            return False
        return True
