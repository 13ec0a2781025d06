"""The strip above the traces: scale, filter, notch, span, channels; and how many channels are bad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QPushButton, QSizePolicy

from bci_m2s.panel.look import text
from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.look.text import ElidedLabel
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_row, plain_label
from bci_m2s.panel.traces.display_filter import NOTCHES, OFF, PRESETS, possible, words
from bci_m2s.panel.traces.sweep_canvas import SPANS_S
from bci_m2s.panel.traces.trace_rows import default_scale

AUTO = "auto"
DEFAULT_PRESET = "1–50 Hz"
DEFAULT_SPAN_S = 10.0
FEWER_CHANNELS = (64, 32, 16, 8, 4, 1)
MICROVOLT_SCALES = (1.0, 5000.0)  # smallest and largest to choose from
OTHER_SCALES = (1e-3, 1e5)


class TracesControls(View):
    """How a stream's traces are drawn. It draws nothing itself; ``changed`` names what was chosen.

    changed : signal with "scale", "filter", "span" or "visible"
    scale : value per row in the main unit; None for automatic
    """

    changed = pyqtSignal(str)

    def __init__(self, theme: Theme, n_channels: int, unit: str, rate_hz: float) -> None:
        super().__init__(theme, framed=False)
        self._n_channels, self._unit, self._rate_hz = n_channels, unit, rate_hz
        self._fitted = default_scale(unit)
        self.scale: float | None = None
        self.scale_box = self._box("Value per channel row. Keys: + and −")
        self.scale_box.setMinimumContentsLength(11)  # "auto 1000 µV": the strip shall not move
        self.filter_box = self._box("Filter of the display; recording and model have their own. Key: F")
        self.notch_box = self._box("Notch against mains hum, display only. Key: N")
        self.span_box = self._box("Length of a sweep. Key: W")
        self.visible_box = self._box("Channels shown. Wheel: zoom, drag: scroll, double click: all. Key: V")
        self.larger = self._button("−", "Smaller traces: more per row")
        self.smaller = self._button("+", "Larger traces: less per row")
        self.auto = self._button("A", "Automatic: everything as for a new montage. Key: A")
        self.count, self.used = plain_label(bold=True), ElidedLabel("")
        self.used.setProperty("muted", True)
        self.used.setFont(font(SMALL))
        self._fill()
        self._show_scale()
        boxes = self.filter_box, self.notch_box, self.span_box, self.visible_box, self.auto
        scale = self.larger, self.scale_box, self.smaller
        self.setLayout(in_row(*scale, *boxes, (self.used, 1), self.count, spacing=4))
        self.larger.clicked.connect(lambda: self.step(1))
        self.smaller.clicked.connect(lambda: self.step(-1))
        self.auto.clicked.connect(self.choose_auto)
        self.scale_box.activated.connect(lambda index: self._choose_scale(self.scale_box.itemData(index)))
        for box in (self.filter_box, self.notch_box):
            box.currentIndexChanged.connect(lambda _index: self.changed.emit("filter"))
        self.span_box.currentIndexChanged.connect(lambda _index: self.changed.emit("span"))
        self.visible_box.activated.connect(lambda _index: self.changed.emit("visible"))
        self.set_theme(theme)

    @property
    def preset(self) -> str:
        """Chosen filter, a key of ``PRESETS``."""
        return str(self.filter_box.currentData())

    @property
    def notch(self) -> str:
        """Chosen notch, a key of ``NOTCHES``."""
        return str(self.notch_box.currentData())

    @property
    def span_s(self) -> float:
        """Chosen length of a sweep, s."""
        return float(self.span_box.currentData())

    @property
    def visible(self) -> int:
        """Chosen number of channels; 0 for all."""
        return int(self.visible_box.currentData() or 0)

    def set_theme(self, theme: Theme) -> None:
        self.count.setStyleSheet(f"color: {theme.warn}")

    def set_fitted(self, value: float) -> None:
        """Tell what an automatic scale comes to."""
        self._fitted = value
        self._show_scale()

    def set_bad(self, n_bad: int, which: str) -> None:
        """Show how many channels are bad; `which` names them in the tool tip."""
        self.count.setText(f"{n_bad} of {self._n_channels} bad" if n_bad else "")
        self.count.setToolTip(text.tip(which) if n_bad else "")

    def set_used(self, count: int, which: str) -> None:
        """Show how many channels the model uses, 0 for nothing; `which` names them in the tool tip."""
        self.used.show_text(f"{count} of {self._n_channels} used by the model" if count else "")
        self.used.setToolTip(text.tip(which) if count else "")

    def set_visible(self, count: int) -> None:
        """Show a number of channels that was chosen elsewhere; 0 for all."""
        index = self.visible_box.findData(count)
        self.visible_box.setPlaceholderText(f"{count} of {self._n_channels}")
        self.visible_box.setCurrentIndex(index)

    def step(self, steps: int) -> None:
        """Make the scale larger (the traces smaller) by that many steps of 1-2-5, or smaller."""
        now = self._fitted if self.scale is None else self.scale
        self._choose_scale(step_125(now, steps))

    def choose_auto(self) -> None:
        """Draw as for a new montage: automatic scale, all channels, usual filter and sweep, no notch."""
        self._choose_usual()
        self._choose_scale(None)
        self.visible_box.setCurrentIndex(0)
        self.changed.emit("visible")

    def take_next(self, what: str) -> None:
        """Take the next choice of "filter", "notch", "span" or "channels"; after the last the first."""
        box = {
            "filter": self.filter_box,
            "notch": self.notch_box,
            "span": self.span_box,
            "channels": self.visible_box,
        }[what]
        box.setCurrentIndex((box.currentIndex() + 1) % box.count())
        if box is self.visible_box:  # which is also set by the wheel, without a word
            self.changed.emit("visible")

    def settings(self) -> dict[str, Any]:
        """What is chosen, as plain values."""
        return {
            "scale": AUTO if self.scale is None else self.scale,
            "unit": self._unit,
            "filter": self.preset,
            "notch": self.notch,
            "span_s": self.span_s,
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        """Choose again what ``settings`` gave; what is not one of the choices is left as it is."""
        for box, key in ((self.filter_box, "filter"), (self.notch_box, "notch")):
            if (index := box.findData(str(values.get(key)))) >= 0:
                box.setCurrentIndex(index)
        if (span_s := _number(values.get("span_s"))) in SPANS_S:
            self.span_box.setCurrentIndex(SPANS_S.index(span_s))
        scale = _number(values.get("scale"))
        if values.get("scale") == AUTO:
            self._choose_scale(None)
        elif 1e-6 <= scale <= 1e9 and values.get("unit", self._unit) == self._unit:
            self._choose_scale(step_125(scale))

    def _choose_scale(self, value: float | None) -> None:
        self.scale = value
        self._show_scale()
        self.changed.emit("scale")

    def _show_scale(self) -> None:
        self.scale_box.setItemText(0, f"{AUTO} {self._value(self._fitted)}")
        if self.scale is None:
            self.scale_box.setCurrentIndex(0)
            return
        self.scale_box.setPlaceholderText(self._value(self.scale))
        self.scale_box.setCurrentIndex(self.scale_box.findData(self.scale))

    def _value(self, value: float) -> str:
        return f"{value:g} {self._unit}".rstrip()

    def _notch_text(self, choice: str, hz: float | None) -> str:
        if hz is None:
            return "no notch"
        return f"notch {choice}" if possible(hz, self._rate_hz) else f"no {choice} notch"

    def _fill(self) -> None:
        """Offer what is possible with the stream."""
        self.scale_box.addItem("", None)
        value, largest = MICROVOLT_SCALES if self._unit == "µV" else OTHER_SCALES
        while value <= largest:
            self.scale_box.addItem(self._value(value), value)
            value = step_125(value, 1)
        n = self._n_channels
        self.visible_box.addItem(f"all {n or 'channels'}", 0)
        for fewer in (fewer for fewer in FEWER_CHANNELS if fewer < n):
            self.visible_box.addItem(f"{fewer} of {n}", fewer)
        for preset in PRESETS:
            effect = words(preset, self._rate_hz)
            self.filter_box.addItem("no filter" if effect == OFF else effect, preset)
        for notch, hz in NOTCHES.items():
            self.notch_box.addItem(self._notch_text(notch, hz), notch)
        for span_s in SPANS_S:
            self.span_box.addItem(f"{span_s:g} s", span_s)
        self._choose_usual()

    def _choose_usual(self) -> None:
        self.filter_box.setCurrentIndex(self.filter_box.findData(DEFAULT_PRESET))
        self.notch_box.setCurrentIndex(0)
        self.span_box.setCurrentIndex(SPANS_S.index(DEFAULT_SPAN_S))

    def _box(self, tip: str) -> QComboBox:
        box = QComboBox()
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        box.setFont(font(SMALL))
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        box.setStyleSheet("padding: 3px 2px 3px 6px")
        return box

    def _button(self, sign: str, tip: str) -> QPushButton:
        button = QPushButton(sign)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFixedWidth(24)
        button.setStyleSheet("padding: 3px 0")
        return button


def _number(value: Any) -> float:
    """A number, or text that is one; NaN for everything else. Settings files keep text."""
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        return math.nan
