"""Words on the panel: plain text only, cut where the place ends, whole in the tooltip."""

from __future__ import annotations

import html

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QLabel, QSizePolicy

from bci_m2s.text import printable

LONGEST = 2000  # characters; texts come from the network
SHAPES = {"ok": "●", "warn": "▲", "bad": "■"}  # a state is never shown by colour alone


def tip(text: object) -> str:
    """A tooltip that shows `text` as it is: Qt takes text that looks like HTML for HTML."""
    lines = "<br>".join(html.escape(printable(line)) for line in str(text)[:LONGEST].split("\n"))
    return f"<qt>{lines}</qt>" if lines else ""


def shape(state: str) -> str:
    """The sign of "ok", "warn" or "bad"; a hollow circle for anything else."""
    return SHAPES.get(state, "○")


class ElidedLabel(QLabel):
    """One line of plain text, cut with "…" where it does not fit.

    text : what it shows; full_text : the same before it was cut
    least_px : the width down to which it may shrink; None: it is never cut
    """

    def __init__(self, text: str = "", least_px: int | None = 40) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.full_text, self._least_px, self._colour = "", least_px, ""
        policy = QSizePolicy.Policy.Fixed if least_px is None else QSizePolicy.Policy.Preferred
        self.setSizePolicy(policy, QSizePolicy.Policy.Fixed)
        self.show_text(text)

    def show_text(self, text: str, colour: str = "") -> None:
        """Show a text, in a colour "#RRGGBB"; touches nothing when both are shown already."""
        text = printable(text, LONGEST)
        if colour != self._colour:
            self._colour = colour
            self.setStyleSheet(f"color: {colour}" if colour else "")
        if text != self.full_text:
            self.full_text = text
            self.updateGeometry()
            self._cut()

    def sizeHint(self) -> QSize:
        """Room for the whole text."""
        self.ensurePolished()
        width = self.fontMetrics().horizontalAdvance(self.full_text) + 2
        return QSize(width, self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:
        """Room for as much as must be seen."""
        whole = self.sizeHint()
        least = whole.width() if self._least_px is None else min(self._least_px, whole.width())
        return QSize(least, whole.height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        room = max(self.width(), 1)
        self.setText(self.fontMetrics().elidedText(self.full_text, Qt.TextElideMode.ElideRight, room))
