"""Step features of raw signals, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import track

import bci_m2s
from bci_m2s.errors import RecordingError
from bci_m2s.files.whole import whole_file
from bci_m2s.model.model_file import Contract
from bci_m2s.text import printable
from bci_m2s.training.data.sessions import SessionFeatures, from_raw
from bci_m2s.training.datasets.layout import RawSegment, Trial
from bci_m2s.training.settings import TrainingSettings

WORKERS = 2  # processes that compute features; more memory than speed beyond that


def compute_features(
    settings: TrainingSettings,
    jobs: Sequence[tuple[str, Callable[[], list[RawSegment]]]],
    cache: Path | None,
    console: Console,
) -> list[SessionFeatures]:
    """Features of every session, two sessions at a time; those in the cache are read instead.

    Parameters
    ----------
    jobs : name of each session, unique in the data set, and a function that reads its segments
    cache : folder to keep the features in; None keeps none

    A session that cannot be read is reported on the console and left out.
    """
    contract = settings.contract
    folder = None if cache is None else cache / _fingerprint(settings)
    paths = [None if folder is None else folder / f"{name}.npz" for name, _ in jobs]
    done = Parallel(n_jobs=WORKERS, return_as="generator")(
        delayed(_compute)(read_segments, contract, path)
        for (_, read_segments), path in zip(jobs, paths, strict=True)
    )
    sessions = []
    shown = track(done, "features", total=len(jobs), console=console, transient=True)
    for (name, _), session in zip(jobs, shown, strict=True):
        if isinstance(session, SessionFeatures):
            sessions.append(session)
        else:  # one bad file does not end a training
            console.print(f"left out: {name}: {session}")
    return sessions


def _compute(
    read_segments: Callable[[], list[RawSegment]], contract: Contract, path: Path | None
) -> SessionFeatures | str:
    """A session, or why there is none."""
    if path is not None and path.exists():
        return read_features(path)
    try:
        session = from_raw(read_segments(), contract)
    except RecordingError as problem:
        return str(problem)
    if path is not None:
        write_features(path, session)
    return session


def _fingerprint(settings: TrainingSettings) -> str:
    """Name of the cache's folder; changes with anything that features depend on."""
    contract = settings.contract
    about = {
        "version": bci_m2s.__version__,
        "data": settings.data.model_dump(mode="json"),
        "window": contract.window.model_dump(),
        "modalities": {
            name: spec.model_dump(
                include={"channels", "units", "feature", "smoothing", "quality", "max_missing"}
            )
            for name, spec in contract.modalities.items()
        },
    }
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_features(path: Path, session: SessionFeatures) -> None:
    """Keep a session's features; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"end_s": session.end_s}
    for name, rows in session.values.items():
        arrays[f"values.{name}"], arrays[f"usable.{name}"] = rows, session.usable[name]
    about = {
        "subject": session.subject,
        "session": session.session,
        "trials": [asdict(trial) for trial in session.trials],
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with whole_file(path) as file:
        np.savez(file, **arrays)


def read_features(path: Path) -> SessionFeatures:
    """Read what ``write_features`` wrote. Raises RecordingError for anything else."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            names = [key.removeprefix("values.") for key in file.files if key.startswith("values.")]
            return SessionFeatures(
                about["subject"],
                about["session"],
                file["end_s"],
                {name: file[f"values.{name}"] for name in names},
                {name: file[f"usable.{name}"] for name in names},
                tuple(Trial(**trial) for trial in about["trials"]),
            )
    except Exception as problem:  # zip, zlib, JSON and numpy's parser of headers raise nearly every type
        raise RecordingError(
            f"{path}: cannot be read ({printable(problem)}); delete it, and it is computed again"
        ) from None
