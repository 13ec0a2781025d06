"""UniCode's codes follow what cross-attention finds in the other signal."""

import math

import pytest
import torch
from support.small_pairs import PAIR, corpus, job, training_settings, unit

from bci_m2s.training.methods import METHODS
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.codebook import DECAY, SMOOTHING
from bci_m2s.training.methods.unicode import with_m2s
from bci_m2s.training.methods.unicode_attention import AttendingUniCode
from bci_m2s.training.methods.unicode_network import UniCode


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def windows(settings):
    data = unit(settings, corpus(people=6, per_session=4, steps=8))
    return [torch.from_numpy(data.parts["train"].features[name]) for name in PAIR]


def made(settings, kind=AttendingUniCode):
    return with_m2s(job(settings), kind=kind).eval()


def loss(model, windows):
    """Of one batch; the codebook follows it."""
    bounds = [one for part in model.parts for one in part.club.parameters()]
    torch.manual_seed(0)
    return model(windows, Adam(bounds, lr=1e-3))


def test_a_step_finds_the_weighted_mean_of_the_others_steps(settings):
    torch.manual_seed(0)
    own, other = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    found = made(settings).beside(own, other)
    for window in range(3):
        for step in range(4):
            products = [math.exp(float(own[window, step] @ one) / math.sqrt(8)) for one in other[window]]
            mean = sum(share * one for share, one in zip(products, other[window], strict=True))
            torch.testing.assert_close(found[window, step], mean / sum(products))


def test_a_step_that_is_like_none_finds_the_mean_and_one_that_is_like_one_finds_that(settings):
    model, other = made(settings), torch.eye(5, 8)[None]
    uniform = model.beside(torch.zeros(1, 5, 8), other)
    torch.testing.assert_close(uniform, other.mean(dim=1, keepdim=True).expand(1, 5, 8))
    later = model.beside(100 * other.roll(2, 1), other)
    torch.testing.assert_close(later, other.roll(2, 1))


def test_steps_that_are_all_alike_give_the_plain_one(settings, windows):
    still = [one[:, :1].expand_as(one).contiguous() for one in windows]
    models = made(settings, UniCode), made(settings)
    embedded = models[0].parts[1].encoder(still[1])
    torch.testing.assert_close(embedded, embedded[:, :1].expand_as(embedded))
    plain, attending = (loss(model, still) for model in models)
    torch.testing.assert_close(attending, plain)
    for name, value in models[0].codebook.state_dict().items():
        torch.testing.assert_close(models[1].codebook.state_dict()[name], value)

    moving = made(settings, UniCode), made(settings)
    for model in moving:
        loss(model, windows)
    assert not torch.allclose(moving[0].codebook.codes, moving[1].codebook.codes, rtol=1e-3)


def test_both_signals_move_the_codes_by_what_they_find_in_the_other(settings, windows):
    model = made(settings)
    counts, sums = model.codebook.counts, model.codebook.sums
    with torch.no_grad():
        sides = [part.encoder(one) for part, one in zip(model.parts, windows, strict=True)]
        chosen = [model.codebook.nearest(one) for one in sides]
    loss(model, windows)
    for number in range(2):
        own, other = sides[number], sides[1 - number]
        shares = torch.softmax(own @ other.transpose(1, 2) / math.sqrt(own.shape[2]), dim=2)
        both = (own + shares @ other) / 2
        picked = chosen[number][..., None] == torch.arange(len(counts))
        counts = DECAY * counts + (1 - DECAY) * picked.sum(dim=(0, 1))
        counts = (counts + SMOOTHING) / (counts.sum() + len(counts) * SMOOTHING) * counts.sum()
        sums = DECAY * sums + (1 - DECAY) * torch.einsum("btc,btw->cw", picked.float(), both)
    torch.testing.assert_close(model.codebook.counts, counts)
    torch.testing.assert_close(model.codebook.sums, sums)


def test_a_window_attends_to_no_other_window(settings):
    torch.manual_seed(0)
    own, other = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    changed = other.clone()
    changed[1] += 1
    model = made(settings)
    before, after = model.beside(own, other), model.beside(own, changed)
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_no_gradient_leads_through_the_codebook_and_nothing_more_is_learnt(settings, windows):
    model, plain = made(settings), made(settings, UniCode)
    own = torch.randn(2, 4, 8, requires_grad=True)
    assert not model.beside(own, own).requires_grad
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in model.state_dict().items())
    loss(model, windows).backward()
    assert model.codebook.codes.grad is None
    assert not model.codebook.codes.requires_grad
    losses = loss(made(settings), windows), loss(plain, windows)
    assert torch.equal(*losses)  # of the first batch, before which no codebook has moved


def test_it_is_marked_as_what_no_released_code_does():
    assert METHODS["unicode-attention"].approximate
    assert not METHODS["unicode-native"].approximate
