"""Processes that outlive whoever started them: the panel of a session, the engine of a panel."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

TAIL_BYTES = 4000


def start_detached(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a program that Ctrl-C in this terminal does not reach; what it prints goes to `output`.

    Raises OSError when it cannot be started.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # without effect on Windows
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # only there
    )


def last_lines(log: Path) -> list[str]:
    """The end of what a program printed, without empty lines; [] where nothing can be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()]
