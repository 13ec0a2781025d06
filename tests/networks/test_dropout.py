"""Dropout from few random numbers: the share dropped, the scale, seeds, gradients, and where it is off."""

from __future__ import annotations

import pytest
import torch

from bci_m2s.errors import ContractError
from bci_m2s.networks.dropout import Dropout, kept


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_p_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(3)
    n = 400_000
    out = Dropout(p)(torch.ones(n))
    share = (out == 0).double().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / n) ** 0.5 + 2**-17
    values = out.unique()
    assert len(values) == 2
    # What is divided by is the probability as rounded to 16 bits, so the mean is exact.
    assert values[1].item() == pytest.approx(1 / (1 - round(p * 2**16) / 2**16), rel=1e-6)


def test_each_of_the_four_parts_of_a_draw_is_used_alike() -> None:
    torch.manual_seed(4)
    dropped = (Dropout(0.25)(torch.ones(100_000, 4)) == 0).double()
    assert ((dropped.mean(dim=0) - 0.25).abs() < 0.007).all()  # 5 standard deviations
    together = torch.corrcoef(dropped.T) - torch.eye(4)
    assert together.abs().max() < 0.017


def test_all_levels_come_up_alike() -> None:
    """With a threshold at every sixteenth of the range, none is favoured: top bits are random too."""
    for level in range(1, 16):
        torch.manual_seed(level)
        share = (kept(torch.empty(200_000), level * 4096) == 0).double().mean().item()
        assert abs(share - level / 16) < 0.006


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (2, 0, 3)])
def test_any_shape_and_precision(shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        out = Dropout(0.3)(torch.ones(shape, dtype=dtype))
        assert out.shape == shape
        assert out.dtype == dtype


def test_same_seed_same_mask() -> None:
    x, layer = torch.ones(9, 9), Dropout(0.5)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_gradients_pass_where_values_do() -> None:
    torch.manual_seed(1)
    x = torch.randn(50, 4, requires_grad=True)
    out = Dropout(0.4)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad * x, out)
    assert (x.grad == 0).any()


def test_it_is_off_in_eval_mode_and_at_zero() -> None:
    x = torch.randn(6)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_other_probabilities_are_refused(p: float) -> None:
    with pytest.raises(ContractError, match="dropout"):
        Dropout(p)
