"""Labelled stretches of time in a table: person,start_unix_s,end_unix_s,label."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import NamedTuple

from bci_m2s.errors import RecordingError, nearest
from bci_m2s.text import is_number, printable, quoted

LONGEST_S = 86_400.0  # of a stretch: a wrong digit must not become millions of trials
COLUMNS = ("person", "start_unix_s", "end_unix_s", "label")


class Stretch(NamedTuple):
    """From `start_s` to `stop_s`, Unix time. name, label : "" for none"""

    name: str
    label: str
    start_s: float
    stop_s: float


def read_stretches(path: Path, classes: tuple[str, ...]) -> dict[str, list[Stretch]]:
    """The stretches of each person, in their order.

    Raises
    ------
    RecordingError
        With the file, its line and column, what is there and what was expected.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 200)}") from None
    header = tuple(lines[0]) if lines else ()
    if header != COLUMNS:
        raise RecordingError(f"{path}:1: got {quoted(','.join(header), 80)}, expected {','.join(COLUMNS)}")
    people: dict[str, list[Stretch]] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        try:
            stretch = _stretch(cells, classes)
        except ValueError as problem:
            raise RecordingError(f"{path}:{number}: {problem}") from None
        people.setdefault(cells[0], []).append(stretch)
    for person, stretches in people.items():
        stretches.sort(key=lambda stretch: stretch.start_s)
        for one, after in itertools.pairwise(stretches):
            if after.start_s < one.stop_s:
                raise RecordingError(
                    f"{path}: {person}: start_unix_s: got {after.start_s:.0f}, expected at least "
                    f"{one.stop_s:.0f}, where the stretch before ends"
                )
    if not people:
        raise RecordingError(f"{path}: holds no line of a person")
    return people


def _stretch(cells: list[str], classes: tuple[str, ...]) -> Stretch:
    """One line. Raises ValueError."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"got {len(cells)} cells, expected {len(COLUMNS)}")
    person, *times, label = cells
    if not (len(person) == 3 and person[0] == "S" and person[1:].isdecimal()):
        raise ValueError(f"person: got {quoted(person, 40)}, expected S and two digits")
    for name, text in zip(COLUMNS[1:3], times, strict=True):
        if not is_number(text) or not 0 < float(text) < 1e10:
            raise ValueError(f"{name}: got {quoted(text, 40)}, expected Unix time in seconds")
    if label not in classes:
        raise ValueError(f"label: got {quoted(label, 40)}, expected a class{nearest(label, classes)}")
    start_s, stop_s = map(float, times)
    if stop_s <= start_s:
        raise ValueError(f"end_unix_s: got {stop_s:.0f}, expected more than start_unix_s ({start_s:.0f})")
    if stop_s - start_s > LONGEST_S:
        raise ValueError(
            f"end_unix_s: got {stop_s:.0f}, expected at most {LONGEST_S:.0f} s after start_unix_s "
            f"({start_s:.0f})"
        )
    return Stretch("", label, start_s, stop_s)
