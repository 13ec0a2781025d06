"""The board: all tiles drawn by one widget, so that many of them cost little."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import ShownAnswer, legible
from bci_m2s.panel.look.theme import LARGE, NORMAL, SMALL, Theme, font
from bci_m2s.panel.overview.tiles import Tile

LEAST_WIDE, LEAST_TALL = 190.0, 84.0  # pixels of a tile
MOST_TALL = 110.0
GAP, INSET, STRIPE = 8.0, 10.0, 5.0
BAR = 7.0


class Board(QWidget):
    """Tiles in rows; a click, or Enter on the one with the frame, opens it.

    opened : with the session id of a tile
    """

    opened = pyqtSignal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._tiles: Sequence[Tile] = ()
        self._current = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_tiles(self, tiles: Sequence[Tile]) -> None:
        """Draw these."""
        if len(tiles) != len(self._tiles):
            self._tiles = tiles
            self.updateGeometry()
        if tiles != self._tiles or tiles:
            self._tiles = tiles
            self.update()
        said = "; ".join(f"{tile.name}: {_spoken(tile)}" for tile in tiles)
        self.setAccessibleDescription(said)

    def sizeHint(self) -> QSize:
        """Room for four columns."""
        rows = max(1, math.ceil(len(self._tiles) / 4))
        return QSize(int(4 * (LEAST_WIDE + GAP)), int(rows * (LEAST_TALL + GAP)))

    def minimumSizeHint(self) -> QSize:
        """Of all tiles at the width that there is."""
        columns = self._columns()
        rows = max(1, math.ceil(len(self._tiles) / columns))
        return QSize(int(LEAST_WIDE + 2 * GAP), int(rows * (LEAST_TALL + GAP) + GAP))

    # ---- where ----

    def _columns(self) -> int:
        return max(1, int((self.width() - GAP) // (LEAST_WIDE + GAP)))

    def _place(self, number: int) -> QRectF:
        columns = min(self._columns(), max(1, len(self._tiles)))
        wide = (self.width() - GAP) / columns - GAP
        rows = math.ceil(len(self._tiles) / columns)
        tall = min(max(LEAST_TALL, (self.height() - GAP) / rows - GAP), MOST_TALL)
        row, column = divmod(number, columns)
        return QRectF(GAP + column * (wide + GAP), GAP + row * (tall + GAP), wide, tall)

    # ---- people ----

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Open the tile that was clicked."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        for number, tile in enumerate(self._tiles):
            if self._place(number).contains(event.position()):
                self._current = number
                self.update()
                self.opened.emit(tile.session_id)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrows move the frame, Enter opens."""
        if event is None:
            return
        key, columns = Qt.Key(event.key()), self._columns()
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: -columns,
            Qt.Key.Key_Down: columns,
        }
        if key in steps and self._tiles:
            self._current = min(max(self._current + steps[key], 0), len(self._tiles) - 1)
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current < len(self._tiles):
            self.opened.emit(self._tiles[self._current].session_id)
        else:
            super().keyPressEvent(event)

    # ---- drawing ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw all tiles."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.theme.background))
        for number, tile in enumerate(self._tiles):
            has_frame = self.hasFocus() and number == self._current
            self._draw(painter, tile, self._place(number), has_frame)
        painter.end()

    def _draw(self, painter: QPainter, tile: Tile, place: QRectF, has_frame: bool) -> None:
        theme = self.theme
        colour = theme.muted if tile.state == "gone" else theme.state(tile.state)
        painter.setPen(QPen(QColor(theme.accent if has_frame else theme.grid), 2.0 if has_frame else 1.0))
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(place, 4, 4)
        painter.fillRect(QRectF(place.left(), place.top() + 3, STRIPE, place.height() - 6), QColor(colour))
        inside = place.adjusted(STRIPE + INSET, INSET * 0.6, -INSET, -INSET * 0.6)
        small, line = font(SMALL), QFontMetricsF(font(SMALL)).height()
        head = QRectF(inside.left(), inside.top(), inside.width(), QFontMetricsF(font(NORMAL)).height())
        name_px = self._text(painter, head, tile.name, theme.text, NORMAL, bold=True)
        rest = head.adjusted(name_px + GAP, 0, 0, 0)
        self._text(painter, rest, tile.words, colour, SMALL, right=True)
        painter.setFont(small)
        if tile.state == "gone":
            return
        each = (inside.height() - head.height()) / max(1, len(tile.answers))
        for number, (title, answer) in enumerate(tile.answers):
            top = inside.top() + head.height() + number * each
            self._answer(painter, QRectF(inside.left(), top, inside.width(), each), title, answer, line)

    def _answer(
        self, painter: QPainter, place: QRectF, title: str, answer: ShownAnswer, line: float
    ) -> None:
        theme = self.theme
        is_large = place.height() > 4 * line
        scale = LARGE if is_large else NORMAL
        tall = QFontMetricsF(font(scale)).height()
        colour = theme.text if answer.place >= 0 else theme.muted
        if answer.place >= 0:
            colour = legible(class_colour(answer.place), theme.surface)
        row = QRectF(place.left(), place.top(), place.width(), tall)
        words = f"{title}: {answer.headline}" if title else answer.headline
        self._text(painter, row, words, colour, scale, bold=answer.place >= 0)
        self._text(painter, row, answer.number, theme.text, scale, right=True)
        bar = QRectF(place.left(), row.bottom() + 1, place.width(), BAR)
        if answer.shares and bar.bottom() < place.bottom():
            painter.fillRect(bar, QColor(theme.raised))
            share = max(answer.shares) if answer.place < 0 else answer.shares[answer.place]
            painter.fillRect(QRectF(bar.left(), bar.top(), bar.width() * share, BAR), QColor(colour))
        below = QRectF(place.left(), bar.bottom() + 1, place.width(), line)
        if below.bottom() <= place.bottom() + line / 2:
            tone = theme.muted if answer.tone in ("ok", "muted") else theme.state(answer.tone)
            self._text(painter, below, answer.detail, tone, SMALL)

    def _text(
        self,
        painter: QPainter,
        place: QRectF,
        text: str,
        colour: str,
        scale: float,
        bold: bool = False,
        right: bool = False,
    ) -> float:
        """Write a line, shortened to its room; returns its width."""
        letters = font(scale, bold)
        metrics = QFontMetricsF(letters)
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, place.width()))
        painter.setFont(letters)
        painter.setPen(QColor(colour))
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        painter.drawText(place, int(side | Qt.AlignmentFlag.AlignVCenter), shown)
        return metrics.horizontalAdvance(shown)


def _spoken(tile: Tile) -> str:
    answers = ", ".join(f"{title} {one.headline} {one.number}".strip() for title, one in tile.answers)
    return f"{tile.words}; {answers}"
