"""The limits of drift of a model that a training run writes for live use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.splits import Split
from bci_m2s.training.drift.block import FittedDrift, Fold, fit_drift
from bci_m2s.training.drift.fit import PersonWindows
from bci_m2s.training.drift.windows import windows_of
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.run.progress import bar


def drifts_of(experiment: Experiment, data: UnitData, modalities: Sequence[str]) -> dict[str, FittedDrift]:
    """Drift of each modality that has enough people; says for every one what became of it.

    The statistics are of the people in ``data.split.train``. Where that split has validation people, the
    limit is theirs; else every split of the experiment gives its own, measured from its training people.
    """
    settings = experiment.settings
    splits = [data.split] if data.split.validation else experiment.splits
    found = {}
    for name in modalities:
        fitted: FittedDrift | str = "no person is left out of training"
        if settings.windows.own_session:
            fitted = "features are relative to whole sessions, as none is live"
        elif settings.contract.modalities[name].feature.name == "distributed":
            fitted = "no stream makes these features"
        elif all(split.by_subject for split in splits):
            fitted = _fitted(experiment, data, name, splits)
        if isinstance(fitted, str):
            said = f"no limit: {fitted}"
        else:
            found[name] = fitted
            block = fitted.block
            said = f"limit from {block.validation_people} validation people"
        experiment.console.print(f"drift of {name}: {said}", soft_wrap=True)
    return found


def _fitted(
    experiment: Experiment, data: UnitData, modality: str, splits: Sequence[Split]
) -> FittedDrift | str:
    contract = experiment.settings.contract
    spec = contract.modalities[modality]
    wanted = [people_of(data.split.train), *(people_of(split.validation) for split in splits)]
    every = set[str]().union(*wanted)
    people: dict[str, PersonWindows] = {}
    total = len(every) + len(every & set[str]().union(*wanted[1:]))
    done = 0
    with bar(experiment.console, f"drift of {modality}", total) as advance:

        def one_more() -> None:
            nonlocal done
            done += 1
            advance(done)

        for subject, sessions in groupby(experiment.sessions, key=lambda session: session.subject):
            if subject in every:
                parts = [windows_of(one, modality, spec, contract.window) for one in sessions]
                people[subject] = joined([*([people[subject]] if subject in people else []), *parts])
                one_more()
        people = {subject: windows for subject, windows in people.items() if len(windows.begins)}
        folds: list[Fold] = [
            (_of(people, people_of(split.train)), _of(people, people_of(split.validation)))
            for split in splits
        ]
        return fit_drift(_of(people, people_of(data.split.train)), folds, spec, contract.window, one_more)


def people_of(keys: frozenset[str]) -> set[str]:
    """The people behind keys of trials."""
    return {key.split("/")[0] for key in keys}


def _of(people: Mapping[str, PersonWindows], wanted: set[str]) -> list[PersonWindows]:
    return [windows for subject, windows in people.items() if subject in wanted]


def joined(parts: Sequence[PersonWindows]) -> PersonWindows:
    """Windows of several sessions of one person, one after the other."""
    couplings = [part.coupling for part in parts if part.coupling is not None]
    return PersonWindows(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.begins for part in parts]),
        np.concatenate(couplings) if len(couplings) == len(parts) else None,
    )
