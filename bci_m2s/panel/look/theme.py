"""The panel's look: one theme, dark and light. Every colour and type size that a view uses is from here.

Red is for loss and failure, amber for what needs a look; a word or a shape always goes with them. Classes
have their own colours, see ``bci_m2s.colours``. Sizes are in points, so they follow the screen's scale.
"""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PyQt6.QtWidgets import QApplication

from bci_m2s.colours import THEMES

BASE_PT = 10  # text; everything else is a multiple
SMALL, NORMAL, LARGE, HUGE = 0.9, 1.0, 1.4, 3.4


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as "#RRGGBB".

    background : of the window; surface : of a view; raised : of buttons and table headers
    text, muted : what is read, and what only explains; grid : lines that separate
    trace : a channel's line; bad_trace : of a channel that is not good
    accent : focus, cursors, what can be clicked
    ok, warn, bad : states
    """

    name: str
    background: str
    surface: str
    raised: str
    text: str
    muted: str
    grid: str
    trace: str
    bad_trace: str
    accent: str
    ok: str
    warn: str
    bad: str

    def state(self, word: str) -> str:
        """Colour of "ok", "warn" or "bad"; of anything else the muted one."""
        return {"ok": self.ok, "warn": self.warn, "bad": self.bad}.get(word, self.muted)


PALETTE = {  # dark, light
    "background": ("#0E1116", "#F4F6F8"),
    "surface": ("#151A21", "#FFFFFF"),
    "raised": ("#212833", "#E6EAEF"),
    "text": ("#E8ECF1", "#14181D"),
    "muted": ("#97A3B3", "#55606E"),
    "grid": ("#2B3440", "#D5DBE2"),
    "trace": ("#C9D4E0", "#26313D"),
    "bad_trace": ("#59636F", "#A7B0BB"),
    "accent": ("#6CB6FF", "#0B62C4"),
    "ok": ("#4CC38A", "#157F4E"),
    "warn": ("#FFB224", "#9A5B00"),
    "bad": ("#FF5A52", "#C4121A"),
}
DARK, LIGHT = (
    Theme(name, **{use: colours[number] for use, colours in PALETTE.items()})
    for number, name in enumerate(THEMES)
)
BY_NAME = {theme.name: theme for theme in (DARK, LIGHT)}


def font(scale: float = NORMAL, bold: bool = False) -> QFont:
    """The panel's font; digits all of one width, so that numbers do not dance."""
    made = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    made.setPointSizeF(BASE_PT * scale)
    made.setBold(bold)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def apply(application: QApplication, theme: Theme) -> None:
    """Give the whole application a theme; may be called again to change it."""
    if (sheet := _sheet(theme)) == application.styleSheet():  # all of the same again takes 0.1 s
        return
    application.setStyle("Fusion")
    application.setFont(font())
    application.setPalette(_palette(theme))
    application.setStyleSheet(sheet)


def _palette(theme: Theme) -> QPalette:
    role, palette = QPalette.ColorRole, QPalette()
    for part, colour in (
        (role.Window, theme.background),
        (role.Base, theme.surface),
        (role.AlternateBase, theme.raised),
        (role.Button, theme.raised),
        (role.WindowText, theme.text),
        (role.Text, theme.text),
        (role.ButtonText, theme.text),
        (role.ToolTipBase, theme.raised),
        (role.ToolTipText, theme.text),
        (role.PlaceholderText, theme.muted),
        (role.Highlight, theme.accent),
        (role.HighlightedText, theme.background),
        (role.Link, theme.accent),
    ):
        palette.setColor(part, QColor(colour))
    for part in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, part, QColor(theme.muted))
    return palette


def _sheet(theme: Theme) -> str:
    line = f"border: 1px solid {theme.grid}; border-radius: 4px"
    return f"""
    QFrame[view="true"] {{ background: {theme.surface}; {line}; }}
    QPushButton, QComboBox, QLineEdit {{
        background: {theme.raised}; {line}; padding: 3px 8px;
    }}
    QPushButton:hover, QComboBox:hover {{ border-color: {theme.accent}; }}
    QPushButton:focus, QComboBox:focus, QLineEdit:focus {{ border-color: {theme.accent}; }}
    QPushButton:checked {{ background: {theme.accent}; color: {theme.background}; }}
    QHeaderView::section {{
        background: {theme.surface}; color: {theme.muted}; border: 0; padding: 2px 6px;
    }}
    QTableWidget {{ background: {theme.surface}; border: 0; gridline-color: {theme.grid}; }}
    QToolTip {{ background: {theme.raised}; color: {theme.text}; border: 1px solid {theme.grid}; }}
    QLabel[muted="true"] {{ color: {theme.muted}; }}
    """
