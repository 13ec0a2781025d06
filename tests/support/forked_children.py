"""Children of a forked worker, ``python -m bci_m2s…``, that are forked where everything is imported.

Importing torch and scipy.signal again is most of what a short-lived engine, panel or sender costs: five
seconds of CPU for an engine. Here a *nursery*, forked from a worker before its first test, waits for
commands and forks a process for each; arguments, environment, open files, signals and exit status are as
those of an interpreter of its own. In the long run, and where a test file is run by itself, it is one.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import fcntl
import json
import logging
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = ("bci_m2s", "support")
FORKSERVER = "from multiprocessing.forkserver import main"
MOST_BYTES, MOST_FILES = 1 << 17, 64
FREE = 300  # file descriptors from here on are nobody's
READ_BY_PYTHON = ("PYTHON", "LANG", "LC_", "MPL")  # at its start, or by a library's import
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux


@dataclass(frozen=True)
class Birth:
    """A process to be: as ``subprocess.Popen`` is told. files : the open ones of these numbers."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    files: list[int]
    is_new_session: bool


class Nursery:
    """The worker's side: what ``subprocess`` calls in place of ``_fork_exec``."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process_of_its_own: Callable[..., int] = subprocess._fork_exec  # type: ignore[attr-defined]
        self._forkserver_of_its_own = util.spawnv_passfds
        self._lock = threading.Lock()
        self._subreap = ctypes.CDLL(None).prctl
        if os.fork() == 0:
            _serve(theirs)
        theirs.close()
        subprocess._fork_exec = self  # type: ignore[attr-defined]
        util.spawnv_passfds = self.forkserver

    def __call__(self, command: Any, paths: Any, close: Any, keep: Any, folder: Any, *more: Any) -> int:
        """Start a process; returns its number."""
        names = [os.fsdecode(word) for word in command]
        environment = _as_dict(more[0])
        if not _is_known(names) or not _is_as_here(environment):
            return self._process_of_its_own(command, paths, close, keep, folder, *more)
        reads, _, _, writes, _, errors, _, of_subprocess, _, is_new_session = more[1:11]
        kept = [number for number in keep if number != of_subprocess]
        standard = [own if own >= 0 else number for number, own in enumerate((reads, writes, errors))]
        place = os.fsdecode(folder) if folder is not None else str(Path.cwd())
        birth = Birth(names, place, environment, [0, 1, 2, *kept], bool(is_new_session))
        return self._ask_for(birth, [*standard, *kept])

    def forkserver(self, path: bytes, command: Sequence[str], keep: Sequence[int]) -> int:
        """In place of ``multiprocessing.util.spawnv_passfds``: a forkserver need not import it all."""
        if not command[-1].startswith(FORKSERVER):
            return self._forkserver_of_its_own(path, command, keep)
        names = [os.fsdecode(word) for word in command]
        birth = Birth(names, str(Path.cwd()), dict(os.environ), [0, 1, 2, *keep], False)
        return self._ask_for(birth, [0, 1, 2, *keep])

    def _ask_for(self, birth: Birth, files: Sequence[int]) -> int:
        """A child of this process: of all ancestors who take in orphans it is the nearest."""
        with self._lock:
            self._subreap(SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._connection, [json.dumps(asdict(birth)).encode()], files)
                number = int(self._connection.recv(100))
                assert self._connection.recv(100) == b"orphaned"
            finally:
                self._subreap(SUBREAPER, 0, 0, 0, 0)
        return number


def _as_dict(environment: Sequence[bytes] | None) -> dict[str, str]:
    if environment is None:
        return dict(os.environ)
    pairs = (os.fsdecode(entry).partition("=") for entry in environment)
    return {name: value for name, _, value in pairs}


def _is_known(command: Sequence[str]) -> bool:
    return command[:2] == [sys.executable, "-m"] and command[2].partition(".")[0] in PACKAGES


def _is_as_here(environment: Mapping[str, str]) -> bool:
    """Whether Python and its libraries would start as they have here."""
    read = {name for name in {*environment, *os.environ} if name.startswith(READ_BY_PYTHON)}
    read.discard("PYTHONPATH")  # which a child is given
    return all(environment.get(name) == os.environ.get(name) for name in read)


# ---- the nursery ----


def _serve(connection: socket.socket) -> NoReturn:
    """Fork a process for each command until the worker has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in (nothing, connection.fileno()) and _is_open(number):
            os.dup2(nothing, number, inheritable=False)  # the worker's; objects here may yet close them
    while True:
        message, files, _, _ = socket.recv_fds(connection, MOST_BYTES, MOST_FILES)
        if not message:
            os._exit(0)
        between = os.fork()
        if between == 0:
            number = os.fork()
            if number == 0:
                connection.close()
                _live(Birth(**json.loads(message)), files)
            connection.send(str(number).encode())
            os._exit(0)
        for file in files:
            os.close(file)
        os.waitpid(between, 0)
        connection.send(b"orphaned")


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True


# ---- its children ----


def _live(birth: Birth, files: Sequence[int]) -> NoReturn:
    """Be the process that was asked for."""
    status = 1
    try:
        _take_files(birth.files, files)
        if birth.is_new_session:
            os.setsid()
        os.chdir(birth.folder)
        os.environ.clear()
        os.environ.update(birth.environment)
        _forget_the_worker()
        status = _run(birth.command)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)  # what was the worker's is not to be tidied up here


def _take_files(numbers: Sequence[int], files: Sequence[int]) -> None:
    high = [fcntl.fcntl(file, fcntl.F_DUPFD, FREE) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(high, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _forget_the_worker() -> None:
    """What pytest and the worker have set for themselves."""
    faulthandler.disable()
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    warnings.simplefilter("ignore")
    logging.root.handlers.clear()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _run(command: Sequence[str]) -> int:
    """``python -m MODULE ARGUMENTS``, or ``python -c CODE``; returns the exit status."""
    sys.orig_argv = list(command)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    status = 0
    try:
        if command[1] == "-m":
            _run_module(*command[2:])
        else:
            sys.argv = ["-c"]
            exec(command[-1], {"__name__": "__main__"})
    except SystemExit as end:
        status = _status_of(end.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        file.flush()
    return status


def _run_module(module: str, *arguments: str) -> None:
    sys.argv = [module, *arguments]
    run_as = f"{module}.__main__" if hasattr(sys.modules.get(module), "__path__") else module
    sys.modules.pop(run_as, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _status_of(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1
