"""The model file of a calibration: the base model, with what was promoted in its place, and its record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from bci_m2s.files.checksum import file_sha256
from bci_m2s.files.tensor_file import Arrays
from bci_m2s.model.contract import CalibrationContract, Component, Contract, ModalityContract
from bci_m2s.model.model_file import pack_modality, save_model
from bci_m2s.networks.direct import BESIDE
from bci_m2s.pipeline.recorded_windows import RecordedRun
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.blocks import make_blocks
from bci_m2s.training.calibration.candidates import Made, candidates, make, scores
from bci_m2s.training.calibration.decide import ALPHA, PERMUTATIONS, Problem, Verdict
from bci_m2s.training.calibration.material import Material
from bci_m2s.training.calibration.pairs import paired, taught
from bci_m2s.training.calibration.problems import situation_of
from bci_m2s.training.calibration.ridge import targets
from bci_m2s.training.calibration.unlabelled import Unlabelled
from bci_m2s.training.drift.block import FittedDrift, fit_own_drift
from bci_m2s.training.experiment import library_versions
from bci_m2s.training.methods.model_files import calibrate
from bci_m2s.types import FloatArray

MOST_UNKNOWN = 0.2  # share of held-out windows that may fall below the confidence threshold


def write_calibrated(
    path: Path,
    base: Base,
    material: Material,
    problems: Mapping[str, Problem],
    verdicts: Mapping[str, Verdict],
    left: Mapping[str, Unlabelled],
    runs: Sequence[RecordedRun],
) -> Contract:
    """Write the model file; modalities that are neither promoted nor taught are those of the base model.

    Where the base model has limits of drift, and there are sessions enough, the file has this person's own
    reference beside them.

    Raises
    ------
    OutputError
        The file exists or cannot be written.
    """
    tensors: Arrays = dict(base.tensors)
    modalities = dict(base.contract.modalities)
    for name, (made, calibration) in _replaced(base, material, problems, verdicts, left).items():
        spec = modalities[name]
        update: dict[str, Any] = {"calibration": {**spec.calibration, material.head: calibration}}
        if made.kind:
            update["network"] = _component(made, spec.network)
        modalities[name] = spec.model_copy(update=update)
        tensors = {
            key: array
            for key, array in tensors.items()
            if key.startswith(f"{name}.drift.") or not key.startswith(f"{name}.")
        }
        tensors |= _packed(name, made, base)
    for name in modalities:
        own = _own_drift(name, modalities[name], base, material)
        if own is not None:
            modalities[name] = modalities[name].model_copy(update={"drift": own.block})
            tensors |= {f"{name}.{key}": array for key, array in own.arrays.items()}
    contract = base.contract.model_copy(
        update={
            "name": path.stem[:256] or base.contract.name,
            "description": f"Calibrated for one participant. {base.contract.description}"[:4096],
            "simulated": base.contract.simulated or any(run.is_simulated for run in runs),
            "modalities": modalities,
            "training": record(base, material, verdicts, left, runs, path),
        }
    )
    contract = Contract.model_validate(contract.model_dump())
    save_model(path, contract, tensors)
    return contract


def _replaced(
    base: Base,
    material: Material,
    problems: Mapping[str, Problem],
    verdicts: Mapping[str, Verdict],
    left: Mapping[str, Unlabelled],
) -> dict[str, tuple[Made, CalibrationContract]]:
    """What takes the base model's place: the promoted, and what they teach."""
    made = {
        name: (
            make(verdict.chosen, problems[name].situation),
            _calibration(problems[name], verdict.chosen, material),
        )
        for name, verdict in verdicts.items()
        if verdict.is_promoted
    }
    for name, one in left.items():
        if one.is_taught:
            own, calibration = made[one.teacher]
            made[name] = taught_by(own, calibration.temperature, base, material, one.teacher, name)
    return made


def taught_by(
    own: Made, temperature: float, base: Base, material: Material, teacher: str, learner: str
) -> tuple[Made, CalibrationContract]:
    """What a promoted signal teaches one without labelled windows, and how its logits become probabilities.

    Parameters
    ----------
    own : the promoted signal's network; temperature : of its logits
    """
    of_teacher, of_learner = paired(material, teacher, learner)
    each = np.arange(len(of_learner))
    seen, it = (
        situation_of(base, name, material.head, windows, each, np.zeros_like(each))
        for name, windows in ((teacher, of_teacher), (learner, of_learner))
    )
    made = taught(it, softmax(scores(own, seen) / temperature, axis=1))
    before = base.contract.modalities[learner].calibration.get(material.head)
    # its logits are logarithms of probabilities already, and no held-out trial can say more
    return made, CalibrationContract(unknown_below=before.unknown_below if before is not None else 0.0)


def _own_drift(name: str, spec: ModalityContract, base: Base, material: Material) -> FittedDrift | None:
    """Limits of drift with this person's own reference; None without limits, or from too few sessions."""
    sessions = material.measured.get(name)
    if spec.drift is None or not sessions:
        return None
    start = f"{name}.drift."
    arrays = {
        "drift." + key.removeprefix(start): np.asarray(array)
        for key, array in base.tensors.items()
        if key.startswith(start)
    }
    found = fit_own_drift(sessions, spec, base.contract.window, FittedDrift(spec.drift, arrays))
    return found if isinstance(found, FittedDrift) else None


def record(
    base: Base,
    material: Material,
    verdicts: Mapping[str, Verdict],
    left: Mapping[str, Unlabelled],
    runs: Sequence[RecordedRun],
    path: Path,
) -> dict[str, Any]:
    """The training record: of the base model, and how the calibration was judged."""
    before = dict(base.contract.training)
    names = [run.participant for run in runs if run.participant]
    sums = [file_sha256(run.path) for run in runs]
    sessions = [
        {"file": run.path.name, "participant": run.participant, "sha256": checksum}
        for run, checksum in zip(runs, sums, strict=True)
    ]
    given = " ".join(run.path.name for run in runs)
    return {
        "method": "calibration of a base model on one participant's labelled trials",
        "base": {"name": base.contract.name, "file": base.path.name, "sha256": file_sha256(base.path)},
        "base_training": before.get("base_training", before),
        "subjects": _with(before, "subjects", names),
        "recordings": _with(before, "recordings", sums),
        "calibration": {
            "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "head": material.head,
            "sessions": sessions,
            "trials": dict(zip(material.classes, np.bincount(material.labels).tolist(), strict=True)),
            "alpha": ALPHA,
            "permutations": PERMUTATIONS,
            "modalities": {name: _told(verdict, name) for name, verdict in verdicts.items()}
            | {name: _not_judged(one, name) for name, one in left.items()},
        },
        "command": f"bci-m2s calibrate {given} --base {base.path.name} --output {path.name}",
        "versions": library_versions(),
    }


def _told(verdict: Verdict, modality: str) -> dict[str, Any]:
    return {
        "promoted": verdict.is_promoted,
        "decision": verdict.sentence(modality),
        "chosen": verdict.chosen,
        "balanced_accuracy": round(verdict.accuracy, 4),
        "interval_95": [round(verdict.low, 4), round(verdict.high, 4)],
        "base_balanced_accuracy": round(verdict.base, 4),
        "gain_interval_95": [round(verdict.gain_low, 4), round(verdict.gain_high, 4)],
        "chance": round(verdict.chance, 4),
        "chance_exceeded_by_one_in_50": round(verdict.high_chance, 4),
        "p": round(verdict.p, 4),
        "candidates": {name: round(value, 4) for name, value in verdict.each.items()},
        "trials": verdict.trials,
        "windows": verdict.windows,
    }


def _not_judged(one: Unlabelled, modality: str) -> dict[str, Any]:
    return {
        "promoted": False,
        "decision": one.sentence(modality),
        "chosen": "pairs" if one.is_taught else "base",
        "teacher": one.teacher if one.is_taught else "",
        "pairs": one.pairs,
        "trials": one.trials,
        "windows": one.windows,
    }


def _with(before: Mapping[str, Any], key: str, names: Sequence[str]) -> dict[str, Any]:
    """A part of a record that says whom a model was trained on, and these too."""
    entry = before.get(key)
    parts = json.loads(json.dumps(entry)) if isinstance(entry, dict) else {}
    earlier = parts.get("train")
    parts["train"] = list(dict.fromkeys([*(earlier if isinstance(earlier, list) else []), *names]))
    return parts


def _component(made: Made, base: Component) -> Component:
    """What a contract names as the network."""
    if made.kind == "linear":
        return Component(name="linear")
    return Component(name=base.name.removesuffix(BESIDE) + BESIDE, params=base.params)


def _packed(name: str, made: Made, base: Base) -> Arrays:
    spread = np.asarray(base.tensors[f"{name}.baseline.std"])
    return pack_modality(name, made.network, made.scale.mean, made.scale.std, spread)


def _calibration(problem: Problem, name: str, material: Material) -> CalibrationContract:
    """Temperature and threshold of a candidate, from trials that it was not trained on."""
    it = problem.situation
    logits = held_out(problem, name, make_blocks(material.labels)[problem.kept])
    return calibrate(logits, it.labels[it.trials], it.trials, MOST_UNKNOWN)


def held_out_temperature(problem: Problem, name: str, material: Material) -> float:
    """The temperature that a candidate's logits get in a model file."""
    return _calibration(problem, name, material).temperature


def held_out(problem: Problem, name: str, blocks: np.ndarray) -> FloatArray:
    """Logits (n, classes) of each window by a candidate trained without the window's block of trials."""
    it = problem.situation
    candidate, logits = candidates(it)[name], np.zeros((len(it.trials), it.n_classes))
    for block in np.unique(blocks):
        train = blocks != block
        tested = np.flatnonzero(~train[it.trials])
        target = targets(it.labels[None][:, train], it.n_classes)
        logits[tested] = candidate(train).scores(tested, target)[0]
    return logits
