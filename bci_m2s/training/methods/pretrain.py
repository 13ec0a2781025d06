"""Pre-training without labels: on pairs of windows, or on the windows of one modality alone.

Three or more modalities are trained pair by pair in one optimisation: every batch belongs to one pair, and
an epoch takes the batches of all pairs in random order. Each modality has one encoder, so that after it any
two can exchange classifiers; and a window needs the two modalities of its pair only, not all.

Sources: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134, Algorithm 1;
every pair of more than two: Tian, Krishnan, Isola, "Contrastive Multiview Coding", ECCV 2020, arXiv
1906.05849, and, on emotion, Franceschini et al., ICPR 2022, arXiv 2207.11482.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bci_m2s.errors import ModelError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import modality_network
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.own_future import SingleModel
from bci_m2s.networks.pretraining import AllPairs, PairModel, club_parameters, main_parameters
from bci_m2s.training.data.batches import epoch_batches, groups_of
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.checkpoint import (
    Progress,
    copy_state,
    load_checkpoint,
    read_best,
    save_checkpoint,
)
from bci_m2s.training.methods.club import fit_club
from bci_m2s.training.methods.epochs import check_losses, is_over, kept_epoch, last_epoch, means
from bci_m2s.training.methods.losses import total_loss
from bci_m2s.training.methods.members import Member, matched, rows_covered
from bci_m2s.training.methods.seeds import seed_torch
from bci_m2s.training.methods.stage_settings import PretrainSettings
from bci_m2s.training.settings import recorded

Networks = dict[str, SingleModality]
Model = SingleModel | PairModel | AllPairs
CLUBS = ("club_a", "club_b")
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Job:
    """One pre-training: the pair (or one modality, or more than two), its settings, seed and device."""

    contract: Contract
    pair: tuple[str, ...]
    settings: PretrainSettings
    seed: int
    device: torch.device


def fresh_networks(job: Job) -> Networks:
    """Every modality's network with the random weights of the job's seed."""
    seed_torch(job.seed)
    networks: dict[str, Any] = {name: modality_network(job.contract, name) for name in job.pair}
    if job.settings.layers_start == "copies":
        for network in networks.values():
            first = network.encoder.layers[0].state_dict()
            for layer in network.encoder.layers[1:]:
                layer.load_state_dict(first)
    return networks


def pretraining_model(job: Job, networks: Networks) -> Model:
    """The networks and the parts that only pre-training needs, from the job's seed."""
    seed_torch(job.seed + 1)
    sizes: dict[str, Any] = job.settings.model_dump(include={"predictions", "context", "causal_only"})
    if len(job.pair) == 1:
        return SingleModel(networks[job.pair[0]], **sizes)
    sizes["club_hidden"] = job.settings.club_hidden
    features = {name: job.contract.modalities[name].feature.n_features for name in job.pair}
    if len(job.pair) > 2:
        return AllPairs({name: networks[name] for name in job.pair}, features, **sizes)
    a, b = job.pair
    return PairModel(networks[a], networks[b], (features[a], features[b]), **sizes)


def pretrain(
    job: Job,
    training: WindowSet,
    validation: WindowSet,
    path: Path,
    *,
    on_epoch: OnEpoch = lambda _epoch, _row: None,
) -> tuple[Networks, list[dict[str, float]]]:
    """Train until the last epoch, or until patience ends, from the checkpoint at `path` where there is one.

    With ``select: validation`` the networks are those of the epoch with the lowest loss on the validation
    pairs, of which no label is used; else, and without such pairs, those of the last epoch.

    Parameters
    ----------
    training, validation : standardised windows; a pair uses those that have both of its modalities
    path : of the checkpoint, written before the first epoch and after each
    on_epoch : called after each epoch with its number from 1 and its mean losses

    Returns
    -------
    The networks (on the CPU) and one row of losses per epoch; see ``epochs.kept_epoch``.

    Raises
    ------
    TrainingError
        No windows of a pair, a loss that is not finite, or CLUB terms above the limit. The last good
        checkpoint is kept.
    """
    networks = fresh_networks(job)
    model = pretraining_model(job, networks).to(job.device)
    run = _Run(job, model, training, validation)
    progress = _resume(job, model, run.optimisers, path)
    best = read_best(path)
    while not is_over(progress.rows, job.settings):
        row = run.epoch(progress.epoch)
        rows = [*progress.rows, row]
        progress = Progress(len(rows), rows, progress.about)
        if kept_epoch(rows, job.settings) == len(rows):
            best = copy_state(model)
        save_checkpoint(path, model, run.optimisers, progress, best)
        on_epoch(len(rows), row)
    if best:
        model.load_state_dict(best)
    return {name: network.cpu().eval() for name, network in networks.items()}, progress.rows


def _resume(job: Job, model: Model, optimisers: dict[str, torch.optim.Optimizer], path: Path) -> Progress:
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
    model = pretraining_model(job, networks)
    progress = load_checkpoint(path, model)
    if not is_over(progress.rows, job.settings):
        raise ModelError(
            f"{path}: pre-training stopped after epoch {progress.epoch} of {last_epoch(job.settings)}; "
            "continue with pretrain --resume"
        )
    if best := read_best(path):
        model.load_state_dict(best)
    return {name: network.eval() for name, network in networks.items()}


def make_optimisers(model: Model, settings: PretrainSettings) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for the encoders and their losses; of pairs, one for CLUB's own fit."""
    optimisers: dict[str, torch.optim.Optimizer] = {
        "main": Adam(
            main_parameters(model),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    }
    if club := club_parameters(model):
        optimisers["club"] = Adam(
            club, lr=settings.club_learning_rate, weight_decay=settings.club_weight_decay, fused=True
        )
    return optimisers


def _epoch_seed(seed: int, epoch: int) -> int:
    return (seed + 1) * 1_000_003 + epoch


def _set_rate(optimiser: torch.optim.Optimizer, settings: PretrainSettings, done: float) -> None:
    """Cosine from the learning rate to 0 over all epochs, step by step."""
    rate = settings.learning_rate * (1 + math.cos(math.pi * done / settings.epochs)) / 2
    for group in optimiser.param_groups:
        group["lr"] = rate


class _Run:
    """A model in training, epoch by epoch."""

    def __init__(self, job: Job, model: Model, training: WindowSet, validation: WindowSet) -> None:
        self._job, self._model, self._settings = job, model, job.settings
        alone = [(job.pair, model)]
        pairs = (
            zip(combinations(job.pair, 2), model.pairs, strict=True)
            if isinstance(model, AllPairs)
            else alone
        )
        compiled = job.settings.compile and job.device.type == "cuda"
        covered = rows_covered(job.contract.window)
        self._members = [
            Member(names, part, job.settings.loss, training, validation, compiled, covered)
            for names, part in pairs
        ]
        self.optimisers = make_optimisers(model, job.settings)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch, counted from 0; its mean losses. Raises TrainingError as ``pretrain``."""
        started_s = time.monotonic()
        settings, optimiser = self._settings, self.optimisers["main"]
        # every epoch has generators of its own, so that a resumed run draws the same numbers
        seed = _epoch_seed(self._job.seed, number)
        seed_torch(seed)
        generator = torch.Generator().manual_seed(seed)
        self._model.train()
        batches = self._batches(generator)
        losses = []
        for i, (member, batch) in enumerate(batches):
            _set_rate(optimiser, settings, number + i / len(batches))
            losses.append(self._step(member, member.batch(batch), generator))
        row = {"epoch": float(number + 1), "learning_rate": optimiser.param_groups[0]["lr"]}
        row |= means(losses) | self._validate()
        row["seconds"] = round(time.monotonic() - started_s, 3)
        check_losses(row, settings)
        return row

    def _batches(self, generator: torch.Generator) -> list[tuple[Member, Tensor]]:
        """Every batch of an epoch and whose it is; several pairs take turns in random order."""
        settings = self._settings
        batches = [
            (member, batch)
            for member in self._members
            for batch in epoch_batches(
                groups_of(member.training, settings.sampler),
                settings.batch,
                settings.last_batch,
                generator,
            )
        ]
        if len(self._members) == 1:
            return batches
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def _step(self, member: Member, batch: list[Tensor], generator: torch.Generator) -> dict[str, float]:
        settings, device = self._settings, self._job.device
        moved = [part.to(device, non_blocking=True) for part in batch]
        features, about = moved[: len(member.names)], moved[len(member.names) :]
        half = settings.precision == "bf16" and device.type == "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            made = member.forward(*features)
        encoded: Any = tuple(side.float() for side in made)  # losses and CLUB stay in float32
        row, pair = {}, member.pair
        if pair is not None and settings.loss.weights.club:
            a, b = encoded
            row["club_fit"] = fit_club(pair, a, b, self.optimisers["club"], settings.club_inner_steps)
        terms = member.terms(encoded, about, generator)
        loss = total_loss(terms, settings.loss)
        self.optimisers["main"].zero_grad()
        loss.backward()
        self.optimisers["main"].step()
        row |= {"total": float(loss.detach())}
        row |= {name: float(term.detach()) for name, term in terms.items()}
        clubs = [value > settings.loss.club_ceiling for name, value in row.items() if name in CLUBS]
        if clubs:
            row["club_at_ceiling"] = sum(clubs) / len(clubs)
        if pair is not None:
            pair.limit_logit_scale(settings.loss.max_logit_scale)
            row["logit_scale"] = float(pair.logit_scale.detach().exp())
        return self._of_pair(row, member, "contrastive")

    def _of_pair(self, row: dict[str, float], member: Member, *columns: str) -> dict[str, float]:
        """With some columns for this pair too, where there are several."""
        if len(self._members) == 1:
            return row
        return row | {f"{name} {'+'.join(member.names)}": row[name] for name in columns if name in row}

    def _validate(self) -> dict[str, float]:
        """Mean losses of the validation windows, dropout off, in batches drawn alike in every epoch."""
        settings, losses = self._settings, []
        generator = torch.Generator().manual_seed(0)
        self._model.eval()
        with torch.no_grad():
            for member in self._members:
                if len(member.validation) < 2:
                    continue
                groups = groups_of(member.validation, settings.sampler)
                for batch in epoch_batches(groups, settings.batch, "merge", generator):
                    windows = member.batch(batch, validation=True)
                    moved = [part.to(self._job.device) for part in windows]
                    features, about = moved[: len(member.names)], moved[len(member.names) :]
                    encoded = member.model(*features)
                    terms = member.terms(encoded, about, generator)
                    row = {f"validation_{name}": float(term) for name, term in terms.items()}
                    if member.pair is not None:
                        a, b = encoded
                        row["validation_matched"] = matched(member.pair, a, b, about[2], settings.loss)
                        row["validation_matched_chance"] = 1 / len(batch)
                    losses.append(
                        self._of_pair(row, member, "validation_contrastive", "validation_matched")
                    )
        return means(losses)
