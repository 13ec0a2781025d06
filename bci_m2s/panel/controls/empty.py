"""What the panel shows while there is no session: what it looks for, what it found, what to do."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QFrame, QLabel, QToolButton, QVBoxLayout

from bci_m2s.panel.look.theme import LARGE, NORMAL, Theme, font


class EmptyState(QFrame):
    """A headline, details in words, and the button that helps."""

    def __init__(self, theme: Theme, connect: QAction) -> None:
        super().__init__()
        self.setProperty("view", True)
        self._headline, self._details = QLabel(), QLabel()
        self._button = QToolButton()
        self._button.setDefaultAction(connect)
        self._button.setFont(font(LARGE))
        layout = QVBoxLayout(self)
        layout.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.setSpacing(14)
        for label, scale in ((self._headline, 2.0), (self._details, NORMAL * 1.2)):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            label.setFont(font(scale, bold=label is self._headline))
            label.setMinimumWidth(600)
            layout.addWidget(label, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignCenter)
        self.set_theme(theme)

    @property
    def text(self) -> str:
        """What is shown now."""
        return f"{self._headline.text()}\n{self._details.text()}"

    def show_text(self, headline: str, details: str, can_connect: bool) -> None:
        """Show other words, and the button only where connecting makes sense."""
        self._button.setVisible(can_connect)
        if headline != self._headline.text():
            self._headline.setText(headline)
        if details != self._details.text():
            self._details.setText(details)

    def set_theme(self, theme: Theme) -> None:
        """Redraw in other colours."""
        self._headline.setStyleSheet(f"color: {theme.text}")
        self._details.setStyleSheet(f"color: {theme.muted}")
        self._button.setStyleSheet(
            f"QToolButton {{ background: {theme.accent}; color: {theme.background};"
            " border-radius: 6px; padding: 8px 20px; }"
        )
