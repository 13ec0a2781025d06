"""Message bar: what just happened, and errors until somebody has seen them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QListWidget, QListWidgetItem, QPushButton

from bci_m2s.panel.look.text import ElidedLabel, shape, tip
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_row
from bci_m2s.text import printable

STAYS_S = {"info": 5.0, "warn": 10.0}  # an error stays
KEEP = 100
LONGEST = 500  # characters


@dataclass(frozen=True, slots=True)
class Message:
    """kind : "info", "warn" or "error"; wall : time of day, h:mm:ss"""

    kind: str
    text: str
    wall: str


class MessageBar(View):
    """One line. An info stays for five seconds, a warning for ten, an error until it is dismissed.

    What comes while an error is shown goes to the list, which keeps the last hundred of all.
    shown : what is in the line now
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, framed=False)
        self.history: deque[Message] = deque(maxlen=KEEP)
        self.shown: Message | None = None
        self._unseen = 0  # errors
        self.label = ElidedLabel("")
        self.dismiss_button = QPushButton("dismiss")
        self.dismiss_button.clicked.connect(self.dismiss)
        self.list_button = QPushButton("messages")
        self.list_button.clicked.connect(self.show_history)
        self.popup = QListWidget(self)
        self.popup.setWindowFlag(Qt.WindowType.Popup)  # it closes when something else is clicked
        self.popup.setWordWrap(True)
        self.setLayout(in_row((self.label, 1), self.dismiss_button, self.list_button, margins=(8, 2, 8, 2)))
        for button in (self.dismiss_button, self.list_button):
            button.setFont(font(SMALL))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._expire)
        self._refresh()

    def notify(self, text: str, kind: str = "info") -> None:
        """Show what was done ("info"), what was refused ("warn") or what went wrong ("error")."""
        message = Message(kind, printable(text, LONGEST), time.strftime("%H:%M:%S"))
        self.history.append(message)
        if kind == "error":
            self.shown = message
            self._unseen += 1
        elif self.shown is None or self.shown.kind != "error":
            self.shown = message
            self._timer.start(round(1000 * STAYS_S[kind]))
        self._refresh()

    def dismiss(self) -> None:
        """Clear the line; the list keeps everything."""
        self.shown, self._unseen = None, 0
        self._refresh()

    def show_history(self) -> None:
        """Open the list of the last messages, the newest first."""
        self.popup.clear()
        for message in reversed(self.history):
            is_error = message.kind == "error"
            line = QListWidgetItem(f"{message.wall}  {shape('bad') if is_error else '·'} {message.text}")
            line.setForeground(QColor(self.theme.bad if is_error else self.theme.text))
            self.popup.addItem(line)
        self.popup.resize(min(720, max(self.width(), 320)), 280)
        below = self.mapToGlobal(QPoint(self.width() - self.popup.width(), -self.popup.height()))
        self.popup.move(below)
        self.popup.show()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._refresh()

    def _expire(self) -> None:
        if self.shown is not None and self.shown.kind != "error":
            self.shown = None
            self._refresh()

    def _refresh(self) -> None:
        shown = self.shown
        self.dismiss_button.setVisible(shown is not None and shown.kind == "error")
        self.list_button.setVisible(bool(self.history))
        if shown is None:
            self.label.show_text("")
        elif shown.kind == "error":
            more = f"  (and {self._unseen - 1} more)" if self._unseen > 1 else ""
            self.label.show_text(f"{shape('bad')} {shown.text}{more}", self.theme.bad)
        elif shown.kind == "warn":
            self.label.show_text(f"{shape('warn')} {shown.text}", self.theme.warn)
        else:
            self.label.show_text(shown.text, self.theme.text)
        self.label.setToolTip(tip(shown.text) if shown else "")
