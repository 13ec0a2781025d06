"""UniCode's released encoders: their sizes, the order within a layer, and what else has their width."""

import copy
import math

import pytest
import torch
from support.small_pairs import SIZES, job, training_settings

from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.unicode_native import encoder, native

FEATURES = 310  # 62 electrodes, five bands


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def model(settings):
    return native(job(settings))


@pytest.fixture(scope="module")
def untrained():
    """An encoder whose layers are no longer alike and whose norms do something."""
    torch.manual_seed(0)
    made = encoder(FEATURES).eval()
    with torch.no_grad():
        for one in made.parameters():
            one.add_(0.1 * torch.randn_like(one) / math.sqrt(one.shape[-1]))
    return made


def count(module):
    return sum(one.numel() for one in module.parameters())


def test_an_encoder_has_as_many_weights_as_by_hand():
    made = encoder(FEATURES)
    assert count(made.affine) == 310 * 256 + 256
    attention = 3 * (256 * 256 + 256) + 256 * 256 + 256
    forward = 256 * 1024 + 1024 + 1024 * 256 + 256
    layer = attention + forward + 2 * (256 + 256)
    assert layer == 789_760
    assert [count(one) for one in made.layers] == [layer, layer]
    assert count(made) == 1_659_136


def test_a_layer_drops_a_tenth_at_four_places_and_begins_like_the_other():
    made = encoder(FEATURES)
    for layer in made.layers:
        drops = (layer.dropout, layer.dropout1, layer.dropout2)
        assert [one.p for one in drops] == [0.1] * 3
        assert layer.self_attn.dropout == 0.1
        assert layer.self_attn.num_heads == 4
    first, second = (layer.state_dict() for layer in made.layers)
    assert all(torch.equal(first[name], second[name]) for name in first)
    parameters = [set(map(id, layer.parameters())) for layer in made.layers]
    assert not parameters[0] & parameters[1]  # and are trained apart


def attended(layer, x):
    """Attention of four heads of 64, written out."""
    weights, bias = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
    q, k, v = (x @ weights.T + bias).chunk(3, dim=-1)
    found = []
    for head in range(4):
        of = slice(64 * head, 64 * (head + 1))
        shares = torch.softmax(q[..., of] @ k[..., of].transpose(1, 2) / 8, dim=-1)
        found.append(shares @ v[..., of])
    return layer.self_attn.out_proj(torch.cat(found, dim=-1))


def test_a_layer_normalises_after_each_sum(untrained):
    windows = torch.randn(3, 5, FEATURES)
    x = untrained.affine(windows)
    for layer in untrained.layers:
        x = layer.norm1(x + attended(layer, x))
        x = layer.norm2(x + layer.linear2(torch.relu(layer.linear1(x))))
    torch.testing.assert_close(untrained(windows), x, rtol=1e-4, atol=1e-5)


def test_a_step_sees_the_whole_window_and_no_order(untrained):
    windows = torch.randn(2, 5, FEATURES)
    embedded = untrained(windows)
    assert embedded.shape == (2, 5, 256)
    later = windows.clone()
    later[:, -1] += 1
    assert (untrained(later)[:, 0] - embedded[:, 0]).abs().max() > 1e-3
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(untrained(windows[:, order]), embedded[:, order], rtol=1e-4, atol=1e-5)


def test_all_else_is_as_wide_as_released(model):
    assert model.codebook.codes.shape == (400, 256)
    assert 0.9 / 400 < model.codebook.codes.abs().max() <= 1 / 400
    for part, predictor, features in zip(model.sides, model.predictors, SIZES.values(), strict=True):
        assert part.interaction.linear.weight.shape == (256, features)
        assert part.interaction(torch.randn(4, 5, features)).min() == 0  # ReLU
        assert part.decoder.er_linear.weight.shape == (256, 256)
        assert part.decoder.out.weight.shape == (features, 512)
        shapes = [tuple(one.weight.shape) for one in part.club.mean if hasattr(one, "weight")]
        assert shapes == [(128, 256), (128, 128), (128, 128), (256, 128)]
        assert isinstance(part.club.logvar[-1], torch.nn.Tanh)
        assert (predictor.lstm.num_layers, predictor.lstm.hidden_size) == (2, 256)


def test_the_seed_alone_gives_the_weights(settings, model):
    torch.manual_seed(99)
    again, other = native(job(settings)).state_dict(), native(job(settings, seed=1)).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, again[name]), name
    assert not torch.equal(model.codebook.codes, other["codebook.codes"])
    assert not torch.equal(again["sides.0.encoder.affine.weight"], other["sides.0.encoder.affine.weight"])


def test_the_loss_trains_all_encoders_and_no_code(model):
    model = copy.deepcopy(model)
    torch.manual_seed(0)
    windows = [torch.randn(6, 4, n) for n in SIZES.values()]
    before = model.codebook.codes.clone()
    bounds = [one for part in model.parts for one in part.club.parameters()]
    model(windows, Adam(bounds, lr=1e-3)).backward()
    assert model.codebook.codes.grad is None
    assert not model.codebook.codes.requires_grad
    assert not torch.equal(model.codebook.codes, before)
    for part in model.parts:
        for one in (*part.encoder.parameters(), *part.interaction.parameters()):
            assert one.grad is not None
            assert one.grad.abs().sum() > 0
