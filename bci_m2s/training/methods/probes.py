"""Whether an embedding gives away who the person is."""

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
    """How well people are distinguished. accuracy : balanced, of people; chance : 1 / people."""

    accuracy: float
    chance: float


def identity_probe(network: SingleModality, windows: WindowSet, modality: str) -> IdentityProbe | None:
    """Classify people by their projections: linear discriminants fitted on half of each person's trials.

    None where there are fewer than two people with two trials each. With an accuracy near 1 the contrastive
    loss can be low just by recognising the person.
    """
    usable = windows.having([modality])
    halves = np.zeros(len(usable), dtype=bool)
    kept = np.zeros(len(usable), dtype=bool)
    for subject in np.unique(usable.subjects):
        of_subject = usable.subjects == subject
        trials = np.unique(usable.trials[of_subject])
        if len(trials) > 1:
            kept |= of_subject
            halves |= np.isin(usable.trials, trials[::2])
    people = np.unique(usable.subjects[kept])
    if len(people) < 2:
        return None
    thinned = np.flatnonzero(kept)[:: max(1, int(kept.sum() / MOST_WINDOWS))]
    projected = project(network, usable.features[modality][thinned])
    numbers = np.searchsorted(people, usable.subjects[thinned])
    fit = halves[thinned]
    # shrinkage: projections behind a ReLU are often constant in some columns
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    model.fit(projected[fit], numbers[fit])
    counts = confusion(numbers[~fit], model.predict(projected[~fit]), len(people))
    return IdentityProbe(balanced_accuracy(counts), 1 / len(people))
