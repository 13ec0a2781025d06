"""Both sides of the pre-training benchmark: this package's step, and the same written out plainly."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from plain import write_out_attention
from torch import Tensor

from bci_m2s.networks import build_network
from bci_m2s.networks.pretraining import Encoded, PairModel, club_parameters, main_parameters
from bci_m2s.training.methods.club import fit_club
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.losses import pair_terms, total_loss

BANDS, STEPS, OTHER_FEATURES, INNER_STEPS = 5, 5, 33, 3
SETTINGS = LossSettings()
Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Way:
    """How a side takes its step. half : encoders under bf16 autocast; compiled : by torch.compile."""

    plain: bool = False
    half: bool = False
    compiled: bool = False


class Side:
    """One model with its optimisers, on one device."""

    def __init__(self, model: PairModel, way: Way, device: str = "cpu") -> None:
        self.model, self.way, self.device = copy.deepcopy(model).to(device), way, device
        if way.plain:
            write_out_attention(self.model)
        fused = None if way.plain else True  # None is Adam's own default
        self.club = torch.optim.Adam(club_parameters(self.model), lr=1e-4, fused=fused)
        self.main = torch.optim.Adam(main_parameters(self.model), lr=1e-4, fused=fused)
        self.run: Any = torch.compile(self.model) if way.compiled else self.model

    def encode(self, x_a: Tensor, x_b: Tensor) -> tuple[Encoded, Encoded]:
        """Both modalities, in float32 again where the encoders ran in less."""
        if not self.way.half:
            return self.run(x_a, x_b)
        with torch.autocast(self.device, torch.bfloat16):
            a, b = self.run(x_a, x_b)
        return a.float(), b.float()

    def loss(self, batch: Batch, seed: int) -> Tensor:
        """Encode, fit CLUB, return the total loss with its graph."""
        x_a, x_b, trials = batch
        if self.way.plain:
            for _ in range(INNER_STEPS):
                with torch.no_grad():
                    a, b = self.encode(x_a, x_b)
                fit_club(self.model, a, b, self.club, 1)
            a, b = self.encode(x_a, x_b)
        else:
            a, b = self.encode(x_a, x_b)
            fit_club(self.model, a, b, self.club, INNER_STEPS)
        generator = torch.Generator().manual_seed(seed)
        return total_loss(
            pair_terms(self.model, a, b, SETTINGS, trials=trials, generator=generator), SETTINGS
        )

    def step(self, batch: Batch, seed: int) -> float:
        """One pre-training step; seconds."""
        with self._waiting():
            begun = time.perf_counter()
        with self._waiting():
            loss = self.loss(batch, seed)
            self.main.zero_grad()
            loss.backward()
            self.main.step()
            self.model.limit_logit_scale(SETTINGS.max_logit_scale)
        return time.perf_counter() - begun

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """Leave only when the device has done what it was given."""
        yield
        if self.device == "cuda":
            torch.cuda.synchronize()


def on_device(batch: Batch, device: str) -> Batch:
    """The batch there."""
    x_a, x_b, trials = batch
    return x_a.to(device), x_b.to(device), trials.to(device)


def pair_model(channels: int, dropout: float) -> PairModel:
    """Electrodes and another modality at the released widths."""
    params = {"dropout": dropout}
    sizes: Any = {"n_features": channels * BANDS, "n_channels": channels, "heads": {"emotion": 3}}
    a: Any = build_network("m2s-electrode", params, **sizes)
    sizes = {"n_features": OTHER_FEATURES, "n_channels": 1, "heads": {"emotion": 3}}
    b: Any = build_network("m2s-sequence", params | {"causal": True}, **sizes)
    return PairModel(a, b, (channels * BANDS, OTHER_FEATURES))


def make_batch(size: int, channels: int) -> Batch:
    """Standard normal features of both modalities and trials of two windows each."""
    x_a, x_b = torch.randn(size, STEPS, channels * BANDS), torch.randn(size, STEPS, OTHER_FEATURES)
    return x_a, x_b, torch.arange(size) // 2


def disagreement(ours: Side, plain: Side, batch: Batch) -> tuple[float, float]:
    """Difference of the total loss, and the largest of any gradient; relative where values exceed 1."""
    losses = [side.loss(batch, seed=1) for side in (ours, plain)]
    for side, loss in zip((ours, plain), losses, strict=True):
        side.model.zero_grad()
        loss.backward()
    apart = (losses[0] - losses[1]).abs().item() / max(1.0, losses[1].abs().item())
    worst, theirs = 0.0, dict(plain.model.named_parameters())
    for name, parameter in ours.model.named_parameters():
        one, other = parameter.grad, theirs[name].grad
        assert one is not None, name
        assert other is not None, name
        worst = max(worst, (one - other).abs().max().item() / max(1.0, other.abs().max().item()))
    return apart, worst
