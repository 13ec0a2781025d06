"""One model of everybody, where a split makes several: the settings are those that the parts chose.

Nothing is chosen on test data: each part's learning rate, weight decay and number of epochs come from its
own validation people or trials. What most parts chose is taken, with the median of their epochs; the median
of their calibrations is the model's.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import torch

from bci_m2s.errors import ModelError, TrainingError
from bci_m2s.files.access import make_private_folder
from bci_m2s.model.contract import CalibrationContract
from bci_m2s.model.model_file import read_contract
from bci_m2s.training.check.training_file import count
from bci_m2s.training.data.prepare import UnitData, prepare
from bci_m2s.training.data.splits import Split
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.methods.checkpoint import read_progress
from bci_m2s.training.methods.epochs import kept_epoch
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.model_files import OWN
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.run.live_model import write_live_model
from bci_m2s.training.run.pretraining import CHECKPOINT, pretrain_unit
from bci_m2s.training.run.progress import bar, command
from bci_m2s.training.run.units import CHOICES, start

NAME = "everybody"


class Choice(NamedTuple):
    """What the validation of the parts chose for a modality."""

    learning_rate: float
    weight_decay: float
    epochs: int


def write_everybody(experiment: Experiment, out: Path, device: torch.device, overwrite: bool) -> None:
    """Train one model on all trials and write it to `out`.

    device : of the pre-training, which goes on where it stopped
    """
    settings = experiment.settings
    seed = _best_seed(experiment)
    chosen = _choices(experiment)
    every = frozenset(session.key(trial) for session in experiment.sessions for trial in session.trials)
    split = Split(NAME, every, frozenset(), frozenset(), by_subject=False)
    data = prepare(settings, experiment.sessions, split, experiment.names)
    unit = experiment.folder / NAME / f"seed-{seed}"
    make_private_folder(unit)
    job = _for_as_long(experiment, experiment.job(seed))
    if settings.finetune.start == "pretrained" and METHODS[settings.finetune.method].pretrained:
        _pretrain(experiment, replace(job, device=device), data, unit, out)
    fitted = _fitted(experiment, job, data, unit, chosen)
    about = {
        "made": _how(experiment, chosen),
        "calibration": "median of what the parts' validation windows gave",
    }
    write_live_model(experiment, out, data, seed, fitted, about, overwrite, _calibrations(experiment))


def _for_as_long(experiment: Experiment, job: Job) -> Job:
    """The pre-training on everybody, whom nobody validates: as long as the parts kept, their median."""
    if job.settings.select != "validation" or not job.settings.epochs:
        return job
    kept = [
        kept_epoch(read_progress(unit / CHECKPOINT).rows, job.settings)
        for _, _, unit in _units(experiment)
        if (unit / CHECKPOINT).exists()
    ]
    stop_after = max(1, round(median(kept))) if kept else 0
    return replace(job, settings=job.settings.model_copy(update={"stop_after": stop_after, "patience": 0}))


def _pretrain(experiment: Experiment, job: Job, data: UnitData, unit: Path, out: Path) -> None:
    try:
        pretrain_unit(experiment, job, data, unit)
    except KeyboardInterrupt:
        again = command(experiment, "finetune", "--out", out)
        experiment.console.print(
            f"Stopped. The last complete epoch is kept; continue with: {again}", soft_wrap=True
        )
        raise


def _units(experiment: Experiment) -> Iterator[tuple[int, dict[str, Any], Path]]:
    """Seed, choices by modality, and folder of every part that was fine-tuned."""
    for split in experiment.splits:
        for seed in experiment.settings.seeds:
            unit = experiment.folder / split.name / f"seed-{seed}"
            try:
                yield seed, json.loads((unit / CHOICES).read_text(encoding="utf-8")), unit
            except (OSError, ValueError) as problem:
                raise ModelError(f"{unit / CHOICES}: cannot be read: {problem}") from None


def _best_seed(experiment: Experiment) -> int:
    """The seed with the best mean score on validation, over parts and modalities."""
    scores: dict[int, list[float]] = defaultdict(list)
    for seed, choices, _ in _units(experiment):
        scores[seed] += [choice["validation_balanced_accuracy"] for choice in choices.values()]
    return max(experiment.settings.seeds, key=lambda seed: mean(scores[seed]))


def _choices(experiment: Experiment) -> dict[str, Choice]:
    found: dict[str, list[Choice]] = defaultdict(list)
    for _, choices, _ in _units(experiment):
        for name, choice in choices.items():
            found[name].append(Choice(choice["learning_rate"], choice["weight_decay"], choice["epoch"]))
    return {name: most_chosen(choices) for name, choices in found.items()}


def most_chosen(choices: Sequence[Choice]) -> Choice:
    """The learning rate and weight decay that most parts chose, and the median of these parts' epochs."""
    if not choices:
        raise TrainingError("no part has chosen settings")
    (rate, decay), _ = Counter(choice[:2] for choice in choices).most_common(1)[0]
    epochs = [choice.epochs for choice in choices if choice[:2] == (rate, decay)]
    return Choice(rate, decay, max(1, round(median(epochs))))


def _fitted(
    experiment: Experiment, job: Job, data: UnitData, unit: Path, chosen: Mapping[str, Choice]
) -> dict[str, Fitted]:
    """Every modality's network, trained with its own settings."""
    method: Method = METHODS[experiment.settings.finetune.method]
    assert method.fit is not None  # the parts were trained with it
    made: dict[Choice, Mapping[str, Fitted]] = {}
    total = len(job.pair) * sum(choice.epochs for choice in set(chosen.values()))
    with bar(experiment.console, f"{NAME} seed {job.seed}", total) as advance:
        epochs = itertools.count(1)
        for choice in dict.fromkeys(chosen.values()):
            settings = _settings(experiment.settings.finetune, choice)
            made[choice] = method.fit(
                job, data, lambda: start(experiment, job, unit), settings, lambda: advance(next(epochs))
            )
    return {name: made[choice][name] for name, choice in chosen.items()}


def _settings(finetune: FinetuneSettings, choice: Choice) -> FinetuneSettings:
    return finetune.model_copy(
        update={
            "learning_rates": (choice.learning_rate,),
            "weight_decays": (choice.weight_decay,),
            "stop_after": choice.epochs,
            "select": "last",
            "oracle": False,
        }
    )


def _calibrations(experiment: Experiment) -> dict[str, dict[str, CalibrationContract]]:
    """Modality → head → the median of the parts' calibrations."""
    found: dict[str, dict[str, list[CalibrationContract]]] = defaultdict(lambda: defaultdict(list))
    for _, _, unit in _units(experiment):
        for name, spec in read_contract(unit / OWN).modalities.items():
            for head, calibration in spec.calibration.items():
                found[name][head].append(calibration)
    return {
        name: {head: _median(calibrations) for head, calibrations in heads.items()}
        for name, heads in found.items()
    }


def _median(calibrations: Sequence[CalibrationContract]) -> CalibrationContract:
    def errors(field: str) -> float | None:
        known = [value for one in calibrations if (value := getattr(one, field)) is not None]
        return mean(known) if known else None

    return CalibrationContract(
        temperature=math.exp(median(math.log(one.temperature) for one in calibrations)),
        unknown_below=median(one.unknown_below for one in calibrations),
        ece_before=errors("ece_before"),
        ece_after=errors("ece_after"),
        windows=sum(one.windows for one in calibrations),
        trials=sum(one.trials for one in calibrations),
    )


def _how(experiment: Experiment, chosen: Mapping[str, Choice]) -> str:
    """How the model was made, in words."""
    n_people = len(experiment.names.subjects)
    people = f"all {n_people} people" if n_people > 1 else "the one person"
    kind = "folds" if experiment.settings.split.kind.endswith("folds") else "parts"
    if experiment.settings.finetune.classifier == "logistic":
        return f"trained on {people}, as the models of the {kind}; classifiers are logistic regressions"
    words = "; ".join(
        f"{name}: learning rate {choice.learning_rate:g}, weight decay {choice.weight_decay:g}, "
        f"{count(choice.epochs, 'epoch')}"
        for name, choice in chosen.items()
    )
    return f"trained on {people} with the settings that the {kind} chose ({words})"
