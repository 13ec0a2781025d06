"""Starting an engine from the panel: a process of its own that outlives the window."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from bci_m2s.session.detached import last_lines, start_detached
from bci_m2s.text import printable


class EngineProcess:
    """``bci-m2s run PIPELINE --headless`` in a process group of its own.

    Parameters
    ----------
    pipeline : file or shipped name
    source_ids : which stream serves which modality
    log : what the engine prints; the folder exists
    """

    def __init__(self, pipeline: str, source_ids: Mapping[str, str], log: Path) -> None:
        self.pipeline, self._log = pipeline, log
        command = [sys.executable, "-m", "bci_m2s", "run", pipeline, "--headless"]
        for modality, source_id in source_ids.items():
            command += ["--stream", f"{modality}={source_id}"]
        with log.open("wb") as output:
            self._process = start_detached(command, output)
        # reaped whenever it ends, so that no zombie is left while the window stays open
        threading.Thread(target=self._process.wait, daemon=True, name="engine-process").start()

    @property
    def pid(self) -> int:
        """Of the engine."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line that it printed: an error, if it failed."""
        lines = last_lines(self._log)
        errors = [line for line in lines if line.startswith("error: ")]
        said = errors[-1:] or lines[-1:]
        return printable(said[0]) if said else ""
