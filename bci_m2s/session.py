"""Live sessions from the command line: connect, check, run, summarise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bci_m2s import build
from bci_m2s.baseline_file import adopt_baseline, save_baseline
from bci_m2s.contract import load_model_file
from bci_m2s.engine import Engine
from bci_m2s.live import run_engine, stop_on_signals
from bci_m2s.shipped import find_model
from bci_m2s.sources import Source
from bci_m2s.terminal import print_summary

Truth = Callable[[Sequence[tuple[float, str]]], list[tuple[float, float, str]]]


def run_session(
    pipeline: str,
    duration_s: float,
    output: Path | None,
    baseline: Path | None,
    device: str | None,
    console: Console | None = None,
    truth: Truth = lambda markers: [],  # noqa: ARG005
) -> None:
    """``bci-m2s run``. `truth` turns the session's markers into spans of known class (simulator only).

    Raises BciM2sError before anything starts, or what an engine thread raised.
    """
    from bci_m2s.sources.lsl import local_clock

    console = console or Console()
    stop = threading.Event()
    with stop_on_signals(stop):
        plan = build.make_plan(pipeline)
        say_model(console, plan)
        folder = build.make_folder(output) if output else None
        sources, markers = build.open_sources(plan, local_clock, console.print, stop.is_set)
        play(
            plan, sources, markers, local_clock, duration_s, folder, baseline, device, console, stop, truth
        )


def play(
    plan: build.Plan,
    sources: Mapping[str, Source],
    markers: Source | None,
    clock: Callable[[], float],
    duration_s: float,
    folder: Path | None,
    baseline: Path | None,
    device: str | None,
    console: Console,
    stop: threading.Event,
    truth: Truth,
) -> None:
    """Run opened sources through a plan's pipeline in an engine; close them at the end."""
    try:
        infos = {modality: source.info for modality, source in sources.items()}
        pipeline = build.make_pipeline(plan, infos, clock, device)
        if baseline is not None:
            taken = adopt_baseline(baseline, pipeline)
            console.print(f"baseline of {', '.join(taken)} taken from {baseline}", highlight=False)
        session = build.describe_session(plan, infos, pipeline.device, "live")
        if folder is not None:
            build.write_session(folder, session)
        engine = Engine(
            pipeline, sources, build.make_sinks(plan, folder, session, outlet=True), clock, markers
        )
    except BaseException:
        build.close_all(sources, markers)
        raise
    try:
        run_engine(engine, console, stop, duration_s, pipeline.classes, title=plan.contract.name)
    finally:
        skipped = sum(pipeline.skipped.values())
        print_summary(console, engine.tally, engine.snapshot().health, skipped, truth(engine.markers))
        if folder is not None:
            finish_folder(console, folder, plan, pipeline)


def finish_folder(console: Console, folder: Path, plan: build.Plan, pipeline: build.Pipeline) -> None:
    """Save the person's baseline and say where everything is."""
    save_baseline(folder / "baseline.json", pipeline, plan.contract.name)
    console.print(
        f"saved in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}", highlight=False
    )


def say_model(console: Console, plan: build.Plan) -> None:
    """Name the pipeline and model, and say plainly when the model learnt from simulated data."""
    console.print(f"pipeline {plan.path.name}, model {plan.contract.name!r}", highlight=False)
    if plan.contract.simulated:
        console.print(
            "[yellow]This model was trained on simulated data: "
            "its estimates say nothing about real feelings.[/yellow]"
        )


def check_pipeline(pipeline: str) -> None:
    """``bci-m2s check``: everything that can be known without streams."""
    console = Console()
    plan = build.make_plan(pipeline)
    say_model(console, plan)
    window = plan.contract.window
    for modality, settings in plan.settings.streams.items():
        spec = plan.contract.modalities[modality]
        console.print(
            f"{modality}: from {settings.source}, type {spec.stream_type!r}, {len(spec.channels)} channels in "
            f"{', '.join(sorted(set(spec.units)))}, {spec.rate_min_hz:g}–{spec.rate_max_hz:g} Hz, "
            f"feature {spec.feature.name!r}, normaliser {spec.normaliser.name!r}",
            highlight=False,
        )
    console.print(
        f"window: {window.steps} steps of {window.step_s:g} s, an estimate every {window.hop_s:g} s; "
        f"classes: {', '.join(plan.contract.classes)}",
        highlight=False,
    )
    console.print(f"{plan.path}: ok", highlight=False)


def list_network(model: str | None, wait_s: float) -> None:
    """``bci-m2s streams``."""
    from bci_m2s.sources.lsl import list_streams

    console = Console()
    contract = load_model_file(find_model(model))[0] if model else None
    with console.status(f"looking for LSL streams, {wait_s:g} s"):
        found = list_streams(wait_s, describe=contract is not None)
    if not found:
        console.print(
            "no LSL stream on the network (is the sender running, on this network, not firewalled?)"
        )
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (
        "name",
        "type",
        "rate",
        "channels",
        "host",
        "source id",
        "uid",
        *(["fits"] if contract else []),
    ):
        table.add_column(heading, overflow="fold")
    for info in found:
        rate = f"{info.rate_hz:g} Hz" if info.rate_hz else "irregular"
        row = [info.name, info.type, rate, str(info.n_channels), info.host, info.source_id, info.uid]
        if contract:
            row.append("; ".join(build.fits(contract, info)))
        table.add_row(*(plain(text) for text in row))
    console.print(table)


def plain(text: str) -> str:
    """Text from the network as it is: no control characters, no markup."""
    from rich.markup import escape

    return escape("".join(sign if sign.isprintable() else "?" for sign in text[:256]))
