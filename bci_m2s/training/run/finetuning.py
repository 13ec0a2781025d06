"""``bci-m2s finetune``: classifiers, model files, and one model to run live."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from bci_m2s.errors import TrainingError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.model.predictor import resolve_device
from bci_m2s.training.check.training_file import Checked, count
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.splits import PARTS
from bci_m2s.training.experiment import Experiment, open_experiment, write_config, write_json
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.model_files import OWN, crossings, file_names, write_model
from bci_m2s.training.methods.notes import notes_of
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.report import write_curves
from bci_m2s.training.run.everybody import write_everybody
from bci_m2s.training.run.live_model import write_live_model
from bci_m2s.training.run.progress import (
    bar,
    command,
    finetune_command,
    has_live_model,
    say_how_to_run,
)
from bci_m2s.training.run.units import is_finetuned, start
from bci_m2s.training.training_record import choice_of, training_record

Candidate = tuple[float, int, Mapping[str, Fitted], UnitData]  # validation score, seed, networks, windows
ONE_MODEL = ("subjects", "named")  # kinds of split that make a single model


def run_finetune(
    checked: Checked,
    folder: Path | None,
    console: Console,
    out: Path | None,
    overwrite: bool,
    device: str = "auto",
) -> None:
    """Train classifiers for every split and seed; write model files, and one for live use to `out`.

    Where a split makes several models, the one for live use is trained on everybody.

    Parameters
    ----------
    device : of the pre-training on everybody

    Raises
    ------
    OutputError
        `out` exists and `overwrite` is false.
    UsageError
        The method trains no networks.
    """
    experiment = open_experiment(checked, folder, console, device="cpu")
    settings = experiment.settings
    write_config(experiment.folder, settings)  # the classifiers' settings may have changed
    if out is None:
        for data, seed, unit in experiment.units():
            finetune_unit(experiment, data, seed, unit)
    elif settings.split.kind in ONE_MODEL:
        candidates: list[Candidate] = []
        for data, seed, unit in experiment.units():
            fitted = finetune_unit(experiment, data, seed, unit)
            candidates.append((sum(result.score for result in fitted.values()), seed, fitted, data))
        _write_best(experiment, out, candidates, overwrite)
    else:
        for data, seed, unit in experiment.units():
            if is_finetuned(experiment, unit):
                console.print(f"{data.split.name} seed {seed}: fine-tuned before, with the same settings")
            else:
                finetune_unit(experiment, data, seed, unit)
        write_everybody(experiment, out, resolve_device(device), overwrite)
    experiment.say_notes()
    if out is None:
        _say_models(experiment)
    else:
        console.print(f"Next: {command(experiment, 'evaluate')}", soft_wrap=True)
        say_how_to_run(experiment, out)


def _say_models(experiment: Experiment) -> None:
    several = "all" if len(experiment.splits) == 1 else "*"
    models = experiment.folder / several / "seed-*" / OWN
    live = finetune_command(experiment)
    one = f"; for one model to run live: {live}" if has_live_model(experiment) else ""
    for line in (f"Fine-tuned: {models}", f"Next: {command(experiment, 'evaluate')}{one}"):
        experiment.console.print(line, soft_wrap=True)


def finetune_unit(experiment: Experiment, data: UnitData, seed: int, unit: Path) -> Mapping[str, Fitted]:
    """Train the classifiers of one split with one seed; write its model files."""
    job, settings = experiment.job(seed), experiment.settings.finetune
    title = f"{data.split.name} seed {seed}"
    method: Method = METHODS[settings.method]
    if method.fit is None:
        raise UsageError(f"finetune.method: {settings.method} makes no model file: name it under controls")
    with bar(experiment.console, title, _passes(settings) * len(job.pair)) as advance:
        epochs = itertools.count(1)
        try:
            fitted = method.fit(
                job, data, lambda: start(experiment, job, unit), settings, lambda: advance(next(epochs))
            )
        except TrainingError as problem:
            raise TrainingError(f"{data.split.name}: {problem}") from None
    make_private_folder(unit)
    made_by = f"bci-m2s finetune {experiment.config.name}"
    record = training_record(experiment, data.split, seed, fitted, made_by)
    if notes := notes_of(data, fitted):
        record["notes"] = notes
    if data.labelled is not None:
        record["labelled"] = list(data.labelled)
    written = file_names(fitted, crosses=method.crosses(settings.freeze))
    for name, teachers in written.items():
        write_model(
            unit / name, experiment.settings, fitted, data, record, teachers=teachers, overwrite=True
        )
    for name in crossings(fitted).keys() - written:  # of before, with other settings
        (unit / name).unlink(missing_ok=True)
    for name, result in fitted.items():
        panels = (("loss",), ("validation", "test")) if experiment.pictures else ()
        write_curves(unit / f"finetune-{name}", result.rows, f"{experiment.name}, {name}", panels)
    write_json(unit / "finetune.json", {name: choice_of(result) for name, result in fitted.items()})
    experiment.console.print(f"{title}: {_result(data, fitted)}")
    for note in notes:
        experiment.note(note, data.split.name)
    return fitted


def _passes(settings: FinetuneSettings) -> int:
    """How often one modality's training notifies of its progress."""
    if settings.classifier == "logistic" and settings.freeze:
        return 1
    is_selected = settings.select == "validation"
    combinations = len(settings.learning_rates) * len(settings.weight_decays) if is_selected else 1
    return settings.epochs * combinations


def _result(data: UnitData, fitted: Mapping[str, Fitted]) -> str:
    """How well validation went; where it has no labels, whose there are."""
    if not data.settings.labels.leave_out:
        scores = ", ".join(f"{name} {result.score:.3f}" for name, result in fitted.items())
        return f"validation balanced accuracy {scores}"
    epochs = ", ".join(
        f"{name} {count(result.epoch, 'epoch') if result.epoch else 'logistic regression'}"
        for name, result in fitted.items()
    )
    whose = "" if data.labelled is None else f"; labels of {', '.join(data.labelled) or 'new people'}"
    return f"{epochs}{whose}"


def _write_best(experiment: Experiment, out: Path, candidates: list[Candidate], overwrite: bool) -> None:
    """Write the model of the seed with the best validation score."""
    _, seed, fitted, data = max(candidates, key=lambda candidate: candidate[:2])
    write_live_model(experiment, out, data, seed, fitted, {"made": _how(experiment, data)}, overwrite)


def _how(experiment: Experiment, data: UnitData) -> str:
    """How a model of one split was made, in words."""
    people = {part: len({key.split("/")[0] for key in getattr(data.split, part)}) for part in PARTS}
    others = count(people["validation"], "other")
    chose = f"epoch and settings chosen on {others}, "
    finetune = experiment.settings.finetune
    if finetune.select != "validation" or (finetune.classifier == "logistic" and finetune.freeze):
        chose = ""
    return (
        f"trained on {count(people['train'], 'person', 'people')}, {chose}"
        f"{people['test']} kept for the test"
    )
