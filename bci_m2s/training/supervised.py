"""Supervised training of single-modality models on the simulator.

``python -m bci_m2s.training.supervised CONFIG.yaml --out MODEL.safetensors``

People are split into training, validation and test people. Weights are fitted on training people; the
epoch is chosen on validation people (highest mean balanced accuracy over people); test people are used
once, for the figures in the model's training record. Baseline statistics of a person never use labels.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

import bci_m2s
from bci_m2s.contract import Contract, modality_network, pack_modality, save_model
from bci_m2s.errors import BciM2sError, ConfigurationError, OutputError
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.training.datasets.simulated import simulated_steps
from bci_m2s.training.steps import SessionSteps, Windows, cut_windows, normalised, rest_spread
from bci_m2s.types import FloatArray
from bci_m2s.yaml_file import read_yaml


class SupervisedSettings(BaseModel):
    """A training file: the contract to fill, whom to simulate, and how to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: dict[str, Any]
    simulator: dict[str, Any]
    train_persons: int = 24
    validation_persons: int = 6
    test_persons: int = 6
    sessions: int = 1
    window_every_hops: int = 2
    epochs: int = 12
    batch: int = 128
    learning_rate: float = 5e-4
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Prepared:
    """One modality's windows, standardised, and the statistics that did it."""

    train: Windows
    validation: Windows
    test: Windows
    mean: FloatArray
    std: FloatArray
    spread: FloatArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every modality of a configuration and write one model file."""
    parser = argparse.ArgumentParser(prog="python -m bci_m2s.training.supervised", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    chosen = parser.parse_args(arguments)
    settings = load_settings(chosen.config)
    if chosen.out.exists() and not chosen.overwrite:  # said now, not after minutes of training
        raise OutputError(f"{chosen.out}: exists; nothing is overwritten without --overwrite")
    console = Console()
    draft = Contract.model_validate(settings.contract)
    tensors: dict[str, NDArray[Any]] = {}
    metrics: dict[str, Any] = {}
    for modality in draft.modalities:
        prepared = prepare(settings, draft, modality, console)
        network, metrics[modality] = fit(settings, draft, modality, prepared, console)
        tensors |= pack_modality(modality, network, prepared.mean, prepared.std, prepared.spread)
    record = training_record(settings, metrics, f"{chosen.config.name} --out {chosen.out.name}")
    contract = draft.model_copy(update={"training": record})
    save_model(chosen.out, contract, tensors, overwrite=chosen.overwrite)
    console.print(f"{chosen.out}: {chosen.out.stat().st_size / 1e6:.1f} MB")


def load_settings(path: Path) -> SupervisedSettings:
    """Read a training file. Raises ConfigurationError."""
    values, _ = read_yaml(path)
    try:
        return SupervisedSettings.model_validate(values)
    except ValueError as problem:
        raise ConfigurationError(f"{path}: {' '.join(str(problem).split())}") from None


def prepare(settings: SupervisedSettings, contract: Contract, modality: str, console: Console) -> Prepared:
    """Simulate everybody, normalise per person, cut windows, fit the scaler on training people."""
    spec, window = contract.modalities[modality], contract.window
    simulator = SimulatorSettings(**_tuples(settings.simulator), classes=contract.classes)
    counts = (settings.train_persons, settings.validation_persons, settings.test_persons)
    people = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    sessions: list[SessionSteps] = []
    for person in track(range(sum(counts)), f"{modality}: simulating", console=console, transient=True):
        for session in range(settings.sessions):
            sessions.append(simulated_steps(simulator, person, session, modality, spec, window))
    spread = rest_spread([one for one in sessions if one.person in people[0]])
    steps = [normalised(one, spec, window, spread) for one in sessions]
    windows = cut_windows(sessions, steps, window, spec.max_missing, settings.window_every_hops)
    rows = windows.of_persons(people[0]).features.reshape(-1, spec.feature.n_features).astype(np.float64)
    mean, std = np.nanmean(rows, axis=0), np.maximum(np.nanstd(rows, axis=0), 1e-6)
    train, validation, test = (_standardise(windows.of_persons(group), mean, std) for group in people)
    return Prepared(train, validation, test, mean, std, spread)


def _standardise(windows: Windows, mean: FloatArray, std: FloatArray) -> Windows:
    features = np.nan_to_num((windows.features - mean) / std, nan=0.0).astype(np.float32)
    return Windows(features, windows.labels, windows.persons, windows.trials)


def fit(
    settings: SupervisedSettings, contract: Contract, modality: str, data: Prepared, console: Console
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train one network; returns the weights of the epoch that is best on validation people."""
    torch.manual_seed(settings.seed)
    network = modality_network(contract, modality)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batches = len(data.train.labels) // settings.batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * batches)
    features, labels = torch.from_numpy(data.train.features), torch.from_numpy(data.train.labels)
    generator = torch.Generator().manual_seed(settings.seed)
    best, best_state, best_epoch = -1.0, None, 0
    for epoch in range(settings.epochs):
        network.train()
        begun, total = time.monotonic(), 0.0
        order = torch.randperm(len(labels), generator=generator)[: batches * settings.batch]
        for rows in order.split(settings.batch):
            loss = torch.nn.functional.cross_entropy(
                network(features[rows]), labels[rows], label_smoothing=settings.label_smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        score, _ = person_scores(network, data.validation)
        console.print(
            f"{modality} epoch {epoch + 1}/{settings.epochs}: loss {total / batches:.3f}, "
            f"validation balanced accuracy {score:.3f}, {time.monotonic() - begun:.0f} s"
        )
        if score > best:
            best, best_epoch = score, epoch + 1
            best_state = {key: value.clone() for key, value in network.state_dict().items()}
    assert best_state is not None
    network.load_state_dict(best_state)
    network.eval()
    return network, measure(network, data, best, best_epoch, contract.classes, console)


def person_scores(network: torch.nn.Module, windows: Windows) -> tuple[float, list[float]]:
    """Balanced accuracy of each person, and its mean over people."""
    network.eval()
    with torch.inference_mode():
        parts = [network(part).argmax(1) for part in torch.from_numpy(windows.features).split(512)]
    guesses = torch.cat(parts).numpy()
    return _by_person(windows, guesses)


def _by_person(windows: Windows, guesses: NDArray[np.int64]) -> tuple[float, list[float]]:
    scores = []
    for person in np.unique(windows.persons):
        mask = windows.persons == person
        scores.append(float(balanced_accuracy_score(windows.labels[mask], guesses[mask])))
    return float(np.mean(scores)), scores


def measure(
    network: torch.nn.Module,
    data: Prepared,
    validation: float,
    epoch: int,
    classes: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Figures on test people: the network, logistic regression, and that with permuted labels."""
    score, scores = person_scores(network, data.test)
    flat = {
        name: part.features.reshape(len(part.labels), -1)
        for name, part in vars(data).items()
        if isinstance(part, Windows)
    }
    linear = LogisticRegression(C=0.01, max_iter=300).fit(flat["train"], data.train.labels)
    shuffled = np.random.default_rng(0).permutation(data.train.labels)
    chance = LogisticRegression(C=0.01, max_iter=300).fit(flat["train"], shuffled)
    result = {
        "balanced_accuracy_test_mean": round(score, 4),
        "balanced_accuracy_test_sd_over_people": round(float(np.std(scores)), 4),
        "balanced_accuracy_validation": round(validation, 4),
        "epoch": epoch,
        "logistic_regression_test": round(_by_person(data.test, linear.predict(flat["test"]))[0], 4),
        "permuted_labels_test": round(_by_person(data.test, chance.predict(flat["test"]))[0], 4),
        "windows": {"train": len(data.train.labels), "test": len(data.test.labels)},
        "support_test": {
            name: int((data.test.labels == number).sum()) for number, name in enumerate(classes)
        },
    }
    console.print(result)
    return result


def training_record(settings: SupervisedSettings, metrics: dict[str, Any], command: str) -> dict[str, Any]:
    """What the contract says of how the model came to be."""
    counts = (settings.train_persons, settings.validation_persons, settings.test_persons)
    return {
        "data": "bci_m2s simulator (no real people)",
        "simulator": settings.simulator,
        "method": "supervised, one modality at a time",
        "split": f"by person: {counts[0]} training, {counts[1]} validation, {counts[2]} test people",
        "seed": settings.seed,
        "selection": "epoch of highest mean balanced accuracy on validation people",
        "metrics": metrics,
        "command": f"python -m bci_m2s.training.supervised {command}",
        "versions": {
            "bci_m2s": bci_m2s.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


if __name__ == "__main__":
    try:
        main()
    except BciM2sError as problem:
        sys.exit(f"error: {problem}")
