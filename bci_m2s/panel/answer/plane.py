"""The valence–arousal plane: where the estimate is now, and where it was in the last minute.

The two axes are those of the circumplex model of affect (Russell 1980).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
import pyqtgraph as pg
from PyQt6.QtGui import QFontMetrics

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import STALE_S, legible
from bci_m2s.panel.look.plot import Plot, pen
from bci_m2s.panel.look.text import ElidedLabel
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column
from bci_m2s.text import printable

TRAIL_S = 60.0
APART_S = 0.6  # points of the trail, at most; at 4 Hz every second one
DOT_PX, MARK_PX = 14, 11
EDGE = 1.08  # the plane is drawn so far, for points at its border
LONGEST_LABEL = 14  # characters of a class name in the plane
SHAPES = ("o", "s", "t1", "d", "h", "star", "p")  # of classes, so that colour is never alone
LEVELS = 8  # of freshness in the trail
ANCHORS = ((-0.15, 0.5), (1.15, 0.5), (0.5, -0.3), (0.5, 1.3))  # of a name beside its class
AXES = (("left", "arousal", "calm – excited"), ("bottom", "valence", "unpleasant – pleasant"))
NO_PLANE = "this model's classes have no place in the valence–arousal plane"


class PlaneView(View):
    """Valence from −1 (unpleasant) to 1 (pleasant), arousal from −1 (calm) to 1 (excited)."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self.setMinimumSize(160, 150)
        self._places: dict[str, tuple[float, float, int]] = {}
        self._trail: deque[tuple[float, float, float]] = deque(maxlen=2 * round(TRAIL_S / APART_S))
        self._is_known, self._has_plane = False, False
        self._newest_s = self._now_s = math.nan
        self._source = ""
        self.note = ElidedLabel(NO_PLANE)
        self.note.setProperty("muted", "true")
        self.note.setFont(font(SMALL))
        self._make_plot(theme)
        self.setLayout(in_column(self.note, (self.plot, 1), margins=(8, 4, 4, 4), spacing=0))
        self.set_theme(theme)

    def _make_plot(self, theme: Theme) -> None:
        self.plot = Plot(theme)
        view = self.plot.getViewBox()
        view.setLimits(minXRange=0.05)
        view.setAspectLocked(True)
        view.setRange(xRange=(-EDGE, EDGE), yRange=(-EDGE, EDGE), padding=0)
        tall = QFontMetrics(font(SMALL)).height()
        numbers = [(-1.0, "−1"), (0.0, "0"), (1.0, "1")]
        self.plot.show_axis("left", numbers, 2 * tall + 6)
        self.plot.show_axis("bottom", numbers, 2 * tall + 2)
        self._cross = pg.PlotCurveItem(
            [-1, 1, 0, 0, -1, 1, 1, 1, 1, -1, -1, -1], [0, 0, -1, 1, -1, -1, -1, 1, 1, 1, 1, -1],
            connect="pairs", antialias=False,
        )  # fmt: skip
        self._trails = [pg.PlotCurveItem() for _ in range(LEVELS)]
        self._marks, self._point = pg.ScatterPlotItem(size=MARK_PX), pg.ScatterPlotItem(size=DOT_PX)
        self._point.setZValue(10)  # above all names
        self._names: list[pg.TextItem] = []
        for item in (self._cross, *self._trails, self._marks, self._point):
            self.plot.addItem(item)
        view.sigRangeChanged.connect(self._on_view)

    @property
    def is_now(self) -> bool:
        """True while the point is of now: it is drawn full, else hollow."""
        return self._is_known and not self._now_s - self._newest_s > STALE_S

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self._name_axes()
        self._cross.setPen(pen(theme.grid))
        for level, curve in enumerate(self._trails):
            curve.setPen(pen(theme.muted, 1.2, 0.1 + 0.8 * (level + 0.5) / LEVELS))
        self._show_places()
        self._draw()

    def set_coordinates(self, coordinates: Mapping[str, tuple[float, float]]) -> None:
        """Name the places of the classes; the trail is forgotten.

        coordinates : {class: (valence, arousal)}, each from −1 to 1, in the order of the classes (it gives
        the colours); with an empty mapping the plane appears with the first point
        """
        self._places = {
            printable(name, LONGEST_LABEL): (*place, number)
            for number, (name, place) in enumerate(coordinates.items())
        }
        self._trail.clear()
        self._is_known, self._has_plane = False, bool(self._places)
        self._show_places()
        self._draw()

    def set_source(self, words: str) -> None:
        """Say what the points are made from, "from EEG"; "" where that goes without saying."""
        self._source = words
        self._draw()

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
        """Draw what is new. now_s : local LSL clock, s."""
        self._now_s = now_s
        while self._trail and self._trail[0][0] < now_s - TRAIL_S:
            self._trail.popleft()
        self._draw()

    # ---- drawing ----

    def _draw(self) -> None:
        """Bring note, trail and point up to date."""
        self.plot.setVisible(self._has_plane)
        last = next((point for point in reversed(self._trail) if not math.isnan(point[1])), None)
        is_now = self.is_now
        words = [self._source] + ["no estimate"] * (last is not None and not is_now)
        self.note.show_text(" · ".join(filter(None, words)) if self._has_plane else NO_PLANE)
        self._draw_trail()
        if last is None:
            self._point.clear()
            return
        colour = self.theme.text if is_now else self.theme.muted
        edge, fill = (self.theme.surface, pg.mkBrush(colour)) if is_now else (colour, None)
        self._point.setData([last[1]], [last[2]], pen=pen(edge, 2), brush=fill)

    def _draw_trail(self) -> None:
        """Lines between neighbouring points, the older the paler."""
        table = np.array(self._trail).reshape(-1, 3)
        now_s = self._now_s if math.isfinite(self._now_s) or not len(table) else table[-1, 0]
        fresh = np.clip(1 - (now_s - table[1:, 0]) / TRAIL_S, 0, 1)
        is_line = np.isfinite(table[1:, 1] + table[:-1, 1]) & (np.diff(table[:, 0]) <= STALE_S)
        for level, curve in enumerate(self._trails):
            chosen = np.flatnonzero(is_line & ((fresh * (LEVELS - 1e-3)).astype(int) == level))
            pairs = np.column_stack([chosen, chosen + 1]).ravel()
            curve.setData(table[pairs, 1], table[pairs, 2], connect="pairs")

    def _show_places(self) -> None:
        """A shape for each class, and its name beside it."""
        spots = []
        for valence, arousal, number in self._places.values():
            colour = class_colour(number)
            edge = legible(colour, self.theme.surface, least=2.0)
            look = {"symbol": SHAPES[number % len(SHAPES)], "brush": pg.mkBrush(colour), "pen": pen(edge)}
            spots.append({"pos": (valence, arousal), **look})
        self._marks.setData(spots)
        for item in self._names:
            self.plot.removeItem(item)
        ground = pen(self.theme.surface, alpha=0.75).color()  # a name is read on the trail, too
        colours = {"color": self.theme.text, "fill": pg.mkBrush(ground)}
        self._names = [self.plot.add_text(name, margin_px=1, **colours) for name in self._places]
        for item, (valence, arousal, _) in zip(self._names, self._places.values(), strict=True):
            item.setPos(valence, arousal)
        self._place_names()

    def _on_view(self) -> None:
        self._name_axes()
        self._place_names()

    def _name_axes(self) -> None:
        """What the axes are, and where there is room also what their ends mean."""
        metrics, look = QFontMetrics(font(SMALL)), {"font-size": f"{font(SMALL).pointSizeF():g}pt"}
        for side, name, ends in AXES:
            axis, whole = self.plot.getPlotItem().getAxis(side), f"{name}: {ends}"
            room = axis.height() if side == "left" else axis.width()
            fits = metrics.horizontalAdvance(whole) < room
            axis.setLabel(whole if fits else name, color=self.theme.muted, **look)
            axis.resizeEvent()  # else another text stands where the old one began

    def _place_names(self) -> None:
        """Put each name beside its class, inside the plane and on nothing else, or leave it out."""
        room = self.plot.getViewBox().sceneBoundingRect()
        taken = [
            self.plot.rect_around(valence, arousal, MARK_PX)
            for valence, arousal, _ in self._places.values()
        ]
        for item in self._names:
            item.hide()
            for anchor in ANCHORS:
                item.setAnchor(anchor)
                box = item.mapRectToScene(item.boundingRect())
                if room.contains(box) and not any(box.intersects(other) for other in taken):
                    taken.append(box)
                    item.show()
                    break
