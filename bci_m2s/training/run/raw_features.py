"""Windows of another feature of raw EEG than the contract's, for a control that asks for one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bci_m2s.errors import BciM2sError
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.prepare import UnitData, prepare
from bci_m2s.training.data.second_set import SecondSet, relabelled, tested_on
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.splits import Split
from bci_m2s.training.data.windows import Names, WindowSet
from bci_m2s.training.datasets import find_dataset
from bci_m2s.training.methods import NotPossible
from bci_m2s.training.methods.riemann import centred_session
from bci_m2s.training.settings import TrainingSettings

NO_RAW = "no raw EEG"


@dataclass
class RawFeatures:
    """Features of raw EEG, kept in the run's folder as all features are.

    settings : of the run; folder : of its features; second : data that test in place of the test people
    """

    settings: TrainingSettings
    folder: Path
    console: Console
    second: SecondSet | None = None
    _sessions: dict[str, list[SessionFeatures]] = field(default_factory=dict)

    def data(self, feature: str, split: Split) -> UnitData:
        """The windows of a split, as ``prepare`` makes them but not standardised.

        Raises
        ------
        NotPossible
            No modality is raw EEG, or the feature cannot be computed of it.
        """
        settings = raw_settings(self.settings, feature)
        sessions = self._centred(self.settings, feature)
        data = prepare(settings, sessions, split, Names.of(sessions))
        if self.second is not None:
            theirs = self.second.settings
            other = self._centred(theirs, feature)
            data = tested_on(data, relabelled(other, theirs.contract, self.settings.contract))
        return replace(data, parts={part: _unscaled(data, windows) for part, windows in data.parts.items()})

    def _centred(self, run: TrainingSettings, feature: str) -> list[SessionFeatures]:
        """The sessions of a training file, read once."""
        key = f"{feature} of {run.data}"
        if key not in self._sessions:
            try:
                found = load_sessions(raw_settings(run, feature), self.folder, self.console)
            except BciM2sError as problem:
                raise NotPossible(f"{feature}: {problem}") from None
            self._sessions[key] = [centred_session(one, run.contract.modalities) for one in found]
        return self._sessions[key]


def _unscaled(data: UnitData, windows: WindowSet) -> WindowSet:
    features = {
        name: (rows * data.scalers[name].std + data.scalers[name].mean).astype(np.float32)
        for name, rows in windows.features.items()
    }
    return replace(windows, features=features)


def raw_settings(settings: TrainingSettings, feature: str) -> TrainingSettings:
    """A training file's settings with raw EEG alone, and another feature of it. Raises NotPossible."""
    data_set, _ = find_dataset(settings.data.format, settings.data.feature)
    is_raw = settings.data.raw or data_set.read is None
    specs = settings.contract.modalities
    names = [name for name, spec in specs.items() if is_raw and spec.stream_type.upper() == "EEG"]
    names = [name for name in names if specs[name].feature.name != "distributed"]
    if not names:
        raise NotPossible(NO_RAW)
    values = settings.model_dump(mode="json")
    changes: dict[str, Any] = {
        "feature": {"name": feature},
        "normaliser": {"name": "training"},
        "network": {"name": "m2s-sequence"},
        "layout": "channel-major",
    }
    modalities = values["contract"]["modalities"]
    values["contract"]["modalities"] = {
        name: {key: value for key, value in modalities[name].items() if key not in changes} | changes
        for name in names
    }
    values |= {"pair": names, "controls": [], "labels": {}}  # whose labels count, the run's windows tell
    values["finetune"] |= {"labels": "own", "keep": [], "readout": 0}
    values["data"]["streams"] = {
        name: facts for name, facts in values["data"]["streams"].items() if name in names
    }
    if len(names) == 1:
        del values["pretrain"]
    return TrainingSettings.model_validate(values)
