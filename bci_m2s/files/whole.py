"""Files that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bci_m2s.errors import OutputError
from bci_m2s.files.access import open_private


def write_whole(path: Path, data: bytes | str, *, overwrite: bool = True, private: bool = False) -> None:
    """Write a file at once; text as UTF-8. Otherwise like ``whole_file``."""
    with whole_file(path, overwrite=overwrite, private=private) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def whole_file(path: Path, *, overwrite: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write to that becomes `path` once the block has ended; after an error `path` is as before.

    The bytes go to a hidden file beside `path` under a name that nobody else uses, are synchronised to the
    disk, and take the name in one step. A process that is killed meanwhile leaves at most the hidden file.

    Parameters
    ----------
    overwrite : whether a file that is there may be replaced
    private : only its owner may read it, and the group in a folder that was shared (see ``access``); else
        the umask decides

    Raises
    ------
    OutputError
        `path` exists and `overwrite` is false, or something cannot be written.
    """
    hidden = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        _refuse_existing(path, overwrite)
        with open(hidden, "xb", opener=open_private if private else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _refuse_existing(path, overwrite)  # writing may have taken an hour
        hidden.replace(path)
        _synchronise(path.parent)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        reason = getattr(problem, "strerror", None) or problem
        raise OutputError(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            hidden.unlink(missing_ok=True)


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Say before the work what ``whole_file`` would say after it.

    Raises OutputError where `path` exists and `overwrite` is false, or its folder is not there.
    """
    _refuse_existing(path, overwrite)
    if path.is_dir() or not path.parent.is_dir():
        got = "a folder" if path.is_dir() else f"no folder {path.parent}"
        raise OutputError(f"{path}: got {got}, expected a file's name in a folder that is there")


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already and is not overwritten")


def _synchronise(folder: Path) -> None:
    """Make the new name itself survive a power cut; Windows cannot open a folder and does not need it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
