"""The estimate now: the largest thing on the screen, to be read from two metres.

One block for every head, and for every modality where several answer side by side. Where there is no
estimate, its place says so and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QFont, QFontMetricsF, QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QProgressBar, QSizePolicy

from bci_m2s.colours import class_colour
from bci_m2s.panel.answer.bars import Bars
from bci_m2s.panel.client.answers import (
    NO_ESTIMATE,
    Answer,
    AnswerLine,
    ShownAnswer,
    duration,
    legible,
)
from bci_m2s.panel.look.text import ElidedLabel, tip
from bci_m2s.panel.look.theme import HUGE, LARGE, NORMAL, SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column, in_row, plain_label
from bci_m2s.text import modality_name
from bci_m2s.types import UNKNOWN

MARGIN, WAIT_PX = 8, 5
MOST_LINES = 3  # of the words below the answer
HUGEST = 1.5 * HUGE  # of type, where there is much room
BLOCK = (300.0, 200.0)  # width and height that suit a block; what is far from it is stacked otherwise
WRAP = Qt.TextFlag.TextWordWrap.value
NOBODY = ShownAnswer(NO_ESTIMATE, detail="waiting for a session", tone="muted")


class AnswerView(View):
    """Estimates of all heads, now. ``tick`` draws, and notices when nothing comes any more."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self.setMinimumSize(220, 140)
        self._lines: dict[tuple[str, str], AnswerLine] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(1, 1, 1, 1)
        self._grid.setSpacing(0)
        self.blocks: dict[tuple[str, str], AnswerBlock] = {}
        self.set_heads({})

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for block in self.blocks.values():
            block.set_theme(theme)

    def show_answer(self, head: str, answer: Answer) -> None:
        """Take the newest answer to a head; one that has no place here is ignored."""
        line = self._lines.get((answer.modality, head)) or self._lines.get(("", head))
        if line is not None:
            line.take(answer)

    def tick(self, now_s: float) -> None:
        """Draw what is new. now_s : local LSL clock, s."""
        for key, line in self._lines.items():
            self.blocks[key].show_answer(line.shown(now_s))

    def end(self, why: str) -> None:
        """The session is over: say so, once and for all, until other heads are named."""
        for block in self.blocks.values():
            block.show_answer(ShownAnswer(NO_ESTIMATE, detail=why, tone="muted"))

    def freeze(self, frozen_s: float) -> None:
        """The view is frozen: say for how long, so that nobody takes the answer for one of now."""
        for block in self.blocks.values():
            block.freeze(f"view frozen for {duration(max(frozen_s, 0.0))}")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    def set_heads(self, heads: Mapping[str, tuple[str, ...]], modalities: Sequence[str] = ()) -> None:
        """Name the questions and their classes; what was shown is forgotten.

        modalities : those that answer side by side; with fewer than two, one line is made of all
        """
        for block in self.blocks.values():
            self._grid.removeWidget(block)
            block.hide()  # else the layout may yet show it, as a window of its own
            block.setParent(None)
            block.deleteLater()
        self._lines, self.blocks = {}, {}
        for modality in modalities if len(modalities) > 1 else ("",):
            for head, classes in heads.items():
                title = [modality_name(modality)] * bool(modality) + [head] * (len(heads) > 1)
                self._lines[modality, head] = AnswerLine(classes)
                self.blocks[modality, head] = AnswerBlock(self.theme, " · ".join(title), classes)
        if not self.blocks:
            self.blocks["", ""] = AnswerBlock(self.theme, "", ())
        self._arrange()

    def _arrange(self) -> None:
        columns = best_columns(len(self.blocks), self.width(), self.height())
        for number, block in enumerate(self.blocks.values()):
            row, column = divmod(number, columns)
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


class AnswerBlock(View):
    """One head's answer: words as large as fit, what they rest on or why there are none, and bars.

    Everything has a place of its own, whatever is shown: nothing jumps when an answer is missing.
    """

    def __init__(self, theme: Theme, title: str, classes: tuple[str, ...]) -> None:
        super().__init__(theme, framed=False)
        self.shown = ShownAnswer(NO_ESTIMATE, detail="waiting for the first window", tone="muted")
        self._name, self._longest_s = title, 0.0  # of the wait that goes on
        self._said = (*(name.upper() for name in classes), UNKNOWN, NO_ESTIMATE)
        self._detail_font = font()
        self._title, self._headline = ElidedLabel(title), plain_label(wraps=True)
        self._number, self._detail = plain_label(), plain_label(wraps=True)
        self._wait, self.bars = QProgressBar(), Bars(theme, classes)
        self._lay_out()
        self.set_theme(theme)
        self.show_answer(self.shown if classes else NOBODY)

    def _lay_out(self) -> None:
        align = Qt.AlignmentFlag
        self._title.setFont(font(SMALL))
        self._title.setProperty("muted", True)
        for label in (self._headline, self._number, self._detail):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._number.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._number.setAlignment(align.AlignRight | align.AlignVCenter)
        self._detail.setAlignment(align.AlignLeft | align.AlignTop)
        self._wait.setTextVisible(False)
        self._wait.setFixedHeight(WAIT_PX)
        policy = self._wait.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._wait.setSizePolicy(policy)
        parts = self._title, in_row((self._headline, 1), self._number), self._detail, self._wait
        self.setLayout(in_column(*parts, (self.bars, 1), margins=(MARGIN,) * 4, spacing=2))
        self._title.setVisible(bool(self._name))  # not before it has a parent: it would be a window

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.bars.set_theme(theme)
        self._wait.setStyleSheet(
            f"QProgressBar {{ background: {theme.raised}; border: 0; border-radius: 2px; }}"
            f"QProgressBar::chunk {{ background: {theme.muted}; border-radius: 2px; }}"
        )
        self._draw()

    def show_answer(self, shown: ShownAnswer) -> None:
        """Show an answer; nothing is drawn where it is the same."""
        self._longest_s = max(self._longest_s, shown.left_s) if shown.left_s is not None else 0.0
        if shown == self.shown:
            return
        self.shown = shown
        self.setAccessibleName(" ".join((self._name, shown.headline, shown.number, shown.detail)).strip())
        self.setToolTip(tip("\n".join(filter(None, (self._name, shown.headline, shown.detail)))))
        self._draw()

    def freeze(self, words: str) -> None:
        """Keep the answer, pale, with words below it that say why it stands still."""
        self.show_answer(replace(self.shown, detail=words, tone="frozen"))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        wide, tall = self.width(), self.height()
        scale = LARGE if tall >= 300 and wide >= 400 else NORMAL if tall >= 220 else SMALL
        self._detail_font = font(scale)
        lines = MOST_LINES if tall >= 260 else MOST_LINES - 1
        self._detail.setFixedHeight(round(lines * QFontMetricsF(self._detail_font).height()))
        for label in (self._headline, self._number):
            label.setFixedHeight(round(min(1.1 * QFontMetricsF(font(HUGEST)).height(), 0.25 * tall)))
        self._draw()

    def _draw(self) -> None:
        shown, theme = self.shown, self.theme
        colour = theme.muted if shown.tone == "muted" else theme.state(shown.tone)
        if shown.shares and shown.tone != "frozen":
            colour = legible(class_colour(shown.place), theme.surface) if shown.place >= 0 else theme.text
        room = self.width() - 2 * MARGIN, self._headline.maximumHeight()
        chosen, number_px = _fit(self._said, *room)
        left = room[0] - number_px * bool(shown.number)
        text = _cut(shown.headline, chosen, left)
        _write(self._headline, text, chosen, colour)
        _write(self._number, shown.number, chosen, theme.text)
        self._number.setFixedWidth(round(number_px * bool(shown.number)))
        is_quiet = bool(shown.shares) and shown.tone != "frozen"
        tones = {"muted": theme.text, "frozen": theme.warn}
        colour = theme.muted if is_quiet else tones.get(shown.tone, theme.state(shown.tone))
        _write(self._detail, shown.detail, self._detail_font, colour)
        self._wait.setVisible(shown.left_s is not None and self._longest_s > 0)
        if shown.left_s is not None and self._longest_s > 0:
            self._wait.setValue(round(100 * (1 - shown.left_s / self._longest_s)))
        self.bars.show_shares(shown.shares, shown.place)


def _write(label: QLabel, text: str, chosen: QFont, colour: str) -> None:
    """Show a text in a font and a colour; the same style sheet again would cost as much as another one."""
    label.setText(text)
    label.setFont(chosen)
    sheet = f"color: {colour}"
    if label.styleSheet() != sheet:
        label.setStyleSheet(sheet)


@lru_cache(maxsize=64)
def _fit(texts: tuple[str, ...], width: float, height: float) -> tuple[QFont, float]:
    """The largest font in which each of some texts, on one line or several, fits beside a number.

    Gives the font, the same whichever is shown, and the number's width. "No estimate" has none.
    """
    for scale in np.linspace(HUGEST, LARGE, 12).tolist():
        chosen = font(scale, bold=True)
        metrics = QFontMetricsF(chosen)
        beside = metrics.horizontalAdvance("0.00") + 0.5 * metrics.height()
        for text in texts:
            left = max(width - beside * (text != NO_ESTIMATE), 1)
            size = metrics.boundingRect(QRectF(0, 0, left, 1e6), WRAP, text)
            if size.width() > left or size.height() > height:
                break
        else:
            break
    return chosen, beside


def _cut(text: str, chosen: QFont, width: float) -> str:
    """The text, cut where its longest word does not fit."""
    metrics = QFontMetricsF(chosen)
    if max(map(metrics.horizontalAdvance, text.split() or [""])) <= width:
        return text
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
