"""The network on CUDA, one window and 256, against the least that its launches can take.

As the live code calls it (``Predictor.logits``: pinned memory, one copy there and one back), and the same
network replayed as a CUDA graph. The floor is a graph of as many kernels as the network launches, each of
which adds one to a single number: what launching alone takes, without their work. Times are those that the
caller waits, synchronised; the sides take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, NotHere, Round, Run
from bci_m2s.doctor.machine import nvidia_gpus

if TYPE_CHECKING:
    import torch

BATCHES = {"one window": 1, "256 windows": 256}
PARTS = {"EEG": "eeg", "eyes": "eye"}
REPEATS = 200
SAME = 1e-2  # of a score: tf32 may round
Way = Callable[[], object]


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds of a pass: as it is called live, and as a graph, each beside the floor."""
    import torch

    if not torch.cuda.is_available():
        raise NotHere("torch finds no CUDA device")
    run.note(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    ways = {(part, size): make_ways(run, part, size) for part in PARTS for size in BATCHES}
    for _ in range(run.rounds):
        found = {}
        for (part, size), (live, graph, floor) in ways.items():
            live_ms, graph_ms, floor_ms = in_turn(live, graph, floor)
            found[f"{part}, {size}, live"] = live_ms, floor_ms
            found[f"{part}, {size}, graph"] = graph_ms, floor_ms
        yield found


def make_ways(run: Run, part: str, size: str) -> tuple[Way, Way, Way]:
    """Live, graph and floor."""
    import torch

    from bci_m2s.model.predictor import load_model
    from bci_m2s.session.setup.shipped import find_model

    predictor = load_model(find_model("demo-62ch-eye"), "cuda")
    contract, modality = predictor.contract, PARTS[part]
    shape = (BATCHES[size], contract.window.steps, contract.modalities[modality].feature.n_features)
    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    inside = torch.from_numpy(windows).cuda()
    network: Any = predictor._networks[modality]

    def once() -> torch.Tensor:
        with torch.inference_mode():
            return network(inside)[contract.first_head]

    graph, out = captured(once)
    graph.replay()
    torch.cuda.synchronize()
    difference = float(np.abs(out.cpu().numpy() - predictor.logits(modality, windows)).max())
    if not difference <= SAME:
        raise NotHere(f"the graph of {part} answers differently, by {difference:.2g}: nothing was timed")
    kernels = count_kernels(once)
    run.note(f"{part}, {size}: {kernels} kernels")
    one = torch.zeros(1, device="cuda")

    def launches() -> torch.Tensor:
        for _ in range(kernels):
            one.add_(1)
        return one

    floor, _ = captured(launches)
    return lambda: predictor.logits(modality, windows), graph.replay, floor.replay


def captured(function: Callable[[], torch.Tensor]) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """What a function launches, as a graph, and where its answer will be."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = function()
    return graph, out


def count_kernels(function: Callable[[], torch.Tensor]) -> int:
    """How many kernels a function launches."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    function()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        function()
        torch.cuda.synchronize()
    return max(1, sum(event.device_type.name == "CUDA" for event in seen.events()))


def in_turn(*ways: Way) -> tuple[float, ...]:
    """Median milliseconds of each."""
    import torch

    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(REPEATS):
        for way, taken in zip(ways, spent, strict=True):
            torch.cuda.synchronize()
            begun_s = time.perf_counter()
            way()
            torch.cuda.synchronize()
            taken.append(time.perf_counter() - begun_s)
    return tuple(1e3 * float(np.median(taken)) for taken in spent)


BENCHMARK = Benchmark(
    name="cuda",
    question="How near is the network on CUDA to what launching its kernels takes alone?",
    minutes=1,
    figures=tuple(
        Figure(f"{part}, {size}, {way}", "ms", "as many empty kernels, as a graph")
        for part in PARTS
        for size in BATCHES
        for way in ("live", "graph")
    ),
    measure=measure,
    needs=(Need("an NVIDIA GPU", "nvidia-smi names none", lambda _peer: bool(nvidia_gpus())),),
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
