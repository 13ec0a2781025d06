"""Which files of a folder are recordings, and whose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.recording.e4_files import is_export, leading_file
from bci_m2s.recording.file_names import subject_and_session, without_kind
from bci_m2s.recording.recorded import READERS, TABLES
from bci_m2s.training.datasets.layout import OnProblem, Origin, Problem

BIDS_ASIDE = ("sourcedata", "derivatives", "code", "stimuli")  # folders of a BIDS data set: copies, results
_BESIDE = re.compile(
    r"(?:^|_)(?:events|channels|electrodes|participants|sessions|scans)\.tsv$", re.IGNORECASE
)
_CONTINUED = re.compile(r"-\d+\.fif(?:\.gz)?$|_split-(?!0*1_)\d+_.*\.fif(?:\.gz)?$", re.IGNORECASE)


def recordings_below(root: Path, on_problem: OnProblem = lambda _problem: None) -> list[Origin]:
    """The recordings in a folder and its folders, by person and session, in the order of the files' names.

    on_problem : takes what is left out: the same recording in a second format, folders in which BIDS keeps
        originals and results

    Raises RecordingError where there is none.
    """
    if not root.is_dir():
        raise RecordingError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    files: list[Origin] = []
    taken: dict[Path, Path] = {}
    for path in _candidates(root, on_problem):
        origin = Origin(path, *subject_and_session(path.relative_to(root)))
        without_ending = path.with_name(_stem(path))
        if (first := taken.setdefault(without_ending, path)) != path:
            on_problem(origin.problem(f"taken for the same recording as {first.name}"))
            continue
        files.append(origin)
    if not files:
        raise RecordingError(f"{root}: no recording ({', '.join(READERS)}), in it or in a folder below")
    return sorted(files, key=lambda file: (file.subject, file.session, natural(file.path)))


def recorded_together(files: list[Origin]) -> list[list[Origin]]:
    """Files by recording: tables of a session whose names differ in the kind alone, and a watch with each.

    "P01_eeg.csv" and "P01_eye.csv" are one, and so are "P01.edf" and "P01_markers.csv".
    """
    groups: list[list[Origin]] = []
    for _, session in groupby(files, key=lambda file: file[1:3]):
        members = list(session)
        watches = [file for file in members if is_export(file.path)]
        own = [file for file in members if file not in watches]
        made: dict[str, list[Origin]] = {}
        for file in sorted(own, key=lambda file: ending_of(file.path) in TABLES):  # tables last
            name = without_kind(_stem(file.path))
            if ending_of(file.path) in TABLES:
                made.setdefault(name, []).append(file)
            else:
                made[name if name not in made else str(file.path)] = [file]
        groups += [[*group, *watches] for group in made.values()] or [[watch] for watch in watches]
    return groups


def count_recordings(root: Path | None) -> int:
    """How many recordings a folder holds, files of one recorded together counted once; 0 for none."""
    try:
        return len(recorded_together(recordings_below(root))) if root is not None else 0
    except RecordingError:
        return 0


def _stem(path: Path) -> str:
    return path.name[: -len(ending_of(path))]


def ending_of(path: Path) -> str:
    """The ending by which a file is known as a recording, "" for none."""
    name = path.name.casefold()
    return next((ending for ending in READERS if name.endswith(ending)), "")


def natural(path: Path) -> list[tuple[bool, int, str]]:
    """A key by which run-2 comes before run-10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _is_other(path: Path) -> bool:
    """Whether a table stands beside recordings, is a result, or a further part of a watch's export."""
    if ending_of(path) not in TABLES:
        return False
    if _BESIDE.search(path.name) or (path.parent / "session.yaml").is_file():
        return True
    lead = leading_file(path)
    return lead is not None and lead != path


def _candidates(root: Path, on_problem: OnProblem) -> Iterator[Path]:
    aside = {root / name for name in BIDS_ASIDE} if (root / "dataset_description.json").is_file() else set()
    reported = set[Path]()
    for path in sorted(root.rglob("*")):
        if not ending_of(path) or not path.is_file() or _CONTINUED.search(path.name):
            continue
        if _is_other(path):
            continue
        if path.name.startswith("."):  # macOS leaves such a file beside each on a foreign disk
            continue
        if hidden := aside.intersection(path.parents):
            if not hidden <= reported:
                reported |= hidden
                folder = next(iter(hidden))
                on_problem(Problem(folder, "", "", 0, "BIDS keeps originals and results there"))
            continue
        yield path
