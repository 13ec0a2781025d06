"""The claims of the paper in a study's report and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bci_m2s.files.html_page import Page
from bci_m2s.training.results.tables import markdown_table
from bci_m2s.training.study.groups import Group
from bci_m2s.training.study.sections.claims import CLAIMS, POINTS, SEEN, Finding, find_claims
from bci_m2s.training.study.sections.rows import Entry

TITLE = "Claims of the paper"
COLUMNS = ("claim", "verdict", "rests on (difference of balanced accuracy, 95 % interval)")
EXPLAINED = (
    f"Seen: every difference has the claimed sign as a mean over people; of the gain across signals it is "
    f"above {POINTS:g}. An interval that includes 0 says that chance is enough for it. Intervals are not "
    "corrected for the number of claims. Rows are found by method and settings, not by name. The best of "
    "several is chosen on the windows that it is compared on. No figure of the paper is used."
)


@dataclass(frozen=True)
class Claims:
    """What came of the claims in one data set, protocol and head."""

    title: str
    found: list[Finding]


def claims_of(groups: Sequence[Group]) -> list[Claims]:
    """Every claim, in each data set, protocol and head."""
    made = []
    for data, protocol in dict.fromkeys((group.data, group.protocol) for group in groups):
        of_both = [group for group in groups if (group.data, group.protocol) == (data, protocol)]
        heads = list(dict.fromkeys(one.head for group in of_both for one in group.heads))
        for head in heads:
            title = f"{data}, {protocol}" + (f", {head}" if len(heads) > 1 else "")
            made.append(Claims(title, find_claims(_entries(of_both, head))))
    return made


def _entries(groups: Sequence[Group], head: str) -> list[Entry]:
    """Every row of a head, at each point of the grid."""
    entries = []
    for group in groups:
        point = "".join(f", {key} {value}" for key, value in group.point)
        for of_head in (one for one in group.heads if one.head == head):
            for method, (_, settings) in group.members.items():
                directions = {
                    direction: row for (name, direction), row in of_head.rows.items() if name == method
                }
                entries.append(Entry(f"{method}{point}", settings, directions, group.point))
    return entries


def add_claims(page: Page, groups: Sequence[Group]) -> None:
    """A table of all claims at a glance, and one for each data set, protocol and head."""
    made = claims_of(groups)
    page.section(TITLE)
    page.paragraph(EXPLAINED, "note")
    if len(made) > 1:
        verdicts = [[one.verdict for one in claims.found] for claims in made]
        rows = [list(row) for row in zip(CLAIMS, *verdicts, strict=True)]
        page.table(["claim", *(claims.title for claims in made)], rows, strong=_seen(rows))
    for claims in made:
        page.heading(claims.title)
        rows = rows_of(claims)
        page.table(COLUMNS, rows, strong=_seen(rows))


def rows_of(claims: Claims) -> list[list[str]]:
    """Lines of a table of ``COLUMNS``."""
    return [[one.claim, one.verdict, one.figures] for one in claims.found]


def _seen(rows: Sequence[Sequence[str]]) -> set[tuple[int, int]]:
    return {(i, j) for i, row in enumerate(rows) for j, text in enumerate(row) if text == SEEN}


def claims_markdown(groups: Sequence[Group]) -> list[str]:
    """The same as lines of Markdown."""
    lines = [f"## {TITLE}", "", EXPLAINED, ""]
    for claims in claims_of(groups):
        lines += [f"### {claims.title}", "", *markdown_table(COLUMNS, rows_of(claims)), ""]
    return lines
