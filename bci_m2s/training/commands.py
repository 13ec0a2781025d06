"""``bci-m2s pretrain``, ``finetune`` and ``evaluate``: what they do with a training file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bci_m2s.errors import OutputError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.model.model_file import read_contract
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.experiment import (
    Experiment,
    open_experiment,
    write_config,
    write_json,
)
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.methods import labelled_parts
from bci_m2s.training.methods.model_files import OWN, crossings, write_model
from bci_m2s.training.methods.pretrain import Job, Networks, fresh_networks, load_pretrained, pretrain
from bci_m2s.training.results.evaluation import (
    EvaluationSetup,
    Result,
    evaluate_files,
    evaluate_fitted,
    evaluate_guesses,
    identity_probe,
    summarise,
)
from bci_m2s.training.results.report import protocol, table, write_curves, write_results
from bci_m2s.training.settings import FinetuneSettings, recorded
from bci_m2s.training.training_record import choice_of, training_record

Candidate = tuple[float, int, Mapping[str, Fitted], UnitData]  # validation score, seed, networks, windows
CHECKPOINT = "pretrain.safetensors"
PANELS = (
    ("total", "validation_contrastive", "contrastive", "cpc", "validation_cpc"),
    ("reconstruction", "validation_reconstruction"),
    ("club_a", "club_b", "club_fit"),
    ("validation_matched", "logit_scale"),
)


def run_pretrain(
    checked: Checked, folder: Path | None, console: Console, device: str, resume: bool
) -> None:
    """Pre-train every split and seed of a training file."""
    experiment = open_experiment(checked, folder, console, device=device, begin=not resume)
    names, settings = experiment.names, experiment.settings
    console.print(
        f"{experiment.name}: {len(names.subjects)} people, {len(names.sessions)} sessions, "
        f"{len(names.trials)} trials; {len(experiment.splits)} split(s) × {len(settings.seeds)} seed(s), "
        f"on {experiment.device}"
    )
    methods = (settings.finetune.method, *settings.controls)
    if not any(METHODS[name].pretrained for name in methods):
        console.print(
            f"Nothing to pre-train for {', '.join(methods)}. Next: bci-m2s finetune {checked.path}"
        )
        return
    try:
        for data, seed, unit in experiment.units():
            make_private_folder(unit)
            _pretrain_unit(experiment, data, seed, unit)
    except KeyboardInterrupt:
        console.print(
            f"Stopped. The last complete epoch is kept; continue with: bci-m2s pretrain {checked.path} "
            f"--run {experiment.folder} --resume"
        )
        raise
    console.print(f"Pre-trained: {experiment.folder}. Next: bci-m2s finetune {checked.path}")


def _pretrain_unit(experiment: Experiment, data: UnitData, seed: int, unit: Path) -> None:
    job, console = experiment.job(seed), experiment.console
    epochs = job.settings.epochs
    title = f"{data.split.name} seed {seed}"
    with _bar(console, title, epochs) as advance:

        def on_epoch(epoch: int, row: dict[str, float]) -> None:
            shown = ("total", "contrastive", "cpc", "reconstruction", "club_a", "club_b")
            losses = ", ".join(f"{name} {row[name]:.2f}" for name in shown if name in row)
            advance(epoch, losses)

        networks, rows = pretrain(
            job, data.parts["train"], data.parts["validation"], unit / CHECKPOINT, on_epoch=on_epoch
        )
    write_curves(unit / "pretrain", rows, f"{experiment.name}, {title}", PANELS)
    shown = [name for name in ("contrastive", "cpc") if rows and name in rows[-1]]
    result = f", {shown[0]} {rows[-1][shown[0]]:.2f}" if shown else ""
    probes = {}
    for name in job.pair:
        probe = identity_probe(networks[name], data.parts["train"], name)
        if probe is not None:
            probes[name] = {"accuracy": probe.accuracy, "chance": probe.chance}
            result += f"; person identified from {name} {probe.accuracy:.2f} (chance {probe.chance:.2f})"
    write_json(unit / "pretrain.json", {"seed": seed, "last": rows[-1] if rows else {}, "identity": probes})
    console.print(f"{title}: {len(rows)} epochs{result}")


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, losses="")
        yield lambda done, losses="": progress.update(task, completed=done, losses=losses)


def run_finetune(
    checked: Checked, folder: Path | None, console: Console, out: Path | None, overwrite: bool
) -> None:
    """Train classifiers for every split and seed; write model files, and one to `out`.

    Raises
    ------
    OutputError
        `out` exists and `overwrite` is false.
    UsageError
        The training file makes no model, or several, where one is to be written to `out`.
    """
    if out is not None and out.exists() and not overwrite:  # refused now, not after minutes
        raise OutputError(f"{out}: exists; nothing is overwritten without --overwrite")
    experiment = open_experiment(checked, folder, console, device="cpu")
    config = checked.path
    settings, n_splits = experiment.settings, len(experiment.splits)
    if out is not None and settings.windows.own_session:
        raise UsageError("windows.own_session: a model scaled by whole sessions cannot run live")
    if out is not None and n_splits > 1:
        raise UsageError(
            f"--out: split kind {settings.split.kind} makes {n_splits} models; subjects makes one"
        )
    write_config(experiment.folder, settings)  # the classifiers' settings may have changed
    candidates: list[Candidate] = []
    for data, seed, unit in experiment.units():
        fitted = _finetune_unit(experiment, config, data, seed, unit)
        if out is not None:
            candidates.append((sum(result.score for result in fitted.values()), seed, fitted, data))
    if out is not None:
        _write_best(experiment, config, out, candidates, overwrite)


def _finetune_unit(
    experiment: Experiment, config: Path, data: UnitData, seed: int, unit: Path
) -> Mapping[str, Fitted]:
    job, settings = experiment.job(seed), experiment.settings.finetune
    title = f"{data.split.name} seed {seed}"
    method: Method = METHODS[settings.method]
    if method.fit is None:
        raise UsageError(
            f"finetune.method: {settings.method} trains no networks, so it makes no model file"
        )
    combinations = 1
    if settings.select == "validation":
        combinations = len(settings.learning_rates) * len(settings.weight_decays)
    with _bar(experiment.console, title, settings.epochs * len(job.pair) * combinations) as advance:
        epochs = itertools.count(1)
        fitted = method.fit(
            job, data, lambda: _start(experiment, job, unit), settings, lambda: advance(next(epochs))
        )
    make_private_folder(unit)
    record = training_record(experiment, data.split, seed, fitted, f"bci-m2s finetune {config.name}")
    for name, teachers in {OWN: None, **crossings(fitted)}.items():
        write_model(
            unit / name, experiment.settings, fitted, data, record, teachers=teachers, overwrite=True
        )
    for name, result in fitted.items():
        panels = (("loss",), ("validation", "test"))
        write_curves(unit / f"finetune-{name}", result.rows, f"{experiment.name}, {name}", panels)
    write_json(unit / "finetune.json", {name: choice_of(result) for name, result in fitted.items()})
    scores = ", ".join(f"{name} {result.score:.3f}" for name, result in fitted.items())
    experiment.console.print(f"{title}: validation balanced accuracy {scores}")
    return fitted


def _write_best(
    experiment: Experiment, config: Path, out: Path, candidates: list[Candidate], overwrite: bool
) -> None:
    """Write the model of the seed with the best validation score."""
    settings, labels = experiment.settings, experiment.settings.finetune.labels
    _, seed, fitted, data = max(candidates, key=lambda candidate: candidate[:2])
    command = f"bci-m2s pretrain {config.name} && bci-m2s finetune {config.name} --out {out.name}"
    record = training_record(experiment, data.split, seed, fitted, command)
    record["classifiers"] = "own labels" if labels == "own" else f"labels of {labels} alone"
    record["chosen_seed"] = f"{seed}, by validation, of {', '.join(map(str, settings.seeds))}"
    contract = write_model(
        out,
        settings,
        fitted,
        data,
        record,
        teachers={name: name if labels == "own" else labels for name in fitted},
        keep=settings.finetune.keep,
        overwrite=overwrite,
    )
    experiment.console.print(f"{out}: {contract.name}, {out.stat().st_size / 1e6:.1f} MB, seed {seed}")


def _start(experiment: Experiment, job: Job, unit: Path) -> Networks:
    if experiment.settings.finetune.start == "random":
        return fresh_networks(job)
    if not (unit / CHECKPOINT).exists():  # the run was begun for methods that need none
        raise UsageError(f"{unit / CHECKPOINT}: missing; run bci-m2s pretrain --resume first")
    return load_pretrained(job, unit / CHECKPOINT)


def run_evaluate(checked: Checked, folder: Path | None, console: Console) -> None:
    """All directions and controls on the test windows of every split and seed."""
    experiment = open_experiment(checked, folder, console, device="cpu")
    config, settings = checked.path, experiment.settings
    results: list[Result] = []
    with _bar(console, "evaluating", len(experiment.splits) * len(settings.seeds)) as advance:
        for number, (data, seed, unit) in enumerate(experiment.units()):
            advance(number, f"{data.split.name} seed {seed}")
            for name in (OWN, *crossings(settings.pair)):
                _check_unit(unit / name, config, settings.finetune)
            results += _evaluate_unit(experiment, data, seed, unit)
    summaries = summarise(results)
    write_results(experiment, results, summaries)
    for head, spec in settings.contract.heads.items():
        of_head = [summary for summary in summaries if summary.head == head]
        console.print(table(of_head, f"{experiment.name}: {head}"))
        for line in protocol(settings, head):
            console.print(line)
        for summary in of_head:
            if summary.method == settings.finetune.method:
                counts = zip(spec.classes, summary.support, strict=True)
                console.print(
                    f"{summary.direction}: test windows {', '.join(f'{name} {n}' for name, n in counts)}; "
                    f"confusion (rows truth) {summary.confusion}"
                )
    console.print(f"{experiment.folder / 'results.md'}")


def _check_unit(path: Path, config: Path, settings: FinetuneSettings) -> None:
    """Raises UsageError when there is no such model file or it was made with other settings."""
    if not path.exists():
        raise UsageError(f"{path}: missing; run bci-m2s finetune {config} first")
    kept = read_contract(path).training.get("finetune")
    # what an earlier version did not know of it did as the defaults do
    if not isinstance(kept, dict) or recorded(FinetuneSettings()) | kept != recorded(settings):
        raise UsageError(f"{path}: finetune: made with other values; run bci-m2s finetune {config} again")


def _evaluate_unit(experiment: Experiment, data: UnitData, seed: int, unit: Path) -> list[Result]:
    settings = experiment.settings
    job, test = experiment.job(seed), data.parts["test"]
    setups = [
        EvaluationSetup(data.split.name, seed, head, len(spec.classes), experiment.names.subjects)
        for head, spec in settings.contract.heads.items()
    ]
    results = []
    for setup in setups:
        results += evaluate_files(setup, unit, settings.pair, test, settings.finetune.method)
    unlabelled = data.parts["train"] if settings.finetune.adapt_norm else None
    for name in settings.controls:
        method: Method = METHODS[name]
        # what draws nothing gives the same with another seed, unless the seed draws the labels
        if not (method.draws or seed == settings.seeds[0] or settings.finetune.trials_per_class):
            continue
        if method.fit is None:
            parts = labelled_parts(job, data, settings.finetune)
            for setup in setups:
                results += evaluate_guesses(setup, name, method, parts, settings.pair)
            continue
        fitted = method.fit(job, data, lambda: _start(experiment, job, unit), settings.finetune)
        for setup in setups:
            results += evaluate_fitted(
                setup, name, fitted, test, shared=method.shared, unlabelled=unlabelled
            )
    return results
