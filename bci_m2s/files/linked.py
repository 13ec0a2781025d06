"""A folder under a second name, without a second copy where the disk allows it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_folder(source: Path, target: Path) -> None:
    """Let `target` hold every file of `source`: linked, or copied where the disk knows no links.

    What is there already stays; nothing happens without `source`.
    """
    if source.exists():
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    if Path(target).exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
