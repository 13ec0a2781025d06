"""Adam without torch's compiler: torch's steps, and nothing that takes seconds to import."""

import sys

import numpy as np
import pytest
import torch

from bci_m2s.training.methods.adam import Adam

BETAS, EPS = (0.9, 0.999), 1e-8


def trained(optimiser_class, steps=5):
    """Weights and moments of a small network after some steps, and after going on from a state."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.GELU(), torch.nn.Linear(5, 3))
    optimiser = optimiser_class(network.parameters(), lr=1e-2, weight_decay=0.1, fused=True)
    for _ in range(steps):
        optimiser.zero_grad()
        network(torch.randn(4, 7)).square().sum().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
    moments = [array for state in optimiser.state_dict()["state"].values() for array in state.values()]
    return [weight.detach() for weight in network.parameters()] + moments


def test_the_compiler_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # an import of it fails
    trained(Adam)


def test_steps_are_those_of_the_formula():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimiser = Adam([weight], lr=0.1, betas=BETAS, eps=EPS, weight_decay=0.01, fused=True)
    by_hand = weight.detach().clone()
    first, second = torch.zeros_like(by_hand), torch.zeros_like(by_hand)
    for number in range(1, 6):
        gradient = torch.tensor([0.3 * number, -1.0 / number], dtype=torch.float64)
        optimiser.zero_grad()
        assert weight.grad is None
        weight.grad = gradient.clone()
        optimiser.step()
        gradient += 0.01 * by_hand
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        by_hand -= (
            0.1 * (first / (1 - BETAS[0] ** number)) / ((second / (1 - BETAS[1] ** number)).sqrt() + EPS)
        )
        np.testing.assert_allclose(weight.detach(), by_hand, rtol=1e-12)


@pytest.mark.nightly  # two seconds, for the import
def test_bits_are_those_of_torch():
    assert all(map(torch.equal, trained(Adam), trained(torch.optim.Adam)))
