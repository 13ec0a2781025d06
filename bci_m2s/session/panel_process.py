"""The panel beside a session: another process, which may end in any way without disturbing anything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bci_m2s.session.detached import last_lines, start_detached
from bci_m2s.text import printable

AGAIN = "`bci-m2s panel` opens it again"
END_S = 2.0  # that a panel may take to close


def has_display(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    """Whether a window can be shown to whoever started this process."""
    if system in ("darwin", "win32"):
        return not environment.get("SSH_CONNECTION")
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def start_panel(session_id: str, log_folder: Path | None = None) -> PanelProcess:
    """``bci-m2s panel --session SESSION_ID`` in a process of its own, with the same LSL configuration.

    log_folder : where what it prints is kept, None for the folder of temporary files
    Raises OSError when it cannot be started.
    """
    return PanelProcess([sys.executable, "-m", "bci_m2s", "panel", "--session", session_id], log_folder)


def start_overview() -> PanelProcess:
    """``bci-m2s panel --overview``, as ``start_panel``."""
    return PanelProcess([sys.executable, "-m", "bci_m2s", "panel", "--overview"])


class PanelProcess:
    """A started panel. Ctrl-C in the terminal does not reach it; who started it ends it, or leaves it.

    Parameters
    ----------
    command : program and arguments
    log_folder : where what it prints is kept, so that it does not disturb the terminal; dropped when all
        went well
    """

    def __init__(self, command: Sequence[str], log_folder: Path | None = None) -> None:
        number, name = tempfile.mkstemp(prefix="bci_m2s-panel-", suffix=".log", dir=log_folder)
        self.log = Path(name)
        self._is_reported = False
        with os.fdopen(number, "wb") as output:
            self.process = start_detached(command, output)

    @property
    def is_open(self) -> bool:
        """Whether it runs. Never waits."""
        return self.process.poll() is None

    def news(self) -> str:
        """Say once, in a sentence, that it is gone; "" while it runs and after that. Never waits."""
        status = self.process.poll()
        if status is None or self._is_reported:
            return ""
        self._is_reported = True
        if status == 0:
            self._drop_log()
            return f"panel closed; the session continues; {AGAIN}"
        lines = last_lines(self.log) if status > 0 else []  # before a kill it knew of nothing
        words = f": {printable(lines[-1], 200)}" if lines else ""
        return f"panel ended (status {status}{words}); the session continues; {AGAIN}"

    def end(self, wait_s: float = END_S) -> None:
        """Close it, by force when that takes too long. Harmless when it is gone."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):  # it hangs in a driver
                self.process.wait(END_S)
        self._drop_log()

    def leave(self) -> None:
        """Let it stay, on its own: nobody will read what it prints."""
        if self.process.poll() is None:
            self._drop_log()

    def _drop_log(self) -> None:
        with suppress(OSError):
            self.log.unlink()
