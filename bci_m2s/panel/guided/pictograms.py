"""Pictograms for self-report, drawn here: a face for valence, a pulse for arousal, a figure for dominance.

They serve the scales of Bradley & Lang 1994 (Self-Assessment Manikin), whose own drawings they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap

Draw = Callable[[QPainter, QRectF, float], None]


def pictogram(scale: str, share: float, size: int, colour: QColor) -> QIcon:
    """One picture of a scale.

    Parameters
    ----------
    scale : valence, arousal or dominance; any other is a bar that fills
    share : where on the scale, 0.0 (unpleasant, calm, controlled) to 1.0
    size : of the picture's sides, device-independent pixels
    """
    ratio = 2.0  # sharp on dense screens too
    pixmap = QPixmap(QSize(size, size) * int(ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, size / 28, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    DRAW.get(scale, _bar)(painter, QRectF(0, 0, size, size).adjusted(4, 4, -4, -4), share)
    painter.end()
    return QIcon(pixmap)


def _face(painter: QPainter, box: QRectF, share: float) -> None:
    """A face whose mouth goes from a frown to a smile."""
    painter.drawEllipse(box)
    middle, radius = box.center(), box.width() / 2
    for side in (-1, 1):
        eye = QPointF(middle.x() + side * 0.35 * radius, middle.y() - 0.25 * radius)
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(eye, 0.08 * radius, 0.11 * radius)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        lift = (0.5 - share) * 0.25 * radius  # brows draw together where it is unpleasant
        inner = QPointF(middle.x() + side * 0.2 * radius, eye.y() - 0.28 * radius + max(lift, 0.0))
        outer = QPointF(middle.x() + side * 0.55 * radius, eye.y() - 0.28 * radius - lift / 2)
        painter.drawLine(inner, outer)
    bend = (share - 0.5) * 0.9 * radius
    corners, height = 0.48 * radius, middle.y() + 0.42 * radius
    mouth = QPainterPath(QPointF(middle.x() - corners, height - bend / 2))
    mouth.quadTo(QPointF(middle.x(), height + bend), QPointF(middle.x() + corners, height - bend / 2))
    painter.drawPath(mouth)


def _pulse(painter: QPainter, box: QRectF, share: float) -> None:
    """A body that is still, or bursts."""
    middle, radius = box.center(), box.width() / 2
    core = (0.22 + 0.2 * share) * radius
    painter.setBrush(painter.pen().color())
    painter.drawEllipse(middle, 0.35 * core, 0.35 * core)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(middle, core, core)
    n_rays = round(16 * share)
    for ray in range(n_rays):
        angle = 2 * math.pi * ray / n_rays - math.pi / 2
        reach = core + (0.15 + 0.85 * share * (0.75 if ray % 2 else 1.0)) * (radius - core)
        start, end = core * 1.15, max(reach, core * 1.3)
        painter.drawLine(_at(middle, angle, start), _at(middle, angle, end))


def _figure(painter: QPainter, box: QRectF, share: float) -> None:
    """A person who is small, or large."""
    height = box.height() * (0.25 + 0.75 * share)
    foot, middle = box.bottom(), box.center().x()
    head = 0.14 * height
    top = foot - height
    painter.drawEllipse(QPointF(middle, top + head), head, head)
    neck, hip = top + 2 * head, foot - 0.38 * height
    painter.drawLine(QPointF(middle, neck), QPointF(middle, hip))
    for side in (-1, 1):
        spread = side * (0.12 + 0.12 * share) * height
        painter.drawLine(
            QPointF(middle, neck + 0.08 * height), QPointF(middle + spread, neck + 0.28 * height)
        )
        painter.drawLine(QPointF(middle, hip), QPointF(middle + spread, foot))


def _bar(painter: QPainter, box: QRectF, share: float) -> None:
    painter.drawRoundedRect(box, 6, 6)
    filled = QRectF(box)
    filled.setTop(box.bottom() - share * box.height())
    painter.fillRect(filled, painter.pen().color())


def _at(middle: QPointF, angle: float, distance: float) -> QPointF:
    return QPointF(middle.x() + distance * math.cos(angle), middle.y() + distance * math.sin(angle))


DRAW: dict[str, Draw] = {"valence": _face, "arousal": _pulse, "dominance": _figure}
