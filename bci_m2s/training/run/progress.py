"""Progress on the terminal, and what a command says at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bci_m2s.errors import BciM2sError
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.training.experiment import Experiment

LINE_S = 10.0  # between two lines of progress


@contextmanager
def bar(console: Console, title: str, total: int) -> Iterator[Any]:
    """A bar with the time that is left, or a line each ``LINE_S`` where the console is no terminal.

    Yields what is called with the number done, and figures to show.
    """
    if not console.is_terminal:
        said_s = time.monotonic()

        def report(done: int, losses: str = "") -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= LINE_S:
                said_s = time.monotonic()
                console.print(f"{title}: {done}/{total} {losses}".rstrip(), markup=False, soft_wrap=True)

        yield report
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, losses="")
        yield lambda done, losses="": progress.update(task, completed=done, losses=losses)


def command(experiment: Experiment, verb: str, *more: object) -> str:
    """A command on the same training file and run, to be typed as it stands."""
    usual = Path("runs") / experiment.name
    run = [] if experiment.folder == usual else ["--run", experiment.folder]
    return " ".join(str(word) for word in ("bci-m2s", verb, experiment.config, *run, *more))


def model_name(experiment: Experiment) -> str:
    """A name for the model file of a training file."""
    return f"{experiment.settings.contract.name}.safetensors"


def has_live_model(experiment: Experiment) -> bool:
    """Whether ``finetune --out`` can make a model for live use of a training file."""
    settings = experiment.settings
    return not (settings.windows.own_session or settings.labels.leave_out)


def finetune_command(experiment: Experiment) -> str:
    """The command that follows pre-training; it makes a model for live use where there can be one."""
    out = ("--out", model_name(experiment)) if has_live_model(experiment) else ()
    return command(experiment, "finetune", *out)


def say_how_to_run(experiment: Experiment, model: Path) -> None:
    """The pipeline beside the training file that names a model; where there is none, the lines of one."""
    if pipeline := _pipeline_of(model, experiment.config.parent):
        experiment.console.print(f"To run it live: bci-m2s run {pipeline}", soft_wrap=True)
        return
    modalities = experiment.settings.contract.modalities
    kept = experiment.settings.finetune.keep or tuple(modalities)
    stated = experiment.settings.data.streams
    facts = {name: stated[name].model_dump(exclude_unset=True) if name in stated else {} for name in kept}
    streams = {name: {"type": modalities[name].stream_type} | facts[name] for name in kept}
    text = yaml.safe_dump(
        {"streams": streams}, default_flow_style=True, width=math.inf, allow_unicode=True, sort_keys=False
    )
    for line in (
        "To run it live, write a pipeline, my-pipeline.yaml, and then bci-m2s run my-pipeline.yaml:",
        f"  model: {model}",
        f"  {text.strip().removeprefix('{').removesuffix('}')}",
    ):
        experiment.console.print(line, soft_wrap=True)


def _pipeline_of(model: Path, folder: Path) -> Path | None:
    for path in sorted(folder.glob("*.yaml")):
        with suppress(BciM2sError):
            named = read_yaml(path)[0].get("model")
            if isinstance(named, str) and (folder / named).resolve() == model.resolve():
                return path
    return None
