"""Results as a table on screen, as Markdown, as JSON and as pictures; losses as a table and a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.table import Table

from bci_m2s.files.access import open_private
from bci_m2s.files.whole import whole_file, write_whole
from bci_m2s.training.experiment import Experiment, library_versions, write_json
from bci_m2s.training.results.evaluation import Result, Summary
from bci_m2s.training.settings import SplitSettings, TrainingSettings

Rows = Sequence[dict[str, float]]
PANEL_IN = 4.2  # width of one panel of curves
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
        f"{summary.mean:.3f}" + ("" if summary.sd is None else f" ± {summary.sd:.3f}"),
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
        "named": f"by name: {', '.join(split.test)} test, {', '.join(split.validation)} validate",
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
        own = [summary for summary in of_head if summary.method == settings.finetune.method]
        draw_confusions(
            folder / f"confusion-{head}.png",
            [summary.direction for summary in own],
            [summary.confusion for summary in own],
            spec.classes,
        )
    write_whole(folder / "results.md", "\n".join(texts), private=True)
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


def write_curves(path: Path, rows: Rows, title: str, panels: Sequence[Sequence[str]]) -> None:
    """Write `path`.csv with every column, and `path`.png with one panel for each group of columns.

    Columns that the rows do not have are left out.
    """
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = path.with_suffix(".csv")
    with open(table, "w", newline="", encoding="utf-8", opener=open_private) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    _draw(path.with_suffix(".png"), rows, title, panels)


def _draw(path: Path, rows: Rows, title: str, panels: Sequence[Sequence[str]]) -> None:
    from matplotlib.figure import Figure

    shown = [[name for name in panel if name in rows[-1]] for panel in panels]
    shown = [panel for panel in shown if panel]
    width = PANEL_IN * len(shown)
    figure = Figure(figsize=(width, 3.4))
    # fixed margins: those that fit themselves draw everything twice
    figure.subplots_adjust(
        left=0.7 / width, right=1 - 0.15 / width, bottom=0.16, top=0.88, wspace=0.85 / (PANEL_IN - 0.85)
    )
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for column, names in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), column)
        for name in names:
            dashed = "--" if name.startswith("validation") else "-"
            values = [row.get(name, float("nan")) for row in rows]
            axes.plot(epochs, values, dashed, label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.legend(fontsize=8, frameon=False)
        axes.grid(alpha=0.3)
    with whole_file(path, private=True) as file:
        figure.savefig(file, format="png", dpi=110)


def draw_confusions(
    path: Path, titles: Sequence[str], counts: Sequence[object], classes: Sequence[str]
) -> None:
    """Draw confusion matrices side by side, each row (the truth) in per cent."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * len(titles), 3.2), layout="constrained")
    for column, (title, matrix_counts) in enumerate(zip(titles, counts, strict=True), 1):
        matrix = np.asarray(matrix_counts, dtype=float)
        shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes = figure.add_subplot(1, len(titles), column)
        axes.imshow(shares, vmin=0, vmax=100, cmap="Blues")
        for (i, j), share in np.ndenumerate(shares):
            colour = "white" if share > 60 else "black"
            axes.text(j, i, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", fontsize=8)
        axes.set_yticks(range(len(classes)), classes if column == 1 else [""] * len(classes), fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("estimate, % of the truth", fontsize=8)
    with whole_file(path, private=True) as file:
        figure.savefig(file, format="png", dpi=110)
