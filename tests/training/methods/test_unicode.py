"""UniCode: how its codebook follows two signals, its losses, and whom it judges."""

import copy
import logging
import math
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods import METHODS, NotPossible, unicode
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.codebook import (
    DECAY,
    JITTER,
    PATIENCE,
    SMOOTHING,
    Codebook,
    commitment,
    matching_loss,
    perplexity,
)
from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.methods.unicode import CLIP, ClippedAdam, pretrained, with_m2s
from bci_m2s.training.methods.unicode_network import UniCode


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(people=6, per_session=4, steps=8))


def book(size=6, width=4):
    torch.manual_seed(0)
    return Codebook(size, width), torch.randn(5, 3, width)


def ordinary_step(counts, sums, chosen, embedded):
    """One step of a codebook of one signal, written out."""
    counts, sums = counts.clone(), sums.clone()
    for code in range(len(counts)):
        there = embedded[chosen == code]
        counts[code] = DECAY * counts[code] + (1 - DECAY) * len(there)
        sums[code] = DECAY * sums[code] + (1 - DECAY) * there.sum(dim=0)
    total = counts.sum()
    counts = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
    return counts, sums


def test_signals_that_are_alike_move_the_codes_as_two_ordinary_steps_would():
    codebook, embedded = book()
    chosen = codebook.nearest(embedded)
    counts, sums = codebook.counts, codebook.sums
    for _ in range(2):
        codebook.follow(chosen, embedded, embedded)
        counts, sums = ordinary_step(counts, sums, chosen, embedded)
    torch.testing.assert_close(codebook.counts, counts)
    torch.testing.assert_close(codebook.sums, sums)
    torch.testing.assert_close(codebook.codes, sums / counts[:, None])


def test_the_other_signal_moves_the_codes_half_as_much():
    codebook, embedded = book()
    other, _ = book()
    chosen, shift = codebook.nearest(embedded), torch.tensor([1.0, -2.0, 0.0, 3.0])
    codebook.follow(chosen, embedded, embedded)
    other.follow(chosen, embedded, embedded + shift)
    n = torch.bincount(chosen.flatten(), minlength=6)[:, None]
    torch.testing.assert_close(other.sums - codebook.sums, (1 - DECAY) * n * shift / 2)
    torch.testing.assert_close(other.counts, codebook.counts)


def test_codes_that_nobody_chose_stay_where_they_are():
    codebook, embedded = book()
    before = codebook.codes.clone()
    chosen = torch.zeros(5, 3, dtype=torch.int64)
    codebook.follow(chosen, embedded, embedded)
    torch.testing.assert_close(codebook.codes[1:], before[1:], rtol=1e-3, atol=1e-6)
    assert not torch.equal(codebook.codes[0], before[0])


def test_codes_have_no_gradient_and_embeddings_have_that_of_what_follows():
    codebook, embedded = book()
    embedded.requires_grad_()
    coded = codebook.straight_through(embedded, codebook.nearest(embedded))
    torch.testing.assert_close(coded, codebook.codes[codebook.nearest(embedded)])
    (3 * coded).sum().backward()
    assert torch.equal(embedded.grad, torch.full_like(embedded, 3))
    matching_loss(codebook.shares(embedded), codebook.shares(embedded)).backward()
    assert codebook.codes.grad is None
    assert not list(codebook.parameters())


def test_a_code_that_neither_signal_chose_for_long_becomes_like_one_that_was():
    codebook, _ = book()
    before = codebook.codes.clone()
    a, b = torch.tensor([[2, 2]]), torch.tensor([[4, 2]])
    for _ in range(PATIENCE):
        codebook.replace_unchosen(a, b)
    assert torch.equal(codebook.codes, before)
    codebook.replace_unchosen(a, b)
    kept = [2, 4]
    assert torch.equal(codebook.codes[kept], before[kept])
    for code in (0, 1, 3, 5):
        apart = (codebook.codes[code] - before[kept]).abs().amax(dim=1)
        assert apart.min() <= JITTER * 1.001
        torch.testing.assert_close(codebook.sums[code] / codebook.counts[code], codebook.codes[code])


def test_the_nearest_code_is_found_whatever_else_is_asked_with_it():
    codebook, _ = book(40, 8)
    embedded = torch.randn(64, 3, 8)
    expected = ((embedded[:, :, None] - codebook.codes) ** 2).sum(dim=3).argmin(dim=2)
    assert torch.equal(codebook.nearest(embedded), expected)
    assert torch.equal(codebook.distances(embedded)[:1], codebook.distances(embedded[:1]))


def test_commitment_is_twice_the_papers():
    embedded, own, other = torch.zeros(2, 3, 4), torch.ones(2, 3, 4), torch.full((2, 3, 4), 2.0)
    assert commitment(embedded, own, other, 0.25).item() == pytest.approx(2 * (0.25 * 1 + 0.125 * 4))


def test_windows_are_matched_by_their_shares_of_codes():
    shares = torch.softmax(20 * torch.eye(4), dim=1)
    assert matching_loss(shares, shares).item() < 1e-6
    assert matching_loss(shares, shares.roll(1, 0)).item() > 10
    alike = torch.full((4, 6), 1 / 6)
    assert matching_loss(alike, alike).item() == pytest.approx(math.log(4))
    a, b = torch.softmax(torch.randn(3, 5), 1).double(), torch.softmax(torch.randn(3, 5), 1).double()
    rows = [
        [sum(a[i, k] * b[j, k].log() + b[j, k] * a[i, k].log() for k in range(5)) for j in range(3)]
        for i in range(3)
    ]
    expected = [math.log(sum(math.exp(v) for v in row)) - float(row[i]) for i, row in enumerate(rows)]
    assert matching_loss(a, b).item() == pytest.approx(sum(expected) / 3)


def test_perplexity_counts_the_codes_in_use():
    assert perplexity(torch.zeros(3, 4, dtype=torch.int64)) == pytest.approx(1)
    assert perplexity(torch.arange(6).repeat(5)) == pytest.approx(6)


def test_gradients_are_limited_for_each_module():
    a, b = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    a.grad, b.grad = torch.tensor([30.0, 40.0]), torch.tensor([0.03, 0.04])
    ClippedAdam([{"params": [a]}, {"params": [b]}], lr=1e-3).step()
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.8]) * CLIP, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(b.grad, torch.tensor([0.03, 0.04]))
    assert (a < 0).all()


def test_the_bounds_own_fit_changes_nothing_else(settings, data):
    torch.manual_seed(0)
    networks = fresh_networks(job(settings))
    model = UniCode([networks[name] for name in PAIR], [8, 5]).eval()
    windows = [torch.from_numpy(data.parts["train"].features[name]) for name in PAIR]
    before = {key: one.clone() for key, one in model.state_dict().items()}
    sides = [part(one) for part, one in zip(model.sides, windows, strict=True)]
    coded = [model.codes(number, one) for number, one in enumerate(windows)]
    bounds = [one for part in model.sides for one in part.club.parameters()]
    model.fit_bounds(sides, coded, Adam(bounds, lr=1e-2))
    changed = {key for key, one in model.state_dict().items() if not torch.equal(one, before[key])}
    assert changed
    assert all(".club." in key for key in changed)
    assert all(one.grad is None for key, one in model.named_parameters() if ".club." not in key)


def test_the_loss_is_the_sum_of_its_terms_and_half_of_the_matching(settings, data, monkeypatch):
    networks = fresh_networks(job(settings))
    model = UniCode([networks[name] for name in PAIR], [8, 5])
    for name, value in (("terms", 1.0), ("prediction", 2.0), ("agreement", 10.0)):
        monkeypatch.setattr(model, name, lambda *_, value=value: torch.tensor(value))
    windows = [torch.from_numpy(data.parts["train"].features[name]) for name in PAIR]
    bounds = [one for part in model.parts for one in part.club.parameters()]
    before = model.codebook.codes.clone()
    assert model(windows, Adam(bounds, lr=1e-3)).item() == 1 + 2 + 0.5 * 10
    assert not torch.equal(model.codebook.codes, before)


def test_m2m_cpc_is_added_to_the_loss_and_is_trained(settings, data):
    plain, begun, trained = (
        pretrained(job(settings, epochs=epochs, select="last"), data, partial(with_m2s, predicts=predicts))
        for epochs, predicts in ((0, False), (0, True), (1, True))
    )
    assert plain.added is None
    states = [model.state_dict() for model in (plain, begun, trained)]
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())
    extra = states[1].keys() - states[0].keys()
    assert {name.split(".")[0] for name in extra} == {"added"}
    assert not any(torch.equal(states[1][name], states[2][name]) for name in extra)

    windows = [torch.from_numpy(data.parts["train"].features[name]) for name in PAIR]
    losses = []
    for added in (None, Hundred()):
        model = copy.deepcopy(begun).eval()  # a batch moves the codebook
        model.added = added
        bounds = Adam([one for part in model.parts for one in part.club.parameters()], lr=1e-3)
        torch.manual_seed(0)
        losses.append(model(windows, bounds).item())
    assert losses[1] - losses[0] == pytest.approx(100, abs=1e-3)


class Hundred(torch.nn.Module):
    """A loss of both signals' embeddings."""

    def forward(self, a, b):
        assert a.shape == b.shape
        return torch.tensor(100.0)


def test_training_brings_the_codes_of_both_signals_together(settings, data, caplog, monkeypatch):
    monkeypatch.setattr(unicode, "RATE", 5e-3)  # for a corpus of two batches

    def loss(epochs):
        model = pretrained(job(settings, epochs=epochs, batch=16, select="last"), data)
        windows = [torch.from_numpy(data.parts["train"].features[name]) for name in PAIR]
        with torch.no_grad():
            return model.agreement(
                [part(one) for part, one in zip(model.sides, windows, strict=True)]
            ).item()

    with caplog.at_level(logging.INFO, logger=unicode._log.name):
        assert loss(25) < loss(0) - 0.1
    assert "codes in use" in caplog.text


def test_a_classifier_of_either_signals_codes_judges_both(settings, data):
    answers = METHODS["unicode"].learn(job(settings), data, finetune_settings(epochs=1))
    assert list(answers) == [((a,), (b,)) for a, b in product(PAIR, PAIR)]
    test = data.parts["test"]
    by_eeg, by_eye = (answers[(name,), ("eeg",)](test, "emotion") for name in PAIR)
    assert not np.array_equal(by_eeg, by_eye)


@pytest.mark.parametrize("name", ["unicode", "unicode-attention", "unicode-native"])
def test_a_signal_is_judged_without_the_other(settings, data, name):
    answers = METHODS[name].learn(job(settings, epochs=1), data, finetune_settings(epochs=1))
    test = data.parts["test"]
    for judged, other in (PAIR, PAIR[::-1]):
        dropped = replace(
            test,
            features={**test.features, other: np.full_like(test.features[other], np.nan)},
            present={**test.present, other: np.zeros(len(test), dtype=bool)},
        )
        for trained_on in PAIR:
            answer = answers[(trained_on,), (judged,)]
            np.testing.assert_array_equal(answer(dropped, "emotion"), answer(test, "emotion"))


def test_windows_of_one_step_are_refused():
    values = training_settings().model_dump(mode="json")
    values["contract"]["window"]["steps"] = 1
    contract = type(training_settings()).model_validate(values).contract
    with pytest.raises(NotPossible, match="windows have one"):
        METHODS["unicode"].takes(contract, PAIR)


def test_codes_that_the_first_batch_does_not_choose_grow_as_released_without_bound():
    torch.manual_seed(0)
    embedded = torch.randn(5, 3, 4)
    grown = {}
    for count in (0.0, 1.0):
        torch.manual_seed(1)
        codebook = Codebook(64, 4, count)
        before, chosen = codebook.codes.norm(dim=1), codebook.nearest(embedded)
        codebook.follow(chosen, embedded, embedded)
        unchosen = torch.ones(64, dtype=torch.bool)
        unchosen[chosen] = False
        grown[count] = (codebook.codes.norm(dim=1) / before)[unchosen].min().item()
    assert grown[0.0] > 1e4
    assert grown[1.0] == pytest.approx(1, abs=0.01)
