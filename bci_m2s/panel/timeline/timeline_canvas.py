"""The plot of the timeline: stacked probabilities, hatched holes, markers, an axis of session time.

The wheel zooms along time, dragging moves, a double click shows the whole session again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QMouseEvent

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import clock
from bci_m2s.panel.look.plot import Plot, pen
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.timeline.bins import STATE_WORDS, Bins, State, extent_s, tick_step_s
from bci_m2s.types import FloatArray

GUTTER_PX = 18  # width for the numbers of the upright axis
MARKER_PX = 140.0  # of a marker's text, at most
LEAST_TEXT_PX = 44.0  # with less room it is left out
NEAR_PX = 6  # of the mouse to a marker
EMPTY = "the session's estimates and markers appear here"


class TimelineCanvas(Plot):
    """Draws one line of a session. Times are seconds since the session began."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, zoom=(True, False), on_hover=lambda t_s, _: "\n".join(self.describe(t_s)))
        self._bins: Bins | None = None
        self.markers: list[tuple[float, str]] = []
        self._now_s = self._seen_from_s = 0.0
        self._extent_s = extent_s(0.0)
        self._image, self._frame = pg.ImageItem(), pg.PlotCurveItem(antialias=False)
        self._ticks = pg.PlotCurveItem(connect="pairs", antialias=False)
        self._words: list[pg.TextItem] = []  # what holes are
        self._texts: list[pg.TextItem] = []  # of markers
        self._empty = pg.TextItem(EMPTY, anchor=(0.5, 0.5))
        self.setMinimumSize(160, 70)
        for item in (self._frame, self._image, self._ticks, self._empty):
            self.addItem(item)
        self._empty.setFont(font())
        self.show_axis("left", [(0.0, "0"), (1.0, "1")], GUTTER_PX)
        self.set_theme(theme)
        self.getViewBox().sigRangeChanged.connect(self._on_view)
        self.getViewBox().sigResized.connect(self._on_resize)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._frame.setPen(pen(theme.grid))
        self._ticks.setPen(pen(theme.text))
        self._empty.setColor(theme.muted)
        self._on_view()

    def show_line(self, bins: Bins | None) -> None:
        """Draw another line; None draws the empty state."""
        self._bins = bins
        self._paint()

    def set_markers(self, markers: Mapping[tuple[int, str], float]) -> None:
        """The session's markers, {(anything, text): time}; ``markers`` has them in order of time."""
        self.markers = sorted((t_s, text) for (_, text), t_s in markers.items())
        self._place_markers()

    def draw(self, now_s: float, seen_from_s: float) -> None:
        """Bring the plot up to a moment. seen_from_s : before it this panel was not there."""
        self._now_s, self._seen_from_s = now_s, seen_from_s
        if extent_s(now_s) != self._extent_s:
            is_whole = np.allclose(self.getViewBox().viewRange()[0], (0.0, self._extent_s))
            self._extent_s = extent_s(now_s)
            self._show_whole(and_zoom_out=is_whole)
        self._paint()

    def _show_whole(self, and_zoom_out: bool = True) -> None:
        """The room that there is, and unless the user looks at a part of it: show all of it."""
        view, tall = self.getViewBox(), QFontMetricsF(font(SMALL)).height()
        lane = tall * self._rows() + 3
        top = max(view.height(), 1.0) / max(view.height() - lane, 10.0)
        view.setLimits(xMin=0.0, xMax=self._extent_s, minXRange=1.0, yMin=0.0, yMax=top)
        if and_zoom_out:
            view.setRange(xRange=(0.0, self._extent_s), yRange=(0.0, top), padding=0.0)
        else:
            view.setYRange(0.0, top, padding=0.0)
        self._frame.setData(self._extent_s * np.array([0, 0, 1, 1, 0]), [0, 1, 1, 0, 0])

    def _rows(self) -> int:
        return 2 if self.height() >= 90 else 1

    def _on_resize(self) -> None:
        self._show_whole()
        self._on_view()

    def _on_view(self) -> None:
        """Another part is in view: everything has another place."""
        begin_s, end_s = self.getViewBox().viewRange()[0]
        self._empty.setPos((begin_s + end_s) / 2, 0.5)
        self._place_ticks(begin_s, end_s)
        self._place_markers()
        self._paint()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Show the whole session again."""
        super().mouseDoubleClickEvent(event)
        self._show_whole()

    # ---- drawing ----

    def _paint(self) -> None:
        """Draw what is in view, one column for each pixel of the screen."""
        view, ratio = self.getViewBox(), self.devicePixelRatioF()
        (begin_s, end_s), (_, top) = view.viewRange()
        wide, tall = round(view.width() * ratio), round(view.height() / top * ratio)
        self._empty.setVisible(self._bins is None)
        self._image.setVisible(self._bins is not None)
        states: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        if self._bins is not None and wide > 1 and tall > 1:
            edges_s = np.linspace(begin_s, end_s, wide + 1)
            states, means = self._bins.columns(edges_s, self._now_s, self._seen_from_s)
            self._image.setImage(self._pixels(states, means, tall, ratio), levels=None, autoLevels=False)
            self._image.setRect(QRectF(begin_s, 0.0, end_s - begin_s, 1.0))
        self._place_words(states, begin_s, (end_s - begin_s) / max(wide, 1), ratio)

    def _pixels(
        self, states: NDArray[np.uint8], means: FloatArray, tall: int, ratio: float
    ) -> NDArray[np.uint8]:
        """Pixels (tall, columns, 4): stacked classes from the bottom up, or a hatch."""
        theme, n_classes = self.theme, means.shape[1]
        above = ((np.arange(tall, dtype=np.float32) + 0.5) / tall)[:, None]
        heights = np.cumsum(means, axis=1) / np.maximum(means.sum(axis=1), 1e-9)[:, None]
        layer = np.zeros((tall, len(states)), dtype=np.uint8)
        for place in range(n_classes - 1):
            layer += above > heights[:, place].astype(np.float32)
        pixels = np.array([_rgba(class_colour(place)) for place in range(n_classes)])[layer]
        y, x = np.arange(tall)[:, None], np.arange(len(states))[None, :]
        step, thick = round(8 * ratio), max(round(1.5 * ratio), 1)
        hatches = {
            State.NONE: (lambda x: (x - y) % step < thick, theme.bad_trace),
            State.SILENT: (lambda x: (x + y) % step < thick, theme.warn),
            State.UNSEEN: (lambda x: (x % step < thick) & (y % step < thick), theme.muted),
            State.FUTURE: (lambda x: np.zeros((tall, x.shape[1]), dtype=bool), theme.surface),
        }
        for state, (is_line, colour) in hatches.items():
            is_state = states == state
            if is_state.any():
                pixels[:, is_state] = np.where(is_line(x[:, is_state]), _rgba(colour), _rgba(theme.surface))
        return pixels.view(np.uint8).reshape(tall, len(states), 4)

    def _place_words(
        self, states: NDArray[np.uint8], begin_s: float, column_s: float, ratio: float
    ) -> None:
        """Where wide holes say what they are."""
        metrics = QFontMetricsF(font(SMALL))
        borders = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
        wanted = []
        for low, high in pairwise(borders):
            words = STATE_WORDS.get(State(states[low]), "") if high > low else ""
            if words and (high - low) / ratio >= metrics.horizontalAdvance(words) + 16:
                wanted.append((begin_s + (low + high) / 2 * column_s, 0.5, words))
        self._show_texts(self._words, wanted, anchor=(0.5, 0.5), fill=self.theme.surface)

    def _place_ticks(self, begin_s: float, end_s: float) -> None:
        wide = QFontMetricsF(font(SMALL)).horizontalAdvance("00:00:00") + 24
        step_s = tick_step_s(end_s - begin_s, max(int(self.getViewBox().width() / wide), 1))
        times = np.arange(np.ceil(begin_s / step_s), end_s / step_s + 1e-9) * step_s
        tall = int(QFontMetricsF(font(SMALL)).height()) + 2
        self.show_axis("bottom", [(t_s, clock(t_s)) for t_s in times.tolist()], tall)

    def _place_markers(self) -> None:
        """Markers' lines, and their texts: the newest first, in rows, cut where another one begins."""
        metrics, view = QFontMetricsF(font(SMALL)), self.getViewBox()
        (begin_s, end_s), (_, top) = view.viewRange()
        per_s, per_one = view.width() / (end_s - begin_s), view.height() / top
        seen = [(t_s, text) for t_s, text in self.markers if begin_s <= t_s <= end_s]
        times = np.array([t_s for t_s, _ in seen])
        self._ticks.setData(np.repeat(times, 2), np.tile((0.0, 1 + 3 / per_one), len(seen)))
        rows: list[list[float]] = [[] for _ in range(self._rows())]  # where texts begin, px
        wanted = []
        for t_s, whole in reversed(seen):
            x = (t_s - begin_s) * per_s + 2
            full = min(metrics.horizontalAdvance(whole) + 6, MARKER_PX)
            for number, row in enumerate(rows):
                left = x if row else min(x, view.width() - full)  # the newest may stand before its tick
                wide = min(full, min(row, default=view.width()) - left)
                if not whole or wide < min(full, LEAST_TEXT_PX):
                    continue
                row.append(left)
                text = metrics.elidedText(whole, Qt.TextElideMode.ElideRight, wide - 4)
                y = 1 + (1 + number * metrics.height()) / per_one
                wanted.append((begin_s + left / per_s, y, text))
                break
        self._show_texts(self._texts, wanted, anchor=(0.0, 1.0))

    def _show_texts(
        self,
        items: list[pg.TextItem],
        wanted: list[tuple[float, float, str]],
        anchor: tuple[float, float],
        fill: str | None = None,
    ) -> None:
        """Show (x, y, text) with items that are there; more are made where they do not suffice."""
        while len(items) < len(wanted):
            items.append(self.add_text(anchor=anchor))
        for item in items[len(wanted) :]:
            item.hide()
        for item, (x, y, text) in zip(items, wanted, strict=False):
            if item.toPlainText() != text:
                item.setPlainText(text)
            if item.color.name() != QColor(self.theme.text).name():
                item.setColor(self.theme.text)
            item.fill = pg.mkBrush(fill)
            item.setPos(x, y)
            item.show()

    # ---- the mouse ----

    def describe(self, t_s: float) -> tuple[str, ...]:
        """Time, probabilities or why there are none, and markers at a moment of the session."""
        if self._bins is None or not 0 <= t_s <= self._extent_s:
            return ()
        lines = [clock(t_s)]
        pixel_s = self.getViewBox().viewPixelSize()[0]
        edges = np.array([t_s, t_s + pixel_s / 100])
        states, means = self._bins.columns(edges, self._now_s, self._seen_from_s)
        if states[0] == State.GOOD:
            lines += [
                f"{name} {share:.2f}" for name, share in zip(self._bins.classes, means[0], strict=True)
            ]
        elif states[0] != State.FUTURE:
            reason = self._bins.reason(t_s) if states[0] == State.NONE else ""
            lines.append(": ".join([STATE_WORDS[State(states[0])]] + [reason] * bool(reason)))
        near = [text for at_s, text in self.markers if abs(at_s - t_s) <= NEAR_PX * pixel_s]
        return (*lines, *(f"marker {text}" for text in near[:5]))


def _rgba(colour: str) -> np.uint32:
    """A colour whose bytes are red, green, blue and opaque, in this order."""
    return np.array(QColor(colour).getRgb(), dtype=np.uint8).view(np.uint32)[0]
