"""Logistic regressions as classifiers of frozen networks."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support.small_pairs import corpus, finetune_settings, job, training_settings, unit

from bci_m2s.errors import ContractError, TrainingError
from bci_m2s.training.methods.finetune import head_logits, project
from bci_m2s.training.methods.methods import fit_modalities
from bci_m2s.training.methods.model_files import crossings, exchanged
from bci_m2s.training.methods.pretrain import fresh_networks

LOGISTIC = {"classifier": "logistic", "adapt_norm": False, "readout": 3}


@pytest.fixture(scope="module")
def made():
    settings = training_settings(finetune=finetune_settings(**LOGISTIC).model_dump())
    data = unit(settings, corpus(people=8, per_session=4, steps=6))
    networks = fresh_networks(job(settings))
    return settings, data, fit_modalities(job(settings), data, networks, settings.finetune)


def test_the_network_answers_as_the_regression_of_what_it_sees(made):
    _, data, fitted = made
    for name, result in fitted.items():
        train = data.parts["train"].having([name])
        rows = project(result.network, train.features[name])
        (head, labels), *_ = train.labels.items()
        plain = LogisticRegression(C=1.0, max_iter=2000, class_weight="balanced").fit(rows, labels)
        logits = head_logits(result.network, train.features[name])[head]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(chances, plain.predict_proba(rows), atol=1e-4)
        assert (result.epoch, result.chosen_by, result.rows) == (0, "", [])
        assert 0 <= result.score <= 1


def test_a_classifier_serves_the_other_modality(made):
    _, data, fitted = made
    teachers = next(
        teachers for teachers in crossings(fitted).values() if any(k != v for k, v in teachers.items())
    )
    crossed = exchanged(fitted, teachers, None)
    test = data.parts["test"]
    for name, teacher in teachers.items():
        head = next(iter(test.labels))
        given = head_logits(crossed[name], test.features[name])[head]
        assert given.shape == (len(test), fitted[teacher].network.heads[head].out.out_features)
        right = (given.argmax(axis=1) == test.labels[head]).mean()
        assert right > 0.5, (name, right)


def test_a_class_that_nobody_shows_is_never_the_answer(made):
    settings, data, _ = made
    head = next(iter(data.parts["train"].labels))
    kept = data.parts["train"].take(data.parts["train"].labels[head] == 0)
    parts = {**data.parts, "train": kept}
    fitted = fit_modalities(
        job(settings),
        dataclasses.replace(data, parts=parts),
        fresh_networks(job(settings)),
        settings.finetune,
    )
    for name, result in fitted.items():
        guesses = head_logits(result.network, data.parts["test"].features[name])[head].argmax(axis=1)
        assert (guesses == 0).all()


@pytest.mark.parametrize(
    ("wrong", "key"), [({"adapt_norm": True}, "adapt_norm"), ({"freeze": False, "readout": 0}, "freeze")]
)
def test_what_it_needs_is_asked_for(wrong, key):
    with pytest.raises(ContractError, match=rf"finetune\.{key}.*classifier: logistic"):
        training_settings(finetune=finetune_settings(**LOGISTIC | wrong).model_dump())


def test_a_classifier_that_sees_too_much_is_refused():
    settings = training_settings(finetune=finetune_settings(**LOGISTIC | {"readout": 0}).model_dump())
    data = unit(settings, corpus(people=8, per_session=4, steps=6))
    with pytest.raises(TrainingError, match=r"hidden units, expected at least .*finetune\.readout"):
        fit_modalities(job(settings), data, fresh_networks(job(settings)), settings.finetune)
