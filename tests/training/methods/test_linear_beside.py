"""A linear map beside each classifier: of its own labels, left behind where it judges another modality."""

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.errors import ContractError
from bci_m2s.model.predictor import load_model
from bci_m2s.networks.direct import DirectModality, without_linear
from bci_m2s.training.methods.finetune import finetune, head_logits
from bci_m2s.training.methods.linear_beside import _loss, with_linear
from bci_m2s.training.methods.methods import fit_modalities
from bci_m2s.training.methods.model_files import CROSSED, OWN, crossings, exchanged, write_model
from bci_m2s.training.methods.pretrain import fresh_networks


@pytest.fixture(scope="module")
def trained():
    """Settings, windows, and the same classifiers without a linear map and with one."""
    plain = training_settings(finetune=finetune_settings(epochs=3).model_dump())
    data = unit(plain, corpus(people=8, per_session=4, steps=6))
    settings = training_settings(finetune=finetune_settings(epochs=3, linear=True).model_dump())
    networks = fresh_networks(job(plain))
    alone = {
        name: finetune(network, data.parts, name, plain.finetune, job(plain).seed)
        for name, network in networks.items()
    }
    made = fit_modalities(job(settings), data, fresh_networks(job(settings)), settings.finetune)
    return settings, data, alone, made


def test_it_is_added_to_the_classifiers_answer_and_lowers_the_validation_loss(trained):
    _, data, alone, made = trained
    validation = data.parts["validation"]
    for name in PAIR:
        network, features = made[name].network, validation.features[name]
        assert isinstance(network, DirectModality)
        layer = network.direct["emotion"]
        before, after = (head_logits(one[name].network, features)["emotion"] for one in (alone, made))
        beside = features.mean(axis=1) @ layer.weight.numpy().T + layer.bias.numpy()
        np.testing.assert_allclose(after, before + beside, atol=1e-4)
        truth = validation.labels["emotion"]
        assert _loss(after, truth) <= _loss(before, truth) + 1e-6
    assert any(made[name].network.direct["emotion"].weight.any() for name in PAIR)


def test_files_hold_it_and_crossed_classifiers_do_not(trained, tmp_path):
    settings, data, alone, made = trained
    features = {name: data.parts["test"].features[name] for name in PAIR}
    own, crossed = tmp_path / OWN, tmp_path / CROSSED
    contract = write_model(own, settings, made, data, {})
    assert [spec.network.name for spec in contract.modalities.values()] == [
        "m2s-electrode-linear",
        "m2s-sequence-linear",
    ]
    teachers = crossings(made)[CROSSED]
    contract = write_model(crossed, settings, made, data, {}, teachers=teachers)
    assert not any(spec.network.name.endswith("-linear") for spec in contract.modalities.values())
    without = exchanged(alone, teachers, data.parts["train"])
    for name in PAIR:
        live = load_model(own, "cpu", None).logits(name, features[name])
        expected = head_logits(made[name].network, features[name])["emotion"]
        np.testing.assert_allclose(live, expected, atol=1e-4)
        live = load_model(crossed, "cpu", None).logits(name, features[name])
        np.testing.assert_allclose(live, head_logits(without[name], features[name])["emotion"], atol=1e-4)
        assert without_linear(alone[name].network) is alone[name].network
        assert torch.equal(
            without_linear(made[name].network).heads["emotion"].out.weight,
            alone[name].network.heads["emotion"].out.weight,
        )


def test_without_validation_labels_it_is_nothing(trained):
    _, data, alone, _ = trained
    parts = {**data.parts, "validation": data.parts["validation"].take(np.zeros(0, dtype=int))}
    assert not with_linear(alone["eye"], parts, "eye").network.direct["emotion"].weight.any()


def test_it_is_refused_where_labels_train_the_encoders():
    with pytest.raises(
        ContractError, match=r"finetune.linear: got True, expected false with freeze: false"
    ):
        training_settings(finetune={"linear": True, "freeze": False})
