"""``verify``, ``show`` and ``report`` of a folder with several people's sessions: a row for each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bci_m2s import __version__
from bci_m2s.commands.verify import DIFFERENT_STATUS
from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.files.html_page import Page
from bci_m2s.files.whole import write_whole
from bci_m2s.handover.report import write_report
from bci_m2s.review.people import COLUMNS, NUMBERS, named, rows_of
from bci_m2s.review.verify import Verification, verify
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import printable, typed

NAME = "report.html"
WIDEST = 160


def verify_people(
    people: Mapping[str, Sequence[Path]], model: str | None, device: str | None, seed: int
) -> int:
    """Verify each recording, print a row for each, return the exit status: 0 where all came back."""
    console, rows, is_good = make_console(), [], True
    with Progress(console=console, transient=True) as progress:
        every = list(named(people))
        task = progress.add_task("replaying", total=len(every))
        for name, path in every:
            try:
                result = verify(path, model, device, seed)
                if result.has_other_arithmetic and len(every) > 1:
                    result = _verify_apart(path, model, device, seed)
            except BciM2sError as problem:
                row, good = ("", "", printable(f"{type(problem).__name__}: {problem}", 600)), False
            else:
                row, good = _verified(result)
            rows.append((name, *row))
            is_good = is_good and good
            progress.advance(task)
    _print_table(console, ("participant", "answers", "estimates", "result"), rows, ("answers", "estimates"))
    return 0 if is_good else DIFFERENT_STATUS


def _verify_apart(path: Path, *how: Any) -> Verification:
    """Verify in a process of its own: products of this one are as another recording had them.

    how : as for ``verify``
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(verify, path, *how).result()


def _verified(result: Verification) -> tuple[tuple[str, str, str], bool]:
    """Cells of a row, and whether all came back."""
    total = sum(result.equal.values())
    how = "verified, bit for bit" if result.tolerance == 0 else f"verified within {result.tolerance:g}"
    if result.first is not None:
        how = f"DIFFERENT. First: {result.first.describe()}"
    elif not total:
        how = "no recorded answer to compare with"
    words = "; ".join([how, *result.notes])
    return (str(total), str(result.made), printable(words, 500)), result.first is None and total > 0


def show_people(people: Mapping[str, Sequence[Path]], picture: Path | None, console: Console) -> None:
    """Print a row for each recording. Raises UsageError for a picture, which is of one recording."""
    if picture is not None:
        raise UsageError("--picture: is of one recording; name one participant's folder")
    with console.status("reading"):
        found = list(rows_of(people))
    _print_table(console, COLUMNS, [row for row, _ in found], NUMBERS)
    print_wrong(console, [words for _, words in found if words])
    first = next(iter(people.values()))[0].parent
    console.print(f"each in full: bci-m2s show {typed(first)} and so on", soft_wrap=True)


def print_wrong(console: Console, lines: Iterable[str]) -> None:
    """Print what is wrong with recordings."""
    for words in lines:
        console.print(printable(words), style="bold red", soft_wrap=True)


def report_people(
    folder: Path,
    people: Mapping[str, Sequence[Path]],
    output: Path | None,
    notify: Callable[[str], None],
) -> tuple[Path, list[str]]:
    """Write the report of each person into their folder and one with a row for each; return its path, and
    what is wrong with a recording, a line each.

    output : of that one; default: ``report.html`` in `folder`, or ``report-2.html`` … where that is there
    Raises OutputError.
    """
    path, reports = output or _free(folder), dict[str, str]()
    for name in people:
        notify(f"report of {name}")
        try:
            reports[name] = write_report(folder / name).relative_to(folder).as_posix()
        except BciM2sError as problem:
            reports[name] = f"none: {problem}"
    page = Page(f"Participants of {folder.resolve().name}")
    page.section("Participants")
    found = list(rows_of(people))
    page.table(COLUMNS, [row for row, _ in found], NUMBERS)
    page.paragraph("Estimates are numbers from a model, not what people feel.", "note")
    page.section("Reports")
    page.table(("participant", "report, in this folder"), list(reports.items()))
    top = [f"{len(people)} participants in {folder}", f"report made by bci_m2s {__version__}"]
    wrong = [words for _, words in found if words]
    write_whole(path, page.html(top, wrong), overwrite=False, private=True)
    return path, wrong


def _free(folder: Path) -> Path:
    """A name that nothing has yet."""
    path, number = folder / NAME, 2
    while path.exists():
        path, number = folder / f"report-{number}.html", number + 1
    return path


def _print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str]
) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, 600)) for cell in row))
    console.print(table, width=max(WIDEST, console.width), crop=False)
