"""Windows of several modalities, cut from sessions, and their standardisation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.model.contract import Contract, WindowContract
from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.training.data.sessions import Rows, SessionFeatures
from bci_m2s.training.datasets.layout import Trial
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.types import BoolArray, FloatArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Names:
    """The names behind the numbers in a ``WindowSet``: all people, sessions and trials of a data set."""

    subjects: tuple[str, ...]
    sessions: tuple[str, ...]
    trials: tuple[str, ...]

    @staticmethod
    def of(sessions: Sequence[SessionFeatures]) -> Names:
        """Every name once, in order of appearance."""
        return Names(
            tuple(dict.fromkeys(session.subject for session in sessions)),
            tuple(dict.fromkeys(f"{session.subject}/{session.session}" for session in sessions)),
            tuple(dict.fromkeys(session.key(trial) for session in sessions for trial in session.trials)),
        )


@dataclass(frozen=True)
class WindowSet:
    """n windows.

    features : modality → (n, T, F) float32, NaN where unknown
    present : modality → (n,) bool, whether that modality may be used
    labels : head → (n,) class index, -1 where the trial has no such label
    subjects, sessions, trials : (n,) index into ``Names``
    starts : (n,) row of the window's first step in its session
    """

    features: dict[str, Rows]
    present: dict[str, BoolArray]
    labels: dict[str, Indices]
    subjects: Indices
    sessions: Indices
    trials: Indices
    starts: Indices

    def __len__(self) -> int:
        return len(self.subjects)

    def take(self, chosen: NDArray[np.generic]) -> WindowSet:
        """Some of the windows, by mask or by index."""
        return _arrays(lambda rows: rows[chosen], self)

    def having(self, modalities: Collection[str], head: str = "") -> WindowSet:
        """The windows in which all of these modalities may be used and that have a label of `head`."""
        mask = np.ones(len(self), dtype=bool)
        for name in modalities:
            mask &= self.present[name]
        if head:
            mask &= self.labels[head] >= 0
        return self.take(mask)

    def flat(self, modalities: Sequence[str]) -> Rows:
        """Features of some modalities side by side, (n, T·F)."""
        parts = [self.features[name].reshape(len(self), -1) for name in modalities]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Scaler:
    """The standardisation of one modality. mean, std : (F,) of the training rows; spread : (F,) at rest."""

    mean: FloatArray
    std: FloatArray
    spread: FloatArray


def cut_windows(
    sessions: Sequence[SessionFeatures],
    rows: Sequence[Mapping[str, Rows]],
    keys: Collection[str],
    settings: TrainingSettings,
    names: Names,
) -> WindowSet:
    """Windows of T steps end to end from the trials in `keys`, each wholly inside its trial.

    With ``windows.straddling`` windows may run over the end of a trial, as in the released code: over the
    concatenated rows of the trials, a window from row i is used when rows i and i + T have the same label,
    with the label of row i.

    rows : normalised values of each session, modality → (n, F)
    """
    contract, cut = settings.contract, _straddling if settings.windows.straddling else _inside
    numbers = {name: {key: index for index, key in enumerate(part)} for name, part in vars(names).items()}
    parts = []
    for session, values in zip(sessions, rows, strict=True):
        wanted = [trial for trial in session.trials if session.key(trial) in keys]
        if not wanted:
            continue
        rows_of, trials = cut(session, wanted, contract.window, settings.windows.every_hops)
        parts.append(_window_set(session, values, rows_of, trials, contract, numbers))
    return _concatenated(parts, contract)


def _inside(
    session: SessionFeatures, wanted: Sequence[Trial], window: WindowContract, every: int
) -> tuple[Indices, list[Trial]]:
    """Rows (m, T) of the windows inside each trial, and each window's trial."""
    per_step = round(window.step_s / window.hop_s)
    reach = (window.steps - 1) * per_step
    offsets = np.arange(-reach, 1, per_step)
    parts, trials = [], []
    for trial in wanted:
        length_s = window.steps * window.step_s
        inside = (session.end_s <= trial.stop_s + 1e-6) & (session.end_s - length_s >= trial.start_s - 1e-6)
        last = np.flatnonzero(inside)
        last = last[last >= reach][::every]
        rows = last[:, None] + offsets
        # rows that are not evenly spaced lie on the two sides of a gap
        spaced = np.abs(np.diff(session.end_s[rows], axis=1) - window.step_s) <= window.hop_s / 2
        rows = rows[spaced.all(axis=1)]
        parts.append(rows)
        trials += [trial] * len(rows)
    return np.concatenate(parts).astype(np.int64), trials


def _straddling(
    session: SessionFeatures, wanted: Sequence[Trial], window: WindowContract, every: int
) -> tuple[Indices, list[Trial]]:
    rows: list[int] = []
    owners: list[Trial] = []
    for trial in wanted:
        inside = np.flatnonzero(session.inside(trial))
        rows += inside.tolist()
        owners += [trial] * len(inside)
    steps = window.steps
    starts = [i for i in range(0, len(rows) - steps, every) if owners[i].labels == owners[i + steps].labels]
    order = np.array(rows, dtype=np.int64)
    windows = order[np.array(starts, dtype=np.int64)[:, None] + np.arange(steps)]
    return windows.reshape(-1, steps), [owners[i] for i in starts]


def _window_set(
    session: SessionFeatures,
    values: Mapping[str, Rows],
    rows: Indices,
    trials: Sequence[Trial],
    contract: Contract,
    numbers: Mapping[str, Mapping[str, int]],
) -> WindowSet:
    features, present = {}, {}
    for name, spec in contract.modalities.items():
        missing = np.isnan(values[name]).mean(axis=1)
        good = session.usable[name] & (missing <= spec.max_missing)
        features[name] = values[name][rows]
        present[name] = np.asarray(good[rows].all(axis=1))
    n = len(rows)
    kept = np.any(list(present.values()), axis=0)
    windows = WindowSet(
        features,
        present,
        {
            head: np.fromiter((trial.labels.get(head, -1) for trial in trials), np.int64)
            for head in contract.heads
        },
        np.full(n, numbers["subjects"][session.subject], dtype=np.int64),
        np.full(n, numbers["sessions"][f"{session.subject}/{session.session}"], dtype=np.int64),
        np.fromiter((numbers["trials"][session.key(trial)] for trial in trials), np.int64),
        rows[:, 0] if n else np.empty(0, dtype=np.int64),
    )
    return windows.take(kept)


def joined(*sets: WindowSet) -> WindowSet:
    """The windows of one set after those of another; of one set at least."""
    return _arrays(lambda *arrays: np.concatenate(arrays), *sets)


def _arrays(change: Callable[..., Any], *sets: WindowSet) -> WindowSet:
    """A set of which every array is `change` of the same array of each of the sets."""

    def changed(*parts: Any) -> Any:
        if isinstance(parts[0], dict):
            return {name: change(*(part[name] for part in parts)) for name in parts[0]}
        return change(*parts)

    names = vars(sets[0])
    return WindowSet(**{name: changed(*(getattr(part, name) for part in sets)) for name in names})


def _concatenated(parts: Sequence[WindowSet], contract: Contract) -> WindowSet:
    none = np.empty(0, dtype=np.int64)
    steps, modalities = contract.window.steps, contract.modalities
    empty = WindowSet(
        {
            name: np.empty((0, steps, spec.feature.n_features), np.float32)
            for name, spec in modalities.items()
        },
        {name: np.empty(0, bool) for name in modalities},
        dict.fromkeys(contract.heads, none),
        *(none,) * 4,
    )
    return joined(empty, *parts)


def fit_scaler(training: WindowSet, modality: str, spread: FloatArray) -> Scaler:
    """Mean and standard deviation of the training windows' rows."""
    used = training.features[modality][training.present[modality]]
    rows = used.reshape(-1, used.shape[-1]).astype(np.float64)
    known = ~np.isnan(rows)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / n
    std = np.sqrt(np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0) / n)
    std[std < SMALLEST_STD] = 1.0  # a feature that never varies carries nothing, at any scale
    return Scaler(mean, std, spread)


def standardised(windows: WindowSet, scalers: Mapping[str, Scaler]) -> WindowSet:
    """Windows as the network takes them: z-scored, unknown values at the training mean (0)."""
    features = {
        name: np.nan_to_num((rows - scalers[name].mean) / scalers[name].std, nan=0.0).astype(np.float32)
        for name, rows in windows.features.items()
    }
    return replace(windows, features=features)
