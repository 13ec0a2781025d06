"""VICReg against its definition, and per person."""

import pytest
import torch

from bci_m2s.training.methods.vicreg import centred, vicreg_loss


def test_it_is_the_sum_of_its_definition():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 12, 4, generator=generator, dtype=torch.float64)
    expected = ((a - a.mean(0)) - (b - b.mean(0))).square().mean()
    for z in (a, b):
        covariance = torch.cov(z.T)
        expected += torch.relu(1 - (covariance.diagonal() + 1e-4).sqrt()).mean()
        expected += (covariance - covariance.diagonal().diag()).square().sum() / 4 / 25
    assert vicreg_loss(a, b).item() == pytest.approx(expected.item())


def test_rows_are_centred_per_person():
    subjects = torch.tensor([7, 3, 7, 3, 3])
    rows = torch.arange(10.0).reshape(5, 2)
    own = centred(rows, subjects)
    for person in (3, 7):
        assert torch.allclose(own[subjects == person].mean(dim=0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(own[0] - own[2], rows[0] - rows[2])
    assert torch.equal(centred(rows), centred(rows, torch.zeros(5, dtype=torch.long)))


def test_embeddings_that_know_the_person_alone_earn_nothing():
    subjects = torch.arange(40) % 4
    who = torch.nn.functional.one_hot(subjects).double()
    assert vicreg_loss(5 * who, 5 * who, subjects).item() == pytest.approx(
        2 * (1 - 0.01)
    )  # no variance left
    moments = torch.randn(40, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert vicreg_loss(moments, moments, subjects) < 0.5
