"""Brain, Body, and Behaviour, experiment 2: eyes and heart of people who watch videos, attentive or not.

Madsen, Kuppa and Parra, doi 10.82901/nemar.nm000255; CC BY 4.0. Five videos are seen twice: in session 1
attentively, in session 2 while counting backwards in sevens. What is distributed are events: fixations,
saccades, blinks and R peaks. So features are computed from events (``event_steps``).

The label is the session: whatever differs between two visits (order, the second viewing of a clip, how the
tracker was set up) tells the classes apart as well as attention does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.event_steps import (
    EYE_NAMES,
    HEART_NAMES,
    EyeEvents,
    eye_steps,
    heart_steps,
)
from bci_m2s.training.datasets.event_tables import read_events
from bci_m2s.training.datasets.layout import DataSet, DistributedTrial, OnProblem, Origin, Problem
from bci_m2s.types import FloatArray

CLASSES = ("attentive", "distracted")  # of sessions 1 and 2
N_CLIPS = 5
STEP_S = 5.0
LONGEST_S = 1800.0  # of a recording
SPAN = ("start_time", "end_time")
TABLES: dict[str, tuple[str, ...]] = {
    "fixations": (*SPAN, "vdx_pos", "vdy_pos"),
    "saccades": (*SPAN, "start_vdx", "start_vdy", "end_vdx", "end_vdy"),
    "blinks": SPAN,
    "rpeak_timestamps": ("timestamp",),
}
EYE_TABLES = tuple(TABLES)[:3]
Recordings = dict[int, dict[tuple[int, int], dict[str, Path]]]  # person → session, clip → table
_NAMED = re.compile(
    r"sub-(?P<subject>\d{1,4})_ses-0*(?P<session>[12])_task-stim0*(?P<clip>[1-5])_desc-(?P<table>\w+)\.tsv\.gz"
)


def read_brain_body_behaviour(
    root: Path, feature: str, on_problem: OnProblem
) -> Iterator[DistributedTrial]:
    """The recordings by person, session and clip; a trial's number is that of its clip.

    A recording that is not there is noted. One of which a file is missing or damaged keeps its other
    modality, and the problem is reported.

    Parameters
    ----------
    root : folder of sub-NN_ses-NN_task-stimNN_desc-*.tsv.gz, at any depth
    feature : "events"

    Raises
    ------
    RecordingError
        No such file is in the folder.
    """
    del feature  # there is one
    paths = sorted(root.rglob("*_desc-*.tsv.gz"))
    state = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    trials, problems = _read_all(root, state)
    for problem in problems:
        on_problem(problem)
    yield from trials


@lru_cache(maxsize=1)  # a command first lists who is there, then trains on it
def _read_all(
    root: Path, state: tuple[tuple[Path, int, int], ...]
) -> tuple[list[DistributedTrial], list[Problem]]:
    problems: list[Problem] = []
    files = _recordings(root, [path for path, _, _ in state])
    return list(_trials(root, files, problems.append)), problems


def _recordings(root: Path, paths: list[Path]) -> Recordings:
    """The files of each recording. Raises RecordingError where there are none."""
    files: Recordings = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        match = _NAMED.fullmatch(path.name)
        if match and match["table"] in TABLES:
            where = int(match["session"]), int(match["clip"])
            files[int(match["subject"])][where][match["table"]] = path
    if not files:
        name = "sub-01_ses-01_task-stim01_desc-fixations.tsv.gz"
        raise RecordingError(f"{root}: no file as {name}; ROOT is the folder that holds them")
    return files


def _trials(root: Path, files: Recordings, on_problem: OnProblem) -> Iterator[DistributedTrial]:
    for subject, recordings in sorted(files.items()):
        for session in range(1, len(CLASSES) + 1):
            for clip in range(1, N_CLIPS + 1):
                origin = Origin(_path(root, subject, session, clip), subject, session, clip)
                if (session, clip) not in recordings:
                    on_problem(origin.problem("no recording of this clip", left_out=False))
                    continue
                trial = _trial(origin, recordings[session, clip], on_problem)
                if trial is not None:
                    yield trial


def _path(folder: Path, subject: int, session: int, clip: int, table: str = "fixations") -> Path:
    return folder / f"sub-{subject:02d}_ses-{session:02d}_task-stim{clip:02d}_desc-{table}.tsv.gz"


def _trial(origin: Origin, paths: dict[str, Path], on_problem: OnProblem) -> DistributedTrial | None:
    """What can be used of a recording; None for nothing."""
    folder = next(iter(paths.values())).parent
    tables: dict[str, FloatArray] = {}
    for table, columns in TABLES.items():
        path = paths.get(table)
        where = origin._replace(path=path or _path(folder, *origin[1:], table))
        if path is None:
            on_problem(where.problem("no such file"))
            continue
        try:
            tables[table] = read_events(path, columns, LONGEST_S)
        except RecordingError as problem:
            on_problem(where.problem(str(problem).removeprefix(f"{path.name}:").strip()))
    ends_s = [table[:, :2].max() for table in tables.values() if len(table)]
    count = int(max(ends_s, default=0.0) / STEP_S)
    steps = {}
    if all(name in tables for name in EYE_TABLES):
        saccades = tables["saccades"]
        amplitude = np.hypot(*(saccades[:, 4:] - saccades[:, 2:4]).T)
        events = EyeEvents(
            tables["fixations"], np.column_stack([saccades[:, :2], amplitude]), tables["blinks"]
        )
        steps["eye"] = eye_steps(events, STEP_S, count)
    if "rpeak_timestamps" in tables:
        steps["heart"] = heart_steps(tables["rpeak_timestamps"][:, 0], STEP_S, count)
    if not steps or not count:
        return None
    labels = {"attention": origin.session - 1}
    return DistributedTrial(origin.subject, origin.session, origin.trial, labels, steps)


BRAIN_BODY_BEHAVIOUR = DataSet(
    name="brain-body-behaviour",
    heads={"attention": CLASSES},
    subjects=(),
    labels=tuple((number,) * N_CLIPS for number in range(len(CLASSES))),
    modalities={"eye": len(EYE_NAMES), "heart": len(HEART_NAMES)},
    step_s={"events": STEP_S},
    read=read_brain_body_behaviour,
    stimulus=lambda _session, trial: f"stim{trial:02d}",
    caveats=(
        "attentive is always session 1 and distracted session 2: order, a clip seen again, or another "
        "setup of the tracker tells the classes apart as well",
    ),
)
