"""Small windows of the panel: a question, the keys, the texts of the marker buttons.

All of them are opened, never run to their end: the panel goes on drawing behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QMessageBox, QWidget

from bci_m2s.panel.look.settings import LONGEST, MOST_MARKERS
from bci_m2s.panel.look.theme import SMALL
from bci_m2s.panel.look.view import plain_label

BUTTONS = QDialogButtonBox.StandardButton


def ask_to_end(parent: QWidget, then: Callable[[], None]) -> None:
    """Ask whether the session is to end; `then` is called after a yes. Enter means no."""
    box = _question(parent, "End the session? Its engine stops and its files are closed.")
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    box.setStandardButtons(yes | no)
    box.setDefaultButton(no)
    box.accepted.connect(then)
    box.open()


def ask_to_leave(parent: QWidget, leave: Callable[[], None], end: Callable[[], None]) -> None:
    """Ask what becomes of a session that was started from here when the window closes."""
    box = _question(parent, "A session that was started here is still running.")
    box.setInformativeText("It can go on without the panel; bci-m2s panel shows it again.")
    stay = box.addButton("Leave it running", QMessageBox.ButtonRole.AcceptRole)
    over = box.addButton("End it", QMessageBox.ButtonRole.DestructiveRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(stay)
    for button, then in ((stay, leave), (over, end)):
        if button is not None:
            button.clicked.connect(lambda _checked, then=then: then())
    box.open()


def _question(parent: QWidget, words: str) -> QMessageBox:
    box = QMessageBox(QMessageBox.Icon.Question, "bci_m2s", words, parent=parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return box


class KeysDialog(QDialog):
    """Lists the keys. rows : each key and what it is for"""

    def __init__(self, parent: QWidget, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        form = QFormLayout(self)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(1)
        for key, meaning in rows:
            form.addRow(plain_label(key, SMALL, bold=True), plain_label(meaning, SMALL))
        buttons = QDialogButtonBox(BUTTONS.Close)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)


class MarkerDialog(QDialog):
    """Texts of the marker buttons, one for each of the keys 1 to 9.

    texts : of the buttons now
    then : called with the new ones after OK; empty ones are left out, those after them move up
    """

    def __init__(
        self, parent: QWidget, texts: Sequence[str], then: Callable[[tuple[str, ...]], None]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Marker buttons")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._then = then
        form = QFormLayout(self)
        form.addRow(
            QLabel(
                "Each key writes its text as a marker; without text there is no button.\n"
                "With all empty they have the model's classes, in words that training reads:\n"
                "trial/start/CLASS, trial/stop/CLASS."
            )
        )
        self.fields: list[QLineEdit] = []
        for number, text in enumerate([*texts, *[""] * MOST_MARKERS][:MOST_MARKERS], start=1):
            field = QLineEdit(text)
            field.setMaxLength(LONGEST)
            field.setMinimumWidth(320)
            field.setAccessibleName(f"text of key {number}")
            form.addRow(str(number), field)
            self.fields.append(field)
        buttons = QDialogButtonBox(BUTTONS.Ok | BUTTONS.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)

    def accept(self) -> None:
        """Hand the texts over."""
        texts = (field.text().strip() for field in self.fields)
        self._then(tuple(text for text in texts if text))
        super().accept()
