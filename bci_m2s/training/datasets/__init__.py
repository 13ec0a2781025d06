"""Data sets in one form: sessions of step features with labelled trials."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import RecordingError, UsageError, nearest
from bci_m2s.training.datasets.layout import DataSet, LabelledTrial, Problem
from bci_m2s.training.datasets.seed import SEED, SEED_IV, SEED_V

DATASETS = {data.name: data for data in (SEED_IV, SEED_V, SEED)}


def find_dataset(name: str, feature: str = "") -> tuple[DataSet, str]:
    """The data set of this name and the feature to read ("" for its default).

    Raises
    ------
    UsageError
        When there is no such data set or it has no such feature.
    """
    if name not in DATASETS:
        raise UsageError(f"format {name!r} is unknown{nearest(name, DATASETS)}")
    data = DATASETS[name]
    if feature and feature not in data.step_s:
        raise UsageError(f"{name} has no feature {feature!r}{nearest(feature, data.step_s)}")
    return data, feature or data.default_feature


def load_trials(root: Path, name: str, feature: str = "") -> list[LabelledTrial]:
    """Read every trial of a data set below `root`, by subject, session and trial.

    Raises
    ------
    RecordingError
        At the first thing that is malformed, and when nothing is found.
    UsageError
        For an unknown data set or feature.
    """
    data, chosen = find_dataset(name, feature)
    trials = list(data.read(root, chosen, _stop))
    if not trials:
        raise RecordingError(f"{root}: no trial of {name} found")
    return trials


def _stop(problem: Problem) -> None:
    if problem.left_out:
        raise RecordingError(str(problem))
