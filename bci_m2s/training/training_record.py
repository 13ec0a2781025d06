"""The training record that a model file holds: how it was made, from what, and from whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from bci_m2s.files.checksum import file_sha256
from bci_m2s.training.data.splits import PARTS, Split
from bci_m2s.training.datasets.recorded_files import recordings_below
from bci_m2s.training.experiment import Experiment, library_versions
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.results.protocol import conditions
from bci_m2s.training.settings import TrainingSettings, recorded


def choice_of(fitted: Fitted) -> dict[str, Any]:
    """How one modality's classifiers were chosen, on validation data."""
    return {
        "validation_balanced_accuracy": fitted.score if math.isfinite(fitted.score) else None,
        "chosen_by": fitted.chosen_by,
        "epoch": fitted.epoch,
        "learning_rate": fitted.learning_rate,
        "weight_decay": fitted.weight_decay,
        "oracle": fitted.oracle,
        **({"oracle_across": fitted.oracle_across} if fitted.oracle_across else {}),
    }


def training_record(
    experiment: Experiment, split: Split, seed: int, fitted: Mapping[str, Fitted], command: str
) -> dict[str, Any]:
    """The training record of a contract: how the model was made."""
    settings = experiment.settings
    return {
        "data": settings.data.format,
        "method": _method(settings),
        "protocol": conditions(settings, settings.contract.first_head),
        "people": {part: len({key.split("/")[0] for key in getattr(split, part)}) for part in PARTS},
        "trials": {part: len(getattr(split, part)) for part in PARTS},
        **people_of(settings, split),
        **_simulated(settings, split),
        "seed": seed,
        "chosen": {name: choice_of(result) for name, result in fitted.items()},
        "pretrain": recorded(settings.pretrain),
        "finetune": recorded(settings.finetune),
        "command": command,
        "versions": library_versions(),
    }


def people_of(settings: TrainingSettings, split: Split) -> dict[str, dict[str, list[str]]]:
    """The people of each part by name, and checksums of own recordings, so that their replay can say so."""
    data = settings.data
    if data.format == "simulated":
        return {}
    sessions = {part: {key.rpartition("/")[0] for key in getattr(split, part)} for part in PARTS}
    whose = {
        "subjects": {
            part: sorted({key.partition("/")[0] for key in keys}) for part, keys in sessions.items()
        }
    }
    if data.format == "recordings" and data.root is not None:
        sums = [
            (f"{file.subject}/{file.session}", _sha256(file.path, file.path.stat().st_mtime_ns))
            for file in recordings_below(data.root)
        ]
        whose["recordings"] = {
            part: [checksum for key, checksum in sums if key in keys] for part, keys in sessions.items()
        }
    return whose


def _simulated(settings: TrainingSettings, split: Split) -> dict[str, Any]:
    """Which simulated people there were: others of another seed have the same numbers."""
    if settings.data.format != "simulated":
        return {}
    people = {part: sorted({key.split("/")[0] for key in getattr(split, part)}, key=int) for part in PARTS}
    return {"simulator": {"seed": settings.data.simulator.get("seed", 0), **people}}


@lru_cache(maxsize=4096)  # every split and seed has a record, and the files are large
def _sha256(path: Path, _changed_ns: int) -> str:
    return file_sha256(path)


def _method(training: TrainingSettings) -> str:
    settings = training.finetune
    if settings.method != "pretrained":
        return settings.method
    if settings.start == "random":
        return "random encoders" if settings.freeze else "supervised"
    if len(training.pair) > 1 and not settings.freeze:
        return "M2S: pre-trained on pairs without labels, then each modality's encoder on its own labels"
    if len(training.pair) > 1:
        return "M2S: pre-trained on pairs without labels, classifiers on the labels of one modality"
    trained = "the classifier" if settings.freeze else "encoder and classifier"
    return f"pre-trained without labels to predict its own future, then {trained} on labels"
