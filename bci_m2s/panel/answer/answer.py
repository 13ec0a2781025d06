"""The estimate now: the largest thing on the screen, to be read from two metres.

One block for every head, and for every modality where several answer side by side. Where there is no
estimate, its place says so and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QWidget

from bci_m2s.colours import class_colour
from bci_m2s.panel.answer.bars import (
    LEFT,
    MARGIN,
    RIGHT,
    TOP,
    cut,
    line_height,
    paint_bar,
    paint_bars,
    write,
)
from bci_m2s.panel.client.answers import (
    NO_ESTIMATE,
    Answer,
    Line,
    Said,
    duration,
    legible,
    limited,
    modality_name,
)
from bci_m2s.panel.look.text import tip
from bci_m2s.panel.look.theme import HUGE, LARGE, NORMAL, SMALL, Theme, font

HUGEST = 1.5 * HUGE  # of type, where there is much room
DRAW_EVERY_S = 0.24  # numbers change at 4 Hz at most
BLOCK = (300.0, 200.0)  # width and height that suit a block; what is far from it is stacked otherwise
WRAP = Qt.TextFlag.TextWordWrap.value
NOBODY = Said(NO_ESTIMATE, detail="the model's classes are not known yet: no engine is heard", tone="muted")


class AnswerView(QFrame):
    """Estimates of all heads, now.

    ``tick`` draws, so it has to be called about four times a second or more often. It also notices when
    nothing comes any more.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("view", "true")
        self.setMinimumSize(220, 140)
        self._theme = theme
        self._heads: dict[str, tuple[str, ...]] = {}
        self._places: tuple[str, ...] = ("",)
        self._lines: dict[tuple[str, str], Line] = {}
        self._drawn_s = -np.inf
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(1, 1, 1, 1)
        self._grid.setSpacing(0)
        self.blocks: dict[tuple[str, str], AnswerBlock] = {}
        self._build()

    def set_heads(self, heads: Mapping[str, Sequence[str]]) -> None:
        """Name the questions and their classes; what was shown is forgotten."""
        self._heads = {head: tuple(map(limited, names)) for head, names in heads.items() if names}
        self._build()

    def set_places(self, places: Sequence[str]) -> None:
        """Name the modalities that answer side by side; with fewer than two, one line is made of all."""
        self._places = tuple(dict.fromkeys(places)) if len(places) > 1 else ("",)
        self._build()

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        for block in self.blocks.values():
            block.theme = theme
            block.update()

    def show_answer(self, head: str, answer: Answer) -> None:
        """Take the newest answer to a head; one that has no place here is ignored."""
        line = self._lines.get((answer.modality if len(self._places) > 1 else "", head))
        if line is not None:
            line.take(answer)

    def tick(self, now_s: float) -> None:
        """Draw what is new. now_s : local LSL clock, s."""
        if 0 <= now_s - self._drawn_s < DRAW_EVERY_S:
            return
        self._drawn_s = now_s
        for key, line in self._lines.items():
            self.blocks[key].say(line.say(now_s))

    def end(self, why: str) -> None:
        """The session is over: say so, once and for all, until other heads are named."""
        for block in self.blocks.values():
            block.say(Said(NO_ESTIMATE, detail=limited(why), tone="muted"))

    def hold(self, held_s: float) -> None:
        """The picture is held: say for how long, so that nobody takes the answer for one of now."""
        for block in self.blocks.values():
            block.hold(f"held for {duration(max(held_s, 0.0))}: the picture is paused")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Stack the blocks as suits the new size."""
        super().resizeEvent(event)
        self._arrange()

    def _build(self) -> None:
        for block in self.blocks.values():
            self._grid.removeWidget(block)
            block.hide()  # else the layout may yet show it, as a window of its own
            block.setParent(None)
            block.deleteLater()
        keys = [(place, head) for place in self._places for head in self._heads]
        self._lines = {key: Line(self._heads[key[1]]) for key in keys}
        self.blocks = {
            key: AnswerBlock(self._theme, self._title(*key), self._heads[key[1]]) for key in keys
        }
        if not keys:
            self.blocks["", ""] = AnswerBlock(self._theme, "", ())
        self._drawn_s = -np.inf
        self._arrange()

    def _title(self, place: str, head: str) -> str:
        parts = [modality_name(place)] * bool(place) + [limited(head)] * (len(self._heads) > 1)
        return " · ".join(parts)

    def _arrange(self) -> None:
        columns = best_columns(len(self.blocks), self.width(), self.height())
        for number, block in enumerate(self.blocks.values()):
            row, column = divmod(number, columns)
            block.edges = (column > 0, row > 0)
            self._grid.addWidget(block, row, column)
        for number in range(max(len(self.blocks), self._grid.columnCount(), self._grid.rowCount())):
            self._grid.setColumnStretch(number, int(number < columns))
            self._grid.setRowStretch(number, int(number * columns < len(self.blocks)))


def best_columns(blocks: int, width: float, height: float) -> int:
    """Columns that leave the blocks nearest to the shape and size that suits them."""

    def room(columns: int) -> float:
        rows = -(-blocks // columns)
        return min(width / columns / BLOCK[0], height / rows / BLOCK[1])

    return max(range(1, blocks + 1), key=room)


class AnswerBlock(QWidget):
    """One head's answer: words as large as fit, then a bar for every class."""

    def __init__(self, theme: Theme, title: str, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.theme = theme
        self.edges = (False, False)  # lines at the left and at the top
        self.said = Said(NO_ESTIMATE, detail="waiting for the first window", tone="muted")
        self._title, self._classes = title, classes
        self._longest_s = 0.0  # of the wait that goes on
        self.say(self.said if classes else NOBODY)

    def say(self, said: Said) -> None:
        """Show an answer; nothing is painted where it is the same."""
        self._longest_s = max(self._longest_s, said.left_s) if said.left_s is not None else 0.0
        if said == self.said:
            return
        self.said = said
        self.setAccessibleName(" ".join((self._title, said.headline, said.number, said.detail)).strip())
        self.setToolTip(tip("\n".join(filter(None, (self._title, said.headline, said.detail)))))
        self.update()

    def hold(self, words: str) -> None:
        """Keep the answer, pale, with words below it that say why it stands still."""
        self.say(replace(self.said, detail=words, tone="held"))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint title, answer, bars and source from top to bottom."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.theme.grid), 1))
        if self.edges[0]:
            painter.drawLine(0, MARGIN, 0, self.height() - MARGIN)
        if self.edges[1]:
            painter.drawLine(MARGIN, 0, self.width() - MARGIN, 0)
        room = QRectF(self.rect()).adjusted(MARGIN + 2, MARGIN, -MARGIN - 2, -MARGIN)
        if self._title:
            write(painter, cut(room, line_height(SMALL)), self._title, font(SMALL), self.theme.muted)
            room.setTop(room.top() + line_height(SMALL))
        whole = room.height()
        tall = min(1.15 * line_height(HUGEST), 0.32 * whole)
        self._paint_headline(painter, cut(room, tall))
        room.setTop(room.top() + tall + 2)
        if self.said.shares:
            is_roomy = (
                self._detail_height(room.width(), 1e6, LARGE) < 0.12 * whole and len(self._classes) < 6
            )
            scale = LARGE if is_roomy else NORMAL
            below = self._detail_height(room.width(), 0.25 * whole, scale)
            room.setBottom(room.bottom() - below - 4)
            used = paint_bars(painter, room, self._classes, self.said, self.theme)
            self._paint_detail(painter, cut(room.translated(0, used + 4), below), scale)
        else:
            room.setTop(room.top() + self._paint_reason(painter, room))
            paint_bars(painter, room, self._classes, self.said, self.theme)

    def _paint_headline(self, painter: QPainter, room: QRectF) -> None:
        said, theme = self.said, self.theme
        chosen, text, number = _fit(said.headline, said.number, room)
        colour = theme.muted if said.tone == "muted" else theme.state(said.tone)
        if said.shares and said.tone != "held":
            colour = legible(class_colour(said.place), theme.surface) if said.place >= 0 else theme.text
        write(painter, room.adjusted(0, 0, -number, 0), text, chosen, colour, LEFT | WRAP)
        write(painter, room, said.number, chosen, theme.text, RIGHT)

    def _paint_reason(self, painter: QPainter, room: QRectF) -> float:
        """Paint why there is no estimate, and a bar of what is left to wait; gives the height taken."""
        most = 0.6 * room.height()
        scale = LARGE if self._detail_height(room.width(), 1e6, LARGE) <= most else NORMAL
        tall = self._detail_height(room.width(), most, scale)
        self._paint_detail(painter, cut(room, tall), scale)
        if self.said.left_s is None or self._longest_s <= 0:
            return tall + 6
        bar = QRectF(room.left(), room.top() + tall + 5, room.width(), 6)
        paint_bar(painter, bar, 1 - self.said.left_s / self._longest_s, self.theme.muted, self.theme)
        return tall + 20

    def _detail_height(self, width: float, most: float, scale: float) -> float:
        metrics = QFontMetricsF(font(scale))
        tall = metrics.boundingRect(QRectF(0, 0, width, 1e6), WRAP, self.said.detail).height()
        return min(tall, max(metrics.height(), metrics.height() * int(most / metrics.height())))

    def _paint_detail(self, painter: QPainter, room: QRectF, scale: float) -> None:
        quiet = self.said.shares or self.said.tone == "muted"
        colour = self.theme.muted if quiet else self.theme.state(self.said.tone)
        if self.said.tone == "muted":
            colour = self.theme.text
        elif self.said.tone == "held":
            colour = self.theme.warn
        metrics = QFontMetricsF(font(scale))
        text = self.said.detail
        if room.height() < 1.5 * metrics.height():
            text = metrics.elidedText(text.replace("\n", " · "), Qt.TextElideMode.ElideRight, room.width())
        painter.save()
        painter.setClipRect(room)
        write(painter, room, text, font(scale), colour, TOP | WRAP)
        painter.restore()


def _fit(text: str, number: str, room: QRectF) -> tuple[QFont, str, float]:
    """The largest font in which a text, on one line or several, and a number fit side by side.

    Gives the font, the text (cut where even the smallest type is too large) and the number's width.
    """
    for scale in np.linspace(HUGEST, LARGE, 12).tolist():
        chosen = font(scale, bold=True)
        metrics = QFontMetricsF(chosen)
        beside = metrics.horizontalAdvance(number) + (0.5 * metrics.height() if number else 0)
        left = room.width() - beside
        size = metrics.boundingRect(QRectF(0, 0, max(left, 1), 1e6), WRAP, text)
        if size.width() <= left and size.height() <= room.height():
            return chosen, text, beside
    return chosen, metrics.elidedText(text, Qt.TextElideMode.ElideRight, left), beside
