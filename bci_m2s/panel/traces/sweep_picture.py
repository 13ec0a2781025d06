"""The picture of a sweep as an array of pixels, of which only new columns change. No Qt here.

What a frame costs is a few columns of numpy, whatever the number of channels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.traces.sweep import Columns, Float32Array, Page, Rows, coverage, shades
from bci_m2s.types import FloatArray

AHEAD_PX = 12  # empty before the cursor
CUT_PX = 2  # of the mark where a trace is cut off


class SweepPicture:
    """Pixels of a sweep; times in, changed columns out.

    Parameters
    ----------
    width, height : pixels of the screen, 2 or more; ratio : how many of them make one of Qt's
    span_s : seconds from the left edge to the right
    longest_s : longest step between samples that a line is drawn over

    Attributes
    ----------
    pixels : (height, width) uint32, 0xffRRGGBB
    page : the extremes of each column
    """

    def __init__(
        self,
        width: int,
        height: int,
        ratio: float,
        span_s: float,
        n_channels: int,
        longest_s: float,
        theme: Theme,
    ) -> None:
        self.page = Page(width, n_channels, ahead=round(AHEAD_PX * ratio))
        self.pixels: NDArray[np.uint32] = np.zeros((height, width), dtype=np.uint32)
        self._columns = Columns(span_s / width, longest_s)
        self._stroke_px, self._theme = max(1.0, ratio), theme
        self._rows: Rows | None = None
        seconds = np.arange(1, math.ceil(span_s), grid_step_s(span_s))
        self._on_grid = np.zeros(width, dtype=np.intp)
        self._on_grid[np.rint(seconds * width / span_s).astype(int)] = 1
        self.paint_all()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.paint_all()

    def set_rows(self, rows: Rows, repaint: bool) -> None:
        """Draw values elsewhere from now on, and with `repaint` also those that are drawn already."""
        self._rows = rows
        if repaint:
            self.paint_all()

    def clear(self) -> None:
        """Forget all samples."""
        self.page.clear()
        self._columns.reset()
        self.paint_all()

    def feed(self, times: FloatArray, values: Float32Array) -> list[slice]:
        """Paint new samples, (n,) s and (n, channels); the columns that changed."""
        return self._paint(self.page.put(self._columns.push(times, values)))

    def advance(self, time_s: float) -> list[slice]:
        """Move on to a moment for which there are no samples; the columns that changed."""
        if self.page.newest is None:
            return []
        return self._paint(self.page.advance(self._columns.number(time_s)))

    def place(self, time_s: float) -> float | None:
        """Where a moment is, pixels from the left edge; None when it is not in the picture."""
        if self.page.newest is None or not math.isfinite(time_s):
            return None
        number = self._columns.number(time_s)
        seen = self.page.oldest <= number <= self.page.newest
        return number % self.page.width + 0.5 if seen else None

    def paint_all(self) -> None:
        """Paint every column again."""
        self._paint_columns(slice(0, self.page.width))
        self._paint_cursor()

    def _paint(self, numbers: range) -> list[slice]:
        parts = list(self.page.places(numbers))
        for part in parts:
            self._paint_columns(part)
        if parts:
            self._paint_cursor()
        return parts

    def _paint_columns(self, part: slice) -> None:
        theme, height = self._theme, len(self.pixels)
        rows, grounds = self._rows, (theme.surface, theme.grid, theme.raised)
        low, high = self.page.low[part], self.page.high[part]
        ground = self._on_grid[part]
        if rows is not None and rows.shade is not None:
            ground = np.where(high[:, rows.shade] > 0.5, 2, ground)
        pixels = np.broadcast_to(shades(grounds, theme.trace)[ground, 0], (height, len(ground)))
        for chosen, colour in () if rows is None else rows.layers:
            if rows is not None and len(chosen):
                level = coverage(*self._ends(rows, low[:, chosen], high[:, chosen], chosen), height)
                pixels = np.where(level > 0, shades(grounds, colour)[ground, level], pixels)
        if rows is not None and rows.cut_colour:
            self._mark_cuts(pixels, rows, low, high)
        self.pixels[:, part] = pixels

    def _mark_cuts(
        self, pixels: NDArray[np.uint32], rows: Rows, low: Float32Array, high: Float32Array
    ) -> None:
        """Colour the ends of the topmost layer's strokes that are not drawn whole."""
        chosen, height = rows.layers[-1][0], len(self.pixels)
        top = height * (rows.origin[chosen] - rows.gain[chosen] * high[:, chosen])
        bottom = height * (rows.origin[chosen] - rows.gain[chosen] * low[:, chosen])
        upper, lower = height * rows.top[chosen], height * rows.bottom[chosen]
        colour, thick = shades((rows.cut_colour,), rows.cut_colour)[0, 0], round(CUT_PX * self._stroke_px)
        for cut, edge, step in ((top < upper, upper, 1), (bottom > lower, lower - 1, -1)):
            column, channel = np.nonzero(cut)
            for n in range(thick) if len(column) else ():
                pixels[np.clip(edge[channel].astype(int) + step * n, 0, height - 1), column] = colour

    def _ends(
        self, rows: Rows, low: Float32Array, high: Float32Array, chosen: NDArray[np.intp]
    ) -> tuple[FloatArray, FloatArray]:
        """Upper and lower end of each channel's stroke in each column, pixels from the upper edge."""
        height, half = len(self.pixels), 0.5 * self._stroke_px
        origin, gain = rows.origin[chosen], rows.gain[chosen]
        limits = height * rows.top[chosen] + half, height * rows.bottom[chosen] - half
        level = np.round(height * origin - half) + half  # a flat line fills whole pixels
        top = np.clip(level - height * gain * high, *limits)
        bottom = np.clip(level - height * gain * low, *limits)
        return top - half, bottom + half

    def _paint_cursor(self) -> None:
        if self.page.newest is not None:
            first = self.page.newest + 1
            for part in self.page.places(range(first, first + max(1, round(self._stroke_px)))):
                self.pixels[:, part] = shades((self._theme.accent,), self._theme.accent)[0, 0]


def grid_step_s(span_s: float) -> float:
    """Seconds between lines of the time axis."""
    return 1.0 if span_s <= 10 else 2.0 if span_s <= 20 else 5.0
