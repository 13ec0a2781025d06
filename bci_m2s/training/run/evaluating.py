"""``bci-m2s evaluate``: every direction and control on the trials that were kept out of training."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.experiment import Experiment, open_experiment
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.methods.methods import labelled_parts
from bci_m2s.training.methods.model_files import file_names
from bci_m2s.training.results.evaluation import (
    EvaluationSetup,
    Result,
    evaluate_files,
    evaluate_fitted,
    evaluate_guesses,
    summarise,
)
from bci_m2s.training.results.report import protocol, table, write_results
from bci_m2s.training.run.live_model import live_model
from bci_m2s.training.run.progress import bar, command, model_name, say_how_to_run
from bci_m2s.training.run.units import check_finetuned, start


def run_evaluate(checked: Checked, folder: Path | None, console: Console) -> None:
    """All directions and controls on the test windows of every split and seed."""
    experiment = open_experiment(checked, folder, console, device="cpu")
    settings = experiment.settings
    results: list[Result] = []
    crosses = METHODS[settings.finetune.method].crosses(settings.finetune.freeze)
    with bar(console, "evaluating", len(experiment.splits) * len(settings.seeds)) as advance:
        for number, (data, seed, unit) in enumerate(experiment.units()):
            advance(number, f"{data.split.name} seed {seed}")
            for name in file_names(settings.pair, crosses=crosses):
                check_finetuned(experiment, unit / name)
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
    console.print(f"Results: {experiment.folder / 'results.md'}", soft_wrap=True)
    if model := live_model(experiment):
        say_how_to_run(experiment, model)
    else:
        one = command(experiment, "finetune", "--out", model_name(experiment))
        console.print(f"Next: one model to run live: {one}", soft_wrap=True)


def _evaluate_unit(experiment: Experiment, data: UnitData, seed: int, unit: Path) -> list[Result]:
    settings = experiment.settings
    job, test = experiment.job(seed), data.parts["test"]
    setups = [
        EvaluationSetup(data.split.name, seed, head, len(spec.classes), experiment.names.subjects)
        for head, spec in settings.contract.heads.items()
    ]
    results = []
    own: Method = METHODS[settings.finetune.method]
    crosses = own.crosses(settings.finetune.freeze)
    for setup in setups:
        results += evaluate_files(
            setup, unit, settings.pair, test, settings.finetune.method, crosses=crosses
        )
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
        fitted = method.fit(job, data, lambda: start(experiment, job, unit), settings.finetune)
        for setup in setups:
            results += evaluate_fitted(
                setup,
                name,
                fitted,
                test,
                shared=method.crosses(settings.finetune.freeze),
                unlabelled=unlabelled,
            )
    return results
