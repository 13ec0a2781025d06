"""The part of the command line that is about benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bci_m2s.errors import UsageError

app = typer.Typer()


@app.command()
def bench(
    names: Annotated[
        list[str] | None, Argument(metavar="NAME", help="Which to run; without: what there is.")
    ] = None,
    every: Annotated[bool, Option("--all", help="Run every one.")] = False,
    rounds: Annotated[int | None, Option(help="Of each; default: its own number.", min=1)] = None,
    output: Annotated[Path, Option(help="Folder of NAME.json and table.md.")] = Path("runs/bench"),
    compare: Annotated[
        tuple[Path, Path] | None,
        Option(metavar="BEFORE AFTER", help="Two results, or folders of them: what changed."),
    ] = None,
    peer: Annotated[
        str, Option(metavar="PYTHON", help="An interpreter that has mne-lsl, to be measured too.")
    ] = "",
    settings: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Another size; may be repeated.")
    ] = None,
) -> None:
    """List the benchmarks, run some, or compare two results; each claim is a ratio within one run."""
    from bci_m2s.commands.bench.command import Wishes, list_benchmarks, run_benchmarks
    from bci_m2s.commands.bench.compare import compare as compare_results
    from bci_m2s.session.terminal.view import make_console

    console = make_console()
    if compare is not None:
        if names or every:
            raise UsageError("--compare: got benchmarks to run as well, expected two results alone")
        compare_results(console, *compare)
    elif names or every:
        wishes = Wishes(names or [], every, rounds, output, peer, settings or [], sys.argv[1:])
        if status := run_benchmarks(console, wishes):
            raise typer.Exit(status)
    else:
        list_benchmarks(console, output, peer)
