"""Which session is shown, where several run at once."""

from __future__ import annotations

from collections.abc import Container, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox

from bci_m2s.panel.client.facts import SessionFacts
from bci_m2s.panel.look.text import tip

WIDTH_PX = 210
NOT_OWN = " · not a session of this user"


class SessionPicker(QComboBox):
    """A list of sessions; hidden while there are fewer than two.

    chosen : signal with the uid of the session that the user wants to see
    """

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("session")
        self.setMaximumWidth(WIDTH_PX)
        self.setMinimumContentsLength(12)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._shown: list[tuple[str, str]] = []
        self.activated.connect(lambda place: self.chosen.emit(self.itemData(place)))
        self.hide()

    def show_sessions(
        self, sessions: Sequence[SessionFacts], uid: str, own: Container[str] | None = None
    ) -> None:
        """Name the sessions that run now.

        uid : of the one that is shown; own : uids of this user's sessions, None where that does not matter
        """
        named = [
            (facts.uid, session_name(facts) + NOT_OWN * (own is not None and facts.uid not in own))
            for facts in sessions
        ]
        if named != self._shown:
            self._shown = named
            self.clear()
            for place, (its_uid, name) in enumerate(named):
                self.addItem(name, its_uid)
                self.setItemData(place, tip(name), Qt.ItemDataRole.ToolTipRole)
        place = self.findData(uid)
        if place != self.currentIndex():
            self.setCurrentIndex(place)
        self.setToolTip(tip(f"{len(named)} sessions run\n{self.currentText()}"))
        self.setVisible(len(named) > 1)

    def take_next(self) -> None:
        """Choose the session after the one that is shown."""
        if len(self._shown) > 1:
            self.chosen.emit(self.itemData((self.currentIndex() + 1) % len(self._shown)))


def session_name(facts: SessionFacts) -> str:
    """A session in a few words: who or what, model, machine."""
    who = facts.participant or facts.outlet_name or facts.session_id[:8]
    return " · ".join(part for part in (who, facts.model_name, facts.host) if part)
