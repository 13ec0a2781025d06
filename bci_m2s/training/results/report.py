"""Results as a table on screen, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from bci_m2s.training.experiment import Experiment, library_versions, write_json
from bci_m2s.training.results.curves import draw_confusions
from bci_m2s.training.results.evaluation import Result, Summary
from bci_m2s.training.settings import SplitSettings, TrainingSettings

HEADERS = ("method", "direction", "balanced accuracy", "kappa", "F1", "people", "oracle")


def table(summaries: Sequence[Summary], title: str) -> Table:
    """Summaries as a table for the terminal."""
    result = Table(title=title, title_justify="left")
    for header in HEADERS:
        result.add_column(header, justify="left" if header in HEADERS[:2] else "right")
    for summary in summaries:
        result.add_row(*_cells(summary))
    return result


def _cells(summary: Summary) -> tuple[str, ...]:
    return (
        summary.method,
        summary.direction,
        f"{summary.mean:.3f} ± {summary.sd:.3f}",
        f"{summary.kappa:.3f}",
        f"{summary.f1:.3f}",
        str(summary.people),
        "" if summary.oracle is None else f"{summary.oracle:.3f}",
    )


def protocol(settings: TrainingSettings, head: str) -> list[str]:
    """The conditions of every figure of a head, one sentence per line."""
    data, contract, finetune = settings.data, settings.contract, settings.finetune
    classes = contract.heads[head].classes
    selection = (
        "epoch and settings of the best balanced accuracy on validation trials, mean over people"
        if finetune.select == "validation"
        else "the last epoch of the first setting"
    )
    normalisers = {name: spec.normaliser.name for name, spec in contract.modalities.items()}
    lines = [
        f"Data: {data.format}{', simulated people' if contract.simulated else ''}. "
        f"Classes of {head}: {', '.join(classes)}; chance {1 / len(classes):.2f}.",
        f"Split: {_describe_split(settings.split)} (split seed {settings.split.seed}).",
        f"Seeds: {', '.join(map(str, settings.seeds))}. Selection: {selection}.",
        f"Normalisation per person: {normalisers}; batches {settings.pretrain.sampler}; "
        f"preset {settings.preset}.",
    ]
    if settings.windows.own_session:
        lines.append("Transductive: each session was scaled by all of its rows, including test trials.")
    if finetune.trials_per_class:
        lines.append(
            f"Labels: {finetune.trials_per_class} training trial(s) of each class over all people; "
            "validation trials are labelled too."
        )
    if finetune.oracle:
        lines.append("Oracle: the best figure on the test windows, selected on them; not a result.")
    return lines


def _describe_split(split: SplitSettings) -> str:
    within = f"the last {split.validation_trials} training trials of each class validate"
    return {
        "subjects": f"by person: {split.test_subjects} test, {split.validation_subjects} validate",
        "subject-folds": f"{split.folds or 'leave-one-out'} folds over people, tested on people not "
        f"trained on; {split.validation_subjects} of the training people validate instead",
        "trials": f"within each session: the first {split.train_trials} trials train, the others test; "
        f"{within}",
        "trial-folds": f"within each session: {split.folds} folds over trials; {within}",
    }[split.kind]


def markdown(summaries: Sequence[Summary], lines: Sequence[str], classes: Sequence[str]) -> str:
    """The table of one head as Markdown, with its protocol, and the test windows of each class."""
    parts = [*(f"- {line}" for line in lines), "", f"| {' | '.join(HEADERS)} |"]
    parts.append("|---|---|" + "---:|" * (len(HEADERS) - 2))
    parts += [f"| {' | '.join(_cells(summary))} |" for summary in summaries]
    support = {summary.direction.split(" → ")[1]: summary.support for summary in summaries}
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
    contract = settings.contract
    texts = []
    for head, spec in contract.heads.items():
        of_head = [summary for summary in summaries if summary.head == head]
        lines = protocol(settings, head)
        texts.append(f"# {experiment.name}: {head}\n\n" + markdown(of_head, lines, spec.classes))
        pretrained = [summary for summary in of_head if summary.method == "pretrained"]
        draw_confusions(
            folder / f"confusion-{head}.png",
            [summary.direction for summary in pretrained],
            [summary.confusion for summary in pretrained],
            spec.classes,
        )
    (folder / "results.md").write_text("\n".join(texts), encoding="utf-8")
    write_json(
        folder / "results.json",
        {
            "protocol": {head: protocol(settings, head) for head in contract.heads},
            "seeds": list(settings.seeds),
            "versions": library_versions(),
            "summaries": [asdict(summary) for summary in summaries],
            "results": [asdict(result) for result in results],
        },
    )
