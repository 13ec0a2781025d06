"""The people of a second data set as the test of models that were trained on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rich.console import Console

from bci_m2s.errors import TrainingError
from bci_m2s.model.contract import Contract
from bci_m2s.training.check.second_set import Second
from bci_m2s.training.data.leaks import signals_of
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.prepare import UnitData, rows_of
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.splits import Split
from bci_m2s.training.data.windows import Names, Scaler, WindowSet, cut_windows, standardised
from bci_m2s.training.settings import TrainingSettings


@dataclass(frozen=True)
class SecondSet:
    """A second data set. sessions : with the class numbers of what is judged"""

    path: Path
    settings: TrainingSettings
    sessions: list[SessionFeatures]

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody, in order of appearance."""
        return Names.of(self.sessions).subjects

    @cached_property
    def signals(self) -> dict[bytes, str]:
        """Digests of the signals of all trials: see ``leaks``."""
        return signals_of(self.sessions, _keys(self.sessions))


def folder_on(path: Path) -> str:
    """Name of the folder of results on the data of a training file."""
    return f"on-{path.stem}"


def load_second(second: Second, ours: Contract, cache: Path, console: Console) -> SecondSet:
    """Read a second data set; its classes get the numbers that they have in `ours`."""
    sessions = load_sessions(second.settings, cache, console)
    return SecondSet(second.path, second.settings, relabelled(sessions, second.settings.contract, ours))


def relabelled(
    sessions: Sequence[SessionFeatures], theirs: Contract, ours: Contract
) -> list[SessionFeatures]:
    """Sessions whose class numbers are those of the classes of the same name in `ours`."""
    numbers = {}
    for head, spec in ours.heads.items():
        places = {name.casefold(): number for number, name in enumerate(spec.classes)}
        numbers[head] = [places[name.casefold()] for name in theirs.heads[head].classes]
    return [
        replace(
            session,
            trials=tuple(
                replace(
                    trial,
                    labels={
                        head: order[trial.labels[head]]
                        for head, order in numbers.items()
                        if trial.labels.get(head, -1) >= 0
                    },
                )
                for trial in session.trials
            ),
        )
        for session in sessions
    ]


def scaled_windows(
    settings: TrainingSettings, scalers: Mapping[str, Scaler], sessions: Sequence[SessionFeatures]
) -> WindowSet:
    """The windows of all trials, standardised as those that a model was trained on.

    settings : of the model; scalers : modality → of its training windows
    """
    rows = [
        {name: rows_of(settings, session, name, scaler.spread) for name, scaler in scalers.items()}
        for session in sessions
    ]
    return standardised(cut_windows(sessions, rows, _keys(sessions), settings, Names.of(sessions)), scalers)


def tested_on(data: UnitData, sessions: Sequence[SessionFeatures]) -> UnitData:
    """A split whose test windows are all those of other sessions, with numbers and names of their own."""
    windows, names, own = (
        scaled_windows(data.settings, data.scalers, sessions),
        Names.of(sessions),
        data.names,
    )
    moved = replace(
        windows,
        subjects=windows.subjects + len(own.subjects),
        sessions=windows.sessions + len(own.sessions),
        trials=windows.trials + len(own.trials),
    )
    both = Names(own.subjects + names.subjects, own.sessions + names.sessions, own.trials + names.trials)
    return replace(data, parts={**data.parts, "test": moved}, names=both)


def check_strangers(split: Split, sessions: Sequence[SessionFeatures], second: SecondSet) -> None:
    """Refuse a second data set with a signal that a split trains or validates on, whatever its name.

    Raises
    ------
    TrainingError
        With one such trial.
    """
    seen = signals_of(sessions, split.train | split.validation)
    same = sorted(second.signals[digest] for digest in seen.keys() & second.signals.keys())
    if same:
        raise TrainingError(
            f"{second.path}: data: got trial {same[0]}, whose signal trains or validates in {split.name}, "
            "expected data of others"
        )


def _keys(sessions: Sequence[SessionFeatures]) -> frozenset[str]:
    return frozenset(session.key(trial) for session in sessions for trial in session.trials)
