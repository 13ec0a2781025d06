"""What the panel shows while there is no session: what it looks for, what it found, what to do."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QToolButton, QVBoxLayout

from bci_m2s.panel.look.theme import LARGE, Theme, font
from bci_m2s.panel.look.view import View, plain_label


class EmptyState(View):
    """A headline, details in words, and the button that helps."""

    def __init__(self, theme: Theme, connect: QAction) -> None:
        super().__init__(theme)
        self.headline = plain_label(scale=2.0, bold=True, wraps=True)
        self.details = plain_label(scale=1.2, wraps=True)
        self._button = QToolButton()
        self._button.setDefaultAction(connect)
        self._button.setFont(font(LARGE))
        self._button.hide()  # until it is known that connecting makes sense
        layout = QVBoxLayout(self)
        layout.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.setSpacing(14)
        for label in (self.headline, self.details):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setMinimumWidth(600)
        for part in (self.headline, self.details, self._button):
            layout.addWidget(part, 0, Qt.AlignmentFlag.AlignCenter)
        self.set_theme(theme)

    def show_text(self, headline: str, details: str, can_connect: bool) -> None:
        """Show other words, and the button only where connecting makes sense."""
        self._button.setVisible(can_connect)
        self.headline.setText(headline)
        self.details.setText(details)

    def set_theme(self, theme: Theme) -> None:
        self.headline.setStyleSheet(f"color: {theme.text}")
        self.details.setStyleSheet(f"color: {theme.muted}")
        self._button.setStyleSheet(
            f"QToolButton {{ background: {theme.accent}; color: {theme.background};"
            " border-radius: 6px; padding: 8px 20px; }"
        )
