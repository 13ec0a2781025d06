"""The pre-training losses against loops that follow their definitions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from support.small_pairs import RELEASED_LOSSES
from torch import Tensor

from bci_m2s.errors import ContractError
from bci_m2s.networks import build_network, sts
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.pretraining import ClubEstimator, PairModel, club_parameters, main_parameters
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.club import (
    club_bound,
    club_likelihood_loss,
    derangement,
    fit_club,
)
from bci_m2s.training.methods.loss_settings import LossSettings, LossWeights
from bci_m2s.training.methods.losses import (
    contrastive_loss,
    cpc_loss,
    draw_step,
    masked,
    pair_terms,
    same_trial,
    total_loss,
)

SMALL = {"depth": 2, "heads": 2, "ffn": 32, "dropout": 0.0, "embedding": 16, "projection": 8}
CHANNELS, BANDS, OTHER = 4, 5, 7
TRIALS = torch.tensor([0, 0, 1, 1, 2, 3])
UNMASKED = LossSettings(mask_same_trial=False)


def pair_model() -> Any:
    torch.manual_seed(2)
    a = build_network(
        "m2s-electrode", SMALL, n_features=CHANNELS * BANDS, n_channels=CHANNELS, heads={"emotion": 3}
    )
    b = build_network(
        "m2s-sequence", SMALL | {"causal": True}, n_features=OTHER, n_channels=1, heads={"emotion": 3}
    )
    assert isinstance(a, SingleModality)
    assert isinstance(b, SingleModality)
    return PairModel(a, b, (CHANNELS * BANDS, OTHER))


def random(*shape: int, seed: int = 4) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def batch() -> tuple[Tensor, Tensor]:
    return random(6, 5, CHANNELS * BANDS).detach(), random(6, 5, OTHER, seed=5).detach()


def assert_same(ours: Tensor, plain: Tensor, wanted: list[Any]) -> None:
    assert (ours - plain).abs().item() < 1e-4 * max(1.0, plain.abs().item())
    first = torch.autograd.grad(ours, wanted, retain_graph=True)
    for x, y in zip(first, torch.autograd.grad(plain, wanted), strict=True):
        assert (x - y).abs().max() < 1e-4
    assert any(x.abs().max() > 1e-4 for x in first)


def nce_loop(true: Tensor, guess: Tensor, excluded: Tensor, scale: Any = 1.0) -> Tensor:
    """InfoNCE row by row; true and guess (B, E)."""
    losses = []
    for i in range(len(true)):
        kept = [j for j in range(len(true)) if not excluded[i, j]]
        scores = torch.stack([scale * (true[i] * guess[j]).sum() for j in kept])
        losses.append(-torch.log_softmax(scores, dim=0)[kept.index(i)])
    return torch.stack(losses).mean()


def contrastive_loop(a: Tensor, b: Tensor, scale: Tensor, excluded: Tensor) -> Tensor:
    a, b = a / (a * a).sum(1, keepdim=True).sqrt(), b / (b * b).sum(1, keepdim=True).sqrt()
    return (nce_loop(a, b, excluded, scale.exp()) + nce_loop(b, a, excluded, scale.exp())) / 2


def cpc_loop(a: Tensor, b: Tensor, predicted: tuple[Tensor, Tensor], step: int, excluded: Tensor) -> Tensor:
    total = torch.zeros(())
    steps = len(predicted[0])
    for i in range(steps):
        from_a, from_b = predicted[0][i], predicted[1][i]
        next_a, next_b = a[:, step + 1 + i], b[:, step + 1 + i]
        total = total + nce_loop(next_b, from_a, excluded) + nce_loop(next_a, from_b, excluded)
        total = total + 0.1 * (nce_loop(next_a, from_a, excluded) + nce_loop(next_b, from_b, excluded))
    return total / steps


def club_loop(estimator: ClubEstimator, er: Tensor, ei: Tensor, shuffled: Tensor) -> Tensor:
    """Mean over windows and steps of log q(own target) − log q(another's target)."""
    values = []
    for i in range(er.shape[0]):
        for t in range(er.shape[1]):
            mean, logvar = estimator(er[i, t])
            q = torch.distributions.Normal(mean, (logvar / 2).exp())
            values.append(q.log_prob(ei[i, t]).sum() - q.log_prob(ei[shuffled[i], t]).sum())
    return torch.stack(values).mean()


@pytest.mark.parametrize("masked", [False, True])
def test_contrastive_equals_its_loop(masked: bool) -> None:
    a, b, scale = random(6, 8), random(6, 8, seed=9), torch.tensor(1.7, requires_grad=True)
    excluded = same_trial(TRIALS) if masked else None
    plain = contrastive_loop(a, b, scale, same_trial(TRIALS if masked else torch.arange(6)))
    assert_same(contrastive_loss(a, b, scale, excluded=excluded), plain, [a, b, scale])


def test_the_logit_scale_is_limited() -> None:
    a, b = random(6, 8), random(6, 8, seed=9)
    high, limit = torch.tensor(9.0), torch.tensor(math.log(100.0))
    assert contrastive_loss(a, b, high) == contrastive_loss(a, b, limit)
    free = contrastive_loss(a, b, high, max_logit_scale=math.inf)
    assert (free - contrastive_loss(a, b, limit)).abs() > 1


def test_a_projection_of_zeros_gives_finite_gradients() -> None:
    a, b = random(6, 8), random(6, 8, seed=9)
    with torch.no_grad():
        a[2] = 0.0
    loss = contrastive_loss(a, b, torch.tensor(2.0))
    loss.backward()
    assert loss.isfinite()
    assert a.grad is not None
    assert a.grad.isfinite().all()


def test_same_trial_marks_whole_trials_or_neighbours() -> None:
    trials, starts = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 3, 9, 3])
    expected = [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert same_trial(trials).int().tolist() == expected
    near = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert same_trial(trials, starts, 5).int().tolist() == near


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("step", [0, 2])
def test_cpc_equals_its_loop(step: int, masked: bool) -> None:
    a, b = random(6, 5, 8), random(6, 5, 8, seed=6)
    predicted = random(2, 6, 8, seed=7), random(2, 6, 8, seed=8)
    excluded = same_trial(TRIALS) if masked else None
    plain = cpc_loop(a, b, predicted, step, same_trial(TRIALS if masked else torch.arange(6)))
    assert_same(cpc_loss(a, b, predicted, step, excluded=excluded), plain, [a, b, *predicted])


def test_the_cpc_step_leaves_room_for_the_predictions() -> None:
    generator = torch.Generator().manual_seed(0)
    assert {draw_step(5, 2, generator) for _ in range(60)} == {0, 1, 2}
    assert {draw_step(5, 2, generator, 2) for _ in range(60)} == {1, 2}  # as released
    assert draw_step(3, 2, generator, 2) == 0  # a window that leaves no more
    with pytest.raises(ContractError, match="fewer than the window's 2 steps"):
        draw_step(2, 2)
    model = pair_model()
    a, b = model(*batch())
    for settings, steps in ((LossSettings(), {1, 2}), (LossSettings(cpc_min_context=1), {0, 1, 2})):
        seen = set()
        model.predictor.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.add(inputs[2]))
        for _ in range(12):
            pair_terms(model, a, b, settings, trials=TRIALS, generator=generator)
        assert seen == steps


@pytest.mark.parametrize("n", [2, 3, 7, 128])
def test_derangement_moves_every_element(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    for _ in range(50):
        shuffled = derangement(n, generator)
        assert torch.equal(shuffled.sort().values, torch.arange(n))
        assert not (shuffled == torch.arange(n)).any()


def test_derangement_takes_every_other_element_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([derangement(4, generator) for _ in range(3000)])
    counts = torch.bincount(drawn[:, 1], minlength=4)
    assert counts[1] == 0
    assert ((counts[[0, 2, 3]] - 1000).abs() < 120).all()  # 4.6 standard deviations


def test_club_equals_its_loop() -> None:
    torch.manual_seed(1)
    estimator, er, ei = ClubEstimator(8, 6), random(6, 5, 8), random(6, 5, 8, seed=6)
    shuffled = derangement(6, torch.Generator().manual_seed(0))
    plain = club_loop(estimator, er, ei, shuffled)
    assert_same(club_bound(estimator, er, ei, shuffled), plain, [er, ei, *estimator.mean.parameters()])
    assert club_bound(estimator, er, ei, torch.arange(6)) == 0


def test_the_released_club_squares_before_it_averages_over_time() -> None:
    """(squared deviations, mean over time) / exp(mean log variance), as the released estimator."""
    torch.manual_seed(1)
    estimator, er, ei = ClubEstimator(8, 6), random(6, 5, 8), random(6, 5, 8, seed=6)
    shuffled = derangement(6, torch.Generator().manual_seed(0))
    values = []
    for i in range(6):
        rows = [estimator(er[i, t]) for t in range(5)]
        logvar = sum(row[1] for row in rows) / 5
        own = sum((ei[i, t] - rows[t][0]) ** 2 for t in range(5)) / 5
        other = sum((ei[shuffled[i], t] - rows[t][0]) ** 2 for t in range(5)) / 5
        values.append(((other - own) / logvar.exp()).sum() / 2)
    ours = club_bound(estimator, er, ei, shuffled, per_step=False)
    assert_same(ours, torch.stack(values).mean(), [er, ei])
    assert (ours - club_bound(estimator, er, ei, shuffled)).abs() > 1e-3


def test_club_likelihood_is_the_gaussian_one_without_its_constant() -> None:
    torch.manual_seed(1)
    estimator, er, ei = ClubEstimator(8, 6), random(6, 5, 8), random(6, 5, 8, seed=6)
    mean, logvar = estimator(er)
    plain = -torch.distributions.Normal(mean, (logvar / 2).exp()).log_prob(ei).sum(-1).mean()
    plain = plain - 8 * math.log(2 * math.pi) / 2
    assert_same(club_likelihood_loss(estimator, er, ei), plain, [er, ei, *estimator.parameters()])


@pytest.mark.nightly
@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_club_bounds_a_known_information(correlation: float) -> None:
    """Two standard normal pairs: MI = −ln(1 − ρ²); with the exact q, CLUB is 2·ρ²/(1 − ρ²)."""
    torch.manual_seed(6)
    er = torch.randn(6000, 1, 2)
    ei = correlation * er + math.sqrt(1 - correlation**2) * torch.randn(6000, 1, 2)
    estimator = ClubEstimator(2, 16)
    optimiser = Adam(estimator.parameters(), lr=5e-3)
    for _ in range(200):
        optimiser.zero_grad()
        club_likelihood_loss(estimator, er[:2000], ei[:2000]).backward()
        optimiser.step()
    # On pairs that the fit has not seen, else what it learnt by heart is taken for information.
    estimate = club_bound(estimator, er[2000:], ei[2000:], derangement(4000)).item()
    exact = 2 * correlation**2 / (1 - correlation**2)
    assert abs(estimate - exact) < 0.2
    assert estimate > -math.log(1 - correlation**2) - 0.1


def test_fitting_club_changes_club_alone() -> None:
    model = pair_model()
    optimiser = Adam(club_parameters(model), lr=1e-3)
    a, b = model(*batch())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = fit_club(model, a, b, optimiser)
    assert all(fit_club(model, a, b, optimiser) < first for _ in range(3))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) is (".club." not in name), name
    assert all(parameter.grad is None for parameter in main_parameters(model))
    terms = pair_terms(model, a, b, UNMASKED, trials=TRIALS)  # the batch's graph is still there
    total_loss(terms, UNMASKED).backward()
    still = Adam(club_parameters(model), lr=0.0)
    wanted = list(model.a.club.parameters())
    plain = torch.autograd.grad(club_likelihood_loss(model.a.club, a.er.detach(), a.ei.detach()), wanted)
    fit_club(model, a, b, still, inner_steps=2)
    for parameter, expected in zip(wanted, plain, strict=True):  # not what the total loss left, nor a sum
        assert torch.equal(parameter.grad, expected)


OWNERS = {
    "contrastive": ("a.projection.", "b.projection.", "logit_scale"),
    "cpc": ("predictor.",),
    "reconstruction": ("a.decoder.", "b.decoder."),
    "club": ("a.club.mean.", "b.club.mean."),
}


@pytest.mark.parametrize("off", OWNERS)
def test_each_term_can_be_switched_off(off: str) -> None:
    """Without a term, exactly the weights that only it uses get no gradient."""
    model = pair_model()
    settings = dataclasses.replace(UNMASKED, club_floor=False)
    settings = dataclasses.replace(settings, weights=dataclasses.replace(LossWeights(), **{off: 0.0}))
    a, b = model(*batch())
    terms = pair_terms(model, a, b, settings, trials=TRIALS)
    assert {name.split("_")[0] for name in terms} == OWNERS.keys() - {off}
    total_loss(terms, settings).backward()
    for term, prefixes in OWNERS.items():
        for prefix in prefixes:
            grads = [p.grad for name, p in model.named_parameters() if name.startswith(prefix)]
            assert grads
            assert all((grad is None) is (term == off) for grad in grads), (term, prefix)


def test_weights_are_refused_below_zero_and_all_at_zero() -> None:
    with pytest.raises(ContractError, match="cpc: got -1"):
        LossWeights(cpc=-1)
    with pytest.raises(ContractError, match="club: got nan"):
        LossWeights(club=math.nan)
    none = LossSettings(LossWeights(0, 0, 0, 0), mask_same_trial=False)
    model = pair_model()
    a, b = model(*batch())
    with pytest.raises(ContractError, match="at least one weight"):
        total_loss(pair_terms(model, a, b, none, trials=TRIALS), none)


def test_the_floor_holds_back_a_negative_estimate_only() -> None:
    terms = {"contrastive": torch.tensor(2.0), "club_a": torch.tensor(-1.0), "club_b": torch.tensor(4.0)}
    assert total_loss(terms, LossSettings()).item() == pytest.approx(2 + 0.3 * 4)
    assert total_loss(terms, RELEASED_LOSSES).item() == pytest.approx(2 + 0.3 * 3)


def test_above_its_ceiling_an_estimate_keeps_its_gradient() -> None:
    """Cut off, it would have none where it is needed most."""
    for estimate, expected in ((5.0, 1.0), (20.0, 1.0), (80.0, 0.25)):
        value = torch.tensor(estimate, requires_grad=True)
        total_loss({"club_a": value}, LossSettings()).backward()
        assert value.grad is not None
        assert value.grad.item() == pytest.approx(0.3 * expected)
    below = total_loss({"club_a": torch.tensor(80.0)}, LossSettings()).item()
    assert below == pytest.approx(0.3 * 20)
    assert total_loss({"club_a": torch.tensor(80.0)}, RELEASED_LOSSES).item() == pytest.approx(0.3 * 80)


def test_the_mask_covers_the_windows_that_share_signal() -> None:
    trials, starts = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 3, 9, 3])
    near = same_trial(trials, starts, 5)
    assert torch.equal(masked(LossSettings(), trials, starts, 5), near)
    whole = LossSettings(mask_reach=None)
    assert torch.equal(masked(whole, trials, starts, 5), same_trial(trials))
    assert torch.equal(masked(LossSettings(mask_reach=7), trials, starts, 5), same_trial(trials, starts, 7))
    assert masked(UNMASKED, trials, starts, 5) is None


def test_masking_needs_the_trials() -> None:
    model = pair_model()
    a, b = model(*batch())
    masked = pair_terms(model, a, b, LossSettings(), trials=TRIALS, generator=torch.Generator())
    plain = pair_terms(model, a, b, UNMASKED, trials=TRIALS, generator=torch.Generator())
    for name, value in plain.items():
        assert (value > masked[name]) if name in ("contrastive", "cpc") else (value == masked[name]), name


def test_released_negatives_may_meet_themselves() -> None:
    """With a batch of two, half of all permutations leave both in place: the estimate is then 0."""
    model = pair_model()
    a, b = model(*(x[:2] for x in batch()))

    def zeros(settings: LossSettings) -> int:
        generator = torch.Generator().manual_seed(0)
        draws = [
            pair_terms(model, a, b, settings, trials=TRIALS, generator=generator)["club_a"]
            for _ in range(40)
        ]
        return sum(value.item() == 0.0 for value in draws)

    assert zeros(UNMASKED) == 0
    assert 8 < zeros(RELEASED_LOSSES) < 32


def encode_unfolded(encoder: Any, x: Tensor) -> Tensor:
    """The electrode encoder with queries, keys and values at their full width, step by step."""
    for layer in encoder.layers:
        sts = layer.attention
        rows = []
        for t in range(x.shape[1]):
            seen = [x[:, i].unflatten(-1, layer.tokens) for i in (t, max(t - 1, 0), 0)]
            q = sts.to_q(seen[0]).unflatten(-1, (sts.heads, -1))
            k = (sum(sts.to_k(tokens) for tokens in seen) / 3).unflatten(-1, (sts.heads, -1))
            v = (sum(sts.to_v(tokens) for tokens in seen) / 3).unflatten(-1, (sts.heads, -1))
            weights = (torch.einsum("bchd,bjhd->bhcj", q, k) / sts.head_width**0.5).softmax(-1)
            mixed = torch.einsum("bhcj,bjhd->bchd", weights, v).flatten(-2)
            rows.append(sts.to_out(mixed).flatten(-2))
        x = layer.norm1(x + torch.stack(rows, dim=1))
        x = layer.norm2(x + layer.ffn(x))
    return encoder.affine(x)


MIDDLING = {"heads": 4, "ffn": 128, "embedding": 32, "projection": 16}


def middling_model() -> tuple[Any, tuple[Tensor, Tensor]]:
    """16 channels and 160 steps: the electrodes' scores are made in several parts."""
    torch.manual_seed(3)
    params = SMALL | MIDDLING
    heads = {"emotion": 3}
    a: Any = build_network("m2s-electrode", params, n_features=80, n_channels=16, heads=heads)
    b: Any = build_network(
        "m2s-sequence", params | {"causal": True}, n_features=33, n_channels=1, heads=heads
    )
    return PairModel(a, b, (80, 33)), (random(32, 5, 80).detach(), random(32, 5, 33, seed=5).detach())


@pytest.mark.parametrize("masked", [False, True])
def test_the_whole_step_equals_the_plain_reference(masked: bool) -> None:
    model, inputs = pair_model(), batch()
    compare_whole_step(model, inputs, TRIALS, masked)


@pytest.mark.nightly
def test_the_whole_step_equals_the_plain_reference_at_a_middling_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 2**16)
    parts, in_parts = [], sts.learn_in_parts

    def counting(*inputs: Any) -> Tensor:
        parts.append(len(inputs[0]))
        return in_parts(*inputs)

    monkeypatch.setattr(sts, "learn_in_parts", counting)
    model, inputs = middling_model()
    compare_whole_step(model, inputs, torch.arange(32) // 2, masked=True)
    assert parts == [160, 160]  # 64 at a time, in each of two layers


def compare_whole_step(model: Any, inputs: tuple[Tensor, Tensor], trials: Tensor, masked: bool) -> None:
    """All four losses from the inputs on: the total and the gradient of every parameter."""
    x_a, x_b = inputs
    windows = len(x_a)
    settings = dataclasses.replace(LossSettings(club_floor=False), mask_same_trial=masked)
    generator = torch.Generator().manual_seed(12)
    a, b = model(x_a, x_b)
    terms = pair_terms(model, a, b, settings, trials=trials, generator=generator)
    total = total_loss(terms, settings)

    generator = torch.Generator().manual_seed(12)  # the same draws, in the order of the terms
    step = draw_step(5, 2, generator, 2)
    shuffled_a, shuffled_b = derangement(windows, generator), derangement(windows, generator)
    excluded = same_trial(trials if masked else torch.arange(windows))
    er_a, er_b = encode_unfolded(model.a.encoder, x_a), model.b.encoder(x_b)
    ei_a, ei_b = model.a.interaction.linear(x_a).relu(), model.b.interaction.linear(x_b).relu()
    projected = [
        parts.projection.linear(sum(er[:, t] for t in range(5)) / 5).relu()
        for parts, er in ((model.a, er_a), (model.b, er_b))
    ]
    plain = contrastive_loop(projected[0], projected[1], model.logit_scale, excluded)
    plain = plain + cpc_loop(er_a, er_b, model.predictor(er_a, er_b, step), step, excluded)
    for parts, x, er, ei, shuffled in (
        (model.a, x_a, er_a, ei_a, shuffled_a),
        (model.b, x_b, er_b, ei_b, shuffled_b),
    ):
        joined = torch.cat([parts.decoder.er_linear(er), ei], dim=-1)
        plain = plain + 0.1 * (parts.decoder.out(joined) - x).square().mean()
        plain = plain + 0.3 * club_loop(parts.club, er, ei, shuffled)
    assert_same(total, plain, list(model.parameters()))
