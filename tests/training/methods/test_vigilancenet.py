"""VigilanceNet as released: its size, its tokens, and what it refuses."""

import pytest
import torch
from support.small_pairs import corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.vigilancenet import VigilanceNet


def test_it_has_the_released_number_of_parameters():
    assert sum(one.numel() for one in VigilanceNet(17, 5, 36, 1).parameters()) == 169_495


@pytest.mark.parametrize(("features", "tokens"), [(36, 30), (33, 27), (31, 25)])
def test_a_token_for_each_band_and_for_each_place_of_the_convolutions(features, tokens):
    of_eeg, of_other = VigilanceNet(17, 5, features, 1).tokens(
        torch.randn(4, 17, 5), torch.randn(4, features)
    )
    assert of_eeg.shape == (4, 5, 80)
    assert of_other.shape == (4, tokens, 80)


def test_the_fused_head_needs_both_and_the_others_one():
    network = VigilanceNet(4, 2, 9, 3).eval()
    eeg, other = torch.randn(5, 4, 2), torch.randn(5, 9)
    a, b, c = network(eeg, other)
    a2, b2, c2 = network(eeg + 1, other)
    assert torch.equal(b, b2)
    assert not torch.equal(a, a2)
    assert not torch.equal(c, c2)
    a3, _, c3 = network(eeg, other + 1)
    assert torch.equal(a, a3)
    assert not torch.equal(c, c3)


def test_too_few_features_for_three_convolutions_are_refused():
    settings = training_settings()
    data = unit(settings, corpus())
    with pytest.raises(NotPossible, match="eye has 5 features, and it takes 7"):
        METHODS["vigilancenet"].learn(job(settings), data, finetune_settings())
