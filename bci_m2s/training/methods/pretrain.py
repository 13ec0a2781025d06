"""Pre-training on pairs of windows without labels.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134, Algorithm 1.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bci_m2s.errors import ModelError, TrainingError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import modality_network
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.pretraining import PairModel
from bci_m2s.training.data.batches import epoch_batches
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.checkpoint import Progress, load_checkpoint, save_checkpoint
from bci_m2s.training.methods.losses import fit_club, pair_terms, total_loss
from bci_m2s.training.settings import PretrainSettings, recorded

Networks = dict[str, SingleModality]
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Job:
    """One pre-training: the pair, its settings, seed and device."""

    contract: Contract
    pair: tuple[str, ...]
    settings: PretrainSettings
    seed: int
    device: torch.device


def fresh_networks(job: Job) -> Networks:
    """Every modality's network with the random weights of the job's seed."""
    torch.manual_seed(job.seed)
    networks: dict[str, Any] = {name: modality_network(job.contract, name) for name in job.pair}
    if job.settings.layers_start == "copies":
        for network in networks.values():
            first = network.encoder.layers[0].state_dict()
            for layer in network.encoder.layers[1:]:
                layer.load_state_dict(first)
    return networks


def pair_model(job: Job, networks: Networks) -> PairModel:
    """The networks and the parts that only pre-training needs, from the job's seed."""
    torch.manual_seed(job.seed + 1)
    sizes = [job.contract.modalities[name].feature.n_features for name in job.pair]
    first, second = (networks[name] for name in job.pair)
    return PairModel(
        first,
        second,
        (sizes[0], sizes[1]),
        predictions=job.settings.predictions,
        context=job.settings.context,
        club_hidden=job.settings.club_hidden,
        causal_only=job.settings.causal_only,
    )


def pretrain(
    job: Job,
    training: WindowSet,
    validation: WindowSet,
    path: Path,
    *,
    on_epoch: OnEpoch = lambda _epoch, _row: None,
) -> tuple[Networks, list[dict[str, float]]]:
    """Train until the last epoch, from the checkpoint at `path` where there is one.

    Parameters
    ----------
    training, validation : standardised windows; only those that have both modalities are used
    path : of the checkpoint, written before the first epoch and after each
    on_epoch : called after each epoch with its number from 1 and its mean losses

    Returns
    -------
    The networks (on the CPU) and one row of losses per epoch.

    Raises
    ------
    TrainingError
        No pairs, a loss that is not finite, or CLUB terms above the limit. The last good checkpoint is
        kept.
    """
    training, validation = training.having(job.pair), validation.having(job.pair)
    if len(training) < 2:
        raise TrainingError(
            f"got {len(training)} windows with both {' and '.join(job.pair)}, expected at least 2"
        )
    networks = fresh_networks(job)
    model = pair_model(job, networks).to(job.device)
    run = _Run(job, model, training, validation)
    progress = _resume(job, model, run.optimisers, path)
    for epoch in range(progress.epoch, job.settings.epochs):
        row = run.epoch(epoch)
        progress = Progress(epoch + 1, [*progress.rows, row], progress.about)
        save_checkpoint(path, model, run.optimisers, progress)
        on_epoch(epoch + 1, row)
    return {name: network.cpu().eval() for name, network in networks.items()}, progress.rows


def _resume(
    job: Job, model: PairModel, optimisers: dict[str, torch.optim.Optimizer], path: Path
) -> Progress:
    """Load the checkpoint at `path`; without one, write that of epoch 0."""
    about = {"seed": job.seed, "pair": list(job.pair), "settings": recorded(job.settings)}
    if path.exists():
        progress = load_checkpoint(path, model, optimisers)
        if progress.about != about:
            raise ModelError(f"{path}: was made with other settings; choose another folder")
        return progress
    progress = Progress(0, [], about)
    save_checkpoint(path, model, optimisers, progress)  # so that a first epoch that fails leaves one
    return progress


def load_pretrained(job: Job, path: Path) -> Networks:
    """The networks of a finished pre-training; classifiers are fresh. Raises ModelError."""
    networks = fresh_networks(job)
    progress = load_checkpoint(path, pair_model(job, networks))
    if progress.epoch < job.settings.epochs:
        raise ModelError(
            f"{path}: pre-training stopped after epoch {progress.epoch} of {job.settings.epochs}; "
            "continue with pretrain --resume"
        )
    return {name: network.eval() for name, network in networks.items()}


def make_optimisers(model: PairModel, settings: PretrainSettings) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for the encoders and their losses, one for CLUB's own fit."""
    return {
        "main": torch.optim.Adam(
            model.main_parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        ),
        "club": torch.optim.Adam(model.club_parameters(), lr=settings.club_learning_rate, fused=True),
    }


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed + 1) * 1_000_003 + epoch


def _set_rate(optimiser: torch.optim.Optimizer, settings: PretrainSettings, done: float) -> None:
    """Cosine from the learning rate to 0 over all epochs, step by step."""
    rate = settings.learning_rate * (1 + math.cos(math.pi * done / settings.epochs)) / 2
    for group in optimiser.param_groups:
        group["lr"] = rate


def _tensors(windows: WindowSet, job: Job) -> list[Tensor]:
    first, second = (windows.features[name] for name in job.pair)
    numbers = (first, second, windows.trials, windows.starts)
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in numbers]


class _Run:
    """A pair model in training, epoch by epoch."""

    def __init__(self, job: Job, model: PairModel, training: WindowSet, validation: WindowSet) -> None:
        self._job, self._model, self._settings = job, model, job.settings
        self.optimisers = make_optimisers(model, job.settings)
        compiled = job.settings.compile and job.device.type == "cuda"
        self._forward: Any = torch.compile(model) if compiled else model
        self._training, self._validation = training, validation
        self._pairs = _tensors(training, job)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch, counted from 0; its mean losses. Raises TrainingError as ``pretrain``."""
        started_s = time.monotonic()
        settings, optimiser = self._settings, self.optimisers["main"]
        # every epoch has generators of its own, so that a resumed run draws the same numbers
        seed = _epoch_seed(self._job.seed, number)
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self._model.train()
        batches = epoch_batches(
            self._training, settings.sampler, settings.batch, settings.last_batch, generator
        )
        losses = []
        for i, batch in enumerate(batches):
            _set_rate(optimiser, settings, number + i / len(batches))
            losses.append(self._step([part[batch] for part in self._pairs], generator))
        row = {"epoch": float(number + 1), "learning_rate": optimiser.param_groups[0]["lr"]}
        row |= _means(losses) | self._validate()
        row["seconds"] = round(time.monotonic() - started_s, 3)
        _check(row, settings)
        return row

    def _step(self, batch: list[Tensor], generator: torch.Generator) -> dict[str, float]:
        model, settings, device = self._model, self._settings, self._job.device
        x_a, x_b, trials, starts = (part.to(device, non_blocking=True) for part in batch)
        half = settings.precision == "bf16" and device.type == "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            a, b = self._forward(x_a, x_b)
        a, b = a.float(), b.float()  # losses and CLUB stay in float32
        row = {}
        if settings.loss.weights.club:
            row["club_fit"] = fit_club(model, a, b, self.optimisers["club"], settings.club_inner_steps)
        terms = pair_terms(model, a, b, settings.loss, trials=trials, starts=starts, generator=generator)
        loss = total_loss(terms, settings.loss)
        self.optimisers["main"].zero_grad()
        loss.backward()
        self.optimisers["main"].step()
        model.limit_logit_scale(settings.loss.max_logit_scale)
        row |= {"total": float(loss.detach())}
        row |= {name: float(term.detach()) for name, term in terms.items()}
        row["logit_scale"] = float(model.logit_scale.detach().exp())
        return row

    def _validate(self) -> dict[str, float]:
        """Mean losses of the validation pairs, dropout off, in batches drawn alike in every epoch."""
        if len(self._validation) < 2:
            return {}
        model, settings = self._model, self._settings
        generator = torch.Generator().manual_seed(0)
        pairs = _tensors(self._validation, self._job)
        losses = []
        model.eval()
        with torch.no_grad():
            for batch in epoch_batches(
                self._validation, settings.sampler, settings.batch, "merge", generator
            ):
                x_a, x_b, trials, starts = (part[batch].to(self._job.device) for part in pairs)
                a, b = model(x_a, x_b)
                terms = pair_terms(
                    model, a, b, settings.loss, trials=trials, starts=starts, generator=generator
                )
                row = {f"validation_{name}": float(term) for name, term in terms.items()}
                losses.append(row | {"validation_matched": _matched(model, a.er, b.er)})
        return _means(losses)


def _matched(model: PairModel, er_a: Tensor, er_b: Tensor) -> float:
    """Share of windows whose own partner is the nearest of the batch."""
    unit_a, unit_b = (
        torch.nn.functional.normalize(projection(er), dim=-1, eps=1e-6)
        for projection, er in ((model.a.projection, er_a), (model.b.projection, er_b))
    )
    nearest = (unit_a @ unit_b.T).argmax(dim=1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())


def _check(row: dict[str, float], settings: PretrainSettings) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            raise TrainingError(f"epoch {row['epoch']:.0f}: {name} is not finite: lower learning_rate")
    club = settings.loss.weights.club * (
        max(0.0, row.get("club_a", 0.0)) + max(0.0, row.get("club_b", 0.0))
    )
    if settings.club_limit is not None and club > settings.club_limit:
        raise TrainingError(
            f"epoch {row['epoch']:.0f}: the weighted CLUB terms average {club:.3g}, above club_limit "
            f"{settings.club_limit:g}: raise club_learning_rate, or lower loss.weights.club"
        )


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means by name, over the rows that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
