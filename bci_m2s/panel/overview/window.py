"""The window of the overview: the board, and panels of participants that were opened from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QScrollArea, QWidget

from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.client.everybody import EverybodyClient
from bci_m2s.panel.look.theme import Theme, apply
from bci_m2s.panel.look.view import in_column, in_row, plain_label
from bci_m2s.panel.overview.board import Board
from bci_m2s.panel.overview.tiles import Tile, tile_of
from bci_m2s.session.panel_process import PanelProcess, start_panel

EVERY_MS = 250
TITLE = "bci_m2s: participants"
NOBODY = "No participant's session runs on this computer."


class OverviewWindow(QMainWindow):
    """Draws everybody four times a second.

    open_panel : starts a panel of a session id
    """

    unexpected = pyqtSignal(str)  # an error that nobody caught; from any thread

    def __init__(
        self,
        client: EverybodyClient,
        theme: Theme,
        log_folder: Path | None = None,
        open_panel: Callable[[str, Path | None], PanelProcess] = start_panel,
    ) -> None:
        super().__init__()
        self._client, self._open_panel, self._log_folder = client, open_panel, log_folder
        self._panels: dict[str, PanelProcess] = {}
        self.setWindowTitle(TITLE)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            apply(application, theme)
        self.board = Board(theme)
        self.board.opened.connect(self.open_session)
        self.counts, self.message = plain_label(muted=True), plain_label(wraps=True)
        self.unexpected.connect(self.message.setText)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(self.board)
        page = QWidget()
        page.setLayout(in_column(in_row(self.counts, None, margins=(8, 6, 8, 0)), (area, 1), self.message))
        self.setCentralWidget(page)
        self.resize(1000, 640)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(EVERY_MS)
        self.refresh()

    def refresh(self) -> None:
        """Draw how everybody stands now."""
        now_s = local_clock()
        tiles = [tile_of(member, now_s) for member in self._client.members.values()]
        self.board.show_tiles(tiles)
        self.board.setMinimumHeight(self.board.minimumSizeHint().height())
        self.counts.setText(_counted(tiles))
        for session_id, panel in list(self._panels.items()):
            if panel.news():
                del self._panels[session_id]

    def open_session(self, session_id: str) -> None:
        """Open the panel of one participant; where it is open already nothing happens."""
        before = self._panels.get(session_id)
        if before is not None and before.is_open:
            return
        try:
            self._panels[session_id] = self._open_panel(session_id, self._log_folder)
        except OSError as problem:
            self.message.setText(f"the panel cannot be started: {problem}")

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Panels that were opened stay; the sessions go on anyway."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """Look at nothing any more."""
        self._timer.stop()
        for panel in self._panels.values():
            panel.leave()
        self._panels.clear()
        self._client.close()


def _counted(tiles: list[Tile]) -> str:
    """How many stand how, in a line."""
    if not tiles:
        return NOBODY
    words = {"ok": "fine", "warn": "need a look", "bad": "in trouble", "gone": "ended"}
    counts = [
        f"{n} {what}" for state, what in words.items() if (n := sum(tile.state == state for tile in tiles))
    ]
    return f"{len(tiles)} participants: {', '.join(counts)}. A click opens one in full."
