"""The bimodal deep autoencoder: RBMs unrolled, trained, and read in the middle."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from support.small_pairs import PAIR, THREE, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods import METHODS, NotPossible, bdae_network
from bci_m2s.training.methods.bdae import window_features
from bci_m2s.training.methods.bdae_network import Bdae, Scale, fit_rbm, train_bdae


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return torch.rand(150, 6), torch.rand(150, 4)


@pytest.fixture
def rbms(rows):
    below = [fit_rbm(one, number, hidden=5) for number, one in enumerate(rows)]
    hidden = [rbm.transform(one.numpy()) for rbm, one in zip(below, rows, strict=True)]
    return [*below, fit_rbm(torch.from_numpy(np.concatenate(hidden, axis=1)), 2, hidden=5)]


def test_before_training_it_is_the_rbms_up_and_down_again(rows, rbms):
    network = Bdae(rbms)
    for number in range(2):
        torch.testing.assert_close(network.decoders[number].weight, network.encoders[number].weight.T)
    torch.testing.assert_close(network.apart.weight, network.joint.weight.T)
    up = [rbm.transform(one.numpy()) for rbm, one in zip(rbms[:2], rows, strict=True)]
    middle = rbms[2].transform(np.concatenate(up, axis=1))
    down = expit(middle @ rbms[2].components_ + rbms[2].intercept_visible_)
    wanted = [
        expit(down[:, :5] @ rbms[0].components_ + rbms[0].intercept_visible_),
        expit(down[:, 5:] @ rbms[1].components_ + rbms[1].intercept_visible_),
    ]
    with torch.no_grad():
        given = network(*rows)
        feature = network.feature(dict(enumerate(rows)))
    np.testing.assert_allclose(feature.numpy(), middle, atol=1e-5)
    for one, other in zip(given, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-5)


@pytest.fixture(scope="module")
def data():
    return unit(training_settings(), corpus())


@pytest.fixture(scope="module")
def trained(data):
    return train_bdae(job(training_settings()), data)


def test_afterwards_the_decoder_is_its_own_and_both_signals_are_given_back_better(data, trained):
    network, settings = trained.network, training_settings()
    for number in range(2):
        assert not torch.allclose(network.decoders[number].weight, network.encoders[number].weight.T)
    assert not torch.allclose(network.apart.weight, network.joint.weight.T)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bdae_network, "EPOCHS", 0)
        before = train_bdae(job(settings), data).network
    rows = bdae_network.rows_of(data.parts["test"], PAIR)
    steps = list(trained.steps(rows).values())
    with torch.no_grad():
        errors = [
            [
                float(((given - wanted) ** 2).mean())
                for given, wanted in zip(net(*steps), steps, strict=True)
            ]
            for net in (before, network)
        ]
    assert all(after < 0.8 * first for first, after in zip(*errors, strict=True))


def test_features_lie_between_0_and_1_and_are_the_mean_of_the_steps(data, trained):
    for names in (PAIR, PAIR[:1], PAIR[1:]):
        found = window_features(trained, data.parts["test"], names)
        assert found.shape == (len(data.parts["test"]), bdae_network.HIDDEN)
        assert 0 < found.min() < found.max() < 1
    steps = trained.feature(bdae_network.rows_of(data.parts["test"], PAIR)).numpy()
    np.testing.assert_allclose(
        window_features(trained, data.parts["test"], PAIR)[1], steps[4:8].mean(axis=0)
    )


def test_a_missing_signal_s_hidden_units_are_at_their_mean(data, trained):
    rows = bdae_network.rows_of(data.parts["train"], PAIR)
    steps, network = trained.steps(rows), trained.network
    with torch.no_grad():
        usual = network.hidden(1, steps[1]).mean(dim=0)
        torch.testing.assert_close(network.usual[1], usual, atol=1e-5, rtol=1e-4)
        both = torch.cat([network.hidden(0, steps[0]), usual.expand(len(steps[0]), -1)], dim=1)
        wanted = torch.sigmoid(network.joint(both))
    torch.testing.assert_close(network.feature({0: steps[0]}), wanted, atol=1e-5, rtol=1e-4)


def test_inputs_are_scaled_by_training_rows_alone():
    scale = Scale.of(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    given = scale(torch.tensor([[2.0, 5.0], [9.0, 5.0], [-9.0, 5.0]]))
    torch.testing.assert_close(given, torch.tensor([[0.5, 0.0], [1.0, 0.0], [0.0, 0.0]]))


def test_neither_labels_nor_test_windows_reach_the_network(data):
    settings = training_settings()
    without = {
        part: replace(windows, labels={"emotion": np.full(len(windows), -1)})
        for part, windows in data.parts.items()
    }
    far = without["test"]
    without["test"] = replace(far, features={name: one * 100 for name, one in far.features.items()})
    networks = [train_bdae(job(settings), one).network for one in (data, replace(data, parts=without))]
    for one, other in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_what_it_refuses(data):
    three = training_settings(names=tuple(THREE))
    with pytest.raises(NotPossible, match="it takes two signals, and there are eeg, eye, skin"):
        METHODS["bdae"].learn(job(three), unit(three, corpus(THREE)), finetune_settings())
    windows = data.parts["train"]
    apart = replace(windows, present={**windows.present, "eye": ~windows.present["eeg"]})
    with pytest.raises(NotPossible, match="fewer than two training windows have eeg and eye"):
        train_bdae(job(training_settings()), replace(data, parts={**data.parts, "train": apart}))
