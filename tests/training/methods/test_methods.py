"""The method and its controls: what each may learn from, and from where it starts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from support.small_pairs import (
    PAIR,
    SIZES,
    corpus,
    finetune_settings,
    job,
    training_settings,
    trials,
    unit,
)

from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.methods import METHODS, methods
from bci_m2s.training.methods.finetune import head_logits
from bci_m2s.training.methods.methods import (
    fit_modalities,
)
from bci_m2s.training.methods.model_files import CROSSED, OWN, file_names
from bci_m2s.training.methods.permuted import Begun, permuted_parts, projected_once
from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.results.evaluation import EvaluationSetup, evaluate_fitted


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(people=10, per_session=6, steps=6))


def marked(job_):
    """Networks that are not those of the job's seed."""
    return fresh_networks(replace(job_, seed=50))


def encoder(network):
    return {key: value for key, value in network.state_dict().items() if not key.startswith("heads")}


def alike(state, other):
    return all(torch.equal(state[key], other[key]) for key in state)


def control(method, settings, data, **changes):
    tuning = finetune_settings(**changes)
    return METHODS[method].fit(job(settings), data, lambda: marked(job(settings)), tuning)


@pytest.mark.parametrize("method", ["random", "supervised", "permuted"])
@pytest.mark.parametrize("freeze", [True, False])
def test_where_each_control_starts_and_what_it_may_change(settings, data, method, freeze):
    fitted = control(method, settings, data, freeze=freeze, epochs=1)
    assert tuple(fitted) == PAIR
    fresh, pretrained = fresh_networks(job(settings)), marked(job(settings))
    for name, result in fitted.items():
        state = encoder(result.network)
        if method == "random":
            assert alike(state, encoder(fresh[name]))  # frozen whatever the file says
        elif method == "supervised":
            assert not alike(state, encoder(fresh[name]))  # trained whatever the file says
        else:
            assert alike(state, encoder(pretrained[name])) == freeze


def of_independent_signals():
    """Windows of two modalities that have nothing in common but the class, each in its own way."""
    group = trials(people=8, per_session=4, steps=6, seed=1)
    for trial, other in zip(group, trials(people=8, per_session=4, steps=6, seed=2), strict=True):
        trial.steps["eye"] = other.steps["eye"]
    settings = training_settings()
    return settings, unit(settings, from_steps(group, 1.0, SIZES))


def test_a_foreign_classifier_fits_nothing_that_has_nothing_in_common():
    """Encoders that labels train, with classifiers that began alike, would fit each other."""
    settings, data = of_independent_signals()
    test, setup = data.parts["test"], EvaluationSetup("all", 0, "emotion", 2, data.names.subjects)
    own, crossed = [], []
    for seed in range(6):
        tuning = finetune_settings(freeze=False, epochs=10, learning_rates=[3e-2])
        networks = fresh_networks(job(settings, seed))
        fitted = fit_modalities(job(settings, seed), data, networks, tuning)
        results = evaluate_fitted(setup, "m", fitted, test, shared=True)
        score = {result.direction: result.figures["balanced_accuracy"] for result in results}
        own += [score["eeg → eeg"], score["eye → eye"]]
        crossed += [score["eeg → eye"], score["eye → eeg"]]
    assert np.mean(own) > 0.9
    assert abs(np.mean(crossed) - 0.5) < 0.25  # 0.86 where the classifiers begin alike


def test_classifiers_are_exchanged_only_where_labels_leave_the_encoders_alone():
    crosses = {name: [METHODS[name].crosses(freeze) for freeze in (True, False)] for name in METHODS}
    assert crosses["pretrained"] == crosses["permuted"] == [True, False]
    assert crosses["random"] == [True, True]  # frozen whatever the file says
    assert crosses["supervised"] == [False, False]
    assert file_names(PAIR, crosses=False) == {OWN: None}
    assert list(file_names(PAIR, crosses=True)) == [OWN, CROSSED]


def label_of_trials(parts):
    """Trial → its one label, over all parts."""
    found = {}
    for windows in parts.values():
        for trial, label in zip(windows.trials.tolist(), windows.labels["emotion"].tolist(), strict=True):
            assert found.setdefault(trial, label) == label
    return found


def test_permuted_labels_move_between_trials_of_one_person_as_a_whole(data):
    moved = permuted_parts(data.parts, 3)
    before, after = label_of_trials(data.parts), label_of_trials(moved)
    assert 0.2 < np.mean([after[trial] != before[trial] for trial in before]) < 0.8
    for windows in data.parts.values():
        for person in np.unique(windows.subjects):
            trials = np.unique(windows.trials[windows.subjects == person]).tolist()
            assert sorted(before[trial] for trial in trials) == sorted(after[trial] for trial in trials)
    assert all(moved[part].features is data.parts[part].features for part in moved)
    assert label_of_trials(permuted_parts(data.parts, 3)) == after
    assert label_of_trials(permuted_parts(data.parts, 4)) != after


def test_a_trial_has_the_same_permuted_label_whatever_part_it_is_in(data):
    other = {"train": data.parts["test"], "validation": data.parts["train"]}
    other["test"] = data.parts["validation"]
    assert label_of_trials(permuted_parts(other, 3)) == label_of_trials(permuted_parts(data.parts, 3))


def test_several_heads_are_permuted_together(data):
    twice = {
        part: replace(windows, labels={"a": windows.labels["emotion"], "b": 1 - windows.labels["emotion"]})
        for part, windows in data.parts.items()
    }
    for windows in permuted_parts(twice, 2).values():
        np.testing.assert_array_equal(windows.labels["a"], 1 - windows.labels["b"])


ALIGNED = {"readout": 3, "classifier": "logistic", "linear": True, "adapt_norm": False}


@pytest.mark.parametrize("recipe", [{}, ALIGNED])
def test_what_is_projected_once_gives_the_figures_of_what_is_projected_anew(settings, data, recipe):
    tuning = finetune_settings(**{"epochs": 2, "readout": 3, **recipe})
    begun = Begun(data, lambda: marked(job(settings)), tuning)
    setup = EvaluationSetup("all", 0, "emotion", 2, data.names.subjects)
    figures = []
    for way in (begun, projected_once(*begun)):
        fitted = METHODS["permuted"].fit(job(settings), *way)
        test, unlabelled = way.data.parts["test"], way.data.parts["train"]
        results = evaluate_fitted(setup, "m", fitted, test, shared=True, unlabelled=unlabelled)
        figures.append({result.direction: result.figures for result in results})
    assert figures[0] == figures[1]
    plain = begun._replace(settings=finetune_settings(freeze=False))
    assert projected_once(*plain) == plain  # labels change the encoder


def test_fewer_labels_reach_training_only(settings, data, monkeypatch):
    seen = []

    def spy(*arguments):
        _, parts, name, *_ = arguments
        seen.append((name, parts))

    monkeypatch.setattr(methods, "finetune", spy)
    fit_modalities(
        job(settings), data, fresh_networks(job(settings)), finetune_settings(trials_per_class=1)
    )
    assert [name for name, _ in seen] == list(PAIR)
    for _, parts in seen:
        kept = parts["train"].labels["emotion"] >= 0
        assert len(np.unique(parts["train"].trials[kept])) == 2  # one of each class
        assert parts["validation"] is data.parts["validation"]
        assert parts["test"] is data.parts["test"]


def test_flat_puts_modalities_side_by_side(data):
    part = data.parts["test"]
    rows = part.flat(PAIR)
    assert rows.shape == (len(part), 4 * 8 + 4 * 5)
    np.testing.assert_array_equal(rows[3, :32].reshape(4, 8), part.features["eeg"][3])
    np.testing.assert_array_equal(rows[3, 32:].reshape(4, 5), part.features["eye"][3])


def test_true_labels_are_learnt_from_either_modality(settings, data):
    fitted = fit_modalities(
        job(settings), data, fresh_networks(job(settings)), finetune_settings(epochs=20)
    )
    for name, result in fitted.items():
        test = data.parts["test"]
        guesses = head_logits(result.network, test.features[name])["emotion"].argmax(axis=1)
        assert balanced_accuracy_score(test.labels["emotion"], guesses) > 0.8


@pytest.mark.parametrize("name", [name for name in METHODS if name != "riemann"])  # of raw EEG
def test_every_method_learns_with_networks_or_without(settings, data, name):
    """Also one of an installed package."""
    method = METHODS[name]
    without_networks = method.guess is not None or method.cross is not None
    assert [method.fit is not None, method.learn is not None, without_networks].count(True) == 1
    if method.fit is not None:
        counted = []
        fitted = method.fit(
            job(settings),
            data,
            lambda: marked(job(settings)),
            finetune_settings(epochs=1),
            lambda: counted.append(1),
        )
        assert tuple(fitted) == PAIR
        for modality, result in fitted.items():
            logits = head_logits(result.network, data.parts["test"].features[modality])["emotion"]
            assert np.isfinite(logits).all()
            assert 0 <= result.score <= 1
    test = data.parts["test"]
    if method.guess is not None:
        for modalities in ((PAIR[0],), PAIR):
            guesses = method.guess(data.parts, modalities, "emotion").predict(test)
            assert guesses.shape == (len(test),)
            assert set(guesses.tolist()) <= {0, 1}
    if method.cross is not None:
        guesses = method.cross(data.parts, *PAIR, "emotion").predict(test)
        assert guesses.shape == (len(test),)
        assert set(guesses.tolist()) <= {0, 1}
