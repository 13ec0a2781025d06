"""A signal without labelled windows learns from another one's answers, through windows of the same moments.

The other signal's own model answers windows outside the trials; a ridge regression of this signal's windows
on those probabilities is added to the logarithms of its base model's, at half weight. Nothing of this can
be tested on the session's own trials. On simulated people's next visit it was better than the base model,
and exchanging classifiers between the signals was worse (docs/LOG.md).

Source: Gupta, Hoffman & Malik 2016, "Cross modal distillation for supervision transfer".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.candidates import Made, Situation, with_regression
from bci_m2s.training.calibration.material import Material
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
APART_S = 0.5  # between the ends of two windows of a pair; both are some seconds long
FEWEST_PAIRS = 120  # a second between them: two minutes; docs/LOG.md has what about 150 gave
WEIGHT = 0.5


def can_learn(base: Base, modality: str) -> bool:
    """Whether its network can have a linear map beside it."""
    return isinstance(base.network(modality), SingleModality)


def paired(material: Material, teacher: str, learner: str) -> tuple[FloatArray, FloatArray]:
    """Windows of two signals that end at about the same moment outside trials: (n, T, F) of each."""
    of_teacher: list[FloatArray] = []
    of_learner: list[FloatArray] = []
    for session, other in material.outside[learner].items():
        one = material.outside[teacher].get(session)
        if one is None or not len(one.end_s) or not len(other.end_s):
            continue
        after = np.clip(np.searchsorted(one.end_s, other.end_s), 1, max(1, len(one.end_s) - 1))
        around = np.stack([after - 1, np.minimum(after, len(one.end_s) - 1)])
        apart = np.abs(one.end_s[around] - other.end_s)
        nearest, is_near = around[apart.argmin(axis=0), np.arange(len(after))], apart.min(axis=0) <= APART_S
        of_teacher += list(one.features[nearest[is_near]])
        of_learner += list(other.features[is_near])
    return np.array(of_teacher), np.array(of_learner)


def taught(it: Situation, answers: FloatArray) -> Made:
    """A signal's base model and what another one's answers teach it.

    Parameters
    ----------
    it : the learner's windows, each its own trial
    answers : (n, classes) probabilities of the same moments
    """
    # as ``ridge.targets`` has it, of probabilities
    target = answers / np.maximum(answers.mean(axis=0), 1e-9) - 1.0
    return with_regression(it, WEIGHT * target)
