"""The window: views, keys, timers, and what happens when it opens and closes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QMessageBox

from bci_m2s.panel import settings as remembered
from bci_m2s.panel import theme as themes
from bci_m2s.panel.actions import describe_keys, make_actions, marker_actions
from bci_m2s.panel.answer import AnswerView
from bci_m2s.panel.commander import Commander
from bci_m2s.panel.control_bar import ControlBar
from bci_m2s.panel.empty import EmptyState
from bci_m2s.panel.first_start import FirstStart
from bci_m2s.panel.layout import Arrangement
from bci_m2s.panel.messages import MessageBar
from bci_m2s.panel.operator import VIEW_ONLY, Operator
from bci_m2s.panel.plane import PlaneView
from bci_m2s.panel.presenter import Presenter, Views
from bci_m2s.panel.sparkline import Sparkline
from bci_m2s.panel.status_line import StatusLine
from bci_m2s.panel.stream_table import StreamTable
from bci_m2s.panel.timeline import TimelineView
from bci_m2s.panel.topography import TopographyView

if TYPE_CHECKING:
    from bci_m2s.panel.app import PanelOptions
    from bci_m2s.panel.client import SessionClient

FRAME_MS, NUMBERS_MS, MAPS_MS = 31, 250, 1000
SIZE = (1920, 1080)  # on screens that are wider than this
LARGEST_WIDTH = 2000


class PanelWindow(QMainWindow):
    """The panel.

    Parameters
    ----------
    client : finds and follows the session; started and closed by the caller
    store : what is remembered from start to start
    options : see ``app.PanelOptions``
    folder : for logs of engines that are started from here
    """

    unexpected = pyqtSignal(str)  # an error that nobody caught, from any thread

    def __init__(
        self, client: SessionClient, store: QSettings, options: PanelOptions, folder: Path
    ) -> None:
        super().__init__()
        self.setWindowTitle("bci_m2s")
        self.client, self._store = client, store
        self.remembered = remembered.load(store)
        if options.theme in themes.THEMES:
            self.remembered.theme = options.theme
        self.theme = themes.THEMES[self.remembered.theme]
        _use(self.theme)
        self.actions_by_name = make_actions(self, self._slots())
        self._marker_actions = marker_actions(self, self.remembered.markers, self.mark)
        self.messages = MessageBar(self.theme)
        self.commander = Commander(self)
        self.operator = Operator(
            self.actions_by_name, self._marker_actions, self.commander, self.say, self._history
        )
        self._make_views()
        self.presenter = Presenter(client, self.views, self.arrangement, self.theme)
        self.presenter.trace_settings = dict(self.remembered.traces)
        self.first_start = FirstStart(client, options, folder, self.say, self, lambda: self.theme)
        self.unexpected.connect(lambda text: self.say(f"unexpected error: {text} (see panel.log)", "error"))
        self._session_uid = ""
        self._restore()
        self._timers = [
            _timer(self, FRAME_MS, self.presenter.frame, precise=True),
            _timer(self, NUMBERS_MS, self._numbers),
            _timer(self, MAPS_MS, self.presenter.maps),
        ]

    def _make_views(self) -> None:
        theme = self.theme
        self.views = Views(
            status=StatusLine(theme),
            answer=AnswerView(theme),
            plane=PlaneView(theme),
            head_map=TopographyView(theme),
            timeline=TimelineView(theme),
            table=StreamTable(theme),
            latency=Sparkline(theme, "age", "ms"),
        )
        self.controls = ControlBar(theme, self.actions_by_name, self._marker_actions)
        self.controls.field.entered.connect(self.mark)
        self.empty = EmptyState(theme, self.actions_by_name["connect"])
        self.arrangement = Arrangement(
            status=self.views.status,
            answer=self.views.answer,
            plane=self.views.plane,
            head_map=self.views.head_map,
            timeline=self.views.timeline,
            table=self.views.table,
            latency=self.views.latency,
            controls=self.controls,
            messages=self.messages,
            empty=self.empty,
        )
        self.setCentralWidget(self.arrangement)

    # ---- what the operator does ----

    def _slots(self) -> dict:
        return {
            "record": lambda: self.operator.record(),
            "mark": self._ask_marker,
            "baseline": lambda: self.operator.baseline(),
            "pause": self._pause,
            "screenshot": self.screenshot,
            "connect": lambda: self.first_start.open_dialog(),
            "stop": self._stop,
            "theme": self._change_theme,
            "fullscreen": self._full_screen,
            "help": self._help,
            "quit": self.close,
        }

    def mark(self, text: str) -> None:
        """Write a marker, if the engine is here."""
        if self.commander.is_connected:
            self.operator.mark(text)
        else:
            self.say(VIEW_ONLY, "warn")

    def say(self, text: str, kind: str = "info") -> None:
        """Show a sentence in the message line; kind : "info", "warn" or "error"."""
        {"info": self.messages.info, "warn": self.messages.warn, "error": self.messages.error}[kind](text)

    def _ask_marker(self) -> None:
        self.controls.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _pause(self) -> None:
        self.presenter.set_paused(self.actions_by_name["pause"].isChecked())

    def screenshot(self) -> None:
        """Save the window as ``bci_m2s-DATE-TIME.png`` in the current folder; nothing is overwritten."""
        stem = datetime.now().strftime("bci_m2s-%Y-%m-%d-%H%M%S")
        path = next(
            path
            for number in range(1000)
            if not (path := Path.cwd() / f"{stem}{f'-{number}' if number else ''}.png").exists()
        )
        if self.grab().save(str(path)):
            self.say(f"saved {path}")
        else:
            self.say(f"{path}: the screenshot cannot be written", "error")

    def _stop(self) -> None:
        question = "End the session? Its engine stops and its files are closed."
        yes = QMessageBox.StandardButton.Yes
        box = QMessageBox(QMessageBox.Icon.Question, "bci_m2s", question, parent=self)
        box.setStandardButtons(yes | QMessageBox.StandardButton.No)
        box.accepted.connect(self.operator.stop)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()  # not exec: the panel goes on drawing meanwhile

    def _change_theme(self) -> None:
        name = themes.LIGHT.name if self.theme is themes.DARK else themes.DARK.name
        self.set_theme(name)

    def set_theme(self, name: str) -> None:
        """Change to "dark" or "light"."""
        self.theme = themes.THEMES[name]
        self.remembered.theme = name
        _use(self.theme)
        self.presenter.set_theme(self.theme)
        for view in (self.controls, self.empty, self.messages):
            view.set_theme(self.theme)

    def _full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()
        self.actions_by_name["fullscreen"].setChecked(self.isFullScreen())

    def _help(self) -> None:
        lines = describe_keys(self.remembered.markers).replace("\t", "   ")
        box = QMessageBox(QMessageBox.Icon.NoIcon, "Keys", lines, parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # ---- what the session does ----

    def _numbers(self) -> None:
        facts = self.client.facts
        uid = facts.uid if facts is not None else ""
        if uid != self._session_uid:
            self._session_uid = uid
            self.commander.follow(facts.session_id if facts is not None else "")
        self.arrangement.show_session(facts is not None)
        if facts is None:
            self.empty.say(*self.first_start.words())
        self.presenter.numbers()
        self.operator.take_status(self.client.status, self.client.is_silent)
        self.first_start.look()

    def _history(self, reply: Mapping[str, Any]) -> None:
        self.presenter.load_history(reply)

    # ---- the window itself ----

    def _restore(self) -> None:
        if self.remembered.geometry.isEmpty() or not self.restoreGeometry(self.remembered.geometry):
            screen = QApplication.primaryScreen()
            room = screen.availableGeometry() if screen is not None else self.rect()
            if room.width() <= LARGEST_WIDTH:
                self.setGeometry(room)
            else:
                self.resize(*SIZE)
        for name, splitter in self._splitters().items():
            state = self.remembered.splitters.get(name)
            if state is not None and splitter.restoreState(state):
                self.arrangement.is_adjusted = True

    def _splitters(self) -> dict:
        return {"main": self.arrangement.main, "right": self.arrangement.right}

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Remember how the window was; a session goes on without it."""
        self.remembered.geometry = self.saveGeometry()
        adjusted = self.arrangement.is_adjusted
        self.remembered.splitters = {
            name: splitter.saveState() for name, splitter in self._splitters().items() if adjusted
        }
        self.remembered.traces = self.presenter.trace_settings_now()
        remembered.save(self._store, self.remembered)
        super().closeEvent(event)

    def shut_down(self) -> None:
        """End timers and threads; the window can be thrown away afterwards."""
        for timer in self._timers:
            timer.stop()
        self.first_start.close()
        self.commander.close()
        self.client.close()


def _use(theme: themes.Theme) -> None:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    themes.apply(application, theme)


def _timer(window: PanelWindow, every_ms: int, slot: object, precise: bool = False) -> QTimer:
    timer = QTimer(window)
    timer.setTimerType(Qt.TimerType.PreciseTimer if precise else Qt.TimerType.CoarseTimer)
    timer.timeout.connect(slot)  # type: ignore[arg-type]
    timer.start(every_ms)
    return timer
