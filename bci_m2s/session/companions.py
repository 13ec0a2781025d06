"""What accompanies a running session: a panel that shows it, and servers for commands."""

from __future__ import annotations

from rich.console import Console

from bci_m2s.errors import BciM2sError
from bci_m2s.session.control.server import ControlServer
from bci_m2s.session.operator_commands import Commands
from bci_m2s.session.panel_process import PanelProcess, has_display, start_panel
from bci_m2s.session.remote.server import RemoteServer
from bci_m2s.session.take_control import TakeControl


class Companions:
    """Takes commands for a session's engines, and looks after the panel. The session does without either.

    Parameters
    ----------
    session_id : under which a panel finds the session
    takes : of the session; the first one is made
    console : where lines for the operator go
    panel : open a panel where there is a display; without it none is mentioned
    remote : listens for experiment programs, None where nobody asked for it; closed at the end

    Attributes
    ----------
    commands : their ``engine`` is the one that runs
    """

    def __init__(
        self,
        session_id: str,
        takes: TakeControl,
        console: Console,
        panel: bool,
        remote: RemoteServer | None = None,
    ) -> None:
        self._console, self._remote = console, remote
        self._panel: PanelProcess | None = None
        self._server: ControlServer | None = None
        self.commands = Commands(takes)
        try:
            self._server = ControlServer(session_id, self.commands.handle)
        except BciM2sError as problem:
            console.print(f"no commands from a panel: {problem}", style="yellow")
        takes.takes_commands = self._server is not None
        if remote is not None:
            remote.serve(self.commands.handle, console.print)
            console.print(remote.describe())
        if panel:
            self._open_panel(session_id)

    def __enter__(self) -> Companions:
        return self

    def __exit__(self, *_error: object) -> None:
        for server in (self._server, self._remote):
            if server is not None:
                server.close()
        if self._panel is not None:
            self._panel.leave()

    def check_panel(self) -> None:
        """Print once that the panel is gone, when it is. Never waits."""
        news = self._panel.news() if self._panel is not None else ""
        if news:
            self._console.print(news)

    def can_answer(self) -> bool:
        """Whether questions can be answered in a panel, or by an experiment program."""
        if self._remote is not None or (self._panel is not None and self._panel.is_open):
            return True
        connections = self._server.connections() if self._server is not None else []
        return any(connection.proven for connection in connections)  # a panel that was opened by hand

    def end_panel(self) -> None:
        """Close the panel."""
        if self._panel is not None:
            self._panel.end()

    def _open_panel(self, session_id: str) -> None:
        if not has_display():
            self._console.print("no display: terminal only")
            return
        try:
            self._panel = start_panel(session_id)
        except OSError as problem:
            self._console.print(f"the panel cannot be started: {problem}", style="yellow")
        else:
            self._console.print("panel opened; --headless for none")
