"""The head seen from above, painted: a map, its electrodes, its colour bar; bars where there is no map."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QHelpEvent, QImage, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from bci_m2s.panel.head.colour_scale import coloured
from bci_m2s.panel.head.scalp import GRID, cells
from bci_m2s.panel.look.text import tip
from bci_m2s.panel.look.theme import NORMAL, SMALL, Theme, font
from bci_m2s.types import BoolArray, FloatArray

MOST_NAMED = 20  # electrodes; more names than that are not legible
NOSE, EAR = 0.12, 0.07  # of the head's radius, beyond the outline
BAR_PX = 12
_CENTRE = Qt.AlignmentFlag.AlignCenter


@dataclass(slots=True)
class Scene:
    """What is painted.

    labels, values : of the channels, (channels,); NaN has no colour
    bad : which channels are not good, (channels,)
    columns, xy : which channels have a place, and where; see ``scalp.Places``
    picture : values of the map's cells, None where there is no map
    limits, table : the colour scale; top, bottom, unit : words at it
    bars : the channels make no map, they are drawn as bars
    message : said in place of a map
    """

    labels: tuple[str, ...] = ()
    values: FloatArray = field(default_factory=lambda: np.empty(0))
    bad: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    columns: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    xy: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    picture: FloatArray | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    table: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((2, 4), np.uint8))
    top: str = ""
    bottom: str = ""
    unit: str = ""
    bars: bool = False
    message: str = ""

    def left_out(self, column: int) -> bool:
        """Whether a channel is bad or has no value, where others have one."""
        valueless = bool(len(self.values)) and not np.isfinite(self.values[column])
        return valueless or bool(self.bad[column])


class HeadMap(QWidget):
    """Paints a ``Scene``; hovering over an electrode names it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self.scene = theme, Scene()
        self._inside, _ = cells()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(150, 110)

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self._theme = theme
        self.update()

    def show_scene(self, scene: Scene) -> None:
        """Paint this from now on."""
        self.scene = scene
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt's."""
        del event
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if self.scene.bars:
            self._paint_bars(painter)
        else:
            self._paint_head(painter)
        painter.end()

    def event(self, event: QEvent | None) -> bool:
        """Name the electrode under the mouse."""
        if isinstance(event, QHelpEvent):
            name = self.name_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), tip(name), self)
            return True
        return super().event(event)

    def name_at(self, point: QPointF) -> str:
        """What is at a point of the widget: an electrode with its value, the colour bar, "" elsewhere."""
        scene, head = self.scene, self._head()
        if scene.picture is not None and point.x() > self.width() - self._bar_width():
            return f"{scene.top} … {scene.bottom} ({scene.unit})" if scene.bottom else scene.unit
        if scene.bars or not len(scene.xy):
            return ""
        places = self._points(head)
        distance = np.hypot(places[:, 0] - point.x(), places[:, 1] - point.y())
        nearest = int(np.argmin(distance))
        if distance[nearest] > max(8.0, 0.06 * head.width()):
            return ""
        column = scene.columns[nearest]
        value = float(scene.values[column]) if column < len(scene.values) else np.nan
        if scene.left_out(column):
            return f"{scene.labels[column]}: left out of the map"
        return scene.labels[column] + (f": {value:.3g} {scene.unit}" if np.isfinite(value) else "")

    # ---- the head ----

    def _head(self) -> QRectF:
        """Square of the head's outline: nose and ears lie outside it, the colour bar to its right."""
        room = QRectF(self.rect()).adjusted(4, 4, -4 - self._bar_width(), -4)
        radius = max(min(room.width() / (2 + 2 * EAR), room.height() / (2 + NOSE + 0.02)), 10.0)
        middle = QPointF(room.center().x(), room.center().y() + NOSE * radius / 2)
        return QRectF(middle.x() - radius, middle.y() - radius, 2 * radius, 2 * radius)

    def _points(self, head: QRectF) -> FloatArray:
        radius = head.width() / 2
        middle = np.array([head.center().x(), head.center().y()])
        return middle + self.scene.xy * np.array([radius, -radius])

    def _paint_head(self, painter: QPainter) -> None:
        head, scene, theme = self._head(), self.scene, self._theme
        pen = QPen(QColor(theme.muted), max(1.5, head.width() / 130))
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(QColor(theme.surface))
        painter.drawPath(_nose_and_ears(head))
        painter.drawEllipse(head)
        if scene.picture is not None:
            outline = QPainterPath()
            outline.addEllipse(head)
            painter.save()
            painter.setClipPath(outline)
            painter.drawImage(head, self._image(scene.picture))
            painter.restore()
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(head)
            self._paint_scale(painter)
        self._paint_electrodes(painter, head)
        if scene.message:
            painter.setPen(QColor(theme.text))
            painter.setFont(font(NORMAL))
            flags = int(_CENTRE | Qt.TextFlag.TextWordWrap)
            painter.drawText(head.adjusted(8, 8, -8, -8), flags, scene.message)

    def _image(self, picture: FloatArray) -> QImage:
        pixels = np.zeros((GRID, GRID, 4), dtype=np.uint8)
        pixels[self._inside] = coloured(picture, self.scene.limits, self.scene.table)
        image = QImage(pixels.tobytes(), GRID, GRID, 4 * GRID, QImage.Format.Format_RGBA8888)
        return image.copy()  # owns its pixels

    def _paint_electrodes(self, painter: QPainter, head: QRectF) -> None:
        scene, theme = self.scene, self._theme
        radius = min(max(head.width() / 110, 1.3), 4.0)
        rim = QPen(QColor(255, 255, 255, 180), 0.5 * radius)
        painter.setFont(font(SMALL))
        for column, (x, y) in zip(scene.columns.tolist(), self._points(head).tolist(), strict=True):
            if scene.left_out(column):
                _cross(painter, QPointF(x, y), max(2.2 * radius, 3.5), theme)
            else:
                painter.setPen(rim)
                painter.setBrush(QColor("#101010"))
                painter.drawEllipse(QPointF(x, y), radius, radius)
            if len(scene.columns) <= MOST_NAMED:
                side = -1 if y > head.center().y() else 1  # towards the middle
                box = QRectF(x - 40, y + side * (2 * radius + 8) - 8, 80, 16)
                _outlined(painter, box, scene.labels[column], theme)

    # ---- the colour bar ----

    def _bar_width(self) -> float:
        if self.scene.picture is None:
            return 0.0
        metrics = self.fontMetrics()
        words = max(metrics.horizontalAdvance(word) for word in (self.scene.top, self.scene.bottom)) + 4
        numbers = max(metrics.horizontalAdvance(number) for number in self._numbers()) + BAR_PX + 8
        return float(max(min(words, 0.36 * self.width()), numbers))

    def _numbers(self) -> list[str]:
        low, high = self.scene.limits
        signed = low < 0 < high and low == -high
        middle = 0.0 if signed else (low + high) / 2
        return [f"{value:+.3g}" if signed and value else f"{value:.3g}" for value in (high, middle, low)]

    def _paint_scale(self, painter: QPainter) -> None:
        scene, theme = self.scene, self._theme
        width, line = self._bar_width(), float(self.fontMetrics().height())
        left = self.width() - width - 2
        bar = QRectF(left, 4 + 1.3 * line, BAR_PX, max(self.height() - 8 - 2.6 * line, line))
        column = np.ascontiguousarray(scene.table[::-1].reshape(-1, 1, 4))
        image = QImage(column.tobytes(), 1, len(column), 4, QImage.Format.Format_RGBA8888).copy()
        painter.drawImage(bar, image)
        painter.setPen(QPen(QColor(theme.grid), 1.0))
        painter.drawRect(bar)
        painter.setPen(QColor(theme.text))
        painter.setFont(font(SMALL))
        align = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for number, y in zip(self._numbers(), (bar.top(), bar.center().y(), bar.bottom()), strict=True):
            y = min(max(y, bar.top() + line / 2), bar.bottom() - line / 2)
            painter.drawText(QRectF(bar.right() + 5, y - line, width, 2 * line), align, number)
        for word, y in ((scene.top, 2.0), (scene.bottom, bar.bottom() + 0.15 * line)):
            cut = painter.fontMetrics().elidedText(word, Qt.TextElideMode.ElideRight, int(width))
            painter.drawText(QRectF(left, y, width, 1.2 * line), align, cut)

    # ---- bars, where there is no map ----

    def _paint_bars(self, painter: QPainter) -> None:
        scene, theme = self.scene, self._theme
        font_ = font(SMALL)
        painter.setFont(font_)
        line = painter.fontMetrics().height() * 1.25
        shown = min(len(scene.labels), max(int((self.height() - line) / line), 1))
        names = [painter.fontMetrics().horizontalAdvance(label) for label in scene.labels[:shown]]
        left = 6 + min(max(names, default=0), 0.3 * self.width())
        right = self.width() - 6 - painter.fontMetrics().horizontalAdvance("-00.00 ")
        low, high = scene.limits
        zero = low if low >= 0 or high <= 0 or low != -high else 0.0
        for row in range(shown):
            y = 4 + row * line
            bad, value = bool(scene.bad[row]), float(scene.values[row])
            painter.setPen(QColor(theme.muted if bad else theme.text))
            name = painter.fontMetrics().elidedText(
                scene.labels[row], Qt.TextElideMode.ElideRight, int(left) - 4
            )
            painter.drawText(QRectF(4, y, left, line), int(Qt.AlignmentFlag.AlignVCenter), name)
            said = "bad" if bad else "–" if not np.isfinite(value) else f"{value:.3g}"
            place = QRectF(right + 6, y, self.width() - right - 8, line)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), said)
            if not bad and np.isfinite(value):
                self._bar(painter, value, zero, QRectF(left + 6, y + 3, right - left - 6, line - 6))
        painter.setPen(QColor(theme.muted))
        hidden = len(scene.labels) - shown
        words = f"{hidden} more channels" if hidden else ""
        painter.drawText(QRectF(4, 4 + shown * line, self.width() - 8, line), 0, words)

    def _bar(self, painter: QPainter, value: float, zero: float, room: QRectF) -> None:
        low, high = self.scene.limits
        start, end = ((at - low) / max(high - low, 1e-12) * room.width() for at in (zero, value))
        red, green, blue, _ = coloured(np.array(value), self.scene.limits, self.scene.table).tolist()
        painter.fillRect(
            QRectF(room.left() + min(start, end), room.top(), max(abs(end - start), 1.0), room.height()),
            QColor(red, green, blue),
        )
        painter.setPen(QPen(QColor(self._theme.muted), 1.0))
        painter.drawLine(
            QPointF(room.left() + start, room.top() - 2), QPointF(room.left() + start, room.bottom() + 2)
        )


def _nose_and_ears(head: QRectF) -> QPainterPath:
    radius, middle = head.width() / 2, head.center()
    path = QPainterPath(QPointF(middle.x() - 0.17 * radius, middle.y() - 0.975 * radius))
    path.lineTo(middle.x(), middle.y() - (1 + NOSE) * radius)
    path.lineTo(middle.x() + 0.17 * radius, middle.y() - 0.975 * radius)
    for side in (-1, 1):
        path.addEllipse(QPointF(middle.x() + side * radius, middle.y()), EAR * radius, 0.2 * radius)
    return path


def _cross(painter: QPainter, at: QPointF, half: float, theme: Theme) -> None:
    for colour, width in ((theme.surface, 4.0), (theme.muted, 1.8)):
        painter.setPen(QPen(QColor(colour), width))
        painter.drawLine(at + QPointF(-half, -half), at + QPointF(half, half))
        painter.drawLine(at + QPointF(-half, half), at + QPointF(half, -half))


def _outlined(painter: QPainter, box: QRectF, text: str, theme: Theme) -> None:
    """Text that is legible on any colour of the map."""
    shaped: QFont = font(SMALL, bold=True)
    painter.setFont(shaped)
    advance = painter.fontMetrics().horizontalAdvance(text)
    path = QPainterPath()
    baseline = box.center().y() + painter.fontMetrics().ascent() / 2 - 1
    path.addText(QPointF(box.center().x() - advance / 2, baseline), shaped, text)
    painter.strokePath(path, QPen(QColor(theme.surface), 3.0))
    painter.fillPath(path, QColor(theme.text))
