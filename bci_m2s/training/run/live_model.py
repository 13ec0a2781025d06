"""The model file for live use that ``finetune --out`` writes, and where a run's one is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bci_m2s.model.contract import CalibrationContract
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.experiment import Experiment, write_json
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.model_files import write_model
from bci_m2s.training.run.drift import drifts_of
from bci_m2s.training.run.progress import model_name
from bci_m2s.training.training_record import training_record

WRITTEN = "live-model.json"  # in a run's folder: which file was written for live use


def write_live_model(
    experiment: Experiment,
    out: Path,
    data: UnitData,
    seed: int,
    fitted: Mapping[str, Fitted],
    about: Mapping[str, str],
    overwrite: bool,
    calibrations: Mapping[str, Mapping[str, CalibrationContract]] | None = None,
) -> None:
    """Write a model for live use to `out`, note it in the run's folder, and say how it was made.

    about : what its training record says beside the usual, "made" at least
    calibrations : modality → head; those of `fitted` when None

    Raises
    ------
    OutputError
        `out` exists and `overwrite` is false, or cannot be written.
    """
    settings, labels = experiment.settings, experiment.settings.finetune.labels
    name = experiment.config.name
    made_by = f"bci-m2s pretrain {name} && bci-m2s finetune {name} --out {out.name}"
    record = training_record(experiment, data.split, seed, fitted, made_by) | dict(about)
    record["classifiers"] = "own labels" if labels == "own" else f"labels of {labels} alone"
    record["chosen_seed"] = f"{seed}, by validation, of {', '.join(map(str, settings.seeds))}"
    kept = settings.finetune.keep or tuple(fitted)
    contract = write_model(
        out,
        settings,
        fitted,
        data,
        record,
        teachers={name: name if labels == "own" else labels for name in fitted},
        keep=settings.finetune.keep,
        overwrite=overwrite,
        calibrations=calibrations,
        drifts=drifts_of(experiment, data, kept),
    )
    write_json(experiment.folder / WRITTEN, {"model": str(out.resolve())})
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    line = f"{out}: {contract.name}, {size}, seed {seed}: {about['made']}"
    experiment.console.print(line, soft_wrap=True)


def live_model(experiment: Experiment) -> Path | None:
    """The model file that a run wrote for live use; None where there is none any more.

    As a path from the current folder, where it lies below.
    """
    try:
        noted = json.loads((experiment.folder / WRITTEN).read_text(encoding="utf-8"))["model"]
        model = Path(str(noted))
    except (OSError, ValueError, KeyError, TypeError):  # a run of before this was noted
        model = experiment.config.parent.resolve() / model_name(experiment)
    if not model.is_file():
        return None
    here = Path.cwd()
    return model.relative_to(here) if model.is_relative_to(here) else model
