"""The window: views, keys, timers, and what happens when it opens and closes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QSplitter

from bci_m2s.panel.answer.answer import AnswerView
from bci_m2s.panel.answer.plane import PlaneView
from bci_m2s.panel.answer.sparkline import Sparkline
from bci_m2s.panel.controls import dialogs
from bci_m2s.panel.controls.actions import (
    describe_keys,
    make_actions,
    marker_actions,
    set_marker_texts,
    usual_markers,
)
from bci_m2s.panel.controls.control_bar import ControlBar
from bci_m2s.panel.controls.empty import EmptyState
from bci_m2s.panel.controls.messages import MessageBar
from bci_m2s.panel.controls.session_picker import SessionPicker
from bci_m2s.panel.controls.status_line import StatusLine
from bci_m2s.panel.controls.stream_table import StreamTable
from bci_m2s.panel.guided.guide import GuideStrip
from bci_m2s.panel.head.topography import TopographyView
from bci_m2s.panel.layout import Arrangement, Views
from bci_m2s.panel.look import settings as remembered
from bci_m2s.panel.look import theme as themes
from bci_m2s.panel.operate.first_start import FirstStart
from bci_m2s.panel.operate.operator import VIEW_ONLY, Commander, Operator
from bci_m2s.panel.presenter import Presenter
from bci_m2s.panel.timeline.timeline import TimelineView
from bci_m2s.panel.traces.traces_controls import TracesControls

if TYPE_CHECKING:
    from bci_m2s.panel.app import PanelOptions
    from bci_m2s.panel.client.client import SessionClient

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
        if options.theme in themes.BY_NAME:
            self.remembered.theme = options.theme
        self.theme = themes.BY_NAME[self.remembered.theme]
        _use(self.theme)
        self.actions_by_name = make_actions(self, self._slots())
        self._marker_actions = marker_actions(self, self._marker_texts(), self.mark)
        self.messages = MessageBar(self.theme)
        self.notify = self.messages.notify
        self.commander = Commander(self)
        self._make_views()
        self.presenter = Presenter(client, self.views, self.arrangement, self.theme)
        buttons, take_history = (self.actions_by_name, self._marker_actions), self.presenter.load_history
        self.operator = Operator(*buttons, self.commander, self.notify, take_history)
        self.presenter.trace_settings = dict(self.remembered.traces)
        self.first_start = FirstStart(client, options, folder, self.notify, self, lambda: self.theme)
        self.unexpected.connect(lambda text: self.notify(f"unexpected error (panel.log): {text}", "error"))
        self._session_uid, self._twins, self._is_leaving = "", "", False
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
        self.controls.edit_wanted.connect(self._edit_markers)
        self.sessions = SessionPicker()
        self.sessions.chosen.connect(self.client.follow)
        self.views.status.put_first(self.sessions)
        self.empty = EmptyState(theme, self.actions_by_name["connect"])
        self.guide = GuideStrip(theme, self.commander.send)
        self.arrangement = Arrangement(self.views, self.guide, self.controls, self.messages, self.empty)
        self.setCentralWidget(self.arrangement)

    # ---- what the operator does ----

    def _slots(self) -> dict[str, Callable[[], object]]:
        return {
            "record": lambda: self.operator.record(),
            "mark": lambda: self.controls.field.setFocus(Qt.FocusReason.ShortcutFocusReason),
            "baseline": lambda: self.operator.baseline(),
            "freeze": lambda: self.presenter.set_frozen(self.actions_by_name["freeze"].isChecked()),
            "screenshot": self.screenshot,
            "connect": lambda: self.first_start.open_dialog(),
            "stop": lambda: dialogs.ask_to_end(self, self.operator.stop),
            "markers": self._edit_markers,
            "session": lambda: self.sessions.take_next(),
            "theme": lambda: self.set_theme("light" if self.theme is themes.DARK else "dark"),
            "fullscreen": self._full_screen,
            "help": lambda: dialogs.KeysDialog(self, describe_keys(self._marker_texts())).open(),
            "quit": self.close,
            **self._display_slots(),
        }

    def _display_slots(self) -> dict[str, Callable[[], object]]:
        """What changes only how traces and head are drawn."""
        choices = ("filter", "notch", "span", "channels")
        return {
            "auto": lambda: self._on_traces(lambda controls: controls.choose_auto()),
            "larger": lambda: self._on_traces(lambda controls: controls.step(-1)),
            "smaller": lambda: self._on_traces(lambda controls: controls.step(1)),
            "map": lambda: self.views.head_map.take_next_mode(),
            "band": lambda: self.views.head_map.take_next_band(),
            **{what: partial(self._take_next, what) for what in choices},
        }

    def _take_next(self, what: str) -> None:
        self._on_traces(lambda controls: controls.take_next(what))

    def _on_traces(self, change: Callable[[TracesControls], None]) -> None:
        for view in self.presenter.traces.values():
            if view.controls is not None:
                change(view.controls)

    def mark(self, text: str) -> None:
        """Write a marker, if the engine is here."""
        if self.commander.is_connected:
            self.operator.mark(text)
        else:
            self.notify(VIEW_ONLY, "warn")

    def screenshot(self) -> None:
        """Save the window as ``bci_m2s-DATE-TIME.png`` in the current folder; nothing is overwritten."""
        stem = datetime.now().strftime("bci_m2s-%Y-%m-%d-%H%M%S")
        path = next(
            path
            for number in range(1000)
            if not (path := Path.cwd() / f"{stem}{f'-{number}' if number else ''}.png").exists()
        )
        if self.grab().save(str(path)):
            self.notify(f"saved {path}")
        else:
            self.notify(f"{path}: the screenshot cannot be written", "error")

    def _edit_markers(self) -> None:
        dialogs.MarkerDialog(self, self._marker_texts(), self._set_markers).open()

    def _set_markers(self, texts: tuple[str, ...]) -> None:
        self.remembered.markers = texts if texts != usual_markers(self.client.facts) else ()
        set_marker_texts(self._marker_actions, self._marker_texts())
        self._remember()

    def _marker_texts(self) -> tuple[str, ...]:
        return self.remembered.markers or usual_markers(self.client.facts)

    def set_theme(self, name: str) -> None:
        """Change to "dark" or "light"."""
        self.theme = themes.BY_NAME[name]
        self.remembered.theme = name
        _use(self.theme)
        self.presenter.set_theme(self.theme)
        for view in (self.controls, self.empty, self.messages, self.guide):
            view.set_theme(self.theme)

    def _full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()
        self.actions_by_name["fullscreen"].setChecked(self.isFullScreen())

    # ---- what the session does ----

    def _numbers(self) -> None:
        facts = self.client.facts
        uid = facts.uid if facts is not None else ""
        if uid != self._session_uid:
            self._session_uid = uid
            self.commander.follow(facts.session_id if facts is not None else "")
            set_marker_texts(self._marker_actions, self._marker_texts())
        self.arrangement.show_session(facts is not None)
        if facts is None:
            self.empty.show_text(*self.first_start.words(), can_connect=not self.first_start.is_starting)
        self.sessions.show_sessions(self.client.sessions, uid, self.client.own)
        refusal = self.operator.refusal if facts is not None else ""
        self.presenter.numbers(view_only=refusal == VIEW_ONLY)
        if self.client.twins != self._twins:
            self._twins = self.client.twins
            if self._twins:
                self.notify(self._twins, "error")  # it stays until somebody has seen it
        self.operator.take_status(self.client.status, self.client.is_silent)
        self.guide.show_status(self.client.status, self.commander.is_connected)
        self.controls.set_refusal(refusal)
        self.first_start.look()
        self.actions_by_name["connect"].setEnabled(not self.first_start.is_starting)

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

    def _splitters(self) -> dict[str, QSplitter]:
        return {"main": self.arrangement.main, "right": self.arrangement.right}

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Remember how the window was. A session goes on; about one that was started here it asks."""
        self._remember()
        if event is not None and self.first_start.engine is not None and not self._is_leaving:
            event.ignore()
            dialogs.ask_to_leave(self, self.leave, self._end_and_leave)
            return
        super().closeEvent(event)

    def leave(self) -> None:
        """Close without a question."""
        self._is_leaving = True
        self.close()

    def _end_and_leave(self) -> None:
        self.operator.stop()
        self.leave()

    def _remember(self) -> None:
        self.remembered.geometry = self.saveGeometry()
        adjusted = self.arrangement.is_adjusted
        self.remembered.splitters = {
            name: splitter.saveState() for name, splitter in self._splitters().items() if adjusted
        }
        self.remembered.traces = self.presenter.trace_settings_now()
        remembered.save(self._store, self.remembered)

    def shut_down(self) -> None:
        """End timers and threads; the window can be thrown away afterwards."""
        for timer in self._timers:
            timer.stop()
        self.first_start.close()
        self.guide.close_participant()
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
