"""The tables of docs/study-results.md: what the cells of finished studies gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bci_m2s.errors import UsageError
from bci_m2s.training.check.training_file import count
from bci_m2s.training.page import cells
from bci_m2s.training.page.pages import fill
from bci_m2s.training.page.picture import write_svg
from bci_m2s.training.study.groups import Group, OfHead, groups_of
from bci_m2s.training.study.joined import Joined, read_study
from bci_m2s.training.study.report import versions_of
from bci_m2s.training.study.schedule import duration
from bci_m2s.training.study.sections import paper_table
from bci_m2s.training.study.sections.claim_tables import COLUMNS, claims_of, rows_of
from bci_m2s.training.study.sections.costs import seconds_together
from bci_m2s.training.study.sections.pictures import people_figure
from bci_m2s.training.study.sections.protocols import side_by_side, table_of
from bci_m2s.training.study.settings import folder_name
from bci_m2s.training.study.tables import write_tables

PAGE, TABLES, PICTURES = "study-results.md", "study-tables", "static"


def write_studies(folders: Sequence[Path], docs: Path) -> Path:
    """Fill the page with the tables of these studies, draw their pictures; the page's path.

    Those of other studies stay as they are. The name of a study is that of its folder.

    Raises
    ------
    UsageError
        A folder holds no study, or no finished cell, or the page has no place for it.
    """
    made = {}
    for folder in folders:
        joined = read_study(folder)
        groups = groups_of(joined.variants, joined.found)
        if not groups:
            raise UsageError(f"{folder}: got no finished cell, expected some")
        name = folder.resolve().name
        made[name] = "\n".join(_study(name, joined, groups, docs))
        tables = docs / TABLES / name
        tables.mkdir(parents=True, exist_ok=True)
        write_tables(joined.study, groups, joined.found, joined.n_cells, tables)
    page = docs / PAGE
    fill(page, made)
    return page


def _study(name: str, joined: Joined, groups: Sequence[Group], docs: Path) -> Iterator[str]:
    n_done = sum(map(len, joined.found.values()))
    seeds = {cell.seed for of_variant in joined.found.values() for cell, _ in of_variant}
    version = versions_of(joined.found).get("bci_m2s", "")
    words = f"{n_done} of {joined.n_cells} cells" if n_done < joined.n_cells else f"{n_done} cells"
    yield (
        f"{words}, {count(len(seeds), 'seed')}, {duration(seconds_together(joined.found))} of one core, "
        f"bci_m2s {version}. [Every figure]({TABLES}/{name}/tables.md)."
    )
    yield ""
    for one in side_by_side(groups):
        columns, rows = table_of(one)
        yield f"**{one.title}: protocols side by side**\n"
        yield from cells.table(columns, rows)
    for group in groups:
        for of_head in group.heads:
            yield from _comparison(name, group, of_head, docs)
    for claims in claims_of(groups):
        yield f"### Claims of the paper: {claims.title}\n"
        yield from cells.table(COLUMNS, rows_of(claims))


def _comparison(name: str, group: Group, of_head: OfHead, docs: Path) -> Iterator[str]:
    """A picture, the table as the paper has it, and the differences to the first row."""
    title = group.title + (f", {of_head.head}" if len(group.heads) > 1 else "")
    of_group = folder_name("-".join(title.split(", ")[1:]))
    picture = f"{PICTURES}/study-{name}-{of_group}.svg"
    write_svg(people_figure(of_head), docs / picture)
    yield f"### {title}\n"
    yield f"![Balanced accuracy of each person, by method and direction: {title}]({picture})\n"
    yield from (f"- {line}" for line in of_head.lines)
    yield ""
    yield from (*paper_table.paper_table(group, of_head).markdown(), "")
    yield f"{of_head.main} less each other row, same people [95 % interval], p after Holm's correction:\n"
    yield from cells.table(["less", *of_head.directions], list(_differences(of_head)))


def _differences(of_head: OfHead) -> Iterator[list[str]]:
    for rival in dict.fromkeys(one.rival for one in of_head.differences):
        found = {
            one.direction: f"{cells.difference(one.mean, one.low, one.high)} {cells.p_value(one.p_holm)}"
            for one in of_head.differences
            if one.rival == rival
        }
        yield [rival, *(found.get(direction, "–").rstrip() for direction in of_head.directions)]
