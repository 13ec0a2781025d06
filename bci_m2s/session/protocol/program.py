"""Any program as a stimulus: your own PsychoPy script, a game, a browser."""

from __future__ import annotations

import math
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.protocol.stimulus import Shown
from bci_m2s.text import printable, quoted

TICK_S = 0.05  # how often it is looked whether somebody interrupts
TERM_S = 0.15  # to end when asked to
ONSET = "onset"
LONGEST = 4096  # bytes of a line


class Program:
    """A stimulus that a program shows, started once per item, without a shell.

    Parameters
    ----------
    command : program and arguments; ``{item}`` and ``{duration_s}`` in them become the item as the protocol
        names it, and its duration in seconds ("" where it has none)
    clock : LSL's, s
    waits_for_onset : the program prints a line ``onset`` when it shows the item, and the line's coming is
        the onset; else the start of the program is
    folder : where the program is started; None: here

    Raises
    ------
    ConfigurationError
        The command is empty.
    """

    def __init__(
        self,
        command: Sequence[str],
        clock: Callable[[], float],
        waits_for_onset: bool = False,
        folder: Path | None = None,
    ) -> None:
        if not command or not command[0]:
            raise ConfigurationError("program: command: got nothing, expected a program and its arguments")
        self._command, self._clock, self._waits, self._folder = command, clock, waits_for_onset, folder

    def check(self, items: Iterable[tuple[str, float | None]]) -> list[str]:
        """Whether the program is there; what items are, it knows alone. See `Stimulus.check`."""
        program = self._command[0]
        found = shutil.which(program) or (self._folder and shutil.which(str(self._folder / program)))
        problems = (
            [] if found else [f"program: command: {quoted(program)} is not installed, or not executable"]
        )
        if any("{duration_s}" in part for part in self._command):
            bare = [item for item, duration_s in dict.fromkeys(items) if duration_s is None]
            problems += [
                f"{printable(item, 200)}: no duration, which the command asks for" for item in bare
            ]
        return problems

    def present(
        self,
        item: str,
        duration_s: float | None,
        interrupted: threading.Event,
        on_onset: Callable[[float], None],
    ) -> Shown:
        """Run the program to its end, or for `duration_s` from the onset on; see `Stimulus.present`."""
        try:
            process = subprocess.Popen(
                [_filled(part, item, duration_s) for part in self._command],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._waits else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for whoever conducts the session
            )
        except (OSError, ValueError) as problem:  # a NUL in an item is a ValueError
            why = printable(getattr(problem, "strerror", None) or problem, 200)
            return Shown(flags=(f"the program cannot be started: {why}",), completed=False)
        try:
            return self._follow(process, duration_s, interrupted, on_onset)
        finally:
            _end(process)

    def close(self) -> None:
        """Nothing to do: no program outlives its item."""

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        duration_s: float | None,
        interrupted: threading.Event,
        on_onset: Callable[[float], None],
    ) -> Shown:
        onset_s, flags, problem = math.nan, [], ""
        lines: queue.Queue[float] = queue.Queue()
        if process.stdout is not None:
            reader = threading.Thread(
                target=_listen, args=(process.stdout, self._clock, lines.put), daemon=True
            )
            reader.start()
        else:
            onset_s, flags = self._clock(), ["onset is the start of the program"]
            on_onset(onset_s)
        while process.poll() is None:
            if interrupted.is_set():
                problem = "interrupted"
                break
            if math.isnan(onset_s):
                with suppress(queue.Empty):
                    onset_s = lines.get(timeout=TICK_S)
                    on_onset(onset_s)
                continue
            rest_s = math.inf if duration_s is None else onset_s + duration_s - self._clock()
            if rest_s <= 0:
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(TICK_S, rest_s))
        stop_s, code = self._clock(), process.poll()
        if process.stdout is not None and math.isnan(onset_s):
            reader.join(TICK_S)
            with suppress(queue.Empty):
                onset_s = lines.get_nowait()
                on_onset(onset_s)
        if code:
            problem = problem or f"the program ended with status {code}"
        elif math.isnan(onset_s):
            problem = problem or f"the program never printed {ONSET!r}"
        stop_s = math.nan if math.isnan(onset_s) else stop_s
        return Shown(
            onset_s, stop_s, flags=(*([problem] if problem else []), *flags), completed=not problem
        )


def _filled(part: str, item: str, duration_s: float | None) -> str:
    """An argument with its places filled; what is filled in is not looked at again."""
    duration = "" if duration_s is None else f"{duration_s:g}"
    return duration.join(piece.replace("{item}", item) for piece in part.split("{duration_s}"))


def _listen(output: IO[bytes], clock: Callable[[], float], on_onset: Callable[[float], None]) -> None:
    """Say when the onset's line came; read on, so that the program can print what it likes."""
    is_heard = False
    with output, suppress(OSError):
        while line := output.readline(LONGEST):
            if not is_heard and line.strip() == ONSET.encode():
                is_heard = True
                on_onset(clock())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started; the first has a moment to do it itself."""
    if process.poll() is None:
        _signal(process, "SIGTERM")
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERM_S)
    if process.poll() is None:
        _signal(process, "SIGKILL")
    process.wait()


def _signal(process: subprocess.Popen[bytes], name: str) -> None:
    if os.name == "posix":  # it leads a group of its own
        with suppress(OSError):
            os.killpg(process.pid, getattr(signal, name))
    else:
        process.kill()
