"""Where a session on this machine can be found by its id: a private folder with one small file a session.

On POSIX the folder is refused when it belongs to someone else or is open to others: whoever could write
there could pose as a session. On Windows the folder for temporary files is the user's own already.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci_m2s.errors import CommandError

SESSION_ID = re.compile(r"[0-9a-f]{8,64}")
LONGEST_ADDRESS = 100  # bytes; a Unix socket's path may have 107, on macOS 103
LONGEST_ENTRY = 4096
STARTING = ".starting"
START_LIMIT_S = 60.0  # nothing takes longer to begin; what is older was left behind


@dataclass(frozen=True, slots=True)
class Entry:
    """How to reach a session. address : of its socket or pipe; key : to prove oneself with; pid : whose."""

    address: str
    key: bytes
    pid: int


def checked_id(session_id: str) -> str:
    """The id, for it becomes a file's name. Raises CommandError unless it is 8 to 64 hexadecimal digits."""
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
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.getuid())


def make_folder() -> Path:
    """The folder, made where it was not there. Raises CommandError: cannot be made, or is not private."""
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
        found = folder.lstat()
    except OSError as problem:
        raise CommandError(f"{folder}: {problem.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise CommandError(f"{folder}: got something else, expected a folder")
    if sys.platform == "win32":
        return
    if found.st_uid != os.getuid():
        raise CommandError(f"{folder}: owner: got user {found.st_uid}, expected {os.getuid()}")
    if found.st_mode & 0o077:
        raise CommandError(f"{folder}: mode: got {stat.S_IMODE(found.st_mode):o}, expected 700")


def new_address(folder: Path) -> str:
    """A fresh address for a listener. Raises CommandError where the path is too long for a socket."""
    name = secrets.token_hex(6)
    if sys.platform == "win32":
        return rf"\\.\pipe\bci_m2s-{name}"
    address = str(folder / f"{name}.sock")
    if len(os.fsencode(address)) > LONGEST_ADDRESS:
        raise CommandError(
            f"{address}: got a path of {len(os.fsencode(address))} bytes, expected {LONGEST_ADDRESS} at "
            "most for a socket; XDG_RUNTIME_DIR may name a shorter folder"
        )
    return address


def write_entry(folder: Path, session_id: str, entry: Entry) -> Path:
    """Announce a session: the file appears whole or not at all. Raises CommandError."""
    path = folder / f"{checked_id(session_id)}.json"
    if path.exists():
        raise CommandError(f"{path}: a session with this id takes commands already")
    text = json.dumps({"address": entry.address, "authkey": entry.key.hex(), "pid": entry.pid})
    part = folder / f"{session_id}.{entry.pid}.part"
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600, exist_ok=False)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as problem:
        raise CommandError(f"{path}: cannot be written: {problem.strerror}") from None
    return path


def read_entry(path: Path) -> Entry | None:
    """What a session's file says; None when it is not there or makes no sense."""
    try:
        with path.open("rb") as file:
            said: Any = json.loads(file.read(LONGEST_ENTRY))
        entry = Entry(said["address"], bytes.fromhex(said["authkey"]), said["pid"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = isinstance(entry.address, str) and type(entry.pid) is int and entry.pid > 0 and entry.key
    return entry if whole else None


def remove_stale(folder: Path) -> None:
    """Remove what sessions left behind whose process is gone, however it ended."""
    for path in folder.glob("*.json"):
        if not SESSION_ID.fullmatch(path.stem):
            continue
        entry = read_entry(path)
        if entry is not None and not _is_gone(entry):
            continue
        with contextlib.suppress(OSError):
            path.unlink()
        if entry is not None:
            remove_socket(folder, entry.address)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Announce, as long as this lasts, that a session is about to begin: no panel shall begin one too.

    Where there is no folder for it nothing is announced.
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
    """Whether a process of this user said within the last minute that it is about to begin a session."""
    with contextlib.suppress(CommandError, OSError):
        for path in make_folder().glob(f"*{STARTING}"):
            if time.time() - path.stat().st_mtime < START_LIMIT_S:
                return True
            path.unlink()  # of a process that was killed
    return False


def remove_socket(folder: Path, address: str) -> None:
    """Remove a listener's socket, if that is what lies in our folder under this address."""
    path = Path(address)
    with contextlib.suppress(OSError, ValueError):
        if path.parent == folder and stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _is_gone(entry: Entry) -> bool:
    if sys.platform == "win32":  # signal 0 would be Ctrl-C there; a pipe goes with its process
        pipes = os.listdir("\\\\.\\pipe\\")  # noqa: PTH208 - pathlib cannot list pipes
        return entry.address.rpartition("\\")[2] not in pipes
    try:
        os.kill(entry.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
