"""Time of one pre-training step: this package against the same step written out plainly.

All sides take the same batch through the same steps: encode both modalities, fit the CLUB estimators,
compute the four losses, go backward, let Adam step. They differ in how:

- ``plain``: STS attention with queries, keys and values at their full width; the encoders run again,
  without a graph, for each inner CLUB step; torch's dropout; Adam as torch makes it by default;
- ``bci_m2s``: STS attention in its folded form, in parts that stay in the cache; the batch is encoded
  once; dropout from fewer random numbers; fused Adam. This is what the package's own training does.

Before anything is timed, losses and gradients of both must agree. That is judged in float64: in float32 a
ReLU whose input is zero up to rounding can be open on one side and shut on the other, which moves single
gradients by more than rounding does. The float32 differences are printed. Then the sides take turns in
float32, on one core.

    python benchmarks/training.py
    python benchmarks/training.py --device cuda

On CUDA two more sides follow: the encoders under bf16 autocast, and those compiled as well.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when torch is loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402
from machine import describe_machine, load_now, load_warning  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from bci_m2s.networks import build_network  # noqa: E402
from bci_m2s.networks.m2s import Dropout  # noqa: E402
from bci_m2s.networks.pretraining import Encoded, PairModel, club_parameters, main_parameters  # noqa: E402
from bci_m2s.networks.sts import STSAttention  # noqa: E402
from bci_m2s.training.methods.club import fit_club  # noqa: E402
from bci_m2s.training.methods.loss_settings import LossSettings  # noqa: E402
from bci_m2s.training.methods.losses import pair_terms, total_loss  # noqa: E402

BANDS, STEPS, OTHER_FEATURES, INNER_STEPS = 5, 5, 33, 3
SAME = 1e-9  # float64; relative to the largest gradient of a parameter where that is above 1
SETTINGS = LossSettings()


@dataclass(frozen=True)
class Way:
    """How a side takes its step. half : encoders under bf16 autocast; compiled : by torch.compile."""

    plain: bool = False
    half: bool = False
    compiled: bool = False


WAYS = {
    "cpu": {"plain": Way(plain=True), "bci_m2s": Way()},
    "cuda": {
        "plain": Way(plain=True),
        "bci_m2s": Way(),
        "bf16": Way(half=True),
        "bf16, compiled": Way(half=True, compiled=True),
    },
}


class WrittenOut(nn.Module):
    """STS attention as the paper writes it, on the weights of `layer`."""

    def __init__(self, layer: STSAttention) -> None:
        super().__init__()
        self.heads, self.head_width = layer.heads, layer.head_width
        self.to_q, self.to_k, self.to_v, self.to_out = layer.to_q, layer.to_k, layer.to_v, layer.to_out

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C, K) → (B, T, C, K)."""

        def heads_first(values: Tensor) -> Tensor:  # (B, T, heads, C, head width)
            return values.unflatten(-1, (self.heads, self.head_width)).transpose(2, 3)

        q, k, v = heads_first(self.to_q(x)), heads_first(_three(self.to_k(x))), self.to_v(x)
        weights = torch.softmax(q @ k.transpose(-1, -2) / self.head_width**0.5, dim=-1)
        mixed = weights @ heads_first(_three(v))
        return self.to_out(mixed.transpose(2, 3).flatten(-2))


def _three(values: Tensor) -> Tensor:
    """Mean of the values at t, t−1 and 0."""
    return (values + torch.cat([values[:, :1], values[:, :-1]], dim=1) + values[:, :1]) / 3


class Side:
    """One model with its optimisers, on one device."""

    def __init__(self, model: PairModel, way: Way, device: str = "cpu") -> None:
        self.model, self.way, self.device = copy.deepcopy(model).to(device), way, device
        if way.plain:
            _write_out(self.model)
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

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], seed: int) -> Tensor:
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

    def step(self, batch: tuple[Tensor, Tensor, Tensor], seed: int) -> float:
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


def _write_out(model: PairModel) -> None:
    """Put the plain attention and torch's dropout in the place of the package's own."""
    layers: Any = model.a.encoder.layers
    for layer in layers:
        layer.attention = WrittenOut(layer.attention)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))


def main(arguments: Sequence[str] | None = None) -> None:
    """Check that both sides agree, time them in turns, print seconds and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--device", choices=list(WAYS), default="cpu")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: torch finds no CUDA device here, so there is nothing to time")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = make_batch(chosen.batch, chosen.channels)
    print(describe_machine() + f", torch {torch.__version__}, one thread")
    if chosen.device == "cuda":
        print(torch.cuda.get_device_name())
    print(f"batch {chosen.batch}, {STEPS} steps, {chosen.channels} × {BANDS} and {OTHER_FEATURES} features")
    check(pair_model(chosen.channels, dropout=0.0), batch, chosen.device)
    model = pair_model(chosen.channels, dropout=0.1)
    sides = {name: Side(model, way, chosen.device) for name, way in WAYS[chosen.device].items()}
    batch = _on(batch, chosen.device)
    for side in sides.values():
        side.step(batch, 0)  # the first step also makes the optimisers' state, and compiles
    load = load_now()
    taken = np.array([[side.step(batch, i) for side in sides.values()] for i in range(chosen.rounds)])
    report(list(sides), taken, max(load, load_now()))


def check(model: PairModel, batch: tuple[Tensor, Tensor, Tensor], device: str) -> None:
    """Stop unless the plain side and the package's agree on the device; print by how much."""
    batch = _on(batch, device)
    ours, plain = Side(model, Way(), device), Side(model, Way(plain=True), device)
    exact = batch[0].double(), batch[1].double(), batch[2]
    doubled = copy.deepcopy(model).double()
    loss, gradient = disagreement(
        Side(doubled, Way(), device), Side(doubled, Way(plain=True), device), exact
    )
    if not max(loss, gradient) < SAME:
        sys.exit(f"the sides disagree: {max(loss, gradient):.2e}, allowed {SAME:.0e}")
    print(f"losses and gradients agree to {max(loss, gradient):.1e} (float64, without dropout)")
    loss, gradient = disagreement(ours, plain, batch)
    print(f"in float32 the loss to {loss:.1e}, gradients to {gradient:.1e}")


def _on(batch: tuple[Tensor, Tensor, Tensor], device: str) -> tuple[Tensor, Tensor, Tensor]:
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


def make_batch(size: int, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Standard normal features of both modalities and trials of two windows each."""
    x_a, x_b = torch.randn(size, STEPS, channels * BANDS), torch.randn(size, STEPS, OTHER_FEATURES)
    return x_a, x_b, torch.arange(size) // 2


def disagreement(ours: Side, plain: Side, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[float, float]:
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


def report(names: Sequence[str], taken: np.ndarray, load: float) -> None:
    """taken : (rounds, sides) seconds, the plain side first."""
    wide = max(len(name) for name in names)
    for name, median_s, best_s in zip(names, np.median(taken, axis=0), taken.min(axis=0), strict=True):
        print(f"{name:{wide}}  {median_s:8.4f} s a step, best {best_s:.4f} s")
    for index, name in enumerate(names[1:], start=1):
        ratios = taken[:, 0] / taken[:, index]
        print(f"plain / {name}  {np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})")
    print(f"load {load:.1f}")
    if warning := load_warning(load):
        print(warning)


if __name__ == "__main__":
    main()
