"""The valence–arousal plane: where the estimate is now, and where it was in the last minute.

The two axes are those of the circumplex model of affect (Russell 1980).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QFrame

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import legible, limited
from bci_m2s.panel.look.theme import NORMAL, SMALL, Theme, font
from bci_m2s.types import FloatArray

TRAIL_S = 60.0
STALE_S = 2.0  # nothing for so long: the point is not of now
APART_S = 0.6  # points of the trail, at most; at 4 Hz every second one
DRAW_EVERY_S = 0.24
DOT = 7.0  # radius of the point now
MARK = 5.0  # half the size of a class's shape
LONGEST_LABEL = 14  # characters of a class name in the plane
SIDES = (0, 4, 3, 4, 6)  # shapes of classes: circle, square, triangle, diamond, hexagon
TURNS = (0.0, math.pi / 4, -math.pi / 2, 0.0, 0.0)
_MIDDLE = Qt.AlignmentFlag.AlignCenter.value
_LEFT = Qt.AlignmentFlag.AlignLeft.value


class PlaneView(QFrame):
    """Valence from −1 (unpleasant) to 1 (pleasant), arousal from −1 (calm) to 1 (excited)."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("view", "true")
        self.setMinimumSize(160, 150)
        self._theme = theme
        self._places: dict[str, tuple[float, float, int]] = {}
        self._trail: deque[tuple[float, float, float]] = deque(maxlen=2 * round(TRAIL_S / APART_S))
        self._is_known, self._has_plane = False, False
        self._newest_s = self._now_s = math.nan
        self._source = ""

    @property
    def is_now(self) -> bool:
        """True while the point is of now: it is drawn full, else hollow."""
        return self._is_known and not self._now_s - self._newest_s > STALE_S

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        self.update()

    def set_coordinates(self, coordinates: Mapping[str, Any]) -> None:
        """Name the places of the classes; the trail is forgotten.

        coordinates : {class: (valence, arousal)}, each from −1 to 1, in the order of the classes (it gives
        the colours). Places that are no two numbers are left out; an empty mapping with points that are
        added later draws the plane without places.
        """
        self._places = {}
        for number, (name, place) in enumerate(coordinates.items()):
            point = _numbers(place)
            if point is not None:
                self._places[limited(name, LONGEST_LABEL)] = (*point, number)
        self._trail.clear()
        self._is_known, self._has_plane = False, bool(self._places)
        self.update()

    def set_source(self, words: str) -> None:
        """Say what the points are made from, "from EEG"; "" where that goes without saying."""
        self._source = limited(words, 40)
        self.update()

    def add(self, stamp_s: float, valence: float, arousal: float) -> None:
        """Take the newest point.

        stamp_s : local LSL clock, s; valence, arousal : −1 to 1, what is outside is drawn at the border.
        NaN says that there is no estimate: the trail stops, and the point becomes hollow.
        """
        if not math.isfinite(stamp_s):
            return
        self._newest_s = stamp_s
        self._is_known = math.isfinite(valence) and math.isfinite(arousal)
        self._has_plane |= self._is_known
        if not self._is_known:
            if self._trail and not math.isnan(self._trail[-1][1]):
                self._trail.append((stamp_s, math.nan, math.nan))
            return
        point = (stamp_s, float(np.clip(valence, -1, 1)), float(np.clip(arousal, -1, 1)))
        # The newest point always stands; between it and the one before there is a least distance.
        if len(self._trail) > 1 and 0 <= stamp_s - self._trail[-2][0] < APART_S and self._joined():
            self._trail[-1] = point
        else:
            self._trail.append(point)

    def _joined(self) -> bool:
        return not math.isnan(self._trail[-1][1]) and not math.isnan(self._trail[-2][1])

    def tick(self, now_s: float) -> None:
        """Draw what is new, at most four times a second. now_s : local LSL clock, s."""
        if 0 <= now_s - self._now_s < DRAW_EVERY_S:
            return
        self._now_s = now_s
        while self._trail and self._trail[0][0] < now_s - TRAIL_S:
            self._trail.popleft()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint axes, trail, places and point."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._has_plane:
            self._paint_empty(painter)
            return
        plot = self._plot()
        self._paint_axes(painter, plot)
        self._paint_trail(painter, plot)
        self._paint_places(painter, plot)
        self._paint_point(painter, plot)

    def _paint_empty(self, painter: QPainter) -> None:
        painter.setFont(font())
        painter.setPen(QColor(self._theme.muted))
        words = "valence–arousal plane: this model's classes have no place in it"
        painter.drawText(
            QRectF(self.rect()).adjusted(10, 8, -10, -8), _MIDDLE | Qt.TextFlag.TextWordWrap.value, words
        )

    def _plot(self) -> QRectF:
        """The square of the plane, between the words at its sides."""
        tall = QFontMetricsF(font(SMALL)).height() + 3
        side = max(min(self.width(), self.height()) - 2 * tall - 8, 40.0)
        left, top = (self.width() - side) / 2, (self.height() - side) / 2
        return QRectF(round(left) + 0.5, round(top) + 0.5, round(side), round(side))

    def _paint_axes(self, painter: QPainter, plot: QRectF) -> None:
        painter.setPen(QPen(QColor(self._theme.grid), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(plot)
        middle = plot.center()
        painter.drawLine(QLineF(plot.left(), middle.y(), plot.right(), middle.y()))
        painter.drawLine(QLineF(middle.x(), plot.top(), middle.x(), plot.bottom()))
        painter.setPen(QColor(self._theme.muted))
        painter.setFont(font(SMALL))
        painter.drawText(QRectF(8, 4, self.width() - 16, 20), _LEFT, self._source)
        tall = QFontMetricsF(font(SMALL)).height()
        words = QRectF(plot.left(), plot.bottom() + 2, plot.width(), tall)
        _ends(painter, words, ("−1 unpleasant", "valence", "pleasant 1"))
        painter.save()
        painter.translate(plot.left() - 2 - tall, plot.bottom())
        painter.rotate(-90)
        _ends(painter, QRectF(0, 0, plot.height(), tall), ("−1 calm", "arousal", "excited 1"))
        painter.restore()

    def _paint_places(self, painter: QPainter, plot: QRectF) -> None:
        metrics = QFontMetricsF(font(SMALL))
        painter.setFont(font(SMALL))
        taken: list[QRectF] = []
        points = [(name, _at(plot, *place[:2]), place[2]) for name, place in self._places.items()]
        for _, point, number in points:
            colour = class_colour(number)
            painter.setPen(QPen(QColor(legible(colour, self._theme.surface, least=2.0)), 1))
            painter.setBrush(QColor(colour))
            painter.drawPolygon(shape(point, number))
            taken.append(QRectF(point.x() - MARK, point.y() - MARK, 2 * MARK, 2 * MARK))
        painter.setPen(QColor(self._theme.text))
        ground = QColor(self._theme.surface)
        ground.setAlphaF(0.75)  # a name is read on the trail, too
        for name, point, _ in points:
            size = metrics.boundingRect(name)
            room = free_place(point, size.width() + 2, metrics.height(), plot, taken)
            if room is not None:
                taken.append(room)
                painter.fillRect(room, ground)
                painter.drawText(room, _MIDDLE, name)

    def _paint_trail(self, painter: QPainter, plot: QRectF) -> None:
        if len(self._trail) < 2:
            return
        table = np.array(self._trail)
        now_s = self._now_s if math.isfinite(self._now_s) else table[-1, 0]
        fresh = np.clip(1 - (now_s - table[1:, 0]) / TRAIL_S, 0, 1)
        x, y = (
            plot.center().x() + table[:, 1] * plot.width() / 2,
            plot.center().y() - table[:, 2] * plot.height() / 2,
        )
        is_line = np.isfinite(x[1:] + x[:-1]) & (np.diff(table[:, 0]) <= STALE_S)
        colour = QColor(self._theme.muted)
        for level in range(8):  # eight pens, not one a piece; 0.0 is the thinnest, and the fastest to draw
            chosen = np.flatnonzero(is_line & ((fresh * 7.999).astype(int) == level))
            if len(chosen):
                colour.setAlphaF(0.1 + 0.8 * (level + 0.5) / 8)
                painter.setPen(QPen(colour, 1.2 if level > 5 else 0.0))
                painter.drawLines(*[QLineF(x[k], y[k], x[k + 1], y[k + 1]) for k in chosen.tolist()])

    def _paint_point(self, painter: QPainter, plot: QRectF) -> None:
        last = next((point for point in reversed(self._trail) if not math.isnan(point[1])), None)
        if last is None:
            return
        point, is_now = _at(plot, *last[1:]), self.is_now
        colour = self._theme.text if is_now else self._theme.muted
        painter.setPen(QPen(QColor(self._theme.surface if is_now else colour), 2))
        painter.setBrush(QColor(colour) if is_now else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(point, DOT, DOT)
        if is_now:
            return
        painter.setFont(font(NORMAL))
        painter.setPen(QColor(self._theme.muted))
        painter.drawText(plot.adjusted(6, 4, -6, -4), Qt.AlignmentFlag.AlignTop.value, "no estimate")


def mean_point(
    probabilities: FloatArray | Sequence[float], coordinates: FloatArray | Sequence[Sequence[float]]
) -> tuple[float, float]:
    """The place of an estimate: the mean of its classes' places, weighted with their probabilities.

    Parameters
    ----------
    probabilities : (classes,), 0 to 1; weights, so they need not sum to 1
    coordinates : (classes, 2), valence and arousal of each class, −1 to 1

    Returns
    -------
    Valence and arousal. Both are NaN where a number is missing, the shapes differ or no weight is left.
    """
    shares, places = np.asarray(probabilities, dtype=np.float64), np.asarray(coordinates, dtype=np.float64)
    if shares.ndim != 1 or places.shape != (len(shares), 2) or not shares.sum() > 0:
        return math.nan, math.nan
    valence, arousal = (shares @ places / shares.sum()).tolist()
    is_known = math.isfinite(valence) and math.isfinite(arousal)
    return (valence, arousal) if is_known else (math.nan, math.nan)


def shape(point: QPointF, number: int) -> QPolygonF:
    """The shape of a class by its place among the classes, around a point."""
    sides = SIDES[number % len(SIDES)] or 24
    angles = TURNS[number % len(TURNS)] + 2 * np.pi * np.arange(sides) / sides
    return QPolygonF(
        [
            QPointF(point.x() + 1.2 * MARK * math.cos(angle), point.y() + 1.2 * MARK * math.sin(angle))
            for angle in angles.tolist()
        ]
    )


def free_place(
    point: QPointF, width: float, height: float, plot: QRectF, taken: Sequence[QRectF]
) -> QRectF | None:
    """Where a label can stand beside a point: inside the plot, on nothing else; or None."""
    gap = MARK + 3
    x, y = point.x(), point.y()
    middle = float(np.clip(x - width / 2, plot.left() + 1, max(plot.right() - width - 1, plot.left() + 1)))
    for left, top in (
        (x + gap, y - height / 2),
        (x - gap - width, y - height / 2),
        (middle, y + gap),
        (middle, y - gap - height),
        (x + gap, y + 2),
        (x - gap - width, y + 2),
    ):
        room = QRectF(left, top, width, height)
        if plot.contains(room) and not any(room.intersects(other) for other in taken):
            return room
    return None


def _at(plot: QRectF, valence: float, arousal: float) -> QPointF:
    middle = plot.center()
    return QPointF(middle.x() + valence * plot.width() / 2, middle.y() - arousal * plot.height() / 2)


def _numbers(place: Any) -> tuple[float, float] | None:
    """Valence and arousal within −1 and 1, or None where a place is no two numbers."""
    if not isinstance(place, Sequence | np.ndarray) or isinstance(place, str) or len(place) != 2:
        return None
    try:
        valence, arousal = (float(value) for value in place)
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(valence) and math.isfinite(arousal)):
        return None
    return float(np.clip(valence, -1, 1)), float(np.clip(arousal, -1, 1))


def _ends(painter: QPainter, room: QRectF, words: tuple[str, str, str]) -> None:
    """Write words at the beginning, in the middle and at the end; the middle one only where it fits."""
    metrics = painter.fontMetrics()
    flags = Qt.AlignmentFlag
    if sum(metrics.horizontalAdvance(word) for word in words) + 20 < room.width():
        painter.drawText(room, flags.AlignCenter.value, words[1])
    painter.drawText(room, (flags.AlignLeft | flags.AlignVCenter).value, words[0])
    painter.drawText(room, (flags.AlignRight | flags.AlignVCenter).value, words[2])
