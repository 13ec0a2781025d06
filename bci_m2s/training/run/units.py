"""One split with one seed: where it begins, and whether it is done."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.model.model_file import read_contract
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.methods.model_files import OWN
from bci_m2s.training.methods.pretrain import Job, Networks, fresh_networks, load_pretrained
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.run.pretraining import CHECKPOINT
from bci_m2s.training.settings import recorded

CHOICES = "finetune.json"


def start(experiment: Experiment, job: Job, unit: Path) -> Networks:
    """The networks from which classifiers begin."""
    if experiment.settings.finetune.start == "random":
        return fresh_networks(job)
    if not (unit / CHECKPOINT).exists():  # the run was begun for methods that need none
        raise UsageError(f"{unit / CHECKPOINT}: missing; run bci-m2s pretrain --resume first")
    return load_pretrained(job, unit / CHECKPOINT)


def check_finetuned(experiment: Experiment, path: Path) -> None:
    """Raises UsageError when there is no such model file or it was made with other settings."""
    if not path.exists():
        raise UsageError(f"{path}: missing; run bci-m2s finetune {experiment.config} first")
    kept = read_contract(path).training.get("finetune")
    wanted = recorded(experiment.settings.finetune)
    # what an earlier version did not know of it did as the defaults do
    if not isinstance(kept, dict) or recorded(FinetuneSettings()) | kept != wanted:
        again = f"run bci-m2s finetune {experiment.config} again"
        raise UsageError(f"{path}: finetune: made with other values; {again}")


def is_finetuned(experiment: Experiment, unit: Path) -> bool:
    """Whether a unit's model files were made with these settings from the networks that are there."""
    try:
        check_finetuned(experiment, unit / OWN)
    except BciM2sError:
        return False
    if not (unit / CHOICES).exists():
        return False
    checkpoint = unit / CHECKPOINT
    made = (unit / CHOICES).stat().st_mtime_ns  # it is written last
    return not checkpoint.exists() or checkpoint.stat().st_mtime_ns <= made
