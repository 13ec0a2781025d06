"""The tables as the paper has them: a line for each method, columns for each direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bci_m2s.training.results.metrics import balanced_accuracy, kappa, macro_f1
from bci_m2s.training.results.statistics import mean_of, spread_over_people
from bci_m2s.training.results.summary import Row
from bci_m2s.training.results.tables import markdown_table
from bci_m2s.training.study.groups import Group, OfHead

BY_F1 = ("deap", "dreamer")  # formats of which the paper has F1; it has kappa of the SEED family
COLUMNS = (
    "data", "protocol", "grid", "head", "method", "trained_on", "tested_on",
    "balanced_accuracy", "balanced_accuracy_sd", "kappa", "kappa_sd", "f1", "f1_sd",
    "oracle", "people", "seeds", "best",
)  # fmt: skip
EXPLAINED = (
    "Mean ± standard deviation over people, each over all folds, sessions and seeds; bold: the highest of "
    "a column; oracle: what selecting epoch and settings on the test windows gives, which is no result."
)


@dataclass(frozen=True)
class Cell:
    """One number of the table. oracle : of balanced accuracy, where it is known"""

    mean: float
    sd: float | None
    oracle: float | None = None

    @property
    def text(self) -> str:
        """Mean ± SD, and the oracle behind it."""
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        oracle = "" if self.oracle is None else f" (oracle {self.oracle:.3f})"
        return f"{self.mean:.3f}{spread}{oracle}"


@dataclass(frozen=True)
class PaperTable:
    """A laid out table. best : line and column of the highest of each column"""

    columns: list[str]
    rows: list[list[str]]
    best: set[tuple[int, int]]

    def markdown(self) -> list[str]:
        """As lines of Markdown, the best in bold."""
        rows = [
            [f"**{text}**" if (i, j) in self.best else text for j, text in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        return markdown_table(self.columns, rows)


def paper_table(group: Group, of_head: OfHead) -> PaperTable:
    """Balanced accuracy, and kappa or F1, of every method in every direction that it answers."""
    name, figure = ("F1", macro_f1) if group.settings.data.format in BY_F1 else ("kappa", kappa)
    columns, cells = ["method"], []
    for direction in of_head.directions:
        rows = [of_head.rows.get((method, direction)) for method in of_head.methods]
        columns += [direction, name]
        cells += [[_cell(row, balanced_accuracy) for row in rows], [_cell(row, figure) for row in rows]]
    texts = [["–" if one is None else one.text for one in column] for column in cells]
    lines = [list(line) for line in zip(of_head.methods, *texts, strict=True)]
    best = {(i, j) for j, column in enumerate(cells, 1) for i in _highest(column)}
    return PaperTable(columns, lines, best)


def _cell(row: Row | None, figure: Callable[[Any], float]) -> Cell | None:
    if row is None:
        return None
    grid = row.grid(figure)
    oracles = [result.oracle for result in row.results if result.oracle is not None]
    is_known = oracles and figure is balanced_accuracy
    oracle = sum(oracles) / len(oracles) if is_known else None
    return Cell(mean_of(grid), spread_over_people(grid), oracle)


def _highest(column: Sequence[Cell | None]) -> list[int]:
    """Lines with the highest mean of a column; none where it has one alone."""
    means = {i: round(one.mean, 3) for i, one in enumerate(column) if one is not None}
    return [i for i, mean in means.items() if len(means) > 1 and mean == max(means.values())]


def csv_rows(group: Group, of_head: OfHead) -> Iterator[list[Any]]:
    """The table as lines of ``table.csv``, of ``COLUMNS``: one for each method and direction."""
    point = "; ".join(f"{key}={value}" for key, value in group.point)
    best = {
        direction: max(one.mean for one in of_head.summaries if one.direction == direction)
        for direction in of_head.directions
    }
    for method in of_head.methods:
        for direction in of_head.directions:
            row, one = of_head.rows.get((method, direction)), of_head.summary(method, direction)
            if row is not None and one is not None:
                where = [group.data, group.protocol, point, of_head.head, method, *direction.split(" → ")]
                cells = [_cell(row, figure) for figure in (balanced_accuracy, kappa, macro_f1)]
                numbers = [number for cell in cells if cell for number in (cell.mean, cell.sd)]
                is_best = int(one.mean == best[direction])
                yield [*where, *map(_number, (*numbers, one.oracle)), one.people, one.seeds, is_best]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
