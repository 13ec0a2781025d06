"""Which files are an export of an Empatica E4: a zip, or files of known names in one folder.

Published data sets put the person before the names: ``S02_EDA.csv`` beside ``S02_TEMP.csv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bci_m2s.text import is_number

SENSORS = ("EDA.csv", "TEMP.csv", "BVP.csv", "ACC.csv", "HR.csv")
IBI, TAGS = "IBI.csv", "tags.csv"
MEMBERS = (*SENSORS, IBI, TAGS)
_MEMBER = re.compile(rf"(?P<whose>.+_)?(?:{'|'.join(map(re.escape, MEMBERS))})")


def leading_file(path: Path) -> Path | None:
    """The file that stands for an export in a folder, or of which this one is a part; None for neither."""
    found = [file for name, file in members(path) if name in SENSORS]
    return found[0] if found and _begins_with_numbers(found[0]) else None


def members(path: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of each file of the export in a folder, or of which this file is a part."""
    match = None if path.is_dir() else _MEMBER.fullmatch(path.name)
    if match or path.is_dir():
        folder, whose = (path.parent, match["whose"] or "") if match else (path, "")
        for name in MEMBERS:
            if (file := folder / f"{whose}{name}").is_file():
                yield name, file


def is_export(path: Path) -> bool:
    """Whether a file is an export of a watch: a zip, an Avro file, or one of its parts in a folder."""
    return path.suffix.lower() in (".zip", ".avro") or leading_file(path) is not None


def _begins_with_numbers(path: Path) -> bool:
    with path.open("rb") as file:
        lines = [file.readline(1000).decode("latin-1") for _ in range(2)]
    return all(is_number(cell) for line in lines for cell in line.split(","))
