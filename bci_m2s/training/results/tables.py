"""Rows of results, and differences to rivals, as tables on screen and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table

from bci_m2s.training.results.means import SEEDS, method_of
from bci_m2s.training.results.summary import Difference, Summary

NUMBERS = ("balanced accuracy", "95 % interval", "SD people", "SD seeds", "people", "seeds")
HEADERS = ("method", "direction", *NUMBERS)
MORE = ("kappa", "F1", "oracle")  # of the Markdown alone: a terminal is narrow
DIFFERENCE_HEADERS = ("direction", "beside", "difference", "95 % interval", "p", "p (Holm)", "people")
T_TEST = "p (t-test)"  # of the Markdown alone
EXPLAINED = (
    "Balanced accuracy: mean over people, each from one confusion matrix over all folds and sessions, the "
    "mean of the seeds. Interval: bootstrap over people and seeds together. SD people: over people; SD "
    "seeds: of the seeds' means."
)
DIFFERENCES_EXPLAINED = (
    "Difference: {method} less the other on the same people; p: two-sided, of a bootstrap over people and "
    "seeds; p (Holm): corrected for all {n} differences."
)
T_TEST_EXPLAINED = (
    "p (t-test): independent samples, over people's means, uncorrected, as the paper does it; people are "
    "paired, so the paired test beside it is the right one."
)
MEAN_EXPLAINED = (
    "Mean of {size} seeds: the probabilities of {size} models averaged, in groups that share no seed; "
    "seeds counts the groups.{alone}"
)
ONE_GROUP = " There is one group: its intervals are over people alone."
PERMUTED_EXPLAINED = (
    "permuted: labels exchanged between the trials of each person, {n} times; pre-training is not "
    "repeated, only classifiers learn anew. Its interval and SD are those of the permutations. p: {p}."
)


def table(summaries: Sequence[Summary], title: str) -> Table:
    """Summaries as a table for the terminal."""
    return _table(title, HEADERS, [_cells(summary) for summary in summaries])


def difference_table(found: Sequence[Difference], title: str) -> Table:
    """Differences as a table for the terminal."""
    return _table(title, DIFFERENCE_HEADERS, [_difference_cells(one) for one in found])


def by_method(found: Sequence[Difference]) -> dict[str, list[Difference]]:
    """Differences by title: those of a method, and those of the mean of its seeds."""
    methods = dict.fromkeys(one.method for one in found)
    return {
        f"{method} less its rivals, on the same people": [one for one in found if one.method == method]
        for method in methods
    }


def _table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    result = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        result.add_column(header, justify="left" if header in headers[:2] else "right")
    for row in rows:
        result.add_row(*row)
    return result


def _cells(summary: Summary) -> tuple[str, ...]:
    return (
        summary.method,
        summary.direction,
        f"{summary.mean:.3f}",
        _interval(summary.low, summary.high),
        _spread(summary.sd),
        _spread(summary.seeds_sd),
        str(summary.people),
        f"{summary.seeds}" + (f" × {summary.permutations}" if summary.permutations else ""),
    )


def _spread(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _difference_cells(found: Difference) -> tuple[str, ...]:
    known = not math.isnan(found.p)
    return (
        found.direction,
        found.rival,
        f"{found.mean:+.3f}",
        f"{found.low:+.3f} to {found.high:+.3f}" if known else "",
        known_p(found.p),
        known_p(found.p_holm),
        str(found.people),
    )


def known_p(p: float) -> str:
    """A p value as a table has it; "" for none."""
    return "" if math.isnan(p) else f"{p:.3f}"


def explained(summaries: Sequence[Summary], found: Sequence[Difference]) -> list[str]:
    """What the figures of one head's tables are, one sentence or more per line."""
    lines = [EXPLAINED]
    if found:
        lines.append(DIFFERENCES_EXPLAINED.format(method=found[0].method, n=len(found)))
    groups = [summary.seeds for summary in summaries if method_of(summary.method) != summary.method]
    if groups:
        lines.append(MEAN_EXPLAINED.format(size=SEEDS, alone=ONE_GROUP if max(groups) == 1 else ""))
    permuted = [summary for summary in summaries if summary.permutations]
    if permuted:
        p = ", ".join(f"{one.direction} {one.p:.3f}" for one in permuted if one.p is not None)
        lines.append(PERMUTED_EXPLAINED.format(n=permuted[0].permutations, p=p))
    return lines


def markdown(
    summaries: Sequence[Summary],
    lines: Sequence[str],
    classes: Sequence[str],
    found: Sequence[Difference] = (),
) -> str:
    """The tables of one head as Markdown, with its protocol, and the test windows of each class."""
    rows = [(*_cells(one), f"{one.kappa:.3f}", f"{one.f1:.3f}", _spread(one.oracle)) for one in summaries]
    parts = [*(f"- {line}" for line in lines), "", *markdown_table((*HEADERS, *MORE), rows), ""]
    for title, of_method in by_method(found).items():
        cells = [(*_difference_cells(one), known_p(one.p_independent)) for one in of_method]
        parts += [f"{title}:", "", *markdown_table((*DIFFERENCE_HEADERS, T_TEST), cells), ""]
    support: dict[str, list[int]] = {}
    for summary in summaries:  # the method is first
        support.setdefault(summary.direction.split(" → ")[1], summary.support)
    parts += [
        f"Test windows of {name}: "
        + ", ".join(f"{label} {n}" for label, n in zip(classes, counts, strict=True))
        for name, counts in support.items()
    ]
    parts += explained(summaries, found)
    parts += [T_TEST_EXPLAINED] if found else []
    parts.append("Kappa and F1 (macro): mean over people, each the mean of the seeds.")
    return "\n".join(parts) + "\n"


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown; all but the first two columns are set to the right."""
    headers, *rows = [[cell.replace("|", r"\|") for cell in row] for row in (headers, *rows)]
    ruler = "|---|---|" + "---:|" * (len(headers) - 2)
    return [f"| {' | '.join(headers)} |", ruler, *(f"| {' | '.join(row)} |" for row in rows)]
