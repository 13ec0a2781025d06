"""The linear network, and a linear map beside an M2S network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bci_m2s.errors import ContractError
from bci_m2s.networks import build_network
from bci_m2s.networks.direct import added

SMALL = {"depth": 1, "heads": 2, "ffn": 8, "embedding": 8, "projection": 6, "hidden": 7}
HEADS = {"emotion": 3, "load": 2}


def build(name, params=None):
    torch.manual_seed(1)
    return build_network(name, params or {}, n_features=8, n_channels=4, heads=HEADS).eval()


def close(one, other):
    np.testing.assert_allclose(one.detach(), other.detach(), rtol=1.3e-6, atol=1e-5)


def test_linear_is_a_linear_map_of_the_mean_over_steps():
    network, x = build("linear"), torch.randn(5, 3, 8)
    out = network.heads["load"].out
    close(network(x)["load"], x.mean(dim=1) @ out.weight.T + out.bias)
    assert network.embed(x).shape == (5, 3, 8)
    assert network.project(x).shape == (5, 8)


def test_linear_heads_need_names_that_torch_leaves_free():
    with pytest.raises(ContractError, match="got 'keys'"):
        build_network("linear", {}, n_features=8, n_channels=4, heads={"keys": 2})


@pytest.mark.parametrize("name", ["m2s-electrode", "m2s-sequence"])
def test_a_linear_map_beside_a_network_begins_as_nothing_and_is_added(name):
    plain, beside, x = build(name, SMALL), build(f"{name}-linear", SMALL), torch.randn(5, 3, 8)
    beside.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(plain(x)["emotion"], beside(x)["emotion"])
    weight, bias = torch.randn(3, 8), torch.randn(3)
    added(beside.direct["emotion"], 1.0, weight, bias)
    close(beside(x)["emotion"], plain(x)["emotion"] + x.mean(dim=1) @ weight.T + bias)
    assert torch.equal(plain(x)["load"], beside(x)["load"])
