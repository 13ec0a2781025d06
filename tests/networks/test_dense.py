"""Dense layers for learning against torch's own, one operation after the other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bci_m2s.networks import dense
from bci_m2s.networks.dense import Linear, across, feed_forward, linear
from bci_m2s.networks.dropout import Dropout, kept
from bci_m2s.networks.m2s import FeedForward, SequenceLayer


def block(dropout: float, dtype: torch.dtype = torch.float64) -> FeedForward:
    torch.manual_seed(8)
    return FeedForward(
        nn.Linear(6, 40), nn.ReLU(), Dropout(dropout), nn.Linear(40, 6), Dropout(dropout)
    ).to(dtype)


def same(got: Tensor, expected: Tensor, wanted: list[Any]) -> None:
    """Values, and gradients of a random weighted sum."""
    torch.testing.assert_close(got, expected)
    weights = torch.randn(got.shape, dtype=got.dtype)
    gradients = [torch.autograd.grad((out * weights).sum(), wanted) for out in (got, expected)]
    for one, other in zip(*gradients, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_one_operation_equals_its_steps(dropout: float) -> None:
    """The same draws too: a run differs from one step by step in rounding alone."""
    module, x = block(dropout), torch.randn(3, 5, 6, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(2)
    got = module(x)
    torch.manual_seed(2)
    expected = nn.Sequential.forward(module, x)
    assert got.grad_fn.name() != expected.grad_fn.name() or dropout
    same(got, expected, [x, *module.parameters()])


def test_gradients_are_those_of_finite_differences() -> None:
    module, x = block(0.0), torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    first, second = module[0], module[3]

    def call(*inputs: Tensor) -> Tensor:
        return feed_forward(inputs[0], first, second, 0)

    assert torch.autograd.gradcheck(call, [x, *module.parameters()])


def test_only_wanted_gradients_are_made() -> None:
    module, x = block(0.3), torch.randn(4, 6, dtype=torch.float64)
    module[0].requires_grad_(False)
    module(x).sum().backward()
    assert module[0].weight.grad is None
    assert module[3].weight.grad is not None


@pytest.mark.parametrize("shape", [(6,), (4, 6), (0, 5, 6), (2, 3, 5, 6)])
def test_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    module, layer = block(0.0), Linear(6, 3).double()
    same(module(x), nn.Sequential.forward(module, x), [x, *module.parameters()])
    same(layer(x), nn.Linear.forward(layer, x), [x, *layer.parameters()])


def test_outside_of_training_it_is_torchs_to_the_bit() -> None:
    module, layer = block(0.4, torch.float32), Linear(300, 200)
    x, wide = torch.randn(70, 5, 6), torch.randn(70, 300)
    with torch.no_grad():
        assert torch.equal(layer(wide), nn.functional.linear(wide, layer.weight, layer.bias))
    module.eval(), layer.eval()
    assert torch.equal(module(x), nn.Sequential.forward(module, x))
    assert torch.equal(layer(wide), nn.functional.linear(wide, layer.weight, layer.bias))


@pytest.mark.parametrize("at_hand", [True, False])
def test_products_are_right_with_and_without_onednn(at_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if at_hand and not dense.has_onednn():
        pytest.skip("no oneDNN, or no AVX-512")
    monkeypatch.setattr(dense, "has_onednn", lambda: at_hand)
    x, weight, bias = torch.randn(300, 90), torch.randn(130, 90), torch.randn(130)
    torch.testing.assert_close(linear(x, weight, bias), x @ weight.T + bias, rtol=1e-4, atol=1e-4)
    got = linear(torch.randn(300, 130), weight.T)
    assert got.shape == (300, 90)
    wide = torch.randn(300, 260)
    for a, b in ((x, wide), (wide, x)):
        made = across(a, b)
        assert made.is_contiguous()
        torch.testing.assert_close(made, a.T @ b, rtol=1e-4, atol=1e-4)
    assert linear(x.double(), weight.double()).dtype == torch.float64


def test_onednn_gives_the_same_bits_every_time() -> None:
    x, weight, bias = torch.randn(300, 90), torch.randn(130, 90), torch.randn(130)
    first = linear(x, weight, bias)
    assert all(torch.equal(linear(x, weight, bias), first) for _ in range(20))


@pytest.mark.parametrize("causal", [False, True])
def test_a_transformer_layer_equals_torchs(causal: bool) -> None:
    torch.manual_seed(4)
    layer = SequenceLayer(16, 4, 32, 0.0).double()
    x = torch.randn(3, 5, 16, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    plain = copy.deepcopy(layer)
    for name in ("dropout", "dropout1", "dropout2"):
        setattr(plain, name, nn.Dropout(0.0))
    got, expected = (each(x, src_mask=mask, is_causal=causal) for each in (layer, plain))
    torch.testing.assert_close(got, expected)
    gradients = [
        torch.autograd.grad(out.square().sum(), [x, *each.parameters()])
        for out, each in ((got, layer), (expected, plain))
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_transformer_layer_takes_them_for_learning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch could rename the methods that are overridden: then it would only be slow, and this fails."""
    import bci_m2s.networks.m2s as m2s

    taken: list[str] = []
    for name in ("dense", "feed_forward"):
        real = getattr(m2s, name)

        def counting(*inputs: Any, name: str = name, real: Any = real) -> Tensor:
            taken.append(name)
            made: Tensor = real(*inputs)
            return made

        monkeypatch.setattr(m2s, name, counting)
    layer, x = SequenceLayer(16, 4, 32, 0.1), torch.randn(3, 5, 16)
    layer(x)
    assert taken == ["dense", "dense", "feed_forward"]
    with torch.no_grad():
        layer(x)
    layer.eval()(x)
    with torch.autocast("cpu", torch.bfloat16):
        layer.train()(x)
    assert len(taken) == 3


def test_masks_of_bf16_have_the_bits_of_float32() -> None:
    torch.manual_seed(1)
    exact = kept(torch.empty(4000), 30_000)
    torch.manual_seed(1)
    assert torch.equal(kept(torch.empty(4000, dtype=torch.bfloat16), 30_000), exact.bfloat16())
