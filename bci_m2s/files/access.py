"""Who may read what is written of people: its owner alone, and the group where that was asked for.

Recordings, results and logs are made with these rights whatever the umask is. Windows has rights of another
kind: there a folder is made for its owner, and files have the folder's.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from os import PathLike
from pathlib import Path

from bci_m2s.errors import OutputError

OWNER_FILE, OWNER_FOLDER = 0o600, 0o700
GROUP_FILE, GROUP_FOLDER = 0o640, 0o750

_shared: set[Path] = set()  # folders that this process opened to the group, with all that is in them


def make_private_folder(path: Path, shared: bool = False) -> None:
    """Make a folder, and those above it, for their owner; what is there already keeps its rights.

    shared : the group may read it too, and all that is written into it by this process

    Raises
    ------
    OSError
        It cannot be made, or something else has its name.
    """
    if shared:
        _shared.add(path.absolute())
    mode = GROUP_FOLDER if _is_shared(path) else OWNER_FOLDER
    for folder in (*reversed(path.parents), path):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(mode)
        except FileExistsError:
            if not folder.is_dir():
                raise
            continue  # another process was faster
        if os.name == "posix":  # the umask may have taken the group's right; a folder's group is inherited
            with suppress(OSError):  # a file system without rights
                folder.chmod(mode | stat.S_IMODE(folder.stat().st_mode) & stat.S_ISGID)


def open_private(path: str | bytes | PathLike[str], flags: int) -> int:
    """Open a file for its owner, and the group in a folder that was shared: an `opener` for ``open``."""
    mode = GROUP_FILE if _is_shared(Path(os.fsdecode(path))) else OWNER_FILE
    handle = os.open(path, flags, mode)
    if os.name == "posix":
        with suppress(OSError):
            os.fchmod(handle, mode)
    return handle


def _is_shared(path: Path) -> bool:
    return bool(_shared) and not _shared.isdisjoint([path.absolute(), *path.absolute().parents])


def refuse_full(output: Path | None) -> None:
    """Refuse an output folder that holds anything, before anything takes time. Raises OutputError."""
    try:
        is_full = output is not None and output.is_dir() and any(output.iterdir())
    except OSError as problem:
        raise OutputError(f"{output}: cannot be used as output folder: {problem.strerror}") from None
    if is_full:
        raise OutputError(f"{output}: the folder is not empty; nothing is overwritten, choose another")
