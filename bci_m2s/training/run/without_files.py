"""One method without model files, on one split with one seed: learnt, and judged on the test windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean

from bci_m2s.training.data.labels import with_labels_of
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.methods.methods import labelled_parts
from bci_m2s.training.methods.permuted import Begun, permuted_parts, projected_once
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.results.evaluation import (
    EvaluationSetup,
    Result,
    evaluate_answers,
    evaluate_fitted,
    evaluate_guesses,
)
from bci_m2s.training.run.raw_features import RawFeatures


def judge_raw(
    experiment: Experiment,
    job: Job,
    data: UnitData,
    name: str,
    setups: Sequence[EvaluationSetup],
    raw: RawFeatures,
) -> list[Result]:
    """A control with a feature of its own of raw EEG. Raises NotPossible."""
    method: Method = METHODS[name]
    own = with_labels_of(raw.data(method.feature, data.split), data)
    parts = labelled_parts(job, own, experiment.settings.finetune)
    results = []
    for setup in setups:
        setup = replace(setup, subjects=own.names.subjects)
        results += evaluate_guesses(setup, name, method, parts, own.settings.pair)
    return results


def judge_permuted(
    experiment: Experiment,
    job: Job,
    begun: Begun,
    name: str,
    setups: Sequence[EvaluationSetup],
    notify: Callable[[str], None],
) -> list[Result]:
    """A control with permuted labels, as many times as the file says."""
    results, n = [], experiment.settings.permutations
    setups = [replace(setup, means=None) for setup in setups]
    begun = projected_once(*begun)
    for number in range(n):
        notify(f"{name} {number + 1} of {n}")
        data = replace(begun.data, parts=permuted_parts(begun.data.parts, number))
        judged = judge(experiment, job, begun._replace(data=data), name, setups)
        results += [replace(result, permutation=number) for result in judged]
    return results


def judge(
    experiment: Experiment, job: Job, begun: Begun, name: str, setups: Sequence[EvaluationSetup]
) -> list[Result]:
    """One control, by all heads. Raises NotPossible."""
    settings, method, data = experiment.settings, METHODS[name], begun.data
    results = []
    if method.learn is not None:
        labelled = replace(data, parts=labelled_parts(job, data, settings.finetune))
        answers = method.learn(job, labelled, settings.finetune)
        for setup in setups:
            results += evaluate_answers(setup, name, answers, data.parts["test"], settings.pair)
        return _with_oracle(experiment, job, labelled, name, setups, results)
    if method.fit is None:
        parts = labelled_parts(job, data, settings.finetune)
        for setup in setups:
            results += evaluate_guesses(setup, name, method, parts, settings.pair)
        return results
    fitted = method.fit(job, *begun)
    for setup in setups:
        results += evaluate_fitted(
            setup,
            name,
            fitted,
            data.parts["test"],
            shared=method.crosses(settings.finetune.freeze),
            unlabelled=data.parts["train"] if settings.finetune.adapt_norm else None,
        )
    return results


def _with_oracle(
    experiment: Experiment,
    job: Job,
    data: UnitData,
    name: str,
    setups: Sequence[EvaluationSetup],
    results: list[Result],
) -> list[Result]:
    """The results of a method with networks of its own, with what selecting on the test windows gives.

    It is learnt once more, with the test windows in place of those that validate.
    """
    settings, learn, test = experiment.settings, METHODS[name].learn, data.parts["test"]
    is_asked = settings.finetune.oracle and settings.finetune.select == "validation"
    if not is_asked or learn is None or experiment.second is not None:
        return results
    peeking = learn(job, replace(data, parts={**data.parts, "validation": test}), settings.finetune)
    found = {
        (one.head, one.trained_on, one.tested_on): mean(one.figures["by_subject"].values())
        for setup in setups
        for one in evaluate_answers(replace(setup, means=None), name, peeking, test, settings.pair)
    }
    return [replace(one, oracle=found[one.head, one.trained_on, one.tested_on]) for one in results]
