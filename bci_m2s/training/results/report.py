"""What evaluate leaves in a run's folder; losses as a table and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bci_m2s.files.access import make_private_folder
from bci_m2s.files.whole import whole_file, write_whole
from bci_m2s.training.experiment import library_versions, write_json
from bci_m2s.training.results.confusion import shares_figure
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.summary import Difference, Summary
from bci_m2s.training.results.tables import markdown

Rows = Sequence[dict[str, float]]
PANEL_IN = 4.2  # width of one panel of curves


@dataclass(frozen=True)
class ResultsOf:
    """What results are of. title : above the tables; method : the one that rivals stand beside

    classes : by head; pictures : whether confusion matrices are drawn
    """

    title: str
    method: str
    classes: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    pictures: bool = True


def write_results(
    folder: Path,
    of: ResultsOf,
    results: Sequence[Result],
    summaries: Sequence[Summary],
    found: Sequence[Difference],
    lines: Mapping[str, Sequence[str]],
) -> None:
    """results.json, results.md and a picture of the confusion matrices. lines : the protocol by head"""
    texts = []
    make_private_folder(folder)
    for head, classes in of.classes.items():
        of_head = [summary for summary in summaries if summary.head == head]
        compared = [one for one in found if one.head == head]
        text = markdown(of_head, lines[head], classes, compared)
        texts.append(f"# {of.title}: {head}\n\n" + text)
        own = [summary for summary in of_head if summary.method == of.method]
        if not of.pictures:
            continue
        draw_confusions(
            folder / f"confusion-{head}.png",
            [summary.direction for summary in own],
            [summary.confusion for summary in own],
            classes,
        )
    write_whole(folder / "results.md", "\n".join(texts), private=True)
    write_json(
        folder / "results.json",
        {
            "protocol": lines,
            "seeds": list(of.seeds),
            "versions": library_versions(),
            "summaries": [asdict(summary) for summary in summaries],
            "differences": [asdict(one) for one in found],
            "results": [asdict(result) for result in results],
        },
    )


def write_curves(path: Path, rows: Rows, title: str, panels: Sequence[Sequence[str]]) -> None:
    """Write `path`.csv with every column, and `path`.png with one panel for each group of columns.

    Columns that the rows do not have are left out. Without panels there is no picture.
    """
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path.with_suffix(".csv"), table.getvalue(), private=True)
    if panels:
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
    """Write confusion matrices as a picture, see ``shares_figure``."""
    figure = shares_figure(titles, counts, classes)
    with whole_file(path, private=True) as file:
        figure.savefig(file, format="png", dpi=110)
