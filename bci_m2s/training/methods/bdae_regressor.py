"""BDAE-regressor: the features of both signals by regression from one, so that a test needs one alone.

What Yan, Zhao, Lu (ACM Multimedia 2021) compare their BDAE-cGAN with, after the description there; no code
was released. Widths, rate and epochs are ours, those of ``bdae_cgan``; mean squared error, no noise.
"""

from __future__ import annotations

from functools import partial

from torch.nn import functional

from bci_m2s.training.methods import Method
from bci_m2s.training.methods.bdae_generator import Kind, learn_with
from bci_m2s.training.methods.own_networks import two_signals

REGRESSION = Kind(noise=0, adversarial=0.0, distance=functional.mse_loss)

BDAE_REGRESSOR = Method(
    learn=partial(learn_with, REGRESSION), takes=two_signals, pretrained=False, approximate=True, passes=()
)
