"""A small curve of one quantity over the last two minutes, with its present value and its p99 in words."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pyqtgraph as pg
from PyQt6.QtGui import QFontMetrics

from bci_m2s.panel.client.answers import STALE_S
from bci_m2s.panel.look.plot import Plot, pen, step_125
from bci_m2s.panel.look.text import ElidedLabel
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column

SPAN_S = 120.0
DRAW_EVERY_S = 0.49
ROOM = 1.2  # height of the plot, in values of the uppermost tick
MOST = 4096  # values kept: 120 s at 34 per second; of faster ones the newest


class Sparkline(View):
    """The last 120 s of a quantity. title, unit : "age" and "ms" for instance"""

    def __init__(self, theme: Theme, title: str, unit: str) -> None:
        super().__init__(theme)
        self.setMinimumSize(150, 64)
        self._name, self._unit = title, unit
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST)
        self._now_s = math.nan
        self._title = ElidedLabel(self.words)
        self.plot = Plot(theme)
        self._curve = pg.PlotCurveItem()
        self.plot.addItem(self._curve)
        self.plot.setRange(xRange=(-SPAN_S, 0.0), yRange=(0.0, ROOM), padding=0.0)
        metrics = QFontMetrics(font(SMALL))
        self._axis_width = metrics.horizontalAdvance(f"5000 {self._unit}") + 6
        self.plot.show_axis("left", [(0.0, "0")], self._axis_width)
        self.plot.show_axis(
            "bottom", [(-SPAN_S / 2, f"−{SPAN_S / 2:.0f} s"), (0.0, "now")], metrics.height() + 2
        )
        self.setLayout(in_column(self._title, (self.plot, 1), margins=(8, 4, 4, 4), spacing=2))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self._curve.setPen(pen(theme.accent))

    def add(self, stamp_s: float, value: float) -> None:
        """Take a value of a moment (local LSL clock, s); NaN leaves a hole."""
        if math.isfinite(stamp_s):
            self._values.append((stamp_s, value if math.isfinite(value) else math.nan))

    def tick(self, now_s: float) -> None:
        """Draw what is new, at most twice per second. now_s : local LSL clock, s."""
        if 0 <= now_s - self._now_s < DRAW_EVERY_S:
            return
        self._now_s = now_s
        while self._values and self._values[0][0] < now_s - SPAN_S:
            self._values.popleft()
        self._draw()

    @property
    def words(self) -> str:
        """What the span says: "age 6 ms · p99 14 ms"; the p99 interpolates linearly between values."""
        known = np.array([value for _, value in self._values if not math.isnan(value)])
        if not len(known):
            return f"{self._name} –"
        stamp_s, value = self._values[-1]
        is_new = not self._now_s - stamp_s > STALE_S and not math.isnan(value)
        now = f"{figure(value)} {self._unit}" if is_new else "–"
        p99 = figure(float(np.percentile(known, 99)))
        return f"{self._name} {now} · p99 {p99} {self._unit}"

    def _draw(self) -> None:
        """Bring words, axis and curve up to date."""
        self._title.show_text(self.words)
        table = np.array(self._values).reshape(-1, 2)
        top = step_125(float(np.nanmax(table[:, 1], initial=0.0)) or 1.0)
        self.plot.show_axis("left", [(0.0, "0"), (1.0, f"{figure(top)} {self._unit}")], self._axis_width)
        breaks = np.flatnonzero(np.diff(table[:, 0]) > STALE_S) + 1
        x = np.insert(table[:, 0] - self._now_s, breaks, np.nan)
        self._curve.setData(x, np.insert(table[:, 1] / top, breaks, np.nan), connect="finite")


def figure(value: float) -> str:
    """A number for a glance: no digits that would only dance."""
    return f"{value:.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"
