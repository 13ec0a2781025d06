"""The features of a study: computed once for all cells, which map them and share their memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rich.console import Console

import bci_m2s
from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.text import printable
from bci_m2s.training.data.kept import keep_sessions, map_sessions
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.run.raw_features import raw_settings
from bci_m2s.training.settings import TrainingSettings

_read: dict[Path, list[SessionFeatures]] = {}


def compute_sessions(settings: TrainingSettings, features: Path, console: Console) -> list[SessionFeatures]:
    """Every session of a data set, kept for the cells; what is kept of other recordings is replaced."""
    path = _kept_in(features, settings)
    if path not in _read:
        keep_sessions(path, load_sessions(settings, features, console))
    return sessions_of(settings, features)


def sessions_of(settings: TrainingSettings, features: Path) -> list[SessionFeatures]:
    """The sessions that ``compute_sessions`` kept; cells of a process that follow each other share them.

    Raises
    ------
    UsageError
        They are not in this computer's folder.
    RecordingError
        The file is damaged.
    """
    path = _kept_in(features, settings)
    if path not in _read:
        if not path.exists():
            raise UsageError(f"this worker does not see {path}: it needs the same folders")
        _read.clear()  # a study of five data sets must not map all of them
        _read[path] = map_sessions(path)
    return _read[path]


def compute_raw_features(settings: TrainingSettings, features: Path, console: Console) -> None:
    """Another feature of raw EEG, where the method asks for one."""
    if feature := METHODS[settings.finetune.method].feature:
        try:
            load_sessions(raw_settings(settings, feature), features, console)
        except (NotPossible, BciM2sError) as problem:  # its cells will say so
            console.print(f"{feature}: {printable(problem)}", markup=False)


def _kept_in(features: Path, settings: TrainingSettings) -> Path:
    """Another file for each contract and data."""
    text = bci_m2s.__version__ + settings.model_dump_json(include={"contract", "data"})
    return features / f"sessions-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.safetensors"
