"""A plot in the panel's look: axes only where asked for, a menu that exports, tooltips as plain text."""

import pyqtgraph.exporters
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QMenu
from support.pictures import colours_of, place_px

from bci_m2s.panel.look.plot import Plot
from bci_m2s.panel.look.theme import DARK, LIGHT


@pytest.fixture
def plot(qtbot):
    made = Plot(DARK, on_hover=lambda x, y: f"<b>{x:.0f}, {y:.0f}</b>")
    qtbot.addWidget(made)
    made.resize(300, 200)
    made.setRange(xRange=(0, 10), yRange=(0, 10), padding=0)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_axes_are_shown_where_they_are_asked_for(plot):
    assert not [side for side in plot._axes if plot._axes[side].isVisible()]
    plot.show_axis("left", [(0.0, "none"), (10.0, "all")], 30)
    assert [side for side in plot._axes if plot._axes[side].isVisible()] == ["left"]
    QApplication.processEvents()  # the layout of a scene waits for the next turn
    assert place_px(plot, 0.0, 0.0).x() >= 30


def test_the_menu_offers_the_whole_and_export(plot, qtbot):
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.RightButton)
    menus = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMenu)]
    texts = {action.text() for menu in menus if menu.isVisible() for action in menu.actions()}
    for menu in menus:
        menu.close()
    assert {"View All", "Export..."} <= texts
    assert "Plot Options" not in texts


def test_what_is_exported_is_what_is_seen(plot, tmp_path):
    file = tmp_path / "plot.png"
    pyqtgraph.exporters.ImageExporter(plot.getPlotItem()).export(str(file))
    assert QImage(str(file)).width() > 100


def test_the_tooltip_is_plain_text(plot, monkeypatch):
    shown = []
    monkeypatch.setattr("bci_m2s.panel.look.plot.QToolTip.showText", lambda *args: shown.append(args[1]))
    plot.hover(plot.getViewBox().mapViewToScene(QPointF(3.0, 4.0)))
    assert shown == ["<qt>&lt;b&gt;3, 4&lt;/b&gt;</qt>"]


def test_the_keys_are_the_windows(plot):
    assert plot.focusPolicy() == Qt.FocusPolicy.NoFocus


def test_another_theme_has_other_colours(plot):
    plot.set_theme(LIGHT)
    assert LIGHT.surface in colours_of(plot)
    assert DARK.surface not in colours_of(plot)
