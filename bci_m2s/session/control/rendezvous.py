"""Where a session on this machine can be found by its id: a private folder with one small file per session.

On POSIX the folder is refused when it belongs to someone else or is open to others: whoever could write
there could pose as a session. On Windows the folder for temporary files is the user's own already.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci_m2s.errors import CommandError, OutputError
from bci_m2s.files.whole import write_whole

SESSION_ID = re.compile(r"[0-9a-f]{8,64}")
HOST = "127.0.0.1"
CONNECT_S = 3.0  # a frozen process's queue may be full; Windows refuses after two
LONGEST_ENTRY = 4096
STARTING = ".starting"
START_LIMIT_S = 60.0  # nothing takes longer to begin; what is older was left behind


@dataclass(frozen=True, slots=True)
class Entry:
    """How to reach a session. port : on the loopback address; token : to prove oneself with."""

    port: int
    token: bytes


def check_id(session_id: str) -> str:
    """Return the id, a file's name. Raises CommandError unless it is 8 to 64 hexadecimal digits."""
    if not isinstance(session_id, str) or not SESSION_ID.fullmatch(session_id):
        shown = str(session_id)[:40]
        raise CommandError(f"session id: got {shown!r}, expected 8 to 64 hexadecimal digits in lower case")
    return session_id


def folder_path() -> Path:
    """``bci_m2s`` in XDG_RUNTIME_DIR where that is this user's own (``sudo`` may pass on someone else's),
    else ``bci_m2s-USER`` in the temporary folder. Raises CommandError where there is none.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and _is_own_folder(Path(runtime)):
        return Path(runtime) / "bci_m2s"
    user = "user" if sys.platform == "win32" else str(os.getuid())
    try:
        return Path(tempfile.gettempdir()) / f"bci_m2s-{user}"
    except OSError as problem:
        raise CommandError(f"no folder for temporary files: {problem.strerror}") from None


def _is_own_folder(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (sys.platform == "win32" or status.st_uid == os.getuid())


def make_folder() -> Path:
    """Return the folder, made if missing. Raises CommandError: cannot be made, or is not private."""
    folder = folder_path()
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as problem:
        raise CommandError(f"{folder}: cannot be made: {problem.strerror}") from None
    check_private(folder)
    return folder


def check_private(folder: Path) -> None:
    """Refuse a folder that others own or may enter. Raises CommandError."""
    try:
        status = folder.lstat()
    except OSError as problem:
        raise CommandError(f"{folder}: {problem.strerror}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise CommandError(f"{folder}: got something else, expected a folder")
    if sys.platform == "win32":
        return
    if status.st_uid != os.getuid():
        raise CommandError(f"{folder}: owner: got user {status.st_uid}, expected {os.getuid()}")
    if status.st_mode & 0o077:
        raise CommandError(f"{folder}: mode: got {stat.S_IMODE(status.st_mode):o}, expected 700")


def write_entry(folder: Path, session_id: str, entry: Entry) -> Path:
    """Announce a session: the file appears whole or not at all. Raises CommandError."""
    path = folder / f"{check_id(session_id)}.json"
    if path.exists():
        raise CommandError(f"{path}: a session with this id takes commands already")
    try:
        write_whole(path, json.dumps({"port": entry.port, "token": entry.token.hex()}), private=True)
    except OutputError as problem:
        raise CommandError(str(problem)) from None
    return path


def read_entry(path: Path) -> Entry | None:
    """Return the entry of a session's file; None when it is missing or malformed."""
    try:
        with path.open("rb") as file:
            fields: Any = json.loads(file.read(LONGEST_ENTRY))
        entry = Entry(fields["port"], bytes.fromhex(fields["token"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if type(entry.port) is int and 0 < entry.port < 65536 and entry.token else None


def has_entry(session_id: str) -> bool:
    """Whether a session with this id, which may be any text, is announced in this user's private folder."""
    if not SESSION_ID.fullmatch(session_id):
        return False
    try:
        folder = folder_path()
        check_private(folder)
    except CommandError:
        return False
    return read_entry(folder / f"{session_id}.json") is not None


def announced() -> list[str]:
    """Ids of the sessions in this user's private folder that somebody listens for, the oldest first.

    Raises CommandError: the folder is not private.
    """
    folder = folder_path()
    if not folder.exists():
        return []
    check_private(folder)
    remove_stale(folder)
    files = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError):  # it may have ended just now
            files.append((path.stat().st_mtime, path.stem))
    return [name for _, name in sorted(files) if SESSION_ID.fullmatch(name)]


def connect(entry: Entry) -> socket.socket:
    """Connect to a session. Raises OSError, also where it does not accept in time."""
    return socket.create_connection((HOST, entry.port), CONNECT_S)


def remove_stale(folder: Path) -> None:
    """Remove the files of sessions that nobody can connect to any more, however they ended."""
    for path in folder.glob("*.json"):
        if not SESSION_ID.fullmatch(path.stem):
            continue
        entry = read_entry(path)
        if entry is None or _is_gone(entry):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_gone(entry: Entry) -> bool:
    try:
        connect(entry).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # it may be frozen
        return False
    return False


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Announce, as long as this lasts, that a session is about to begin: no panel shall begin one too.

    Where the folder cannot be had nothing is announced.
    """
    path: Path | None = None
    with contextlib.suppress(CommandError, OSError):
        path = make_folder() / f"{os.getpid()}-{secrets.token_hex(4)}{STARTING}"
        path.touch(mode=0o600)
    try:
        yield
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()


def someone_starts() -> bool:
    """Whether a process of this user announced within the last minute that it begins a session."""
    with contextlib.suppress(CommandError, OSError):
        for path in make_folder().glob(f"*{STARTING}"):
            if time.time() - path.stat().st_mtime < START_LIMIT_S:
                return True
            path.unlink()  # of a process that was killed
    return False
