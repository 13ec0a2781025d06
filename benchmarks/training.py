"""Time of one pre-training step: this package against the same step written out plainly.

Both sides take the same batch through the same steps: encode both modalities, fit the CLUB estimators,
compute the four losses, go backward, let Adam step. They differ in two places:

- ``plain``: STS attention with queries, keys and values at their full width; the encoders run again,
  without a graph, for each inner CLUB step;
- ``bci_m2s``: STS attention in its folded form; the batch is encoded once.

Before anything is timed, losses and gradients of both must agree. That is judged in float64: in float32 a
ReLU whose input is zero up to rounding can be open on one side and shut on the other, which moves single
gradients by more than rounding does. Then the sides take turns in float32, on one core.

    python benchmarks/training.py
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when torch is loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402
from machine import describe_machine, load_now, load_warning  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from bci_m2s.networks import build_network  # noqa: E402
from bci_m2s.networks.pretraining import PairModel  # noqa: E402
from bci_m2s.networks.sts import STSAttention  # noqa: E402
from bci_m2s.training.losses import LossSettings, fit_club, pair_terms, total_loss  # noqa: E402

BANDS, STEPS, OTHER_FEATURES, INNER_STEPS = 5, 5, 33, 3
SAME = 1e-9  # float64; relative to the largest gradient of a parameter where that is above 1
SETTINGS = LossSettings()


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
    """One model with its optimisers; `plain` says which of the two sides."""

    def __init__(self, model: PairModel, plain: bool) -> None:
        self.model, self.plain = copy.deepcopy(model), plain
        if plain:
            layers: Any = self.model.a.encoder.layers
            for layer in layers:
                layer.attention = WrittenOut(layer.attention)
        self.club = torch.optim.Adam(self.model.club_parameters(), lr=1e-4)
        self.main = torch.optim.Adam(self.model.main_parameters(), lr=1e-4)

    def loss(self, batch: tuple[Tensor, Tensor, Tensor], seed: int) -> Tensor:
        """Encode, fit CLUB, return the total loss with its graph."""
        x_a, x_b, trials = batch
        if self.plain:
            for _ in range(INNER_STEPS):
                with torch.no_grad():
                    a, b = self.model(x_a, x_b)
                fit_club(self.model, a, b, self.club, 1)
            a, b = self.model(x_a, x_b)
        else:
            a, b = self.model(x_a, x_b)
            fit_club(self.model, a, b, self.club, INNER_STEPS)
        generator = torch.Generator().manual_seed(seed)
        return total_loss(
            pair_terms(self.model, a, b, SETTINGS, trials=trials, generator=generator), SETTINGS
        )

    def step(self, batch: tuple[Tensor, Tensor, Tensor], seed: int) -> float:
        """One pre-training step; seconds."""
        begun = time.perf_counter()
        loss = self.loss(batch, seed)
        self.main.zero_grad()
        loss.backward()
        self.main.step()
        self.model.limit_logit_scale(SETTINGS.max_logit_scale)
        return time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Check that both sides agree, time them in turns, print seconds and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--channels", type=int, default=62)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = make_batch(chosen.batch, chosen.channels)
    print(describe_machine() + f", torch {torch.__version__}, one thread")
    print(f"batch {chosen.batch}, {STEPS} steps, {chosen.channels} × {BANDS} and {OTHER_FEATURES} features")
    still = pair_model(chosen.channels, dropout=0.0).double()
    exact = batch[0].double(), batch[1].double(), batch[2]
    difference = disagreement(Side(still, False), Side(still, True), exact)
    if not difference < SAME:
        sys.exit(f"the sides disagree: {difference:.2e}, allowed {SAME:.0e}")
    print(f"losses and gradients agree to {difference:.1e} (float64, without dropout)")
    model = pair_model(chosen.channels, dropout=0.1)
    ours, plain = Side(model, False), Side(model, True)
    for side in (ours, plain):
        side.step(batch, 0)  # the first step also makes the optimisers' state
    load = load_now()
    taken = np.array([(plain.step(batch, i), ours.step(batch, i)) for i in range(chosen.rounds)])
    report(taken, max(load, load_now()))


def pair_model(channels: int, dropout: float) -> PairModel:
    """Electrodes and another modality at the released widths."""
    params = {"dropout": dropout}
    sizes = {"n_features": channels * BANDS, "n_channels": channels, "n_classes": 3}
    a: Any = build_network("m2s-electrode", params, **sizes)
    sizes = {"n_features": OTHER_FEATURES, "n_channels": 1, "n_classes": 3}
    b: Any = build_network("m2s-sequence", params | {"causal": True}, **sizes)
    return PairModel(a, b, (channels * BANDS, OTHER_FEATURES))


def make_batch(size: int, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Standard normal features of both modalities and trials of two windows each."""
    x_a, x_b = torch.randn(size, STEPS, channels * BANDS), torch.randn(size, STEPS, OTHER_FEATURES)
    return x_a, x_b, torch.arange(size) // 2


def disagreement(ours: Side, plain: Side, batch: tuple[Tensor, Tensor, Tensor]) -> float:
    """Largest difference of the total loss and of any gradient."""
    losses = [side.loss(batch, seed=1) for side in (ours, plain)]
    for side, loss in zip((ours, plain), losses, strict=True):
        side.model.zero_grad()
        loss.backward()
    worst = (losses[0] - losses[1]).abs().item() / max(1.0, losses[1].abs().item())
    theirs = dict(plain.model.named_parameters())
    for name, parameter in ours.model.named_parameters():
        one, other = parameter.grad, theirs[name].grad
        assert one is not None, name
        assert other is not None, name
        worst = max(worst, (one - other).abs().max().item() / max(1.0, other.abs().max().item()))
    return worst


def report(taken: np.ndarray, load: float) -> None:
    """taken : (rounds, 2) seconds of plain and ours."""
    plain_s, ours_s = np.median(taken, axis=0)
    ratios = taken[:, 0] / taken[:, 1]
    print(f"plain    {plain_s:7.3f} s a step")
    print(f"bci_m2s  {ours_s:7.3f} s a step")
    print(f"plain / bci_m2s  {np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})")
    print(f"load {load:.1f}")
    if warning := load_warning(load):
        print(warning)


if __name__ == "__main__":
    main()
