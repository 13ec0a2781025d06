"""The whole session at a glance: stacked probabilities over time, markers, and every hole."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QComboBox, QLabel, QSizePolicy

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import legible
from bci_m2s.panel.client.facts import mapping, marker_pairs
from bci_m2s.panel.look.text import ElidedLabel
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column, in_row
from bci_m2s.panel.timeline.bins import Bins, extent_s, history_rows
from bci_m2s.panel.timeline.timeline_canvas import TimelineCanvas
from bci_m2s.text import printable
from bci_m2s.types import FloatArray

DRAW_EVERY_S = 0.5
SAME_SESSION_S = 2.0  # a beginning that differs by less is the same one again
AHEAD_S = 5.0  # stamps further in the future are broken
MOST_MARKERS = 1000
LATEST_S = 1e12  # of a clock that counts seconds


class TimelineView(View):
    """Estimates and markers since the session began; one line (head, or modality and head) at a time.

    All moments are local LSL seconds, also where time passes faster in the session. ``tick`` draws, twice
    per second at most.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._lines: dict[str, Bins] = {}
        self._markers: dict[tuple[int, str], float] = {}
        self._begin_s = self._now_s = self._seen_from_s = math.nan
        self._speed = 1.0
        self.canvas = TimelineCanvas(theme)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setFont(font(SMALL))
        self.legend.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.combo = QComboBox()
        self.combo.setToolTip("which estimate is drawn")
        self.combo.setMaximumWidth(260)
        self.combo.currentTextChanged.connect(self._choose)
        self._title = ElidedLabel("")
        self._title.setProperty("muted", "true")
        top = in_row(self.combo, (self._title, 1), (self.legend, 2))
        self.setLayout(in_column(top, (self.canvas, 1), margins=(8, 4, 6, 2), spacing=2))
        self._fill_combo()

    def sizeHint(self) -> QSize:
        """As wide as there is room, and 150 pixels high."""
        return QSize(600, 150)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.canvas.set_theme(theme)
        self._choose(self.combo.currentText())

    def set_heads(self, heads: Mapping[str, Sequence[str]]) -> None:
        """Name the lines and their classes; what is known of a line whose classes stay is kept."""
        named = {line: tuple(names) for line, names in heads.items()}
        same = {line: bins for line, bins in self._lines.items() if named.get(line) == bins.classes}
        self._lines = {line: same.get(line) or Bins(names) for line, names in named.items()}
        self._fill_combo()

    def set_session(self, begin_s: float, speed: float = 1.0) -> None:
        """Set when the session began. Another beginning is another session: all of the old is forgotten.

        speed : how many times faster than here time may pass in the session, of a simulated person
        """
        self._speed = speed
        if not math.isfinite(begin_s) or abs(begin_s - self._begin_s) < SAME_SESSION_S:
            return
        self._begin_s, self._seen_from_s, self._now_s = begin_s, math.nan, math.nan
        self._markers = {}
        self._lines = {line: Bins(bins.classes) for line, bins in self._lines.items()}
        self.canvas.set_markers(self._markers)
        self._fill_combo()

    def add(self, line: str, stamp_s: float, probabilities: FloatArray | None, reason: str = "") -> None:
        """Take an estimate of a line, or None and the reason why there is none.

        Without ``set_session`` the session begins with the first. Lines that ``set_heads`` did not name
        are ignored.
        """
        if not math.isfinite(stamp_s) or stamp_s > self._now_s + AHEAD_S:
            return
        if math.isnan(self._begin_s):
            self._begin_s = stamp_s
        t_s = stamp_s - self._begin_s
        self._seen(t_s)
        if line in self._lines:
            self._lines[line].add(t_s, probabilities, reason)

    def _seen(self, t_s: float) -> None:
        """From here on this panel was there. The first seconds of a session hold no estimate anyway."""
        earlier = min(t_s, self._seen_from_s) if math.isfinite(self._seen_from_s) else t_s
        self._seen_from_s = earlier if earlier > SAME_SESSION_S else 0.0

    def add_marker(self, stamp_s: float, text: str) -> None:
        """Take a marker; the same one again changes nothing. The newest 1000 are kept."""
        if self._keep_marker(stamp_s, text):
            self.canvas.set_markers(self._markers)

    def _keep_marker(self, stamp_s: float, text: str) -> bool:
        if math.isnan(self._begin_s) or not math.isfinite(stamp_s):
            return False
        key = (round(100 * stamp_s), text)
        if key in self._markers or stamp_s < self._begin_s:
            return False
        self._markers[key] = stamp_s - self._begin_s
        if len(self._markers) > MOST_MARKERS:
            oldest = min(self._markers, key=lambda each: self._markers[each])
            del self._markers[oldest]
            return oldest != key
        return True

    def load_history(self, history: Mapping[str, Any]) -> None:
        """Fill the part of the session that this panel did not see with what the engine remembers.

        history : {"bin_s", "lines": {line: {"classes", "t", "p", "share"}}, "markers": [[t, text, …]]}:
        for each line, named as in ``set_heads``, the rows of ``History.as_json``; times are local LSL
        seconds. What is malformed is left out; a session has to be set before.
        """
        for line, row in mapping(history.get("lines")).items():
            rows, bins = history_rows(row, history.get("bin_s")), self._lines.get(line)
            if rows is not None and bins is not None and bins.classes == rows.classes:
                bins.fill(rows.bin_s, rows.t_s - self._begin_s, rows.means, rows.shares)
                self._seen_from_s = 0.0
        for stamp_s, text in marker_pairs(history.get("markers")):
            if abs(stamp_s) < LATEST_S:
                self._keep_marker(stamp_s, text)
        self.canvas.set_markers(self._markers)

    def tick(self, now_s: float) -> None:
        """Draw what is new. now_s : local LSL clock, s."""
        if 0 <= now_s - self._now_s < DRAW_EVERY_S:
            return
        self._now_s = now_s
        if math.isnan(self._begin_s):
            return
        elapsed_s = max(now_s - self._begin_s, 0.0)
        if math.isnan(self._seen_from_s):
            self._seen(elapsed_s)
        form = "h:min:s" if extent_s(elapsed_s) > 3600 else "min:s"
        whose = "session time" if self._speed == 1.0 else "real time"
        fast = f"; the session's passes up to {self._speed:g} times as fast" * (self._speed != 1.0)
        self._title.show_text(f"probability over {whose} ({form}){fast}")
        self.canvas.draw(elapsed_s, self._seen_from_s)

    def _fill_combo(self) -> None:
        chosen = self.combo.currentText()
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems(list(self._lines))
        self.combo.setCurrentIndex(max(self.combo.findText(chosen), 0))
        self.combo.blockSignals(False)
        self.combo.setVisible(len(self._lines) > 1)
        self._choose(self.combo.currentText())

    def _choose(self, line: str) -> None:
        bins = self._lines.get(line)
        self.canvas.show_line(bins)
        self._name_classes(bins.classes if bins else ())

    def _name_classes(self, classes: Sequence[str]) -> None:
        """Each class's name with a patch of its colour; many get less room each."""
        self.legend.setAccessibleName("classes: " + ", ".join(classes))
        longest = max(90 // max(len(classes), 1), 4)
        patches = (
            f'<span style="color: {legible(class_colour(place), self.theme.surface, least=2.0)}">■</span>'
            f"&nbsp;{html.escape(printable(name, longest))}"
            for place, name in enumerate(classes)
        )
        self.legend.setText("&nbsp;&nbsp; ".join(patches))
