"""All directions between modalities, their controls and a probe of identity, over people and seeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bci_m2s.errors import TrainingError
from bci_m2s.model.predictor import load_model
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.finetune import Fitted, head_logits, project
from bci_m2s.training.methods.model_files import OWN, crossings, exchanged
from bci_m2s.training.results.means import SeedMeans, mean_name
from bci_m2s.training.results.metrics import balanced_accuracy, confusion, figures, reliability
from bci_m2s.types import FloatArray

MOST_WINDOWS = 4000  # of the probe
ROUNDING = 1e-5  # of probabilities
# labels of which modality, windows of which, and (n, classes) probabilities from their features
Direction = tuple[str, str, Callable[[NDArray[np.float32]], FloatArray]]


@dataclass(frozen=True)
class Result:
    """One method in one direction on one split's test windows.

    trained_on, tested_on : modalities; "both", or "all", where the probabilities of all are averaged
    figures : see ``metrics.figures``, by the subjects' names; ``metrics.reliability`` where the method has
        probabilities
    oracle : balanced accuracy of the epoch and settings that are best on test; None unless requested
    permutation : number of the permutation of the labels; None of true ones
    """

    method: str
    trained_on: str
    tested_on: str
    head: str
    split: str
    seed: int
    figures: dict[str, Any]
    oracle: float | None = None
    permutation: int | None = None

    @property
    def direction(self) -> str:
        """As a text: "eeg → eye"."""
        return f"{self.trained_on} → {self.tested_on}"


@dataclass(frozen=True)
class EvaluationSetup:
    """Which test windows a result is of.

    subjects : names by number; n_classes : of the head; means : of the seeds, where they are averaged
    """

    split: str
    seed: int
    head: str
    n_classes: int
    subjects: tuple[str, ...]
    means: SeedMeans | None = None


def evaluate(
    setup: EvaluationSetup,
    method: str,
    trained_on: str,
    tested_on: str,
    windows: WindowSet,
    guesses: NDArray[np.int64],
    oracle: float | None = None,
    chances: FloatArray | None = None,
) -> Result:
    """Compare the class index guessed for each window, (n,), with its label.

    chances : (n, classes) probabilities, where there are some: for ``reliability`` among the figures, and
        for the mean of the seeds

    Raises TrainingError where a method gave something else: it would be counted as some class.
    """
    guesses = np.asarray(guesses)
    _refuse_other(setup, method, len(windows), guesses, chances)
    means = setup.means
    if means is not None and chances is not None:
        asked = (setup.split, setup.head, method, trained_on, tested_on)
        mean = means.add(asked, setup.seed, windows, chances)
        if mean is not None:
            of_group = replace(setup, seed=mean.first_seed, means=None)
            best, name = mean.chances.argmax(axis=1), mean_name(method)
            means.done.append(
                evaluate(of_group, name, trained_on, tested_on, windows, best, chances=mean.chances)
            )
    result = figures(windows.labels[setup.head], guesses, windows.subjects, setup.n_classes)
    for key in ("by_subject", "counts_by_subject"):
        result[key] = {setup.subjects[i]: value for i, value in result[key].items()}
    if chances is not None:
        result["reliability"] = reliability(chances, windows.labels[setup.head])
    return Result(method, trained_on, tested_on, setup.head, setup.split, setup.seed, result, oracle)


def _refuse_other(setup: EvaluationSetup, method: str, n: int, guesses: NDArray[Any], chances: Any) -> None:
    """Raises TrainingError unless there are class indices (n,) and, if any, probabilities (n, classes)."""
    last = setup.n_classes - 1
    whole = guesses.shape == (n,) and guesses.dtype.kind in "iu"
    if not whole or (n and not (guesses.min() >= 0 and guesses.max() <= last)):
        got = f"{guesses.dtype} {guesses.shape}"
        got += f", {guesses.min()} to {guesses.max()}" if whole else ""
        expected = f"a class index from 0 to {last} for each of {n} windows"
        raise TrainingError(f"{method}: got guesses {got}, expected {expected}")
    if chances is None:
        return
    values = np.asarray(chances)
    shape = (n, setup.n_classes)
    if values.shape != shape or values.dtype.kind != "f" or not _are_shares(values):
        got = f"{values.dtype} {values.shape}"
        raise TrainingError(
            f"{method}: got probabilities {got}, expected numbers from 0 to 1 of shape {shape}"
        )


def _are_shares(values: FloatArray) -> bool:
    """Whether all are from 0 to 1, but for rounding; NaN is not."""
    return bool(((values >= -ROUNDING) & (values <= 1 + ROUNDING)).all())


def evaluate_files(
    setup: EvaluationSetup,
    folder: Path,
    pair: tuple[str, ...],
    test: WindowSet,
    method: str = "pretrained",
    *,
    crosses: bool = True,
) -> list[Result]:
    """Every direction and the average of all modalities, by the model files that would run live.

    crosses : there are files with exchanged classifiers, see ``Method.crosses``

    The oracle of a direction is the one in the model file's training record; that of all has none.

    A direction without a test window is left out, here and in the functions below.
    """
    own = load_model(folder / OWN, "cpu", None)
    others = crossings(pair) if crosses else {}
    trained = [(own, {name: name for name in pair})]
    trained += [(load_model(folder / file, "cpu", None), who) for file, who in others.items()]
    directions: list[Direction] = [
        (teachers[name], name, partial(predictor.predict_proba, name, head=setup.head))
        for name in pair
        for predictor, teachers in trained
    ]
    return evaluate_directions(setup, method, test, directions, own.contract.training)


def evaluate_fitted(
    setup: EvaluationSetup,
    method: str,
    fitted: Mapping[str, Fitted],
    test: WindowSet,
    *,
    shared: bool,
    unlabelled: WindowSet | None = None,
) -> list[Result]:
    """The directions of networks that are not in files.

    shared : the encoders were not changed by the labels, so that classifiers can be exchanged
    unlabelled : training windows for the batch normalisation of an exchanged classifier, see ``exchanged``
    """
    trained = [{name: name for name in fitted}, *(crossings(fitted).values() if shared else ())]
    directions: list[Direction] = [
        (teachers[target], target, partial(_probabilities, network, setup.head))
        for teachers in trained
        for target, network in exchanged(fitted, teachers, unlabelled).items()
    ]
    return evaluate_directions(setup, method, test, directions, {})


def _probabilities(network: SingleModality, head: str, features: NDArray[np.float32]) -> FloatArray:
    return np.asarray(softmax(head_logits(network, features)[head], axis=1))


def evaluate_directions(
    setup: EvaluationSetup,
    method: str,
    test: WindowSet,
    directions: Sequence[Direction],
    record: Mapping[str, Any],
) -> list[Result]:
    """Every direction, and the average of the modalities' own ones. record : holds the oracles"""
    results = []
    for source, target, probabilities in directions:
        windows = test.having([target], setup.head)
        if len(windows):
            chances = probabilities(windows.features[target])
            oracle = _oracle(record, source, target, setup.head)
            guesses = chances.argmax(axis=1)
            results.append(evaluate(setup, method, source, target, windows, guesses, oracle, chances))
    own = {target: probabilities for source, target, probabilities in directions if source == target}
    windows = test.having(own, setup.head)
    if len(own) > 1 and len(windows):
        of_each = [probabilities(windows.features[name]) for name, probabilities in own.items()]
        mean, used = np.mean(of_each, axis=0), together(own)
        results.append(evaluate(setup, method, used, used, windows, mean.argmax(axis=1), chances=mean))
    return results


def together(modalities: Collection[str]) -> str:
    """What the table calls some modalities at once."""
    return {1: next(iter(modalities)), 2: "both"}.get(len(modalities), "all")


def _oracle(record: Mapping[str, Any], source: str, target: str, head: str) -> float | None:
    """The oracle's figure in a training record by direction and head; None where it has none."""
    figure: Any = record.get("chosen")
    place = ("oracle",) if source == target else ("oracle_across", target)
    for key in (source, *place, head):
        figure = figure.get(key) if isinstance(figure, Mapping) else None
    return figure if isinstance(figure, float) else None


def evaluate_guesses(
    setup: EvaluationSetup, name: str, method: Method, parts: Mapping[str, WindowSet], pair: tuple[str, ...]
) -> list[Result]:
    """A method without networks, on each modality, on all side by side, and from each to each other one.

    What no labelled training window has together is not tried together, and a direction that is not
    possible is left out. Raises NotPossible where none is possible.
    """
    tries: list[tuple[str, str, WindowSet, Callable[[], Any]]] = []
    if method.guess is not None:
        for modalities in dict.fromkeys([*((name,) for name in pair), pair]):
            windows, used = parts["test"].having(modalities, setup.head), together(modalities)
            if len(parts["train"].having(modalities, setup.head)):
                tries.append((used, used, windows, partial(method.guess, parts, modalities, setup.head)))
    if method.cross is not None:
        for trained_on, tested_on in permutations(pair, 2):
            windows = parts["test"].having([tested_on], setup.head)
            crossed = partial(method.cross, parts, trained_on, tested_on, setup.head)
            tries.append((trained_on, tested_on, windows, crossed))
    results, why_not = [], None
    for trained_on, tested_on, windows, fit in tries:
        if len(windows):
            try:
                results.append(_of_fit(setup, name, trained_on, tested_on, windows, fit()))
            except NotPossible as problem:
                why_not = problem
    if why_not is not None and not results:
        raise why_not
    return results


def evaluate_answers(
    setup: EvaluationSetup, name: str, answers: Answers, test: WindowSet, pair: Collection[str]
) -> list[Result]:
    """A method with networks of its own, in every direction that it can do."""
    results = []
    for (trained_on, tested_on), probabilities in answers.items():
        windows = test.having(tested_on, setup.head)
        if len(windows):
            chances = np.asarray(probabilities(windows, setup.head))
            source, target = (_called(names, pair) for names in (trained_on, tested_on))
            guesses = chances.argmax(axis=1) if chances.ndim == 2 else chances
            results.append(evaluate(setup, name, source, target, windows, guesses, chances=chances))
    return results


def _called(modalities: Collection[str], pair: Collection[str]) -> str:
    """What the table calls some of the modalities: a name, "both", "all", "bvp + eda"."""
    return together(modalities) if set(modalities) == set(pair) else " + ".join(modalities)


def _of_fit(
    setup: EvaluationSetup, name: str, trained_on: str, tested_on: str, windows: WindowSet, fitted: Any
) -> Result:
    """What a method without networks guesses, and its probabilities where it has any."""
    chances = fitted.chances(windows, setup.n_classes) if hasattr(fitted, "chances") else None
    guesses = fitted.predict(windows)
    return evaluate(setup, name, trained_on, tested_on, windows, guesses, chances=chances)


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
