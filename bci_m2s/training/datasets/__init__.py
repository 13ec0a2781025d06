"""Data sets, each read into one form: trials of step features, or segments of raw signals.

Adding one: a file here and a line in ``DATASETS``, or one file in your own package and an entry point in
the group ``bci_m2s.datasets``; either leads to a ``DataSet``.
"""

from __future__ import annotations

from bci_m2s.errors import UsageError, nearest
from bci_m2s.registry import Registry
from bci_m2s.training.datasets.layout import DataSet

RAW = "raw"  # in place of a feature: the signals themselves
DATASETS = Registry(
    "data set",
    "bci_m2s.datasets",
    {
        "eegmat": "bci_m2s.training.datasets.eegmat:EEGMAT",
        "seed-iv": "bci_m2s.training.datasets.seed_iv:SEED_IV",
        "seed-v": "bci_m2s.training.datasets.seed_v:SEED_V",
        "seed": "bci_m2s.training.datasets.seed:SEED",
        "deap": "bci_m2s.training.datasets.deap:DEAP",
        "dreamer": "bci_m2s.training.datasets.dreamer:DREAMER",
        "stress-predict": "bci_m2s.training.datasets.stress_predict:STRESS_PREDICT",
        "brain-body-behaviour": "bci_m2s.training.datasets.brain_body_behaviour:BRAIN_BODY_BEHAVIOUR",
        "recordings": "bci_m2s.training.datasets.recordings:RECORDINGS",
        "simulated": "bci_m2s.training.datasets.simulated:SIMULATED",
    },
    needs=("heads", "sessions"),
)


def find_dataset(name: str, feature: str = "") -> tuple[DataSet, str]:
    """The data set of this name and the feature to read.

    feature : one that is distributed, "raw" for the signals, "" for the usual one

    Raises
    ------
    UsageError
        When there is no such data set or it has no such feature.
    """
    if name not in DATASETS:
        raise UsageError(f"format {name!r} is unknown{DATASETS.unknown(name)}")
    data: DataSet = DATASETS[name]
    if feature and feature not in data.features:
        raise UsageError(f"{name} has no feature {feature!r}{nearest(feature, data.features)}")
    return data, feature or data.default_feature
