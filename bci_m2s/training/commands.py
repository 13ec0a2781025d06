"""``bci-m2s pretrain``, ``finetune`` and ``evaluate``: what they do with a training file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bci_m2s.errors import OutputError, UsageError
from bci_m2s.model.model_file import read_contract
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.splits import Split
from bci_m2s.training.experiment import Experiment, open_experiment, versions, write_config, write_json
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.methods import fit_control, fit_modalities, labelled_parts
from bci_m2s.training.methods.model_files import CROSSED, OWN, crossing, write_model
from bci_m2s.training.methods.pretrain import Job, Networks, fresh_networks, load_pretrained, pretrain
from bci_m2s.training.methods.probes import identity_probe
from bci_m2s.training.results.curves import write_curves
from bci_m2s.training.results.evaluation import (
    Place,
    Result,
    judge_files,
    judge_fitted,
    judge_linear,
    summarise,
)
from bci_m2s.training.results.report import protocol, table, write_results
from bci_m2s.training.settings import recorded

CHECKPOINT = "pretrain.safetensors"
PANELS = (
    ("total", "validation_contrastive", "contrastive", "cpc"),
    ("reconstruction", "validation_reconstruction"),
    ("club_a", "club_b", "club_fit"),
    ("validation_matched", "logit_scale"),
)


def run_pretrain(config: Path, folder: Path | None, console: Console, device: str, resume: bool) -> None:
    """Pre-train every split and seed of a training file."""
    experiment = open_experiment(config, folder, console, device=device, begin=not resume)
    _describe(experiment)
    try:
        for data, seed, unit in experiment.units():
            unit.mkdir(parents=True, exist_ok=True)
            _pretrain_unit(experiment, data, seed, unit)
    except KeyboardInterrupt:
        console.print(
            f"Stopped. The last whole epoch is kept; go on with: bci-m2s pretrain {config} "
            f"--run {experiment.folder} --resume"
        )
        raise
    console.print(f"Pre-trained: {experiment.folder}. Next: bci-m2s finetune {config}")


def _describe(experiment: Experiment) -> None:
    names, settings = experiment.names, experiment.settings
    experiment.console.print(
        f"{experiment.name}: {len(names.subjects)} people, {len(names.sessions)} sessions, "
        f"{len(names.trials)} trials; {len(experiment.splits)} split(s) × {len(settings.seeds)} seed(s), "
        f"on {experiment.device}"
    )


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
    last = f", contrastive {rows[-1]['contrastive']:.2f}" if rows and "contrastive" in rows[-1] else ""
    probes = {}
    for name in job.pair:
        probe = identity_probe(networks[name], data.parts["train"], name)
        if probe is not None:
            probes[name] = {"accuracy": probe.accuracy, "chance": probe.chance}
            last += f"; person told from {name} {probe.accuracy:.2f} (chance {probe.chance:.2f})"
    write_json(unit / "pretrain.json", {"seed": seed, "last": rows[-1] if rows else {}, "identity": probes})
    console.print(f"{title}: {len(rows)} epochs{last}")


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
    config: Path, folder: Path | None, console: Console, out: Path | None, overwrite: bool
) -> None:
    """Train classifiers for every split and seed; write model files, and one to `out`."""
    if out is not None and out.exists() and not overwrite:  # said now, not after minutes
        raise OutputError(f"{out}: exists; nothing is overwritten without --overwrite")
    experiment = open_experiment(config, folder, console, device="cpu")
    settings = experiment.settings
    if out is not None and settings.windows.own_session:
        raise UsageError("windows.own_session: a model scaled by whole sessions cannot run live")
    if out is not None and len(experiment.splits) > 1:
        raise UsageError(f"--out: {len(experiment.splits)} splits make as many models; see the run folder")
    write_config(experiment.folder, settings)  # the classifiers' settings may be others than before
    scores: list[tuple[float, int, dict[str, Fitted], UnitData]] = []
    for data, seed, unit in experiment.units():
        split, job = data.split, experiment.job(seed)
        grid = 1
        if settings.finetune.select == "validation":
            grid = len(settings.finetune.learning_rates) * len(settings.finetune.weight_decays)
        total = settings.finetune.epochs * len(job.pair) * grid
        with _bar(console, f"{split.name} seed {seed}", total) as advance:
            counter = _Counter(advance)
            fitted = fit_modalities(
                job, data, _start(experiment, job, unit), settings.finetune, counter.step
            )
        _write_unit(experiment, config, split, seed, unit, data, fitted)
        if out is not None:
            scores.append((sum(one.score for one in fitted.values()), seed, fitted, data))
        shown = ", ".join(f"{name} {one.score:.3f}" for name, one in fitted.items())
        console.print(f"{split.name} seed {seed}: validation balanced accuracy {shown}")
    if out is not None:
        _, seed, fitted, data = max(scores, key=lambda found: found[:2])
        command = f"bci-m2s pretrain {config.name} && bci-m2s finetune {config.name} --out {out.name}"
        record = _record(experiment, data.split, seed, fitted, command)
        labels = settings.finetune.labels
        record["classifiers"] = "own labels" if labels == "own" else f"labels of {labels} alone"
        record["chosen_seed"] = f"{seed}, by validation, of {', '.join(map(str, settings.seeds))}"
        made = write_model(
            out,
            settings.draft,
            fitted,
            data,
            settings.finetune,
            record,
            teachers={name: name if labels == "own" else labels for name in fitted},
            keep=settings.finetune.keep,
            overwrite=overwrite,
        )
        console.print(f"{out}: {made.name}, {out.stat().st_size / 1e6:.1f} MB, seed {seed}")


class _Counter:
    def __init__(self, advance: Any) -> None:
        self._advance, self._done = advance, 0

    def step(self) -> None:
        self._done += 1
        self._advance(self._done)


def _start(experiment: Experiment, job: Job, unit: Path) -> Networks:
    if experiment.settings.finetune.start == "random":
        return fresh_networks(job)
    return load_pretrained(job, unit / CHECKPOINT)


def _write_unit(
    experiment: Experiment,
    config: Path,
    split: Split,
    seed: int,
    unit: Path,
    data: UnitData,
    fitted: dict[str, Fitted],
) -> None:
    settings = experiment.settings
    unit.mkdir(parents=True, exist_ok=True)
    record = _record(experiment, split, seed, fitted, f"bci-m2s finetune {config.name}")
    for name, teachers in ((OWN, None), (CROSSED, crossing(fitted))):
        write_model(
            unit / name,
            settings.draft,
            fitted,
            data,
            settings.finetune,
            record,
            teachers=teachers,
            overwrite=True,
        )
    for name, one in fitted.items():
        panels = (("loss",), ("validation", "test"))
        write_curves(unit / f"finetune-{name}", one.rows, f"{experiment.name}, {name}", panels)
    write_json(unit / "finetune.json", {name: _choice(one) for name, one in fitted.items()})


def _choice(one: Fitted) -> dict[str, Any]:
    return {
        "validation_balanced_accuracy": one.score,
        "epoch": one.epoch,
        "learning_rate": one.learning_rate,
        "weight_decay": one.weight_decay,
        "oracle": one.oracle,
    }


def _record(
    experiment: Experiment, split: Split, seed: int, fitted: dict[str, Fitted], command: str
) -> dict[str, Any]:
    """What the contract says of how the model came to be."""
    settings = experiment.settings
    contract = settings.draft
    return {
        "data": settings.data.format,
        "method": "M2S: pre-trained on pairs without labels, classifiers on the labels of one modality"
        if settings.finetune.start == "pretrained"
        else "random encoders"
        if settings.finetune.freeze
        else "supervised",
        "protocol": protocol(settings, contract, experiment.head),
        "people": {
            part: len({key.split("/")[0] for key in getattr(split, part)})
            for part in ("train", "validation", "test")
        },
        "trials": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        "seed": seed,
        "chosen": {name: _choice(one) for name, one in fitted.items()},
        "pretrain": recorded(settings.pretrain),
        "finetune": recorded(settings.finetune),
        "command": command,
        "versions": dict(versions()),
    }


def run_evaluate(config: Path, folder: Path | None, console: Console) -> None:
    """All directions and controls on the test windows of every split and seed."""
    experiment = open_experiment(config, folder, console, device="cpu")
    settings = experiment.settings
    results: list[Result] = []
    with _bar(console, "evaluating", len(experiment.splits) * len(settings.seeds)) as advance:
        for number, (data, seed, unit) in enumerate(experiment.units()):
            advance(number, f"{data.split.name} seed {seed}")
            if not (unit / CROSSED).exists():
                raise UsageError(f"{unit / CROSSED}: missing; run bci-m2s finetune {config} first")
            if read_contract(unit / CROSSED).training.get("finetune") != recorded(settings.finetune):
                raise UsageError(
                    f"{unit / CROSSED}: finetune: made with other values; "
                    f"run bci-m2s finetune {config} again"
                )
            results += _evaluate_unit(experiment, data, seed, unit)
    summaries = summarise(results)
    write_results(experiment, results, summaries)
    for head in settings.draft.heads:
        mine = [one for one in summaries if one.head == head]
        console.print(table(mine, f"{experiment.name}: {head}"))
        for line in protocol(settings, settings.draft, head):
            console.print(line)
        classes = settings.draft.heads[head].classes
        for one in (one for one in mine if one.method == "pretrained"):
            shown = ", ".join(f"{name} {n}" for name, n in zip(classes, one.support, strict=True))
            console.print(f"{one.direction}: test windows {shown}; confusion (rows truth) {one.confusion}")
    console.print(f"{experiment.folder / 'results.md'}")


def _evaluate_unit(experiment: Experiment, data: UnitData, seed: int, unit: Path) -> list[Result]:
    settings = experiment.settings
    split, job, test = data.split, experiment.job(seed), data.parts["test"]
    chosen = json.loads((unit / "finetune.json").read_text(encoding="utf-8"))
    results = []
    for head, spec in settings.draft.heads.items():
        place = Place(split.name, seed, head, len(spec.classes), experiment.names.subjects)
        oracles = {name: (one["oracle"] or {}).get(head) for name, one in chosen.items()}
        results += judge_files(place, unit, settings.pair, test, oracles)
        # it draws nothing, so another seed would find the same, unless the seed draws the labels
        fresh = seed == settings.seeds[0] or settings.finetune.trials_per_class > 0
        if "linear" in settings.controls and fresh:
            results += judge_linear(place, labelled_parts(job, data, settings.finetune), settings.pair)
    for method in settings.controls:
        if method != "linear":
            fitted = fit_control(
                method, job, data, lambda: _start(experiment, job, unit), settings.finetune
            )
            for head, spec in settings.draft.heads.items():
                place = Place(split.name, seed, head, len(spec.classes), experiment.names.subjects)
                unlabelled = data.parts["train"] if settings.finetune.adapt_norm else None
                shared = method != "supervised"
                results += judge_fitted(place, method, fitted, test, shared=shared, unlabelled=unlabelled)
    return results
