"""Which files belong to a recording, and tables of texts with tabs between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.text import printable

LARGEST_BYTES = 200_000_000
MOST_ROWS = 2_000_000
MOST_COLUMNS = 1000
NOT_STATED = ("n/a", "")
_ENTITY = re.compile(r"[a-zA-Z]+-[^_]+")
_SUFFIX = re.compile(r"_(?:eeg|ieeg|meg|emg|physio|raw)$")
Texts = dict[str, list[str]]  # by column


def entities_of(path: Path) -> tuple[str, ...]:
    """What a name says: ("sub-01", "task-x") of ``sub-01_task-x_eeg.edf``, else its stem alone."""
    stem = _SUFFIX.sub("", path.name.split(".")[0])
    parts = tuple(stem.split("_"))
    return parts if all(_ENTITY.fullmatch(part) for part in parts) else (stem,)


def beside(path: Path, ending: str) -> list[Path]:
    """The files of this ending that are for a recording, the general ones first (BIDS' inheritance).

    A file in the recording's folder, or in one above it up to that of the data set, is for every
    recording whose name has all of its entities.

    Parameters
    ----------
    path : of the recording
    ending : "events.tsv", "channels.tsv", "eeg.json"
    """
    own = set(entities_of(path))
    found = []
    for folder in _folders(path):
        here = [
            (len(entities), other)
            for other in sorted(folder.glob(f"*{ending}"))
            if (entities := _entities_before(other, ending)) is not None and entities <= own
        ]
        found += [other for _, other in sorted(here, key=lambda one: one[0])]
    return found


def _entities_before(path: Path, ending: str) -> set[str] | None:
    """The entities of ``sub-01_events.tsv``, none of ``events.tsv``; None for another word's ending."""
    before = path.name[: -len(ending)]
    if before and not before.endswith("_"):
        return None
    stem = before.removesuffix("_")
    parts = set(stem.split("_")) if stem else set()
    return parts if all(_ENTITY.fullmatch(part) for part in parts) else {stem}


def _folders(path: Path) -> Iterator[Path]:
    """From the data set's folder down to the recording's own."""
    own = path.resolve().parent
    within = [own, *list(own.parents)[:3]]
    top = max((place for place, folder in enumerate(within) if folder.name.startswith("sub-")), default=-1)
    yield from reversed(within[: top + 2])


def read_texts(path: Path) -> Texts:
    """A table of texts with tabs between and names in its first line.

    Raises RecordingError for one that is too large or whose lines differ in their number of cells.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise RecordingError(f"{path}: larger than {LARGEST_BYTES // 1_000_000} MB")
        lines = path.read_text("utf-8-sig", "replace").splitlines()
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    rows = [line.split("\t") for line in lines if line.strip()]
    if not rows:
        raise RecordingError(f"{path}: is empty")
    names = [name.strip() for name in rows[0]]
    if len(rows) > MOST_ROWS or len(names) > MOST_COLUMNS:
        got = f"{len(rows)} rows of {len(names)} columns"
        raise RecordingError(f"{path}: {got}, expected at most {MOST_ROWS} of {MOST_COLUMNS}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise RecordingError(f"{path}: row {number} has {len(row)} cells, expected {len(names)}")
    return {name: [row[place].strip() for row in rows[1:]] for place, name in enumerate(names)}
