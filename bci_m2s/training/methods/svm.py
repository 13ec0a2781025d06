"""A linear support vector machine on a network's features, its penalty chosen on validation trials.

The penalties are those that the authors of BDAE tried, who chose among them by test score. Margins become
probabilities by a softmax: they tell which class comes first, and are not calibrated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.svm import LinearSVC

from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers
from bci_m2s.training.methods.own_networks import labelled_rows
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.metrics import mean_over_subjects
from bci_m2s.types import FloatArray

STRENGTHS = tuple(2.0**power for power in range(-10, 10))  # inverse penalties
USUAL = 1.0  # where nothing is chosen

Direction = tuple[tuple[str, ...], tuple[str, ...]]  # modalities whose labels count, modalities judged
# windows, modalities that are there → features (n, K) of the windows that have them
Features = Callable[[WindowSet, Sequence[str]], FloatArray]


def every_direction(a: str, b: str) -> tuple[Direction, ...]:
    """Each of two signals by its own labels and by the other's, and both by both."""
    alone = (((a,), (a,)), ((b,), (b,)))
    return (*alone, ((a,), (b,)), ((b,), (a,)), ((a, b), (a, b)))


def standardised(
    features: Features, training: WindowSet, like: Mapping[tuple[str, ...], tuple[str, ...]]
) -> Features:
    """The same features, less a mean and divided by a standard deviation over training windows.

    like : modalities that are there → those whose statistics are taken. A signal's own bring it to the
        scale of another one by whose labels it is judged, without labels of its own
    """
    scales = {}
    for names in set(like.values()):
        found = features(training.having(names), names)
        scales[names] = found.mean(axis=0), np.maximum(found.std(axis=0), SMALLEST_STD)

    def scaled(windows: WindowSet, modalities: Sequence[str]) -> FloatArray:
        mean, std = scales[like[tuple(modalities)]]
        return np.asarray((features(windows, modalities) - mean) / std)

    return scaled


@dataclass(frozen=True)
class Seen:
    """Features (n, K) of labelled windows. labels, subjects : (n,)"""

    features: FloatArray
    labels: NDArray[np.int64]
    subjects: NDArray[np.int64]

    @staticmethod
    def of(windows: WindowSet, modalities: Sequence[str], head: str, features: Features) -> Seen:
        """Of the windows that have these modalities and a label of `head`."""
        used = windows.having(modalities, head)
        return Seen(features(used, modalities), used.labels[head], used.subjects)


def fit_svm(training: Seen, validation: Seen, class_weight: str) -> LinearSVC:
    """The machine whose penalty is best on `validation`; of equals, the strongest.

    validation : nothing is chosen where it has no window
    class_weight : ``finetune.class_weight``
    """
    weight = "balanced" if class_weight == "balanced" else None

    def fit(strength: float) -> LinearSVC:
        machine = LinearSVC(C=strength, dual=False, class_weight=weight)
        return machine.fit(training.features, training.labels)

    def score(machine: LinearSVC) -> float:
        guesses = machine.predict(validation.features)
        n_classes = int(max(validation.labels.max(), machine.classes_.max())) + 1
        return mean_over_subjects(validation.labels, guesses, validation.subjects, n_classes)

    if not len(validation.labels):
        return fit(USUAL)
    return max(map(fit, STRENGTHS), key=score)


def chances(machine: LinearSVC, features: FloatArray, n_classes: int) -> FloatArray:
    """Probabilities (n, classes), 0 of a class that was not trained on."""
    margins = machine.decision_function(features)
    if margins.ndim == 1:  # of the second of two classes
        margins = np.stack([-margins / 2, margins / 2], axis=1)
    every = np.zeros((len(features), n_classes))
    every[:, machine.classes_] = softmax(margins, axis=1)
    return every


def svm_answers(
    job: Job,
    data: UnitData,
    settings: FinetuneSettings,
    features: Features,
    directions: Sequence[Direction],
) -> Answers:
    """A machine for each head and for all modalities whose labels count, and its answers.

    Raises
    ------
    NotPossible
        Labels of one class.
    """
    machines = {
        (trained_on, head): _fit(data, settings, features, trained_on, head)
        for trained_on in dict(directions)
        for head in job.contract.heads
    }

    def answer(direction: Direction, windows: WindowSet, head: str) -> FloatArray:
        trained_on, tested_on = direction
        seen = features(windows.having(tested_on), tested_on)
        return chances(machines[trained_on, head], seen, len(job.contract.heads[head].classes))

    return {direction: partial(answer, direction) for direction in directions}


def _fit(
    data: UnitData, settings: FinetuneSettings, features: Features, trained_on: tuple[str, ...], head: str
) -> LinearSVC:
    labelled_rows(data.parts["train"], trained_on, head)  # at least two classes
    training = Seen.of(data.parts["train"], trained_on, head, features)
    validation = data.parts["validation"]
    if settings.select != "validation":
        validation = validation.take(np.empty(0, dtype=np.int64))
    return fit_svm(training, Seen.of(validation, trained_on, head, features), settings.class_weight)
