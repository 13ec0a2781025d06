"""The part of the command line that is about studies."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bci_m2s.commands.options import LOADING, at_work
from bci_m2s.errors import UsageError

app = typer.Typer()


@app.command()
def study(
    config: Annotated[
        str | None,
        Argument(
            metavar="STUDY.yaml", help="Study file, or a shipped one by name; without: which there are."
        ),
    ] = None,
    output: Annotated[
        Path | None, Option(help="Folder of the study; default: runs/ and the file's name.")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Run what is missing.")] = False,
    workers: Annotated[
        int, Option(help="Cells at once, each on one core; default: one for each core.")
    ] = os.cpu_count() or 1,
    executor: Annotated[str, Option(help="local, or dask for the workers of a cluster.")] = "local",
    scheduler: Annotated[str, Option(help="Of the Dask cluster: tcp://host:8786.")] = "",
    cost: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Run nothing: say what it costs, by a study that is done."),
    ] = None,
    windows: Annotated[
        int | None, Option(help="With --cost: windows of a data set whose files are not here.")
    ] = None,
) -> None:
    """Compare methods over data sets, protocols, settings and seeds; each cell is a training run."""
    if config is None:
        list_studies()
        return
    from bci_m2s.session.setup.shipped import find_study
    from bci_m2s.session.terminal.view import make_console

    for name, number in (("--workers", workers), ("--windows", windows)):
        if number is not None and number < 1:
            raise UsageError(f"{name}: got {number}, expected 1 or more")
    if executor not in ("local", "dask"):
        raise UsageError(f"--executor: got {executor!r}, expected local or dask")
    if (executor == "dask") != bool(scheduler):
        got = f"--executor {executor}" + (f" and --scheduler {scheduler}" if scheduler else "")
        raise UsageError(f"--scheduler: got {got}, expected an address with dask, and none with local")
    if windows is not None and cost is None:
        raise UsageError(
            f"--windows: got {windows} without --cost, expected the folder of a study that is done"
        )
    path = find_study(config)
    if cost is not None:
        with at_work(LOADING):
            from bci_m2s.training.study.estimate import print_cost

        print_cost(path, cost, windows, make_console())
        return
    with at_work(LOADING):
        from bci_m2s.training.study.command import run_study
        from bci_m2s.training.study.executors import check_scheduler, run_locally, run_on_dask

    if scheduler:
        check_scheduler(scheduler)
    execute = (
        partial(run_on_dask, scheduler=scheduler) if scheduler else partial(run_locally, workers=workers)
    )
    _stop_as_by_ctrl_c()
    status = run_study(path, output, make_console(), execute, resume=resume)
    if status:
        raise typer.Exit(status)


def _stop_as_by_ctrl_c() -> None:
    """SIGTERM, of a batch system or at shutdown, and a terminal that is closed leave whole cells too.

    A signal that is ignored, as by nohup, stays so.
    """
    for name in ("SIGTERM", "SIGHUP"):
        kind = getattr(signal, name, None)  # Windows has no SIGHUP
        if kind is not None and signal.getsignal(kind) is not signal.SIG_IGN:
            signal.signal(kind, signal.default_int_handler)


def list_studies() -> None:
    """Print the shipped studies: name and title."""
    from bci_m2s.files.shipped import folder, names
    from bci_m2s.files.yaml_file import read_yaml

    kind, suffix = "pipelines/studies", ".yaml"
    for name in names(kind, suffix):
        values, _ = read_yaml(folder(kind) / f"{name}{suffix}")
        print(f"{name:24} {values['title']}")
