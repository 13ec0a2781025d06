"""The parts that only pre-training uses, against the same sums written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bci_m2s.errors import ContractError
from bci_m2s.networks import build_network
from bci_m2s.networks.pretraining import (
    ClubEstimator,
    CrossModalPredictor,
    Decoder,
    InteractionEncoder,
    PairModel,
    club_parameters,
    main_parameters,
)

SMALL = {"depth": 2, "heads": 2, "ffn": 32, "dropout": 0.0, "embedding": 16, "projection": 8}
FEATURES = (20, 7)


def networks(**params: Any) -> tuple[Any, Any]:
    torch.manual_seed(3)
    a = build_network("m2s-electrode", SMALL, n_features=FEATURES[0], n_channels=4, heads={"emotion": 3})
    settings = SMALL | {"causal": True} | params
    b = build_network("m2s-sequence", settings, n_features=FEATURES[1], n_channels=1, heads={"emotion": 3})
    return a, b


def inputs(batch: int = 6, steps: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(8)
    x_a = torch.randn(batch, steps, FEATURES[0], generator=generator)
    return x_a, torch.randn(batch, steps, FEATURES[1], generator=generator)


def linear(layer: Any, x: Tensor) -> Tensor:
    """A linear layer on one vector, output by output."""
    rows = zip(layer.weight, layer.bias, strict=True)
    return torch.stack([(weights * x).sum() + bias for weights, bias in rows])


def lstm_written_out(lstm: Any, x: Tensor) -> Tensor:
    """Last output of an LSTM on one sequence (t, E), by the gates' equations."""
    for layer in range(lstm.num_layers):
        w_x, w_h = getattr(lstm, f"weight_ih_l{layer}"), getattr(lstm, f"weight_hh_l{layer}")
        bias = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
        hidden = cell = torch.zeros(lstm.hidden_size)
        outputs = []
        for row in x:
            enter, forget, update, leave = (w_x @ row + w_h @ hidden + bias).chunk(4)
            cell = forget.sigmoid() * cell + enter.sigmoid() * update.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            outputs.append(hidden)
        x = torch.stack(outputs)
    return x[-1]


def test_interaction_encoder_is_linear_and_relu() -> None:
    torch.manual_seed(0)
    encoder, x = InteractionEncoder(7, 16), torch.randn(2, 3, 7)
    for b in range(2):
        for t in range(3):
            expected = linear(encoder.linear, x[b, t]).clamp(min=0)
            assert (encoder(x)[b, t] - expected).abs().max() < 1e-5


def test_decoder_joins_the_mapped_er_and_the_plain_ei() -> None:
    torch.manual_seed(0)
    decoder, er, ei = Decoder(7, 16), torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    out = decoder(er, ei)
    assert out.shape == (2, 3, 7)
    expected = linear(decoder.out, torch.cat([linear(decoder.er_linear, er[1, 2]), ei[1, 2]]))
    assert (out[1, 2] - expected).abs().max() < 1e-5


def test_club_estimator_keeps_its_log_variance_between_bounds() -> None:
    torch.manual_seed(0)
    estimator, z = ClubEstimator(16, 8), 50 * torch.randn(9, 4, 16)
    mean, logvar = estimator(z)
    assert mean.shape == logvar.shape == (9, 4, 16)
    assert logvar.abs().max() <= 1
    assert mean.abs().max() > 1


@pytest.mark.parametrize("step", [0, 2])
def test_predictor_equals_its_equations(step: int) -> None:
    torch.manual_seed(1)
    predictor = CrossModalPredictor(6, hidden=5, predictions=3)
    a, b = torch.randn(4, 6, 6, requires_grad=True), torch.randn(4, 6, 6, requires_grad=True)
    fast = predictor(a, b, step)
    assert fast[0].shape == fast[1].shape == (3, 4, 6)
    plain_a, plain_b = [], []
    for i in range(3):
        for row in range(4):
            own = lstm_written_out(predictor.lstm_a, a[row, : step + 1])
            other = lstm_written_out(predictor.lstm_b, b[row, : step + 1])
            plain_a.append(linear(predictor.heads_a[i], torch.cat([own, other])))
            plain_b.append(linear(predictor.heads_b[i], torch.cat([other, own])))
    plain = torch.stack(plain_a).view(3, 4, 6), torch.stack(plain_b).view(3, 4, 6)
    wanted = [a, b, *predictor.parameters()]
    weigh = torch.randn(2, 3, 4, 6)
    ours = torch.autograd.grad((torch.stack(fast) * weigh).sum(), wanted)
    theirs = torch.autograd.grad((torch.stack(plain) * weigh).sum(), wanted)
    for x, y in zip((*fast, *ours), (*plain, *theirs), strict=True):
        assert (x - y).abs().max() < 1e-4


@pytest.mark.parametrize(("causal", "changes"), [(True, False), (False, True)])
def test_the_context_sees_the_future_only_without_the_mask(causal: bool, changes: bool) -> None:
    model = PairModel(*networks(causal=causal), FEATURES, causal_only=causal)
    x_a, x_b = inputs()
    later_a, later_b = x_a.clone(), x_b.clone()
    later_a[:, 3:] += 5.0
    later_b[:, 3:] += 5.0
    before, after = model(x_a, x_b), model(later_a, later_b)
    first = torch.cat(model.predictor.contexts(before[0].er, before[1].er, 2))
    second = torch.cat(model.predictor.contexts(after[0].er, after[1].er, 2))
    assert bool((first - second).abs().max() > 1e-5) is changes
    third = torch.cat(model.predictor.contexts(after[0].er, after[1].er, 3))
    assert (third - torch.cat(model.predictor.contexts(before[0].er, before[1].er, 3))).abs().max() > 1e-5


def test_an_encoder_that_sees_the_future_is_refused() -> None:
    with pytest.raises(ContractError, match="second network: causal: got false"):
        PairModel(*networks(causal=False), FEATURES)


@pytest.mark.parametrize("width", ["embedding", "projection"])
def test_widths_must_agree(width: str) -> None:
    with pytest.raises(ContractError, match=f"{width}: got 4, expected {SMALL[width]}"):
        PairModel(*networks(**{width: 4}), FEATURES)


def test_the_networks_are_trained_in_place() -> None:
    a, b = networks()
    model = PairModel(a, b, FEATURES)
    x_a, x_b = inputs()
    before = a.embed(x_a)
    with torch.no_grad():
        for parameter in main_parameters(model):
            parameter.add_(0.1)
    assert (a.embed(x_a) - before).abs().max() > 1e-3
    assert torch.equal(a.embed(x_a), model(x_a, x_b)[0].er)
    assert torch.equal(b.embed(x_b), model(x_a, x_b)[1].er)


def test_main_and_club_parameters_part_the_model() -> None:
    model = PairModel(*networks(), FEATURES)
    main = {id(p) for p in main_parameters(model)}
    club = {id(p) for p in club_parameters(model)}
    assert not main & club
    assert main | club == {id(p) for p in model.parameters()}
    assert id(model.logit_scale) in main
    names = {name for name, p in model.named_parameters() if id(p) in club}
    assert names
    assert all(name.split(".")[1] == "club" for name in names)


def test_the_logit_scale_starts_at_its_temperature_and_can_be_limited() -> None:
    model = PairModel(*networks(), FEATURES)
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-5)
    model.limit_logit_scale(2.0)
    assert model.logit_scale.item() == 2.0
    model.limit_logit_scale(3.0)
    assert model.logit_scale.item() == 2.0
