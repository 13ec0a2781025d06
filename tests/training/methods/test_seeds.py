"""Seeding torch without what it keeps for devices that are not there."""

import pytest
import torch

from bci_m2s.training.methods.seeds import seed_torch


@pytest.mark.parametrize("seed", [0, 7, -3, 2**40])
def test_the_numbers_are_those_of_torchs_own_seed(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wanted = torch.rand(5)
        seed_torch(seed)
        assert torch.equal(torch.rand(5), wanted)
        assert torch.initial_seed() == torch.default_generator.initial_seed()
