"""The head seen from above as a plot: a map, its electrodes, its colour bar; bars where there is no map."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPainterPath
from PyQt6.QtWidgets import QGraphicsPathItem, QSizePolicy, QStackedWidget

from bci_m2s.panel.head.scalp import GRID, cells
from bci_m2s.panel.look.plot import Plot, pen
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import plain_label
from bci_m2s.types import BoolArray, FloatArray

MOST_NAMED = 20  # electrodes; more names than that are not legible
NOSE, EAR = 0.12, 0.07  # of the head's radius, beyond the outline
NEAR = 0.12  # of the head's radius: so near to the mouse an electrode is named
BAR_PX = 12
# Blue and orange can be told apart with every common kind of colour blindness. Middle and ends by theme.
_DIVERGING = {"dark": ("#F0A04B", "#1B2129", "#5BB4FF"), "light": ("#A04D00", "#F6F6F4", "#0B55B0")}
_FEWEST_SHOWN = 0.5  # a range is narrowed when values fill less of it, else its numbers would dance


def sequential() -> pg.ColorMap:
    """Cividis (Nuñez, Anderton & Renslow 2018), perceptually uniform."""
    return pg.colormap.get("cividis")


def diverging(theme: Theme) -> pg.ColorMap:
    """Against, nothing, for; the middle is nearly the theme's surface."""
    return pg.ColorMap((0.0, 0.5, 1.0), _DIVERGING[theme.name])


def power_limits(values: FloatArray, shown: tuple[float, float] | None) -> tuple[float, float]:
    """Range in whole decibels; the one that is `shown` stays while it fits. values : without NaN."""
    low, high = math.floor(float(values.min())), math.ceil(float(values.max()))
    if high - low < 2:
        low, high = low - 1, high + 1
    if shown is None or values.min() < shown[0] or values.max() > shown[1]:
        return float(low), float(high)
    return shown if high - low >= _FEWEST_SHOWN * (shown[1] - shown[0]) else (float(low), float(high))


def evidence_limits(values: FloatArray, shown: tuple[float, float] | None) -> tuple[float, float]:
    """Range symmetric about zero, with ends that are round numbers."""
    largest = max(float(np.abs(values).max()), 1e-9)
    if shown is not None and _FEWEST_SHOWN / 2 * shown[1] <= largest <= shown[1]:
        return shown
    power = 10.0 ** math.floor(math.log10(largest))
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
    end = next(factor * power for factor in steps if largest <= factor * power * (1 + 1e-9))
    return -end, end


@dataclass(slots=True)
class Scene:
    """What is drawn.

    labels, values : of the channels, (channels,); NaN has no colour
    bad : which channels are not good, (channels,)
    columns, xy : which channels have a place, and where; see ``scalp.Places``
    picture : values of the map's cells, None where there is no map
    limits, colours : the colour scale; ends : words at it; unit : of the values
    bars : the channels make no map, they are drawn as bars
    message : shown in place of a map
    """

    labels: tuple[str, ...] = ()
    values: FloatArray = field(default_factory=lambda: np.empty(0))
    bad: BoolArray = field(default_factory=lambda: np.empty(0, dtype=bool))
    columns: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    xy: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    picture: FloatArray | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    colours: pg.ColorMap = field(default_factory=sequential)
    ends: str = ""
    unit: str = ""
    bars: bool = False
    message: str = ""

    def left_out(self, column: int) -> bool:
        """Whether a channel is bad or has no value, where others have one."""
        valueless = bool(len(self.values)) and not np.isfinite(self.values[column])
        return valueless or bool(self.bad[column])


class HeadMap(QStackedWidget):
    """Draws a ``Scene``; hovering over an electrode names it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self.scene = theme, Scene()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(150, 110)
        self.plot = Plot(theme, on_hover=self.name_at)
        self.bars = Plot(theme, zoom=(False, True))
        self.addWidget(self.plot)
        self.addWidget(self.bars)
        self._make_head()
        self._bars = pg.BarGraphItem(x0=0, width=0, y=[], height=0.7)
        self._zero = pg.InfiniteLine(0.0, angle=90)
        for item in (self._bars, self._zero):
            self.bars.addItem(item)
        self.set_theme(theme)

    def _make_head(self) -> None:
        self.plot.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        view = self.plot.getViewBox()
        view.setAspectLocked(True)
        view.setRange(xRange=(-1 - EAR, 1 + EAR), yRange=(-1.02, 1 + NOSE), padding=0.01)
        self._inside, _ = cells()
        self._picture = pg.ImageItem()
        self._nose, self._rim = QGraphicsPathItem(_nose_and_ears()), QGraphicsPathItem(_rim())
        self._outline = QGraphicsPathItem(_circle())
        self._good, self._crossed = pg.ScatterPlotItem(size=5), pg.ScatterPlotItem(size=12, symbol="x")
        for item in (self._picture, self._rim, self._nose, self._outline, self._good, self._crossed):
            self.plot.addItem(item)
        self._names: list[pg.TextItem] = []
        self._scale = pg.ColorBarItem(width=BAR_PX, interactive=False)
        self._scale.setImageItem(self._picture, insert_in=self.plot.getPlotItem())
        self._scale.getAxis("right").setStyle(tickFont=font(SMALL), tickLength=0)
        self.plot.getPlotItem().layout.setContentsMargins(1, 8, 1, 8)  # for the numbers at its ends
        self.message = plain_label(wraps=True)
        self.message.setParent(self.plot)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        view.sigResized.connect(lambda: self.message.setGeometry(self.plot.rect().adjusted(12, 0, -12, 0)))

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for plot in (self.plot, self.bars):
            plot.set_theme(theme)
        for item in (self._nose, self._outline):
            item.setPen(pen(theme.muted, 2))
        self._rim.setPen(pen(theme.surface))
        self._rim.setBrush(QColor(theme.surface))
        self._zero.setPen(pen(theme.muted))
        axis = self._scale.getAxis("right")
        axis.setPen(theme.grid)
        axis.setTextPen(theme.text)
        self._draw()

    def show_scene(self, scene: Scene) -> None:
        """Draw this from now on."""
        self.scene = scene
        self._draw()

    def name_at(self, x: float, y: float) -> str:
        """What is at a place of the head: an electrode with its value, "" elsewhere."""
        scene = self.scene
        if not len(scene.xy):
            return ""
        distance = np.hypot(*(scene.xy - (x, y)).T)
        nearest = int(np.argmin(distance))
        if distance[nearest] > NEAR:
            return ""
        column = scene.columns[nearest]
        value = float(scene.values[column]) if column < len(scene.values) else np.nan
        if scene.left_out(column):
            return f"{scene.labels[column]}: left out of the map"
        return scene.labels[column] + (f": {value:.3g} {scene.unit}" if np.isfinite(value) else "")

    # ---- drawing ----

    def _draw(self) -> None:
        self.setCurrentWidget(self.bars if self.scene.bars else self.plot)
        if self.scene.bars:
            self._draw_bars()
        else:
            self._draw_picture()
            self._draw_electrodes()
            self.message.setText(self.scene.message)

    def _draw_picture(self) -> None:
        scene = self.scene
        for item in (self._picture, self._scale):
            item.setVisible(scene.picture is not None)
        if scene.picture is None:
            return
        pixels = np.full((GRID, GRID), np.nan)
        pixels[self._inside] = scene.picture
        self._picture.setImage(pixels[::-1], levels=scene.limits)  # the first row is the nose
        self._picture.setRect(QRectF(-1, -1, 2, 2))
        self._scale.setColorMap(scene.colours)
        self._scale.setLevels(scene.limits)
        low, high = scene.limits
        sign = "+" if low == -high else ""
        ends = [(value, f"{value:{sign}.3g}") for value in (low, high)]
        axis = self._scale.getAxis("right")
        axis.setTicks([[*ends, ((low + high) / 2, f"{(low + high) / 2:.3g}")]])
        axis.setLabel(scene.ends, color=self._theme.text)

    def _draw_electrodes(self) -> None:
        scene, theme = self.scene, self._theme
        out = np.array([scene.left_out(column) for column in scene.columns], dtype=bool)
        rim = pg.mkPen(255, 255, 255, 180)
        self._good.setData(*scene.xy[~out].T, pen=rim, brush="#101010")
        self._crossed.setData(*scene.xy[out].T, pen=pen(theme.surface), brush=theme.text)
        for item in self._names:
            self.plot.removeItem(item)
        self._names = []
        for column, (x, y) in zip(scene.columns, scene.xy, strict=True):
            if len(scene.columns) <= MOST_NAMED:
                name = self.plot.add_text(scene.labels[column], color=theme.text, fill=theme.surface)
                name.setAnchor((0.5, 1.3 if y < 0 else -0.3))  # towards the middle
                name.setPos(x, y)
                self._names.append(name)

    def _draw_bars(self) -> None:
        """A bar for each channel from the top; as many as are legible, the user moves to the others."""
        scene, (low, high) = self.scene, self.scene.limits
        zero = low if low >= 0 or high <= 0 or low != -high else 0.0
        values = np.where(scene.bad | ~np.isfinite(scene.values), zero, scene.values)
        rows = np.arange(len(values))
        level = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
        self._bars.setOpts(x0=zero, width=values - zero, y=-rows, brushes=scene.colours.mapToQColor(level))
        self._zero.setValue(zero)
        metrics = QFontMetrics(font(SMALL))
        words = [
            "bad" if bad else "–" if not np.isfinite(value) else f"{value:.3g}"
            for bad, value in zip(scene.bad, scene.values, strict=True)
        ]
        for side, texts in (("left", scene.labels), ("right", words)):
            wide = max(metrics.horizontalAdvance(text) for text in texts) + 8
            ticks = list(zip((-rows).tolist(), texts, strict=True))
            self.bars.show_axis(side, ticks, min(wide, self.width() // 3))
        fits = max(int(self.height() / (1.25 * metrics.height())), 1)
        view = self.bars.getViewBox()
        view.setLimits(yMin=-len(values) + 0.4, yMax=0.6)
        view.setRange(xRange=(low, high), yRange=(0.6, max(-len(values), -fits) + 0.4), padding=0)


def _circle() -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QRectF(-1, -1, 2, 2))
    return path


def _rim() -> QPainterPath:
    """What lies between the head and the corners of the picture: it hides the steps of the map's edge."""
    path = QPainterPath()
    path.addRect(QRectF(-1.03, -1.03, 2.06, 2.06))
    path.addPath(_circle())  # odd and even: the circle is a hole
    return path


def _nose_and_ears() -> QPainterPath:
    path = QPainterPath()
    path.moveTo(-0.17, 0.985)
    path.lineTo(0, 1 + NOSE)
    path.lineTo(0.17, 0.985)
    for side in (-1, 1):
        path.moveTo(side, 0.2)
        path.quadTo(side * (1 + 2 * EAR), 0, side, -0.2)
    return path
