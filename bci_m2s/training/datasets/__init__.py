"""Data sets, each read into one form: trials of step features, or segments of raw signals.

Adding one: a file here and a name in ``DATASETS``.
"""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import RecordingError, UsageError, nearest
from bci_m2s.training.datasets.deap import DEAP
from bci_m2s.training.datasets.dreamer import DREAMER
from bci_m2s.training.datasets.eegmat import EEGMAT
from bci_m2s.training.datasets.layout import DataSet, DistributedTrial, Problem
from bci_m2s.training.datasets.recordings import RECORDINGS
from bci_m2s.training.datasets.seed import SEED
from bci_m2s.training.datasets.seed_iv import SEED_IV
from bci_m2s.training.datasets.seed_v import SEED_V

RAW = "raw"  # in place of a feature: the signals themselves
DATASETS = {data.name: data for data in (EEGMAT, SEED_IV, SEED_V, SEED, DEAP, DREAMER, RECORDINGS)}


def find_dataset(name: str, feature: str = "") -> tuple[DataSet, str]:
    """The data set of this name and the feature to read.

    feature : one that is distributed, "raw" for the signals, "" for the usual one

    Raises
    ------
    UsageError
        When there is no such data set or it has no such feature.
    """
    if name not in DATASETS:
        raise UsageError(f"format {name!r} is unknown{nearest(name, DATASETS)}")
    data = DATASETS[name]
    offered = [*data.step_s, *([RAW] if data.read_raw else [])]
    if feature and feature not in offered:
        raise UsageError(f"{name} has no feature {feature!r}{nearest(feature, offered)}")
    return data, feature or data.default_feature


def load_trials(root: Path, name: str, feature: str = "") -> list[DistributedTrial]:
    """Read every trial of a data set below `root`, by subject, session and trial.

    Raises
    ------
    RecordingError
        At the first thing that is malformed, and when nothing is found.
    UsageError
        For an unknown data set or feature.
    """
    data, chosen = find_dataset(name, feature)
    if data.read is None or chosen == RAW:
        raise UsageError(f"{name}: its signals are raw; features are computed from them, not loaded")
    trials = list(data.read(root, chosen, _stop))
    if not trials:
        raise RecordingError(f"{root}: no trial of {name} found")
    return trials


def _stop(problem: Problem) -> None:
    if problem.left_out:
        raise RecordingError(str(problem))
