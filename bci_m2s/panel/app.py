"""Starting the panel: checks, Qt, the window, and what happens to errors that nobody caught."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from bci_m2s.files.access import make_private_folder, open_private
from bci_m2s.panel.look.preflight import check_qt

if TYPE_CHECKING:
    from bci_m2s.panel.client.looking import Looking
    from bci_m2s.panel.overview.window import OverviewWindow
    from bci_m2s.panel.window import PanelWindow

ORGANISATION, APPLICATION = "bci_m2s", "panel"
LOG_BYTES = 1 << 20
_log = logging.getLogger("bci_m2s.panel")


@dataclass(frozen=True, slots=True)
class PanelOptions:
    """session : id of the session to show, "" for the newest; remote : also sessions of other machines,
    view only; pipeline : file or name for a session that the panel starts, "" to look; theme : dark or
    light, "" for the one of last time
    """

    session: str = ""
    remote: bool = False
    pipeline: str = ""
    theme: str = ""


def run_panel(options: PanelOptions) -> int:
    """Show the panel until it is closed; returns the exit status. Raises UsageError (no display, no Qt)."""
    check_qt()
    from PyQt6.QtCore import QSettings

    from bci_m2s.panel.client.client import SessionClient
    from bci_m2s.panel.window import PanelWindow

    def make(folder: Path) -> tuple[PanelWindow, SessionClient]:
        client = SessionClient(options.session, options.remote)
        return PanelWindow(client, QSettings(), options, folder), client

    return _run("panel.log", make)


def run_overview(theme: str = "") -> int:
    """Show everybody until the window is closed; returns the exit status. theme : as in ``PanelOptions``"""
    check_qt()
    from bci_m2s.panel.client.everybody import EverybodyClient
    from bci_m2s.panel.look.theme import BY_NAME, DARK
    from bci_m2s.panel.overview.window import OverviewWindow

    def make(folder: Path) -> tuple[OverviewWindow, EverybodyClient]:
        client = EverybodyClient()
        return OverviewWindow(client, BY_NAME.get(theme, DARK), folder), client

    return _run("overview.log", make)


def _run(log: str, make: Callable[[Path], tuple[PanelWindow | OverviewWindow, Looking]]) -> int:
    """Show a window until it is closed. make : it and its client, of the folder of logs"""
    from PyQt6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    application.setOrganizationName(ORGANISATION)
    application.setApplicationName(APPLICATION)
    folder = log_folder()
    with log_to(folder / log):
        window, client = make(folder)
        with errors_shown(window), quit_on_signals():
            window.show()
            client.start()
            try:
                return int(application.exec())
            finally:
                window.shut_down()


def log_folder() -> Path:
    """Where the panel's log and that of engines which it starts are kept."""
    from PyQt6.QtCore import QStandardPaths

    kind = QStandardPaths.StandardLocation.AppLocalDataLocation
    folder = Path(QStandardPaths.writableLocation(kind) or tempfile.gettempdir())
    try:
        make_private_folder(folder)
    except OSError:  # a home that cannot be written to
        folder = Path(tempfile.mkdtemp(prefix="bci_m2s-panel-"))
    return folder


class _OwnersLog(RotatingFileHandler):
    """A log that only its owner may read, also after a turn of the files."""

    def _open(self) -> TextIOWrapper:
        handle = open_private(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return TextIOWrapper(os.fdopen(handle, "ab"), encoding=self.encoding)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write warnings and errors to a file, and to the standard error output."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    try:
        handlers.append(_OwnersLog(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"))
    except OSError as problem:
        print(f"the log {path} cannot be written: {problem.strerror}", file=sys.stderr)
    root = logging.getLogger("bci_m2s")
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


@contextmanager
def errors_shown(window: PanelWindow | OverviewWindow) -> Iterator[None]:
    """Errors that nobody caught go to the log and to the window's message line; the window stays.

    Without this PyQt6 would end the process.
    """
    before, thread_before = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        _log.error("unexpected error", exc_info=(kind, problem, trace))
        window.unexpected.emit(f"{kind.__name__}: {problem}")  # a signal: any thread may fail

    def thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            hook(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook, threading.excepthook = hook, thread_hook
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = before, thread_before


@contextmanager
def quit_on_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM close the panel. The window's timers give Python its turns to notice."""
    from PyQt6.QtWidgets import QApplication

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        QApplication.closeAllWindows()
        QApplication.exit(0)

    kinds = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(kind, handle) for kind in kinds]
    try:
        yield
    finally:
        for kind, old in zip(kinds, before, strict=True):
            signal.signal(kind, old)
