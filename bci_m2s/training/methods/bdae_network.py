"""The bimodal deep autoencoder: three restricted Boltzmann machines (RBMs), unrolled and trained together.

Sources: as in ``bdae``. Rates and batches are those of the authors' later released code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.methods import NotPossible
from bci_m2s.training.methods.own_networks import Rows, in_parts, rows_of, train
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch

HIDDEN = 100  # units of every RBM; ours, within the grid of the released code
RBM_RATE, RBM_BATCH, RBM_EPOCHS = 0.1, 100, 20  # released
EPOCHS = 200  # of the unrolled network; ours, within the grid of the released code
BATCH = 100  # windows
RATE, DECAY, EPS = 1e-3, 0.9, 1e-7  # of RMSprop, Keras's defaults as released


@dataclass(frozen=True)
class Scale:
    """Least and greatest value (F,) of each feature over the training rows."""

    least: Tensor
    greatest: Tensor

    @staticmethod
    def of(steps: Tensor) -> Scale:
        """steps : (n, F), of training"""
        return Scale(steps.amin(dim=0), steps.amax(dim=0))

    def __call__(self, rows: Tensor) -> Tensor:
        """From 0 to 1; what lies outside the training rows' range at its end."""
        extent = (self.greatest - self.least).clamp(min=SMALLEST_STD)
        return ((rows - self.least) / extent).clamp(0, 1)


def fit_rbm(rows: Tensor, seed: int, hidden: int = HIDDEN) -> BernoulliRBM:
    """An RBM of rows (n, F) from 0 to 1, by persistent contrastive divergence."""
    rbm = BernoulliRBM(
        n_components=hidden,
        learning_rate=RBM_RATE,
        batch_size=RBM_BATCH,
        n_iter=RBM_EPOCHS,
        random_state=seed,
    )
    return rbm.fit(rows.numpy())


def _linear(weight: object, bias: object) -> nn.Linear:
    """A layer that begins with this weight (out, in) and bias (out,)."""
    weight, bias = np.asarray(weight), np.asarray(bias)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


class Bdae(nn.Module):
    """Three RBMs, unrolled: a decoder that begins as the transposed encoder, and is its own afterwards.

    rbms : of the two signals, and of their hidden units side by side
    """

    def __init__(self, rbms: Sequence[BernoulliRBM]) -> None:
        super().__init__()
        *signals, joint = rbms
        self.encoders = nn.ModuleList(_linear(one.components_, one.intercept_hidden_) for one in signals)
        self.decoders = nn.ModuleList(_linear(one.components_.T, one.intercept_visible_) for one in signals)
        self.joint = _linear(joint.components_, joint.intercept_hidden_)
        self.apart = _linear(joint.components_.T, joint.intercept_visible_)
        self.usual: Tensor
        self.register_buffer("usual", torch.full((2, len(signals[0].components_)), 0.5))

    def hidden(self, signal: int, rows: Tensor) -> Tensor:
        """Hidden units (B, h) of one signal's rows (B, F) from 0 to 1."""
        return torch.sigmoid(self.encoders[signal](rows))

    def feature(self, rows: Mapping[int, Tensor]) -> Tensor:
        """The middle layer, (B, h). rows : signal → (B, F); a missing one's hidden units are as usual."""
        n = len(next(iter(rows.values())))
        parts = [
            self.hidden(signal, rows[signal]) if signal in rows else self.usual[signal].expand(n, -1)
            for signal in range(2)
        ]
        return torch.sigmoid(self.joint(torch.cat(parts, dim=1)))

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Both signals' rows, given back."""
        parts = torch.sigmoid(self.apart(self.feature({0: one, 1: other}))).chunk(2, dim=1)
        a, b = (torch.sigmoid(net(part)) for net, part in zip(self.decoders, parts, strict=True))
        return a, b


def stacked(one: Tensor, other: Tensor, seed: int) -> Bdae:
    """RBMs of both signals' rows (n, F) and of their hidden units, unrolled; not yet trained together."""
    below = [fit_rbm(rows, seed + number) for number, rows in enumerate((one, other))]
    hidden = [rbm.transform(rows.numpy()) for rbm, rows in zip(below, (one, other), strict=True)]
    joint = fit_rbm(torch.from_numpy(np.concatenate(hidden, axis=1)), seed + 2)
    return Bdae([*below, joint])


@dataclass(frozen=True)
class Trained:
    """A trained network and the scales of its inputs, by signal."""

    network: Bdae
    scales: tuple[Scale, Scale]
    pair: tuple[str, ...]

    def steps(self, rows: Rows) -> dict[int, Tensor]:
        """signal → its steps (n·T, F) from 0 to 1, of the signals that the rows have."""
        return {
            number: self.scales[number](rows.features[name].flatten(0, 1)).double()
            for number, name in enumerate(self.pair)
            if name in rows.features
        }

    def feature(self, rows: Rows) -> Tensor:
        """Of every step, (n·T, h)."""
        steps = self.steps(rows)

        def of_parts(*parts: Tensor) -> Tensor:
            return self.network.feature(dict(zip(steps, parts, strict=True)))

        return in_parts(of_parts, *steps.values())


def train_bdae(job: Job, data: UnitData) -> Trained:
    """On the training windows that have both signals.

    Raises
    ------
    NotPossible
        Fewer than two such windows.
    """
    pairs = rows_of(data.parts["train"], job.pair)
    if len(pairs) < 2:
        raise NotPossible(f"fewer than two training windows have {' and '.join(job.pair)}")
    steps = [pairs.features[name] for name in job.pair]
    a, b = (Scale.of(one.flatten(0, 1)) for one in steps)
    windows = [scale(one) for scale, one in zip((a, b), steps, strict=True)]
    seed = named_seed(job.seed, "bdae")
    seed_torch(seed)
    one, other = (rows.flatten(0, 1) for rows in windows)
    network = stacked(one, other, seed)
    _unroll(job, network, windows)
    network.eval().double()
    return Trained(network, (a, b), job.pair)  # what is small in a feature counts, too


def _unroll(job: Job, network: Bdae, windows: Sequence[Tensor]) -> None:
    """Train all layers together. windows : (n, T, F) of each signal, from 0 to 1"""

    def loss(chosen: Tensor) -> Tensor:
        shown = [one[chosen].flatten(0, 1) for one in windows]
        pairs = zip(network(*shown), shown, strict=True)
        return torch.stack([functional.mse_loss(given, wanted) for given, wanted in pairs]).sum()

    train(
        network,
        [torch.optim.RMSprop(network.parameters(), lr=RATE, alpha=DECAY, eps=EPS)],
        loss,
        len(windows[0]),
        epochs=EPOCHS,
        batch=BATCH,
        seed=job.seed,
    )
    with torch.no_grad():
        means = [
            network.hidden(number, rows.flatten(0, 1)).mean(dim=0) for number, rows in enumerate(windows)
        ]
        network.usual.copy_(torch.stack(means))
