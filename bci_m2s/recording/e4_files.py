"""Which files are an export of an Empatica E4: a zip, or files of known names in one folder."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.text import is_number

SENSORS = ("EDA.csv", "TEMP.csv", "BVP.csv", "ACC.csv", "HR.csv")
IBI, TAGS = "IBI.csv", "tags.csv"
MEMBERS = (*SENSORS, IBI, TAGS)


def leading_file(path: Path) -> Path | None:
    """The file that stands for an export in a folder, or of which this one is a part; None for neither."""
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name not in MEMBERS:
        return None
    found = (folder / name for name in SENSORS)
    lead = next((file for file in found if file.is_file()), None)
    return lead if lead is not None and _begins_with_numbers(lead) else None


def is_export(path: Path) -> bool:
    """Whether a file is an export of a watch: a zip, an Avro file, or one of its parts in a folder."""
    return path.suffix.lower() in (".zip", ".avro") or leading_file(path) is not None


def _begins_with_numbers(path: Path) -> bool:
    with path.open("rb") as file:
        lines = [file.readline(1000).decode("latin-1") for _ in range(2)]
    return all(is_number(cell) for line in lines for cell in line.split(","))
