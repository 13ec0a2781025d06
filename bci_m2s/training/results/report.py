"""Results as a table on screen, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from bci_m2s.model.model_file import Contract
from bci_m2s.training.experiment import Experiment, versions, write_json
from bci_m2s.training.results.curves import draw_confusions
from bci_m2s.training.results.evaluation import Result, Summary
from bci_m2s.training.settings import TrainingSettings

HEADERS = ("method", "direction", "balanced accuracy", "kappa", "F1", "people", "oracle")


def table(summaries: Sequence[Summary], title: str) -> Table:
    """For the terminal."""
    found = Table(title=title, title_justify="left")
    for header in HEADERS:
        found.add_column(header, justify="left" if header in HEADERS[:2] else "right")
    for one in summaries:
        found.add_row(*_cells(one))
    return found


def _cells(one: Summary) -> tuple[str, ...]:
    oracle = "" if one.oracle is None else f"{one.oracle:.3f}"
    accuracy = f"{one.mean:.3f} ± {one.sd:.3f}"
    return (
        one.method,
        one.direction,
        accuracy,
        f"{one.kappa:.3f}",
        f"{one.f1:.3f}",
        str(one.people),
        oracle,
    )


def protocol(settings: TrainingSettings, contract: Contract, head: str) -> list[str]:
    """What every figure rests on, in words."""
    data, split, finetune = settings.data, settings.split, settings.finetune
    words = {
        "subjects": f"by person: {split.test_subjects} test, {split.validation_subjects} validate",
        "subject-folds": f"{split.folds or 'as many as people'} folds over people, tested on people never "
        f"seen; {split.validation_subjects} of the others validate",
        "trials": f"within each session: the first {split.train_trials} trials train, the others test; "
        f"the last {split.validation_trials} of each class validate",
        "trial-folds": f"within each session: {split.folds} folds over trials; the last "
        f"{split.validation_trials} training trials of each class validate",
    }
    chosen = (
        "epoch and settings of the best balanced accuracy on validation trials, mean over people"
        if finetune.select == "validation"
        else "the last epoch of the first setting"
    )
    normalisers = {name: spec.normaliser.name for name, spec in contract.modalities.items()}
    lines = [
        f"Data: {data.format}{', simulated people' if contract.simulated else ''}. "
        f"Classes of {head}: {', '.join(contract.heads[head].classes)}; "
        f"chance {1 / len(contract.heads[head].classes):.2f}.",
        f"Split: {words[split.kind]} (split seed {split.seed}).",
        f"Seeds: {', '.join(map(str, settings.seeds))}. Selection: {chosen}.",
        f"Normalisation per person: {normalisers}; batches {settings.pretrain.sampler}; "
        f"preset {settings.preset}.",
    ]
    if settings.windows.own_session:
        lines.append("Transductive: each session was scaled by all of its rows, test trials included.")
    if finetune.trials_per_class:
        lines.append(
            f"Labels: {finetune.trials_per_class} training trial(s) of each class, whosever; "
            "validation trials are labelled too."
        )
    if finetune.oracle:
        lines.append("Oracle: the best figure on test itself, chosen by looking at it; no result.")
    return lines


def markdown(summaries: Sequence[Summary], lines: Sequence[str], classes: Sequence[str]) -> str:
    """The table, its protocol and its support."""
    parts = [*(f"- {line}" for line in lines), "", f"| {' | '.join(HEADERS)} |"]
    parts.append("|---|---|" + "---:|" * (len(HEADERS) - 2))
    parts += [f"| {' | '.join(_cells(one))} |" for one in summaries]
    support = {one.direction.split(" → ")[1]: one.support for one in summaries}
    parts.append("")
    parts += [
        f"Test windows of {name}: "
        + ", ".join(f"{label} {n}" for label, n in zip(classes, counts, strict=True))
        for name, counts in support.items()
    ]
    parts.append(
        "Balanced accuracy: mean over people ± spread over people, each the mean of its seeds. "
        "Kappa and F1 (macro): over all test windows, mean over seeds."
    )
    return "\n".join(parts) + "\n"


def write_results(experiment: Experiment, results: Sequence[Result], summaries: Sequence[Summary]) -> None:
    """results.json, results.md and a picture of the confusion matrices."""
    settings, folder = experiment.settings, experiment.folder
    contract = settings.draft
    texts = []
    for head, spec in contract.heads.items():
        mine = [one for one in summaries if one.head == head]
        lines = protocol(settings, contract, head)
        texts.append(f"# {experiment.name}: {head}\n\n" + markdown(mine, lines, spec.classes))
        drawn = [one for one in mine if one.method == "pretrained"]
        draw_confusions(
            Path(folder / f"confusion-{head}.png"),
            [one.direction for one in drawn],
            [one.confusion for one in drawn],
            spec.classes,
        )
    (folder / "results.md").write_text("\n".join(texts), encoding="utf-8")
    write_json(
        folder / "results.json",
        {
            "protocol": {head: protocol(settings, contract, head) for head in contract.heads},
            "seeds": list(settings.seeds),
            "versions": versions(),
            "summaries": [asdict(one) for one in summaries],
            "results": [asdict(one) for one in results],
        },
    )
