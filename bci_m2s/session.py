"""Live sessions from the command line: connect, check, run, summarise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s import build
from bci_m2s.baseline_file import adopt_baseline, save_baseline
from bci_m2s.connect import Connected, Surroundings, connect, fits
from bci_m2s.contract import load_model_file
from bci_m2s.engine import Engine
from bci_m2s.errors import StreamError
from bci_m2s.live import run_engine, stop_on_signals
from bci_m2s.lsl_setup import LslSession
from bci_m2s.shipped import find_model
from bci_m2s.terminal import make_console, print_summary, recording_line

Truth = Callable[[Sequence[tuple[float, str]]], list[tuple[float, float, str]]]


def no_truth(markers: Sequence[tuple[float, str]]) -> list[tuple[float, float, str]]:
    """Nobody knows how a real person feels."""
    del markers
    return []


@dataclass(frozen=True, slots=True)
class Options:
    """What a command may ask of a session.

    duration_s : 0 for no limit; output : new folder for results; baseline : file of an earlier session;
    device : replaces the pipeline's; truth : turns markers into spans of known class (simulator only);
    notes : further entries for session.yaml; source_ids : exactly which streams, by modality;
    record : keep every sample as received in session.xdf, where there is an output folder;
    lsl : LSL session of its own, told to the user and saved beside the results; mode : live or replay
    """

    duration_s: float = 0.0
    output: Path | None = None
    baseline: Path | None = None
    device: str | None = None
    truth: Truth = no_truth
    notes: Mapping[str, Any] = field(default_factory=dict)
    source_ids: Mapping[str, str] = field(default_factory=dict)
    record: bool = True
    lsl: LslSession | None = None
    mode: str = "live"


def run_session(pipeline: str, options: Options, console: Console | None = None) -> None:
    """``bci-m2s run``. Raises BciM2sError before anything starts, or what an engine thread raised."""
    from bci_m2s.sources.lsl import local_clock

    console = console or make_console()
    stop = threading.Event()
    with stop_on_signals(stop):
        plan = build.make_plan(pipeline)
        if options.source_ids:
            plan = build.pinned(plan, options.source_ids)
        say_model(console, plan)
        folder = build.make_folder(options.output) if options.output else None
        say_lsl_session(console, options.lsl, folder)
        predictor = build.make_predictor(plan, options.device)
        try:
            connected = connect(plan, Surroundings(local_clock, console.print, stop.is_set))
        except StreamError:
            if not stop.is_set():
                raise
            console.print("stopped before a session began")
            return
        play(plan, predictor, connected, options, folder, console, stop)


def play(
    plan: build.Plan,
    predictor: build.Predictor,
    connected: Connected,
    options: Options,
    folder: Path | None,
    console: Console,
    stop: threading.Event,
) -> None:
    """Run opened sources through a plan's pipeline in an engine; close them at the end."""
    try:
        infos = {modality: source.info for modality, source in connected.sources.items()}
        pipeline = build.make_pipeline(plan, predictor, infos, connected.clock)
        if options.baseline is not None:
            taken = adopt_baseline(options.baseline, pipeline)
            console.print(f"baseline of {', '.join(taken)} taken from {options.baseline}")
        session = build.describe_session(plan, infos, pipeline.device, options.mode, options.notes)
        recorder = None
        if folder is not None:
            build.write_session(folder, session)
            if options.record:
                recorder, warning = build.make_recorder(folder, list(infos.values()), connected.clock)
                console.print(warning, style="yellow", end="\n" if warning else "")
        sinks = build.make_sinks(plan, folder, session, outlet=True, recorder=recorder)
        engine = Engine(
            pipeline, connected.sources, sinks, connected.clock, connected.markers, recorder=recorder
        )
    except BaseException:
        connected.close()
        raise
    try:
        run_engine(engine, console, stop, options.duration_s, pipeline.heads, title=plan.contract.name)
    finally:
        try:
            if folder is not None:
                save_baseline(folder / "baseline.json", pipeline, plan.contract.name)
        finally:  # also where the disk is full
            with suppress(OSError):  # the terminal may be gone
                summarise(console, engine, options.truth(engine.markers), folder)


def summarise(
    console: Console, engine: Engine, truth: Sequence[tuple[float, float, str]], folder: Path | None
) -> None:
    """The end of a live session in figures, and where everything is."""
    snapshot = engine.snapshot()
    print_summary(console, engine.tally, snapshot.health, engine.skipped, truth)
    if (recording := snapshot.recording) is not None:
        console.print(recording_line(recording))
    if folder is not None:
        say_saved(console, folder)


def say_saved(console: Console, folder: Path) -> None:
    """Say where everything is."""
    console.print(f"saved in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def say_lsl_session(console: Console, lsl: LslSession | None, folder: Path | None) -> None:
    """Tell of an LSL session of its own, and save what the senders need."""
    if lsl is not None:
        console.print(lsl.describe())
        if folder is not None:
            console.print(f"for the computers that send: {lsl.save(folder)}")


def say_model(console: Console, plan: build.Plan) -> None:
    """Name the pipeline and model, and say plainly when the model learnt from simulated data."""
    console.print(f"pipeline {plan.path.name}, model {plan.contract.name!r}")
    if plan.contract.simulated:
        console.print(
            "This model was trained on simulated data: its estimates say nothing about real feelings.",
            style="yellow",
        )


def check_pipeline(pipeline: str) -> None:
    """``bci-m2s check``: everything that can be known without streams."""
    console = make_console()
    plan = build.make_plan(pipeline)
    say_model(console, plan)
    window = plan.contract.window
    for modality, settings in plan.settings.streams.items():
        spec = plan.contract.modalities[modality]
        console.print(
            f"{modality}: from {settings.source}, type {spec.stream_type!r}, "
            f"{len(spec.channels)} channels in {', '.join(sorted(set(spec.units)))}, "
            f"{spec.rate_min_hz:g}–{spec.rate_max_hz:g} Hz, "
            f"feature {spec.feature.name!r}, normaliser {spec.normaliser.name!r}",
        )
    console.print(
        f"window: {window.steps} steps of {window.step_s:g} s, an estimate every {window.hop_s:g} s"
    )
    for head, classes in plan.contract.class_names.items():
        console.print(f"{head}: {', '.join(classes)}")
    console.print(f"{plan.path}: ok")


def list_network(model: str | None, wait_s: float) -> None:
    """``bci-m2s streams``."""
    from bci_m2s.sources.lsl import list_streams

    console = make_console()
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
            row.append("; ".join(fits(contract, info)))
        table.add_row(*(Text(plain(text)) for text in row))
    console.print(table)


def plain(text: str) -> str:
    """Text from the network without control characters, at most 256 long."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:256])
