"""A study as one HTML file: pictures first, then tables, what it cost, and what made it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from bci_m2s.files.html_page import Page
from bci_m2s.files.whole import write_whole
from bci_m2s.training.experiment import library_versions
from bci_m2s.training.results.confusion import shares_figure
from bci_m2s.training.results.summary import Difference, Summary
from bci_m2s.training.results.tables import T_TEST_EXPLAINED, known_p
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import RESULT
from bci_m2s.training.study.groups import Group, OfHead, Outcomes, without_figures
from bci_m2s.training.study.schedule import duration
from bci_m2s.training.study.sections import paper_table
from bci_m2s.training.study.sections.calibration import add_calibration
from bci_m2s.training.study.sections.claim_tables import add_claims
from bci_m2s.training.study.sections.costs import add_costs, seconds_together
from bci_m2s.training.study.sections.curves import add_curves
from bci_m2s.training.study.sections.grid import add_grid
from bci_m2s.training.study.sections.pictures import people_figure
from bci_m2s.training.study.sections.protocols import add_protocols
from bci_m2s.training.study.settings import StudySettings
from bci_m2s.training.study.variants import Variant

PICTURE = (
    "A dot is a person, over all parts and seeds; the bar is the mean over people, the line its 95 % "
    "interval over people and seeds; dotted: chance."
)
COLUMNS = (
    "method", "direction", "balanced accuracy", "95 % interval", "kappa", "F1", "oracle", "people", "seeds",
)  # fmt: skip
LESS = ("direction", "less", "difference", "95 % interval", "p", "p (Holm)", "people", "p (t-test)")


def write_report(
    study: StudySettings,
    variants: Mapping[Variant, TrainingSettings],
    found: Outcomes,
    groups: Sequence[Group],
    n_cells: int,
    out: Path,
    command: Sequence[str],
) -> Path:
    """Write ``report.html``.

    n_cells : how many cells the study has; command : that made it
    """
    page = Page(study.title)
    n_done = sum(map(len, found.values()))
    page.figures(
        [
            (str(n_done), f"of {n_cells} cells"),
            (str(len(study.methods)), "methods"),
            (str(study.seeds), "seeds"),
            (duration(seconds_together(found)), "on one core"),
        ]
    )
    add_protocols(page, groups)
    add_grid(page, groups)
    for group in groups:
        _show(page, group, found)
    add_claims(page, groups)
    add_costs(page, groups, found)
    versions = library_versions() | versions_of(found)
    top = [f"Made by: {shlex.join(command)}"]
    top += ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items())]
    warnings = [] if n_done == n_cells else [f"Not complete: {n_done} of {n_cells} cells."]
    warnings += without_figures(found)
    warnings += _warnings(variants, versions["bci_m2s"])
    path = out / "report.html"
    write_whole(path, page.html(top, warnings), overwrite=True)
    return path


def _warnings(variants: Mapping[Variant, TrainingSettings], versions: str) -> list[str]:
    simulated = [variant.data for variant, settings in variants.items() if settings.contract.simulated]
    several = (
        [f"Its cells were run by several versions of bci_m2s: {versions}."] if ", " in versions else []
    )
    said = "is simulated: its figures say nothing about people."
    return [*several, *(f"{data} {said}" for data in dict.fromkeys(simulated))]


def versions_of(found: Outcomes) -> dict[str, str]:
    """The software that cells were run with; where they differ, every version."""
    versions: dict[str, dict[str, None]] = {}
    for cells in found.values():
        for cell, _ in cells:
            kept = json.loads((cell.folder / RESULT).read_text(encoding="utf-8"))
            for name, version in (kept.get("versions") or {}).items():
                versions.setdefault(name, {})[version] = None
    return {name: ", ".join(of_name) for name, of_name in versions.items()}


def _show(page: Page, group: Group, found: Outcomes) -> None:
    """One comparison: pictures and the paper's table of each head, then what they rest on."""
    page.section(group.title)
    for of_head in group.heads:
        if len(group.classes) > 1:
            page.heading(of_head.head)
        words = f"Balanced accuracy of every person by method and direction: {group.title}, {of_head.head}"
        page.picture(people_figure(of_head), words, PICTURE)
        _show_confusions(page, of_head)
        as_paper = paper_table.paper_table(group, of_head)
        page.table(as_paper.columns, as_paper.rows, as_paper.columns[1:], as_paper.best)
        page.paragraph(paper_table.EXPLAINED, "note")
        _show_differences(page, of_head)
        add_calibration(page, group, of_head)
    add_curves(page, group, found)
    for of_head in group.heads:
        page.heading(f"Every figure of {of_head.head}")
        page.table(COLUMNS, [_figure_cells(one) for one in of_head.summaries], COLUMNS[2:])
        for line in of_head.lines:
            page.paragraph(line, "note")


def _show_confusions(page: Page, of_head: OfHead) -> None:
    own = [one for one in of_head.summaries if one.method == of_head.main]
    if own:
        page.picture(
            shares_figure([one.direction for one in own], [one.confusion for one in own], of_head.classes),
            f"Confusion matrices of {of_head.main}",
            f"{of_head.main}: of each class (rows), the per cent that was taken for each (columns).",
        )


def _show_differences(page: Page, of_head: OfHead) -> None:
    if of_head.differences:
        page.paragraph(
            f"{of_head.main} less each other method, on the same people. p, p (Holm): of a paired "
            "bootstrap over people and seeds, alone and corrected for all of these differences. "
            f"{T_TEST_EXPLAINED}"
        )
        page.table(LESS, [_difference_cells(one) for one in of_head.differences], LESS[2:])


def _figure_cells(one: Summary) -> list[str]:
    interval = f"{one.low:.3f} to {one.high:.3f}"
    oracle = "" if one.oracle is None else f"{one.oracle:.3f}"
    numbers = [f"{one.mean:.3f}", interval, f"{one.kappa:.3f}", f"{one.f1:.3f}", oracle]
    return [one.method, one.direction, *numbers, str(one.people), str(one.seeds)]


def _difference_cells(one: Difference) -> list[str]:
    numbers = [
        f"{one.mean:+.3f}",
        f"{one.low:+.3f} to {one.high:+.3f}",
        known_p(one.p),
        known_p(one.p_holm),
    ]
    return [one.direction, one.rival, *numbers, str(one.people), known_p(one.p_independent)]
