"""What BDAE-regressor and BDAE-cGAN share: a network that makes the features of both signals from one.

Sources and choices: in ``bdae_cgan``. A support vector machine sees features of both signals, with labels;
the features that it judges are made from one signal, and the other is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.bdae import window_features
from bci_m2s.training.methods.bdae_network import Trained, train_bdae
from bci_m2s.training.methods.own_networks import in_parts, rows_of, train, two_signals
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.methods.svm import Features, standardised, svm_answers
from bci_m2s.types import FloatArray

WIDTH, JUDGE = 128, (128, 64)  # of the generator's and the discriminator's layers
SLOPE = 0.2  # of LeakyReLU
RATE, BETAS = 2e-4, (0.5, 0.999)  # of Adam, for both
EPOCHS, BATCH = 200, 100  # passes; windows


@dataclass(frozen=True)
class Kind:
    """How a generator is trained.

    noise : random numbers beside its input; adversarial : weight of the discriminator's verdict, 0 for no
        discriminator; distance : (made, real) → loss
    """

    noise: int
    adversarial: float
    distance: Callable[[Tensor, Tensor], Tensor]


class Generator(nn.Module):
    """Rows (B, F) of one signal to features (B, h) from 0 to 1.

    inputs : F; usual : (h,), features about which it begins; noise : random numbers beside a row
    """

    def __init__(self, inputs: int, usual: Tensor, noise: int) -> None:
        super().__init__()
        self.noise = noise
        last = nn.Linear(WIDTH, len(usual))
        self.layers = nn.Sequential(
            nn.Linear(inputs + noise, WIDTH),
            nn.LeakyReLU(SLOPE),
            nn.Linear(WIDTH, WIDTH),
            nn.LeakyReLU(SLOPE),
            last,
            nn.Sigmoid(),
        )
        with torch.no_grad():
            last.bias.copy_(torch.logit(usual, eps=1e-6))

    def forward(self, rows: Tensor) -> Tensor:
        """With random noise in training, and none of it afterwards."""
        noise = torch.randn if self.training else torch.zeros
        made: Tensor = self.layers(torch.cat([rows, noise(len(rows), self.noise, dtype=rows.dtype)], dim=1))
        return made


class Discriminator(nn.Module):
    """Logit (B,) that features are real, given the row of the signal that they belong to."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features + inputs, JUDGE[0]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(JUDGE[0], JUDGE[1]),
            nn.LeakyReLU(SLOPE),
            nn.Linear(JUDGE[1], 1),
        )

    def forward(self, features: Tensor, rows: Tensor) -> Tensor:
        logits: Tensor = self.layers(torch.cat([features, rows], dim=1))
        return logits[:, 0]


def train_generator(rows: Tensor, real: Tensor, kind: Kind, seed: int) -> Generator:
    """rows : (n, T, F) of one signal, from 0 to 1; real : (n, T, h), features of both signals"""
    seed_torch(seed)
    generator = Generator(rows.shape[2], real.mean(dim=(0, 1)), kind.noise)
    adversary = _Adversary(rows.shape[2], real.shape[2]) if kind.adversarial else None

    def loss(chosen: Tensor) -> Tensor:
        given, wanted = (one[chosen].flatten(0, 1) for one in (rows, real))
        made = generator(given)
        total = kind.distance(made, wanted)
        if adversary is not None:
            adversary.learn(made.detach(), wanted, given)
            total = total + kind.adversarial * adversary.doubt(made, given)
        return total

    train(
        generator,
        [Adam(generator.parameters(), lr=RATE, betas=BETAS)],
        loss,
        len(rows),
        epochs=EPOCHS,
        batch=BATCH,
        seed=seed,
    )
    return generator.eval()


class _Adversary:
    def __init__(self, inputs: int, features: int) -> None:
        self.network = Discriminator(inputs, features)
        self.optimiser = Adam(self.network.parameters(), lr=RATE, betas=BETAS)

    def learn(self, made: Tensor, real: Tensor, rows: Tensor) -> None:
        """A step towards telling made features from real ones."""
        self.optimiser.zero_grad()
        (_verdict(self.network(real, rows), True) + _verdict(self.network(made, rows), False)).backward()
        self.optimiser.step()

    def doubt(self, made: Tensor, rows: Tensor) -> Tensor:
        """Low where made features pass for real."""
        return _verdict(self.network(made, rows), True)


def _verdict(logits: Tensor, is_real: bool) -> Tensor:
    wanted = torch.full_like(logits, float(is_real))
    return functional.binary_cross_entropy_with_logits(logits, wanted)


def learn_with(kind: Kind, job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train the autoencoder and a generator for each signal on pairs, then a machine on labels of pairs.

    Raises
    ------
    NotPossible
        Another number of signals than two; no pairs; labels of one class.
    """
    two_signals(job.contract, job.pair)
    trained = train_bdae(job, data)
    features = made_or_real(trained, _generators(kind, job, data, trained))
    alone = [(name,) for name in job.pair]
    like = dict.fromkeys([*alone, job.pair], job.pair)
    scaled = standardised(features, data.parts["train"], like)
    return svm_answers(job, data, settings, scaled, [(job.pair, judged) for judged in alone])


def _generators(kind: Kind, job: Job, data: UnitData, trained: Trained) -> dict[str, Generator]:
    """modality → its generator, for double precision."""
    pairs = rows_of(data.parts["train"], job.pair)
    shape = pairs.features[job.pair[0]].shape[:2]
    steps, real = trained.steps(pairs), trained.feature(pairs).float().unflatten(0, shape)
    found = {}
    for number, name in enumerate(job.pair):
        seed = named_seed(job.seed, f"bdae generator {name}")
        rows = steps[number].float().unflatten(0, shape)
        found[name] = train_generator(rows, real, kind, seed).double()
    return found


def made_or_real(trained: Trained, generators: dict[str, Generator]) -> Features:
    """Real features where both signals are there, those that are made from one where one is."""

    def features(windows: WindowSet, modalities: Sequence[str]) -> FloatArray:
        if len(modalities) == 2:
            return window_features(trained, windows, modalities)
        rows = rows_of(windows, modalities)
        (steps,) = trained.steps(rows).values()
        made = in_parts(generators[modalities[0]], steps).numpy()
        return np.asarray(made.reshape(len(rows), -1, made.shape[1]).mean(axis=1))

    return features
