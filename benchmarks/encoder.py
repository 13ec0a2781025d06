"""Time of the network, a window at a time and in batches, against the same network written out plainly.

- EEG, eyes: those of the demo's model, ``m2s-sequence-linear`` with its weights. Plain is each transformer
  layer, one operation after the other.
- STS: the paper's encoder of 62 electrodes × five bands, ``m2s-electrode``, with random weights. Plain has
  queries, keys and values at their full width.

Ours is ``Predictor.logits``, features in and scores out, as a live session calls it; both sides begin with
an array of numpy and end with one. Before anything is timed, the answers must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Goal, Round, Run, at_least, at_most
from bci_m2s.errors import BciM2sError

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor

BATCHES = (1, 32, 256)
PARTS = {"EEG": "eeg", "eyes": "eye", "STS": "eeg"}
GOALS = {
    "EEG": {
        batch: at_most(ms, of_ratio=False) for batch, ms in zip(BATCHES, (0.8, 0.4, 0.35), strict=True)
    },
    "STS": dict.fromkeys(BATCHES, at_least(4)),
}
SAME = 1e-3  # of a score, which is a few units
Way = Callable[[np.ndarray], np.ndarray]


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds a window of ours and the plain network, in turn."""
    import torch

    torch.set_num_threads(1)
    demo, sts = demo_model(), sts_model()
    models = {"EEG": demo, "eyes": demo, "STS": sts}
    pairs = {part: make_pair(models[part], modality) for part, modality in PARTS.items()}
    batches = [batch for batch in BATCHES if batch <= run.count("largest")]
    inputs = {
        (part, batch): made_up(models[part], PARTS[part], batch) for part in PARTS for batch in batches
    }
    for part, (ours, plain) in pairs.items():
        refuse_disagreement(run, part, ours, plain, inputs[part, batches[0]])
    seconds = run.number("seconds")
    for _ in range(run.rounds):
        found = {}
        for (part, batch), windows in inputs.items():
            found[title(part, batch)] = in_turn(*pairs[part], windows, seconds)
        yield found


def title(part: str, batch: int) -> str:
    """Name of a figure."""
    return f"{part}, batch {batch}"


def demo_model() -> Predictor:
    """The demo's model on one core."""
    from bci_m2s.model.predictor import load_model
    from bci_m2s.session.setup.shipped import find_model

    return load_model(find_model("demo-62ch-eye"), "cpu", 1)


def sts_model() -> Predictor:
    """The paper's encoder for electrodes, untrained, in a model that is otherwise the demo's."""
    import torch

    from bci_m2s.model.model_file import modality_network, pack_modality
    from bci_m2s.model.predictor import Predictor

    contract = demo_model().contract
    spec = contract.modalities["eeg"]
    network = spec.network.model_copy(update={"name": "m2s-electrode", "params": {}})
    changed = spec.model_copy(update={"network": network, "calibration": {}, "drift": None})
    contract = contract.model_copy(update={"modalities": {"eeg": changed}})
    torch.manual_seed(0)
    scaler = np.zeros(spec.feature.n_features), *np.ones((2, spec.feature.n_features))
    tensors = pack_modality("eeg", modality_network(contract, "eeg"), *scaler)
    return Predictor(contract, tensors, "cpu", 1)


def make_pair(predictor: Predictor, modality: str) -> tuple[Way, Way]:
    """Ours, and the same network written out."""
    import torch
    from plain import write_out_attention, write_out_layers

    from bci_m2s.model.model_file import modality_network, unpack_modality

    network = modality_network(predictor.contract, modality)
    arrays = unpack_modality(predictor.tensors, modality)
    start = "network."
    state = {
        key.removeprefix(start): torch.tensor(array)
        for key, array in arrays.items()
        if key.startswith(start)
    }
    network.load_state_dict(state)
    write_out_attention(network)
    write_out_layers(network)
    network.requires_grad_(False).eval()

    def plain(windows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(windows))[predictor.contract.first_head].numpy()

    return lambda windows: predictor.logits(modality, windows), plain


def made_up(predictor: Predictor, modality: str, batch: int) -> np.ndarray:
    """Standard normal windows, (batch, T, F)."""
    contract = predictor.contract
    shape = (batch, contract.window.steps, contract.modalities[modality].feature.n_features)
    return np.random.default_rng(batch).normal(size=shape).astype(np.float32)


def refuse_disagreement(run: Run, part: str, ours: Way, plain: Way, windows: np.ndarray) -> None:
    """Stop when the two do not answer the same: their times would mean nothing."""
    difference = float(np.abs(ours(windows) - plain(windows)).max())
    if not difference <= SAME:
        raise BciM2sError(f"encoder: {part}: the scores differ by {difference:.2g}: nothing was timed")
    run.note(f"{part}: scores of ours and the plain network differ by {difference:.1g} at most")


def in_turn(ours: Way, plain: Way, windows: np.ndarray, seconds: float) -> tuple[float, float]:
    """Median milliseconds a window of two ways that take turns, for some seconds."""
    spent: tuple[list[float], list[float]] = ([], [])
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s or len(spent[0]) < 3:
        for way, taken in zip((ours, plain), spent, strict=True):
            begun_s = time.perf_counter()
            way(windows)
            taken.append(time.perf_counter() - begun_s)
    ours_s, plain_s = map(np.median, spent)
    return 1e3 * float(ours_s) / len(windows), 1e3 * float(plain_s) / len(windows)


def goal(part: str, batch: int) -> Goal | None:
    """Of a figure."""
    return GOALS.get(part, {}).get(batch)


BENCHMARK = Benchmark(
    name="encoder",
    question="How long does the network take for a window, against the same network written out plainly?",
    minutes=3,
    figures=tuple(
        Figure(title(part, batch), "ms a window", "written out", goal(part, batch), is_speedup=True)
        for part in PARTS
        for batch in BATCHES
    ),
    measure=measure,
    settings={"seconds": 1.0, "largest": 256},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
