"""Features of both signals made from one: by regression, or by a conditional GAN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit
from torch.nn import functional

from bci_m2s.training.methods import METHODS, bdae_generator, svm
from bci_m2s.training.methods.bdae_cgan import CONDITIONAL_GAN
from bci_m2s.training.methods.bdae_generator import Generator, made_or_real, train_generator
from bci_m2s.training.methods.bdae_network import train_bdae
from bci_m2s.training.methods.bdae_regressor import REGRESSION

NAMES = ("bdae-regressor", "bdae-cgan")


@pytest.fixture(scope="module")
def data():
    return unit(training_settings(), corpus())


@pytest.fixture(scope="module")
def trained(data):
    return train_bdae(job(training_settings()), data)


@pytest.fixture
def quick(monkeypatch, trained):
    """The autoencoder is trained already, and generators only for a moment."""
    monkeypatch.setattr(bdae_generator, "train_bdae", lambda *_: trained)
    monkeypatch.setattr(bdae_generator, "EPOCHS", 3)


def curves():
    """Windows (40, 2, 3) and features (40, 2, 4) that follow from them."""
    torch.manual_seed(0)
    rows = torch.rand(40, 2, 3)
    return rows, torch.sigmoid(4 * rows @ torch.randn(3, 4) - 2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", NAMES)
def test_the_classifier_sees_real_features_of_both_signals_alone(monkeypatch, data, trained, name):
    seen = []
    fit = svm.fit_svm
    monkeypatch.setattr(svm, "fit_svm", lambda *rest: seen.append(rest[:2]) or fit(*rest))
    METHODS[name].learn(job(training_settings()), data, finetune_settings())
    real = made_or_real(trained, {})
    train = real(data.parts["train"].having(PAIR, "emotion"), PAIR)
    mean, std = train.mean(axis=0), train.std(axis=0)
    assert len(seen) == 1
    for given, part in zip(seen[0], ("train", "validation"), strict=True):
        wanted = (real(data.parts[part].having(PAIR, "emotion"), PAIR) - mean) / std
        np.testing.assert_allclose(given.features, wanted, atol=1e-6)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", NAMES)
def test_one_signal_is_judged_without_the_other(data, name):
    answers = METHODS[name].learn(job(training_settings()), data, finetune_settings())
    assert set(answers) == {(PAIR, ("eeg",)), (PAIR, ("eye",))}
    test = data.parts["test"]
    for judged, other in (PAIR, PAIR[::-1]):
        features = {**test.features, other: np.full_like(test.features[other], np.nan)}
        present = {**test.present, other: np.zeros(len(test), dtype=bool)}
        alone = replace(test, features=features, present=present)
        answer = answers[PAIR, (judged,)]
        np.testing.assert_array_equal(answer(test, "emotion"), answer(alone, "emotion"))
        moved = replace(test, features={**test.features, judged: test.features[judged] + 1})
        assert not np.array_equal(answer(test, "emotion"), answer(moved, "emotion"))


def test_without_adversary_and_noise_the_gan_is_the_regressor():
    rows, real = curves()
    bare = replace(CONDITIONAL_GAN, noise=0, adversarial=0.0, distance=functional.mse_loss)
    one, other = (train_generator(rows, real, kind, seed=1) for kind in (bare, REGRESSION))
    gan = train_generator(rows, real, replace(bare, adversarial=1.0), seed=1)
    with torch.no_grad():
        torch.testing.assert_close(one(rows[0]), other(rows[0]), rtol=0, atol=0)
        torch.testing.assert_close(one.train()(rows[0]), one.eval()(rows[0]), rtol=0, atol=0)
        assert not torch.allclose(gan(rows[0]), other(rows[0]), atol=1e-3)


def test_noise_counts_in_training_alone():
    torch.manual_seed(0)
    generator, rows = Generator(3, torch.full((4,), 0.3), noise=16), torch.rand(5, 3)
    assert not torch.equal(generator(rows), generator(rows))
    generator.eval()
    assert torch.equal(generator(rows), generator(rows))


def test_it_begins_about_the_usual_features():
    torch.manual_seed(0)
    usual = torch.tensor([0.02, 0.3, 0.9])
    with torch.no_grad():
        made = Generator(3, usual, noise=0)(torch.rand(50, 3)).mean(dim=0)
    torch.testing.assert_close(made, usual, atol=0.05, rtol=0.2)


@pytest.mark.parametrize("kind", [REGRESSION, CONDITIONAL_GAN], ids=NAMES)
def test_what_is_made_comes_near_to_what_is_real(monkeypatch, kind):
    monkeypatch.setattr(bdae_generator, "BATCH", 4)  # forty windows: as many steps as with a thousand
    rows, real = curves()
    generator = train_generator(rows, real, kind, seed=1)
    with torch.no_grad():
        made = generator(rows.flatten(0, 1)).unflatten(0, (40, 2))
    assert 0 < made.min() < made.max() < 1
    assert (made - real).abs().mean() < 0.4 * (real - real.mean(dim=(0, 1))).abs().mean()


def test_the_discriminator_learns_to_tell_and_doubts_what_it_has_found_out():
    torch.manual_seed(0)
    rows = torch.rand(60, 3)
    real, made = torch.rand(60, 4) * 0.3, 0.7 + torch.rand(60, 4) * 0.3
    adversary = bdae_generator._Adversary(3, 4)
    before = adversary.doubt(made, rows)
    for _ in range(200):
        adversary.learn(made, real, rows)
    with torch.no_grad():
        assert (adversary.network(real, rows) > 0).all()
        assert (adversary.network(made, rows) < 0).all()
    assert adversary.doubt(made, rows) > before > adversary.doubt(real, rows)


def test_tables_mark_them():
    assert all(METHODS[name].approximate for name in NAMES)
    assert not METHODS["bdae"].approximate
