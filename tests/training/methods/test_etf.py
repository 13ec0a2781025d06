"""ETF: attention alone, and both signals or no answer."""

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, THREE, corpus, finetune_settings, job, training_settings, unit
from torch import nn

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.etf import Etf


def test_there_is_neither_convolution_nor_recurrence():
    kinds = {type(one) for one in Etf(4, (8, 5), 3).modules()}
    assert nn.MultiheadAttention in kinds
    assert not [kind for kind in kinds if issubclass(kind, (nn.RNNBase, nn.modules.conv._ConvNd))]


def test_both_signals_are_needed():
    network = Etf(4, (8, 5), 3).eval()
    a, b = torch.randn(2, 4, 8), torch.randn(2, 4, 5)
    logits = network(a, b)
    assert logits.shape == (2, 3)
    assert not torch.allclose(network(a + 1, b), logits)
    assert not torch.allclose(network(a, b + 1), logits)
    with pytest.raises(TypeError):
        network(a)


def test_each_signal_attends_to_the_other():
    """The half of the fused features that is of one signal changes with the other."""
    network = Etf(4, (8, 5), 3).eval()
    a, b = torch.randn(2, 4, 8), torch.randn(2, 4, 5)
    for half, changed in ((0, (a, b + 1)), (64, (a + 1, b))):
        with torch.no_grad():
            network.out.weight.zero_()
            network.out.weight[:, half : half + 64] = 1 + torch.arange(64)
        assert not torch.allclose(network(*changed), network(a, b))


def test_the_order_of_steps_counts():
    network = Etf(4, (8, 5), 3).eval()
    a, b = torch.randn(2, 4, 8), torch.randn(2, 4, 5)
    assert not torch.allclose(network(a.flip(1), b.flip(1)), network(a, b))


def test_it_answers_for_both_alone_and_is_approximate():
    settings = training_settings()
    data = unit(settings, corpus(people=6, per_session=4, steps=6))
    answers = METHODS["etf"].learn(job(settings), data, finetune_settings(epochs=1))
    assert list(answers) == [(PAIR, PAIR)]
    windows = data.parts["test"]
    windows.present["eye"][:3] = False
    assert len(answers[PAIR, PAIR](windows, "emotion")) == np.sum(windows.present["eye"])
    assert METHODS["etf"].approximate
    with pytest.raises(NotPossible, match="two signals"):
        METHODS["etf"].takes(settings.contract, tuple(THREE))
