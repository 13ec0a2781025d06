"""The oracle across modalities: the best that any epoch of a classifier reaches on the test windows."""

import numpy as np
import pytest
import torch
from support.small_pairs import corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods.across import others_of
from bci_m2s.training.methods.finetune import finetune, head_logits
from bci_m2s.training.methods.methods import fit_modalities
from bci_m2s.training.methods.model_files import exchanged
from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.results.metrics import mean_over_subjects


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(people=8, per_session=4, steps=6, effect=0.6))


def reached(network, windows, name):
    """Balanced accuracy of a network on its modality's windows."""
    labels, logits = windows.labels["emotion"], head_logits(network, windows.features[name])["emotion"]
    return mean_over_subjects(labels, logits.argmax(axis=1), windows.subjects, logits.shape[1])


@pytest.mark.parametrize("adapt_norm", [True, False])
def test_of_one_epoch_it_is_what_the_exchanged_classifier_reaches(settings, data, adapt_norm):
    chosen = finetune_settings(
        epochs=1, learning_rates=[0.01], weight_decays=[0.01], oracle=True, adapt_norm=adapt_norm
    )
    fitted = fit_modalities(job(settings), data, fresh_networks(job(settings)), chosen)
    teachers = {"eeg": "eye", "eye": "eeg"}
    networks = exchanged(fitted, teachers, data.parts["train"] if adapt_norm else None)
    for name, teacher in teachers.items():
        windows = data.parts["test"].having([name], "emotion")
        expected = reached(networks[name], windows, name)
        assert fitted[teacher].oracle_across == {name: {"emotion": pytest.approx(expected)}}


def test_it_is_the_best_of_all_epochs_and_changes_nothing_else(settings, data):
    chosen = finetune_settings(epochs=6, learning_rates=[0.01], weight_decays=[0.01], oracle=True)
    networks = fresh_networks(job(settings))
    scores = iter([0.2, 0.7, 0.4, 0.1, 0.7, 0.3])

    class Other:
        def scores(self, _heads):
            return {"emotion": next(scores)}

    with_it = finetune(networks["eye"], data.parts, "eye", chosen, 0, others={"eeg": Other(), "eye": None})
    assert with_it.oracle_across == {"eeg": {"emotion": 0.7}}
    assert next(scores, None) is None  # one for each epoch
    without = finetune(fresh_networks(job(settings))["eye"], data.parts, "eye", chosen, 0)
    for name, value in without.network.state_dict().items():
        assert torch.equal(value, with_it.network.state_dict()[name])


def test_nobody_else_is_judged_where_labels_change_encoders_or_no_oracle_is_asked_for(settings, data):
    networks = fresh_networks(job(settings))
    for changes in ({"oracle": False}, {"freeze": False}, {"frozen_dropout": True}):
        assert others_of(networks, data.parts, finetune_settings(**{"oracle": True} | changes)) == {}
    lonely = {**data.parts, "test": data.parts["test"].take(np.zeros(len(data.parts["test"]), bool))}
    assert others_of(networks, lonely, finetune_settings(oracle=True)) == {}
