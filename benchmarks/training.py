"""Time of one pre-training step: this package against the same step written out plainly.

All sides take the same batch through the same steps: encode both modalities, fit the CLUB estimators,
compute the four losses, go backward, let Adam step. They differ in how:

- plain: STS attention with queries, keys and values at their full width; the encoders run again,
  without a graph, for each inner CLUB step; torch's dropout, linear and transformer layers; Adam as
  torch makes it by default;
- ours: STS attention in its folded form, in parts that stay in the cache; the batch is encoded
  once; dropout from fewer random numbers; feed-forward parts as one operation, dense products by
  oneDNN; fused Adam. This is what the package's own training does.

Before anything is timed, losses and gradients of both must agree. That is judged in float64: in float32 a
ReLU whose input is zero up to rounding can be open on one side and shut on the other, which moves single
gradients by more than rounding does. The float32 differences are noted. Then the sides take turns in
float32, on one core, or on CUDA with ``--set device=cuda``; there two more sides follow: the encoders under
bf16 autocast, and those compiled as well.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, NotHere, Round, Run, at_least
from bci_m2s.errors import BciM2sError

if TYPE_CHECKING:
    from training_sides import Batch

    from bci_m2s.networks.pretraining import PairModel

SAME = 1e-9  # float64; relative to the largest gradient of a parameter where that is above 1
STEP, HALF, COMPILED = "one step", "one step, bf16 on CUDA", "one step, bf16 compiled on CUDA"


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds of a step of each side, in turn."""
    import torch
    from training_sides import Side, Way, make_batch, on_device, pair_model

    device = str(run.settings["device"])
    if device == "cuda" and not torch.cuda.is_available():
        raise NotHere("torch finds no CUDA device")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels = run.count("channels")
    batch = make_batch(run.count("batch"), channels)
    refuse_disagreement(run, pair_model(channels, dropout=0.0), batch, device)
    model = pair_model(channels, dropout=0.1)
    ways = {"plain": Way(plain=True), STEP: Way()}
    if device == "cuda":
        ways |= {HALF: Way(half=True), COMPILED: Way(half=True, compiled=True)}
    sides = {name: Side(model, way, device) for name, way in ways.items()}
    batch = on_device(batch, device)
    for side in sides.values():
        side.step(batch, 0)  # the first step also makes the optimisers' state, and compiles
    for number in range(run.rounds):
        taken = {name: 1e3 * side.step(batch, number) for name, side in sides.items()}
        plain = taken.pop("plain")
        yield {name: (ms, plain) for name, ms in taken.items()}


def refuse_disagreement(run: Run, model: PairModel, batch: Batch, device: str) -> None:
    """Stop unless the plain side and the package's agree on the device; note by how much."""
    from training_sides import Side, Way, disagreement, on_device

    batch = on_device(batch, device)
    ours, plain = Side(model, Way(), device), Side(model, Way(plain=True), device)
    exact = batch[0].double(), batch[1].double(), batch[2]
    doubled = copy.deepcopy(model).double()
    loss, gradient = disagreement(
        Side(doubled, Way(), device), Side(doubled, Way(plain=True), device), exact
    )
    if not max(loss, gradient) < SAME:
        largest = max(loss, gradient)
        raise BciM2sError(
            f"training: the sides disagree: {largest:.2e}, allowed {SAME:.0e}: nothing was timed"
        )
    run.note(f"losses and gradients agree to {max(loss, gradient):.1e} (float64, without dropout)")
    loss, gradient = disagreement(ours, plain, batch)
    run.note(f"in float32 the loss to {loss:.1e}, gradients to {gradient:.1e}")


BENCHMARK = Benchmark(
    name="training",
    question="How long does a pre-training step take, against the same mathematics written out plainly?",
    minutes=4,
    figures=(
        Figure(STEP, "ms", "written out", at_least(35), is_speedup=True),
        Figure(HALF, "ms", "written out", is_speedup=True),
        Figure(COMPILED, "ms", "written out", is_speedup=True),
    ),
    measure=measure,
    settings={"batch": 128, "channels": 62, "device": "cpu"},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
