"""What an embedding tells that it should not: who the person is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import project
from bci_m2s.training.results.metrics import balanced_accuracy, confusion

MOST_WINDOWS = 4000


@dataclass(frozen=True)
class IdentityProbe:
    """How well people are told apart. accuracy : balanced, of people; chance : 1 / people."""

    accuracy: float
    chance: float


def identity_probe(network: SingleModality, windows: WindowSet, modality: str) -> IdentityProbe | None:
    """Tell people apart by their projections: linear discriminants fitted on half of each person's trials.

    None where there are fewer than two people with two trials each. A value near 1 means that the
    contrastive loss could be met by recognising the person.
    """
    chosen = windows.having([modality])
    halves = np.zeros(len(chosen), dtype=bool)
    kept = np.zeros(len(chosen), dtype=bool)
    for subject in np.unique(chosen.subjects):
        mine = chosen.subjects == subject
        trials = np.unique(chosen.trials[mine])
        if len(trials) > 1:
            kept |= mine
            halves |= np.isin(chosen.trials, trials[::2])
    people = np.unique(chosen.subjects[kept])
    if len(people) < 2:
        return None
    thinned = np.flatnonzero(kept)[:: max(1, int(kept.sum() / MOST_WINDOWS))]
    projected = project(network, chosen.features[modality][thinned])
    numbers = np.searchsorted(people, chosen.subjects[thinned])
    fit = halves[thinned]
    # shrinkage: projections behind a ReLU are often constant in some columns
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    model.fit(projected[fit], numbers[fit])
    counts = confusion(numbers[~fit], model.predict(projected[~fit]), len(people))
    return IdentityProbe(balanced_accuracy(counts), 1 / len(people))
