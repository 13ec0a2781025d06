"""The experimenter's strip: where a guided session is, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PyQt6.QtWidgets import QToolButton

from bci_m2s.panel.guided.participant import ParticipantWindow
from bci_m2s.panel.guided.step import Step, read_step
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column, in_row, plain_label

BUTTONS = {
    "pause": ("Pause", "once this trial is over"),
    "repeat": ("Repeat trial", "interrupts it, and shows it again"),
    "exclude": ("Exclude trial", "it will not count"),
    "skip": ("Next step", "ends this step before its time"),
}
MOST_CHECK_LINES = 6


class GuideStrip(View):
    """Shown while the session is guided; opens the participant's window with the first step.

    send : gives a command to the session
    """

    def __init__(self, theme: Theme, send: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(theme)
        self._send = send
        self.step: Step | None = None
        self.participant: ParticipantWindow | None = None
        self.words, self.lines = plain_label("", 1.2, bold=True), plain_label("", SMALL, wraps=True)
        self.buttons = {action: self._button(action) for action in BUTTONS}
        self.fill = self._labelled("Participant full screen", "Esc in that window brings the panel back")
        self.fill.clicked.connect(self._fill_screen)
        row = in_row((self.words, 1), *self.buttons.values(), self.fill, spacing=4)
        self.setLayout(in_column(row, self.lines, margins=(8, 6, 8, 6), spacing=4))
        self.hide()

    def _button(self, action: str) -> QToolButton:
        button = self._labelled(*BUTTONS[action])
        button.clicked.connect(lambda: self._ask_for(action))
        return button

    def _labelled(self, text: str, details: str) -> QToolButton:
        button = QToolButton()
        button.setFont(font(SMALL))
        button.setText(text)
        button.setToolTip(details)
        return button

    def _fill_screen(self) -> None:
        if self.participant is not None:
            self.participant.fill_screen(True)

    def _ask_for(self, action: str) -> None:
        if action == "pause" and self.step is not None and self.step.is_paused:
            action = "resume"
        self._send({"do": "protocol", "action": action, "value": ""})

    def show_status(self, status: Mapping[str, Any], can_command: bool) -> None:
        """Show what a status report says of the protocol; nothing where the session is not guided."""
        step = read_step(status)
        is_over = step is None or bool(status.get("ended"))
        if step is None:
            self.hide()
        else:
            self._show(step, can_command and not is_over)
        if is_over:
            self.close_participant()

    def _show(self, step: Step, can_command: bool) -> None:
        self.step = step
        self.words.setText(step.headline())
        lines = list(step.check[:MOST_CHECK_LINES])
        self.lines.setText("\n".join(lines))
        self.lines.setVisible(bool(lines))
        self.buttons["pause"].setText("Go on" if step.is_paused else "Pause")
        for button in self.buttons.values():
            button.setEnabled(can_command)
        self.show()
        if can_command:
            if self.participant is None:
                self.participant = ParticipantWindow()
                self.participant.answered.connect(self._answer)
                self.participant.place()
            elif step.question is not None and self.participant.isHidden():
                self.participant.place()  # it was closed by hand, and an answer is waited for
            self.participant.show_step(step)
        self.fill.setVisible(self.participant is not None and not self.participant.isFullScreen())

    def _answer(self, value: str) -> None:
        self._send({"do": "protocol", "action": "answer", "value": value})

    def close_participant(self) -> None:
        """The participant's window goes with the session, and with the panel."""
        if self.participant is not None:
            self.participant.close()
            self.participant.deleteLater()
            self.participant = None

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        super().set_theme(theme)
        self.setStyleSheet(
            f"QToolButton {{ background: {theme.raised}; color: {theme.text};"
            f" border: 1px solid {theme.grid}; border-radius: 4px; padding: 4px 8px; }}"
            f"QToolButton:hover, QToolButton:focus {{ border-color: {theme.accent}; }}"
            f"QToolButton:disabled {{ color: {theme.muted}; border-style: dashed; }}"
        )
