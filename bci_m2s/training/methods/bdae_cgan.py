"""BDAE-cGAN: a conditional GAN makes the features of both signals from one, so that a test needs one alone.

Source: Yan, Zhao, Lu, ACM Multimedia 2021, after the description there; no code was released. Certain are
the two stages: BDAE of both signals, then a fully connected generator with LeakyReLU from the features of
the eyes to those of BDAE, trained as a conditional GAN; at test, one signal, the generator and the
classifier. Ours: widths, 16 noise numbers (0 when judging), an L1 distance beside the verdict, rates and
epochs; a generator for either signal; what BDAE itself takes from ``bdae``.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional

from bci_m2s.training.methods import Method
from bci_m2s.training.methods.bdae_generator import Kind, learn_with
from bci_m2s.training.methods.own_networks import two_signals

NOISE = 16
NEARNESS = 10.0  # weight of the distance beside the discriminator's verdict


def distance(made: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference, weighted."""
    return NEARNESS * functional.l1_loss(made, real)


CONDITIONAL_GAN = Kind(noise=NOISE, adversarial=1.0, distance=distance)

BDAE_CGAN = Method(
    learn=partial(learn_with, CONDITIONAL_GAN),
    takes=two_signals,
    pretrained=False,
    approximate=True,
    passes=(),
)
