"""The readout: canonical correlations that share a frame, stored and used like any other layer."""

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.errors import ContractError, TrainingError
from bci_m2s.model.model_file import load_model_file
from bci_m2s.model.predictor import load_model
from bci_m2s.training.methods.canonical import canonical_maps, less_person
from bci_m2s.training.methods.finetune import head_logits, project
from bci_m2s.training.methods.methods import fit_modalities
from bci_m2s.training.methods.model_files import CROSSED, crossings, exchanged, write_model
from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.methods.readout import fit_readouts


@pytest.fixture(scope="module")
def fitted():
    settings = training_settings(finetune=finetune_settings(readout=3, epochs=6).model_dump())
    data = unit(settings, corpus(people=8, per_session=4, steps=6))
    return (
        settings,
        data,
        fit_modalities(job(settings), data, fresh_networks(job(settings)), settings.finetune),
    )


def test_the_maps_are_those_of_canonical_correlation():
    """One thing shared, correlated by 0.8 · 0.8 = 0.64 in columns of unit variance; the rest is noise."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=4000)
    a, b = rng.normal(size=(2, 4000, 5))
    a[:, 1] = 0.8 * shared + 0.6 * a[:, 1]
    b[:, 3] = 0.8 * shared + 0.6 * b[:, 3]
    (map_a, map_b), correlations = canonical_maps([a, b], 2, [0.01, 0.01])
    assert correlations[0] == pytest.approx(0.64, abs=0.03)
    assert correlations[1] < 0.1
    x, y = (a @ map_a)[:, 0], (b @ map_b)[:, 0]
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(0.64, abs=0.03)  # with one sign for both
    assert abs(map_a[:, 0]).argmax() == 1
    assert abs(map_b[:, 0]).argmax() == 3
    three = canonical_maps([a, b, b + 0.1 * rng.normal(size=b.shape)], 1, [0.01] * 3)[1]
    assert 0.6 < three[0] < 0.9  # the mean of 0.64, 0.64 and almost 1


def test_modalities_are_in_line_and_scaled_by_what_they_share(fitted):
    _, data, made = fitted
    train = data.parts["train"]
    rows = {name: project(made[name].network, train.features[name]) for name in PAIR}
    for name in PAIR:
        assert rows[name].shape == (len(train), 3)
        np.testing.assert_allclose(rows[name].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows["eeg"].std(axis=0), rows["eye"].std(axis=0), rtol=1e-3)
    assert np.corrcoef(rows["eeg"][:, 0], rows["eye"][:, 0])[0, 1] > 0.7
    assert rows["eeg"].std(axis=0)[0] == max(rows["eeg"].std(axis=0))


def test_who_it_is_has_no_say():
    """Each person at a place of their own, in both modalities: nothing of it is in the correlations."""
    rng = np.random.default_rng(0)
    sets, subjects = rng.normal(size=(2, 300, 4)), np.arange(300) % 6
    places = 10.0 * rng.normal(size=6)[subjects, None]
    found = [
        canonical_maps([less_person(rows, subjects) for rows in moved], 2, [0.01, 0.01])[1]
        for moved in (sets, sets + places)
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    assert canonical_maps(list(sets + places), 1, [0.01, 0.01])[1] > 0.9  # it would else be all there is


def test_the_file_has_it_and_crossed_classifiers_see_it(fitted, tmp_path):
    settings, data, made = fitted
    teachers = crossings(made)[CROSSED]
    path = tmp_path / CROSSED
    contract = write_model(path, settings, made, data, {}, teachers=teachers)
    assert [spec.network.params["readout"] for spec in contract.modalities.values()] == [3, 3]
    _, tensors = load_model_file(path)
    model, networks = load_model(path, "cpu", None), exchanged(made, teachers, data.parts["train"])
    test = data.parts["test"]
    for name in PAIR:
        assert tensors[f"{name}.network.readout.weight"].shape == (3, 6)
        expected = head_logits(networks[name], test.features[name])["emotion"]
        np.testing.assert_allclose(model.logits(name, test.features[name]), expected, atol=1e-5)
        assert torch.equal(networks[name].readout.weight, made[name].network.readout.weight)


def test_what_it_cannot_be_is_refused():
    for tuning in ({"freeze": False}, {"freeze": False, "method": "supervised"}):
        with pytest.raises(ContractError, match=r"finetune.readout: got 3, expected 0 with freeze: false"):
            training_settings(finetune={"readout": 3, **tuning})
    with pytest.raises(ContractError, match=r"finetune.readout: got 3, expected 0, since there is nothing"):
        training_settings(names=["eeg"], finetune={"readout": 3, "freeze": True})
    settings = training_settings()
    few = unit(settings, corpus(people=6, per_session=2, steps=4)).parts["train"]
    with pytest.raises(TrainingError, match=r"got \d windows with eeg and eye, expected more than the 50"):
        fit_readouts(fresh_networks(job(settings)), few, 50)
