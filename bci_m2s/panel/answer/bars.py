"""Probabilities as bars, each with its class's name and a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QFontMetricsF

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import legible
from bci_m2s.panel.look.plot import Plot, pen
from bci_m2s.panel.look.theme import LARGE, NORMAL, SMALL, Theme, font

GAP_PX = 8.0  # between name, bar and number
THICK = 0.5  # of a row
LARGEST_NAME = 0.45  # of the width
ROOM_PX = 2.4  # of the height of a row, in lines, at most


class Bars(Plot):
    """One row per class, from the top; where not all find room, the last row says how many are left out.

    classes : their names, in the order of their colours
    """

    def __init__(self, theme: Theme, classes: Sequence[str]) -> None:
        super().__init__(theme, zoom=(False, False))
        self._classes = tuple(classes)
        self._shares: tuple[float, ...] = ()
        self._winner, self._shown = -1, 0
        self._track, self._bars = (pg.BarGraphItem(x0=0, width=0, y=[], height=THICK) for _ in range(2))
        for item in (self._track, self._bars):
            self.addItem(item)
        self._names = [self.add_text(anchor=(0.0, 0.5)) for _ in classes]
        self._numbers = [self.add_text(anchor=(1.0, 0.5)) for _ in classes]
        self.set_theme(theme)
        self.getViewBox().sigResized.connect(self._lay_out)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._lay_out()

    def show_shares(self, shares: Sequence[float], winner: int) -> None:
        """Show probabilities, () for none; winner : index of the answer, -1 for none."""
        self._shares, self._winner = tuple(shares), winner
        self._fill()
        self._write()

    def _fill(self) -> None:
        """Draw the bars of the rows that are shown; a pale one has an edge."""
        shares = np.array(self._shares[: self._shown])
        colours = [class_colour(place) for place in range(len(shares))]
        edges = [pen(legible(colour, self.theme.raised, least=2.0)) for colour in colours]
        self._bars.setVisible(len(shares) > 0)
        if len(shares):
            self._bars.setOpts(width=shares, y=-np.arange(len(shares)), brushes=colours, pens=edges)

    def _lay_out(self) -> None:
        """Divide the room: names, bars, numbers; the largest type with which names are whole."""
        wide, tall, n = self.getViewBox().width(), self.getViewBox().height(), len(self._classes)
        least = QFontMetricsF(font(SMALL)).height()
        if not n or wide < 10 or tall < 1:
            return
        fits = max(int(tall / least), 1)
        self._shown = n if n <= fits else fits - 1
        rows = min(n, fits)
        row_px = min(tall / rows, ROOM_PX * QFontMetricsF(font(LARGE)).height())
        largest = row_px / (1.35 * QFontMetricsF(font(NORMAL)).height())
        for self._scale in np.linspace(np.clip(largest, SMALL, LARGE), min(largest, NORMAL), 4).tolist():
            metrics = QFontMetricsF(font(max(self._scale, SMALL), bold=True))
            widest = max(metrics.horizontalAdvance(name) for name in self._classes) + 2
            if widest <= LARGEST_NAME * wide:
                break
        self._name_px = min(widest, LARGEST_NAME * wide)
        number_px = metrics.horizontalAdvance("0.00") + GAP_PX
        bar_px = max(wide - self._name_px - GAP_PX - number_px, 10.0)
        self._ends = -(self._name_px + GAP_PX) / bar_px, 1 + number_px / bar_px
        self.getViewBox().setRange(
            QRectF(self._ends[0], 0.5 - tall / row_px, wide / bar_px, tall / row_px), padding=0
        )
        for place in range(n):
            for item in (self._names[place], self._numbers[place]):
                item.setVisible(place < rows)
            self._names[place].setPos(self._ends[0], -place)
            self._numbers[place].setPos(self._ends[1], -place)
        whole, ground = np.ones(self._shown), self.theme.raised
        self._track.setVisible(self._shown > 0)
        if self._shown:
            self._track.setOpts(width=whole, y=-np.arange(self._shown), brush=ground, pen=pen(ground))
        self._fill()
        self._write()

    def _write(self) -> None:
        """Bring names and numbers up to date; the answer's are bold."""
        for place, (name, number) in enumerate(zip(self._names, self._numbers, strict=True)):
            if not name.isVisible():
                break
            wins, is_last = place == self._winner, place == self._shown
            letters = font(max(self._scale, SMALL), bold=wins)
            colour = self.theme.text if wins else self.theme.muted
            metrics = QFontMetricsF(letters)
            text = metrics.elidedText(self._classes[place], Qt.TextElideMode.ElideRight, self._name_px)
            words = f"and {len(self._classes) - place} more" if is_last else text
            share = "" if is_last else f"{self._shares[place]:.2f}" if self._shares else "–"
            for item, shown in ((name, words), (number, share)):
                if (item.toPlainText(), item.color.name()) != (shown, pen(colour).color().name()):
                    item.setPlainText(shown)
                    item.setColor(colour)
                if item.textItem.font() != letters:
                    item.setFont(letters)
