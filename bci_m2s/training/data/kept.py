"""Sessions of step features on disk: each in a file of its own, or all in one that processes map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.whole import whole_file, write_whole
from bci_m2s.text import printable
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.datasets.layout import Trial

Values = Mapping[str, Any]
AGAIN = "delete it, and it is computed again"


def write_features(path: Path, session: SessionFeatures) -> None:
    """Keep a session's features; whole or not at all."""
    make_private_folder(path.parent)
    about = np.frombuffer(json.dumps(_about(session)).encode(), dtype=np.uint8)
    with whole_file(path, private=True) as file:
        np.savez(file, **_arrays(session), about=about)


def read_features(path: Path) -> SessionFeatures:
    """Read what ``write_features`` wrote. Raises RecordingError for anything else."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
            return _session(json.loads(arrays["about"].tobytes()), arrays)
    except Exception as problem:  # zip, zlib, JSON and numpy's parser of headers raise nearly every type
        raise RecordingError(f"{path}: cannot be read ({printable(problem)}); {AGAIN}") from None


def keep_sessions(path: Path, sessions: Sequence[SessionFeatures]) -> None:
    """Keep all sessions of a data set in one file, whole or not at all; one that is the same stays."""
    from safetensors.numpy import save

    arrays = {
        f"{number}.{name}": np.ascontiguousarray(rows)
        for number, session in enumerate(sessions)
        for name, rows in _arrays(session).items()
    }
    make_private_folder(path.parent)
    data = save(arrays, {"sessions": json.dumps([_about(session) for session in sessions])})
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, data, private=True)


def map_sessions(path: Path) -> list[SessionFeatures]:
    """What ``keep_sessions`` wrote, without reading it: processes that map it share its memory.

    Raises RecordingError for anything else.
    """
    from safetensors import safe_open

    found: list[dict[str, Any]] = []
    try:
        with safe_open(path, framework="pt") as file:  # its tensors lie in the file; numpy's are copies
            sessions = json.loads(file.metadata()["sessions"])
            found = [{} for _ in sessions]
            for key in file.keys():  # noqa: SIM118
                number, _, name = key.partition(".")
                found[int(number)][name] = file.get_tensor(key).numpy()
        return [_session(about, arrays) for about, arrays in zip(sessions, found, strict=True)]
    except Exception as problem:  # a damaged file, or one of something else, raises nearly every type
        raise RecordingError(f"{path}: cannot be read ({printable(problem)}); {AGAIN}") from None


def _arrays(session: SessionFeatures) -> dict[str, Any]:
    arrays: dict[str, Any] = {"end_s": session.end_s}
    for name, rows in session.values.items():
        arrays[f"values.{name}"], arrays[f"usable.{name}"] = rows, session.usable[name]
    arrays |= {f"amplitude.{name}": ranges for name, ranges in session.amplitudes.items()}
    return arrays | {f"coupling.{name}": rows for name, rows in session.couplings.items()}


def _about(session: SessionFeatures) -> Values:
    return {
        "subject": session.subject,
        "session": session.session,
        "modalities": list(session.values),
        "trials": [asdict(trial) for trial in session.trials],
        "problems": session.problems,
        "never_used": session.never_used,
    }


def _session(about: Values, arrays: Values) -> SessionFeatures:
    names = about.get("modalities")  # earlier versions did not name them
    names = names or [key.removeprefix("values.") for key in arrays if key.startswith("values.")]
    return SessionFeatures(
        about["subject"],
        about["session"],
        arrays["end_s"],
        {name: arrays[f"values.{name}"] for name in names},
        {name: arrays[f"usable.{name}"] for name in names},
        tuple(Trial(**trial) for trial in about["trials"]),
        {name: arrays[f"amplitude.{name}"] for name in names if f"amplitude.{name}" in arrays},
        dict(about.get("problems", {})),  # files of 0.2.0 have none
        dict(about.get("never_used", {})),
        {name: arrays[f"coupling.{name}"] for name in names if f"coupling.{name}" in arrays},
    )
