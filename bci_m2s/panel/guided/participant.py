"""The participant's window: what to do, a fixation cross, and the questions; for a second screen."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QLineEdit, QToolButton, QWidget

from bci_m2s.panel.guided.pictograms import pictogram
from bci_m2s.panel.guided.step import Question, Step
from bci_m2s.panel.look.theme import LARGE, font
from bci_m2s.panel.look.view import in_column, in_row, plain_label

BACK, FORE, QUIET = "#101010", "#E8E8E8", "#8A8A8A"
BELOW_TOP = 0.17  # of a screen's height: above it is the step of the session, on the panel
CROSS_PX = 60  # length of the fixation cross
PICTURE_PX = 84  # of a wide window; narrower ones have smaller pictures
ENDS = {
    "valence": ("unpleasant", "pleasant"),
    "arousal": ("calm", "excited"),
    "dominance": ("controlled", "in control"),
}
HINT = "Type, then Enter"


class ParticipantWindow(QWidget):
    """What the participant sees. It shows no estimate, no label and no trial number.

    answered : signal: an answer, as the session takes it
    """

    answered = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("bci_m2s: participant (F11: full screen)")
        self.setStyleSheet(
            f"QWidget {{ background: {BACK}; color: {FORE}; }}"
            "QLabel { background: transparent; }"  # the cross is behind it
            f"QToolButton {{ border: 2px solid #333333; border-radius: 8px; padding: 8px; }}"
            f"QToolButton:hover, QToolButton:focus {{ border-color: {FORE}; }}"
            f"QLineEdit {{ border: 2px solid #444444; border-radius: 8px; padding: 8px; }}"
        )
        self.words = plain_label("", 2.0, wraps=True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.buttons: list[QToolButton] = []
        self.field = QLineEdit()
        self.field.setPlaceholderText(HINT)
        self.field.setFont(font(LARGE))
        self.field.setMaxLength(300)
        self.field.returnPressed.connect(self._enter)
        self._row, self._ends = in_row(None, None, spacing=8), [plain_label("", 1.2), plain_label("", 1.2)]
        ends = in_row(self._ends[0], None, self._ends[1])
        parts = None, self.words, self._row, ends, self.field, None
        self.setLayout(in_column(*parts, margins=(48, 48, 48, 48), spacing=32))
        self._step: Step | None = None
        self._asked: Question | None = None
        self.field.hide()

    def place(self) -> None:
        """Show it: filling the second screen where there is one, else over the panel's traces.

        There the step of the session, the estimate, the streams and the buttons stay visible beside it.
        """
        screens = QGuiApplication.screens()
        if len(screens) > 1:
            self.setGeometry(screens[1].geometry())
            self.showFullScreen()
            return
        screen = QGuiApplication.primaryScreen()
        room = screen.availableGeometry() if screen is not None else self.rect()
        self.setGeometry(
            room.left(), room.top() + int(BELOW_TOP * room.height()), room.width() // 2, room.height() // 2
        )
        self.show()

    def fill_screen(self, fills: bool) -> None:
        """Fill the screen that it is on, or be a window of its own again."""
        if self.buttons:  # the next report asks again, with pictures that fit
            self._ask(None)
        if fills:
            self.showFullScreen()
        else:
            self.showNormal()
        self.activateWindow()

    def show_step(self, step: Step) -> None:
        """Show a step; the same one again changes nothing."""
        if step.question != self._asked:
            self._ask(step.question)
        text = step.question.words if step.question is not None else "" if step.has_cross else step.text
        if step.is_paused and step.step == "pause":
            text = "A pause. It goes on in a moment."
        if text != self.words.text():
            self.words.setText(text)
        has_changed = self._step is None or self._step.has_cross != step.has_cross
        self._step = step
        if has_changed:
            self.update()

    def _ask(self, question: Question | None) -> None:
        self._asked = question
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.buttons = []
        is_sam = question is not None and question.kind == "sam"
        ends = ENDS.get(question.scale, ("", "")) if question is not None and is_sam else ("", "")
        for label, words in zip(self._ends, ends, strict=True):
            label.setText(words)
        self.field.setVisible(question is not None and question.kind == "text")
        self.field.clear()
        if question is None:
            return
        if question.kind == "text":
            self.field.setFocus()
            return
        self._make_buttons(question)
        self.setFocus()  # keys answer; no button looks chosen
        self.activateWindow()

    def _make_buttons(self, question: Question) -> None:
        side = min(PICTURE_PX, max(24, (self.width() - 96) // question.points - 30))
        answers = question.choices or tuple(str(point) for point in range(1, question.points + 1))
        for place, answer in enumerate(answers):
            button = QToolButton()
            button.setFont(font(LARGE))
            button.setText(answer if question.kind == "sam" else f"{place + 1}  {answer}")
            button.setAccessibleName(f"{question.scale} {answer}")
            if question.kind == "sam":
                share = place / (len(answers) - 1)
                button.setIcon(pictogram(question.scale, share, side, QColor(FORE)))
                button.setIconSize(QSize(side, side))
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            value = str(place + 1)
            button.clicked.connect(lambda _checked=False, value=value: self._choose(value))
            self.buttons.append(button)
            self._row.insertWidget(self._row.count() - 1, button)

    def _choose(self, value: str) -> None:
        if self._asked is None:
            return
        for button in self.buttons:  # it is on its way; a second press is no second answer
            button.setEnabled(False)
        QTimer.singleShot(2000, self._allow)  # unless it was refused
        self.answered.emit(value)

    def _allow(self) -> None:
        for button in self.buttons:
            button.setEnabled(True)

    def _enter(self) -> None:
        self.answered.emit(self.field.text().strip() or "-")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Digits answer a question with buttons; F11 fills the screen or no longer, Escape does not."""
        key = event.key() if event is not None else 0
        if key == Qt.Key.Key_F11 or (key == Qt.Key.Key_Escape and self.isFullScreen()):
            self.fill_screen(not self.isFullScreen())
            return
        text = event.text() if event is not None else ""
        if text.isdecimal() and 1 <= int(text) <= len(self.buttons) and self.buttons[0].isEnabled():
            self._choose(text)
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """The fixation cross, in the middle of the window."""
        super().paintEvent(event)
        if self._step is None or not self._step.has_cross:
            return
        painter = QPainter(self)
        painter.setPen(QPen(QColor(FORE), 4))
        middle = QPointF(self.rect().center())
        across, up = QPointF(CROSS_PX / 2, 0), QPointF(0, CROSS_PX / 2)
        painter.drawLine(middle - across, middle + across)
        painter.drawLine(middle - up, middle + up)
        painter.end()
