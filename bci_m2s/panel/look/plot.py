"""A plot of pyqtgraph in the panel's look: colours of the theme, its type, plain tooltips.

The wheel zooms, dragging moves, a right click offers "View All" and "Export…".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QCursor, QPen
from PyQt6.QtWidgets import QSizePolicy, QToolTip

from bci_m2s.panel.look.text import tip
from bci_m2s.panel.look.theme import SMALL, Theme, font

pg.setConfigOptions(antialias=True, imageAxisOrder="row-major")
MARGIN_PX = 14  # right of a level axis, for half of its last tick's text
SMALLEST, LARGEST = 1e-9, 1e12  # steps of an axis or a scale
Ticks = Sequence[tuple[float, str]]


class View(pg.ViewBox):
    """The inside of a plot, whose menu is made when it is first asked for: it takes as long as the plot."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)

    def mouseClickEvent(self, event: Any) -> None:
        """A right click opens the menu."""
        if event.button() == Qt.MouseButton.RightButton and not self.menuEnabled():
            self.setMenuEnabled(True)
        super().mouseClickEvent(event)


class Plot(pg.PlotWidget):
    """One plot without decoration: no legend, no grid, axes only where they are asked for.

    zoom : whether the user can zoom and move along x and along y
    on_hover : called with the data coordinates under the mouse; gives the tooltip, "" for none
    """

    def __init__(
        self,
        theme: Theme,
        zoom: tuple[bool, bool] = (True, True),
        on_hover: Callable[[float, float], str] | None = None,
    ) -> None:
        super().__init__(background=None, viewBox=View())
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the window's
        self.setMinimumSize(20, 20)
        preferred = QSizePolicy.Policy.Preferred  # a plot takes what others leave; pyqtgraph's want all
        self.setSizePolicy(preferred, preferred)
        self.hideButtons()
        self.setMouseEnabled(*zoom)
        self.getPlotItem().setMenuEnabled(False, enableViewBoxMenu=None)
        self._axes = {side: self.getPlotItem().getAxis(side) for side in ("left", "bottom", "right", "top")}
        for axis in self._axes.values():
            axis.setStyle(
                tickFont=font(SMALL), tickLength=0, tickTextOffset=2, hideOverlappingLabels=MARGIN_PX * 4
            )
            axis.enableAutoSIPrefix(False)
            axis.hide()
        self.theme, self._on_hover = theme, on_hover
        if on_hover is not None:
            self.scene().sigMouseMoved.connect(self.hover)
        Plot.set_theme(self, theme)  # a view's own items are not there yet

    def set_theme(self, theme: Theme) -> None:
        """Give background and axes other colours; items are the view's."""
        self.theme = theme
        self.setBackground(theme.surface)
        for axis in self._axes.values():
            axis.setPen(theme.grid)
            axis.setTextPen(theme.muted)

    def sizeHint(self) -> QSize:
        """Small: the view says how large it wants to be."""
        return QSize(80, 40)

    def show_axis(self, side: str, ticks: Ticks, size_px: int) -> None:
        """Show the axis at a side ("left", "bottom" …) with these ticks and no others.

        size_px : width of an upright axis, height of a level one
        """
        axis = self._axes[side]
        axis.setTicks([list(ticks)])
        (axis.setWidth if side in ("left", "right") else axis.setHeight)(size_px)
        axis.show()
        if side == "bottom":
            self.getPlotItem().layout.setContentsMargins(1, 1, MARGIN_PX, 1)

    def add_text(self, text: str = "", margin_px: int = 0, **look: Any) -> pg.TextItem:
        """A text of small type among the data; look : anchor and colours, see ``pg.TextItem``."""
        item = pg.TextItem(text, **look)
        item.setFont(font(SMALL))
        item.textItem.document().setDocumentMargin(margin_px)
        self.addItem(item, ignoreBounds=True)
        return item

    def hover(self, place: QPointF) -> None:
        """Show the tooltip of a place of the scene."""
        assert self._on_hover is not None
        at = self.getViewBox().mapSceneToView(place)
        QToolTip.showText(QCursor.pos(), tip(self._on_hover(at.x(), at.y())), self)

    def rect_around(self, x: float, y: float, size_px: float) -> QRectF:
        """A square of the scene around a point of the data."""
        at = self.getViewBox().mapViewToScene(QPointF(x, y))
        return QRectF(at.x() - size_px / 2, at.y() - size_px / 2, size_px, size_px)


def pen(colour: str, width: float = 1.0, alpha: float = 1.0) -> QPen:
    """A pen whose width is in pixels, whatever the zoom."""
    shade = QColor(colour)
    shade.setAlphaF(alpha)
    return pg.mkPen(shade, width=width)


def step_125(value: float, steps: int = 0) -> float:
    """The next of …, 1, 2, 5, 10, … at or above `value`, then `steps` further up or down."""
    value = min(max(value, SMALLEST), LARGEST)
    decade = math.floor(math.log10(value))
    place = next(i for i, mantissa in enumerate((1, 2, 5, 10)) if value <= mantissa * 10.0**decade * 1.0001)
    decade, place = divmod(3 * decade + place + steps, 3)
    return float(f"{(1, 2, 5)[place]}e{decade}")
