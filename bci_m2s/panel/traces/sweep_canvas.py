"""The surface that shows a sweep: the picture in the screen's own pixels, a time axis, markers.

Only what changed is brought to the screen. Names, values and words beside and over the sweep are the
view's: it draws them when it is asked to ``decorate``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PyQt6.QtCore import QEvent, QPoint, QRect, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QWidget

from bci_m2s.panel.look.theme import LARGE, SMALL, Theme, font
from bci_m2s.panel.traces.sweep import Float32Array, Page, Rows
from bci_m2s.panel.traces.sweep_picture import SweepPicture
from bci_m2s.panel.traces.trace_words import draw_axis, draw_marker_texts, draw_plate
from bci_m2s.text import printable
from bci_m2s.types import FloatArray

FOCUS_PX = 2  # line at the left edge
SPANS_S = (5.0, 10.0, 20.0, 30.0)
SILENT_S = 0.5  # without samples: from then on the sweep goes on without them
GUTTER = "0" * 9  # room at the left, the same in all views, so that their sweeps are one below the other
LONGEST_TEXT = 60  # characters of a marker
MOST_MARKERS = 100
Decorate = Callable[[QPainter, QRect], None]


class SweepCanvas(QWidget):
    """A sweep on the screen.

    Parameters
    ----------
    n_channels, longest_s : of the stream: channels, and the longest step that a line is drawn over, s
    marker_texts : whether markers have their text above the sweep, or are lines only

    Attributes
    ----------
    plot : the sweep's place, in the widget's pixels; span_s : seconds from its left edge to the right
    decorate : called with the painter and the part being painted, after the sweep, once there are samples
    reshaped : signal: the picture is another one and empty, the view must ``feed`` it again
    span_changed : signal with the seconds of a sweep, when another length was chosen
    """

    reshaped = pyqtSignal()
    span_changed = pyqtSignal(float)

    def __init__(self, theme: Theme, n_channels: int, longest_s: float, marker_texts: bool) -> None:
        super().__init__()
        self._theme, self._marker_texts = theme, marker_texts
        self.decorate: Decorate | None = None
        self.span_s, self._n_channels, self._longest_s = 10.0, n_channels, longest_s
        self._picture: SweepPicture | None = None
        self._markers: list[tuple[float, str]] = []
        self._marked: list[float] = []  # where those are that were last shown
        self._message, self._frozen, self._ended = "", False, False
        self._newest_s = self._arrived_s = math.nan
        self._silent_s = 0.0
        self.plot = QRect()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 80)

    @property
    def page(self) -> Page | None:
        """The columns on the screen; None while there is nothing to show."""
        if self._picture is None or self._picture.page.newest is None:
            return None
        return self._picture.page

    @property
    def sweep(self) -> int:
        """Number of the sweep that is being drawn; another one begins at the left edge."""
        page = self.page
        return 0 if page is None or page.newest is None else page.newest // page.width

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours; the view sets its rows again."""
        self._theme = theme
        if self._picture is not None:
            self._picture.set_theme(theme)
        self.update()

    def set_message(self, text: str) -> None:
        """Show a text while there are no samples."""
        self._message = text
        self.update()

    def set_frozen(self, frozen: bool) -> None:
        """Say that the sweep stands still because the view is frozen."""
        self._frozen = frozen
        self.update()

    def set_ended(self, ended: bool) -> None:
        """Say that the session has ended, and let the sweep stand still where no samples come."""
        if ended != self._ended:
            self._ended = ended
            self.update()

    def set_span(self, span_s: float) -> None:
        """Show this many seconds; ``reshaped`` follows."""
        if span_s != self.span_s:
            self.span_s = span_s
            self._reshape()
            self.span_changed.emit(span_s)

    def set_rows(self, rows: Rows, repaint: bool = True) -> None:
        """Put values elsewhere from now on, and with `repaint` also those already on the screen."""
        if self._picture is not None:
            self._picture.set_rows(rows, repaint)
        if repaint:
            self.update()

    def clear(self, markers: bool = True) -> None:
        """Empty the sweep, and with `markers` forget these as well: time began again."""
        self._markers = [] if markers else self._markers
        if self._picture is not None:
            self._picture.clear()
        self.update()

    def begin_again(self) -> None:
        """Empty the sweep; ``reshaped`` follows, so that what is kept is fed again, filtered otherwise."""
        self.clear(markers=False)
        self.reshaped.emit()

    def feed(self, times: FloatArray, values: Float32Array) -> None:
        """Paint new samples: (n,) s, (n, channels), n > 0."""
        if self._picture is not None:
            first = self.page is None
            self._show(self._picture.feed(times, values))
            self._newest_s = float(times[-1])
            if first:
                self.update()

    def pass_time(self, now_s: float | None, came: bool) -> None:
        """Take the time, and whether samples came: after some silence the sweep goes on without them."""
        if now_s is None or not math.isfinite(now_s):
            return
        if came:
            self._arrived_s = now_s
        silent_s = 0.0 if math.isnan(self._arrived_s) else now_s - self._arrived_s
        if silent_s > SILENT_S and self._picture is not None and not self._ended:
            self._show(self._picture.advance(self._newest_s + silent_s - SILENT_S))
        if int(silent_s) != int(self._silent_s) and not (self._ended and self.is_silent):
            self.update()
        self._silent_s = silent_s

    @property
    def is_silent(self) -> bool:
        """Whether samples have been missing for a second: what came last is old."""
        return self._silent_s >= 1

    def add_marker(self, local_s: float, text: str) -> None:
        """Show a marker, a line with text, until the sweep passes over it."""
        if math.isfinite(local_s):
            marker = (local_s, printable(text, LONGEST_TEXT))
            self._markers = sorted([*self._markers, marker])[-MOST_MARKERS:]
            self.update()

    def place_px(self, time_s: float) -> float | None:
        """Where a moment is, in the widget's pixels; None when it is not on the screen."""
        place = None if self._picture is None else self._picture.place(time_s)
        return None if place is None else self.plot.left() + place / self.devicePixelRatioF()

    def update_above(self) -> None:
        """Have the strip above the sweep painted again."""
        self.update(0, 0, self.width(), self.plot.top())

    def update_gutter(self) -> None:
        """Have what is left of the sweep painted again."""
        self.update(0, 0, self.plot.left(), self.height())

    def _reshape(self) -> None:
        """Make another picture, as large as the room there is."""
        ratio = self.devicePixelRatioF()
        self._metrics = QFontMetrics(font(SMALL))
        line, right = self._metrics.height(), self._metrics.horizontalAdvance("0")
        left = _on_pixels(self._metrics.horizontalAdvance(GUTTER), ratio)
        top = _on_pixels(line + 2, ratio)
        bottom = self.height() - line - 4
        self.plot = QRect(left, top, max(0, self.width() - left - right), max(0, bottom - top))
        width, height = int(self.plot.width() * ratio), int(self.plot.height() * ratio)
        self._picture = None
        if self._n_channels and width > 1 and height > 1:
            about = self.span_s, self._n_channels, self._longest_s, self._theme
            self._picture = SweepPicture(width, height, ratio, *about)
            pixels = self._picture.pixels
            self._image = QImage(  # looks at the array's own memory, which the picture keeps alive
                pixels.data,  # type: ignore[call-overload]
                width,
                height,
                4 * width,
                QImage.Format.Format_RGB32,
            )
        self.update()
        self.reshaped.emit()

    def _show(self, parts: list[slice]) -> None:
        """Have columns that changed brought to the screen."""
        ratio, plot = self.devicePixelRatioF(), self.plot
        for part in parts:
            first, last = math.floor(part.start / ratio) - 1, math.ceil(part.stop / ratio) + 1
            self.update(QRect(plot.left() + first, plot.top(), last - first, plot.height()))
        marked = [place for at_s, _ in self._markers if (place := self.place_px(at_s)) is not None]
        if marked != self._marked:
            self._marked = marked
            self.update_above()

    def event(self, event: QEvent | None) -> bool:
        """A screen with other pixels needs another picture; whether the keys are for it is seen."""
        if event is not None and event.type() == QEvent.Type.DevicePixelRatioChange:
            self._reshape()
        elif event is not None and event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update_gutter()
        return super().event(event)

    def resizeEvent(self, _event: QResizeEvent | None) -> None:
        self._reshape()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        rect = self.rect() if event is None else event.rect()
        painter = QPainter(self)
        if self.page is None or not self.plot.contains(rect):
            painter.fillRect(rect, QColor(self._theme.surface))
        if self.page is None:
            self._paint_message(painter)
        else:
            self._paint_picture(painter, rect)
            painter.setFont(font(SMALL))
            if rect.bottom() > self.plot.bottom():
                draw_axis(painter, self.plot, self.width(), self.span_s, self._theme)
            if self._marker_texts and rect.top() < self.plot.top():
                marked = [(self.place_px(at_s), text) for at_s, text in self._markers]
                draw_marker_texts(painter, marked, self.width(), self._theme)
            if self.decorate is not None:
                self.decorate(painter, rect)
            self._paint_note(painter)
        if self.hasFocus() and rect.left() < FOCUS_PX:
            painter.fillRect(QRect(0, 0, FOCUS_PX, self.height()), QColor(self._theme.accent))
        painter.end()

    def _paint_picture(self, painter: QPainter, rect: QRect) -> None:
        """The sweep, and the lines of markers over it."""
        ratio = self.devicePixelRatioF()
        painter.save()
        painter.scale(1 / ratio, 1 / ratio)  # the image has the screen's pixels already
        corner = QPoint(round(self.plot.left() * ratio), round(self.plot.top() * ratio))
        painter.drawImage(corner, self._image)
        painter.setPen(QPen(QColor(self._theme.accent), max(1, round(ratio)), Qt.PenStyle.DashLine))
        bottom = corner.y() + self._image.height()
        for at_s, _ in self._markers:
            place = self.place_px(at_s)
            if place is not None and rect.left() - 2 <= place <= rect.right() + 2:
                painter.drawLine(round(place * ratio), corner.y() - 4, round(place * ratio), bottom)
        painter.restore()

    def _paint_message(self, painter: QPainter) -> None:
        painter.setFont(font(LARGE))
        painter.setPen(QColor(self._theme.muted))
        wrapped = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(12, 0, -12, 0), int(wrapped), self._message)

    def _paint_note(self, painter: QPainter) -> None:
        """Why nothing moves: in a corner when it was asked for, else where it cannot be missed."""
        if self._frozen:
            draw_plate(painter, self.plot, "view frozen", font(bold=True), self._theme, corner=True)
        elif self._ended and self.is_silent:
            draw_plate(painter, self.plot, "ended", font(bold=True), self._theme, corner=True, is_calm=True)
        elif self.is_silent:
            words = f"no samples for {int(self._silent_s)} s"
            draw_plate(painter, self.plot, words, font(LARGE, bold=True), self._theme)


def _on_pixels(length: int, ratio: float) -> int:
    """The next length that is a whole number of the screen's pixels."""
    return next((longer for longer in range(length, length + 8) if (longer * ratio).is_integer()), length)
