"""The windows of one split: normalised for each person, cut, and scaled by the training windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bci_m2s.model.model_file import layout_order
from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.signal.plausible import learn_limits
from bci_m2s.training.data.labels import with_labels_left
from bci_m2s.training.data.leaks import check_apart
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.sessions import Rows, SessionFeatures, known, normalised, typical_spread
from bci_m2s.training.data.splits import PARTS, Split, make_splits
from bci_m2s.training.data.windows import Names, Scaler, WindowSet, cut_windows, fit_scaler, standardised
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_file import load_training


@dataclass(frozen=True)
class UnitData:
    """One split's windows, standardised, by part; the scalers of its training windows.

    amplitudes : modality → limits of amplitude by unit, from the sessions of training trials
    settings : of the training file
    labelled : training people who keep their labels; None where all do
    """

    settings: TrainingSettings
    split: Split
    parts: dict[str, WindowSet]
    scalers: dict[str, Scaler]
    names: Names
    amplitudes: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    labelled: tuple[str, ...] | None = None


def prepare(
    settings: TrainingSettings, sessions: Sequence[SessionFeatures], split: Split, names: Names
) -> UnitData:
    """Normalise per person, cut windows of each part, scale by the training windows.

    Raises
    ------
    TrainingError
        A trial, person or signal of one part is in another.
    """
    check_apart(split, sessions)
    contract = settings.contract
    training = [session for session in sessions if _has_trials(session, split.train)]
    spreads = {name: typical_spread(training, name, split.train) for name in contract.modalities}
    of_split = split.train | split.validation | split.test
    used = [session for session in sessions if _has_trials(session, of_split)]
    rows = [
        {name: rows_of(settings, session, name, spreads[name]) for name in contract.modalities}
        for session in used
    ]
    parts = {part: cut_windows(used, rows, getattr(split, part), settings, names) for part in PARTS}
    scalers = {name: fit_scaler(parts["train"], name, spreads[name]) for name in contract.modalities}
    return UnitData(
        settings,
        split,
        {part: standardised(windows, scalers) for part, windows in parts.items()},
        scalers,
        names,
        {name: _limits(training, name, spec.units) for name, spec in contract.modalities.items()},
    )


def training_data(config: str | Path, split: int = 0) -> UnitData:
    """Windows of a training file, standardised as its model will be given them, by part.

    ``parts["train"].having(["eeg"], "emotion")`` are the training windows that have EEG and that label:
    ``features["eeg"]`` (n, T, F), ``labels["emotion"]`` (n,) class indices, ``subjects``, ``trials`` (n,).
    With a section `labels` they are those of the first seed, which may hold some windows twice.

    Parameters
    ----------
    config : the file; its `pretrain` and `finetune` are not used
    split : which, where the file makes several

    Raises
    ------
    ConfigurationError
        In the file, or nothing is found where it points.
    TrainingError
        A trial, person or signal of one part is in another.
    """
    settings = load_training(Path(config))
    sessions = load_sessions(settings, None, Console(stderr=True))
    splits = make_splits(sessions, settings.split, settings.contract.first_head)
    data = prepare(settings, sessions, splits[split], Names.of(sessions))
    return with_labels_left(data, settings.seeds[0])


def _limits(
    sessions: Sequence[SessionFeatures], modality: str, units: Sequence[str]
) -> dict[str, tuple[float, float]]:
    seen = [session.amplitudes[modality] for session in sessions if modality in session.amplitudes]
    return learn_limits(np.concatenate(seen), units) if seen else {}


def _has_trials(session: SessionFeatures, keys: frozenset[str]) -> bool:
    return any(session.key(trial) in keys for trial in session.trials)


def rows_of(settings: TrainingSettings, session: SessionFeatures, modality: str, spread: Any) -> Rows:
    contract = settings.contract
    spec = contract.modalities[modality]
    if settings.windows.own_session:
        rows = session.values[modality].astype(np.float64)
        good = rows[session.usable[modality]]
        mean, std = known(np.nanmean, good), known(np.nanstd, good)
        scaled = ((rows - mean) / np.where(std > SMALLEST_STD, std, 1.0)).astype(np.float32)
    else:
        scaled = normalised(session, modality, spec, contract.window, spread)
    order = layout_order(spec)
    return scaled if order is None else scaled[:, order]
