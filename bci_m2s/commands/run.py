"""Live sessions from the command line: check, connect, play; and what can be known without one."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s.errors import StreamError, UsageError
from bci_m2s.lsl.configuration import LslSession
from bci_m2s.model.model_file import check_tensors, load_model_file
from bci_m2s.session.control.rendezvous import starting
from bci_m2s.session.outlet_name import Neighbours
from bci_m2s.session.run import Options, run_connected
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected, connect, fits, with_unnamed
from bci_m2s.session.setup.fitting import say_fits, shipped_contracts
from bci_m2s.session.setup.participants import plans_of
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.session.setup.untrained import Untrained
from bci_m2s.session.terminal.run import stop_on_signals
from bci_m2s.session.terminal.view import make_console
from bci_m2s.sources import Environment
from bci_m2s.sources.streams import LslStream
from bci_m2s.text import printable

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor


STILL_LOADING = "ends once the model is loaded; Ctrl-C again ends at once"


def run_session(pipeline: str, options: Options, console: Console | None = None) -> None:
    """``bci-m2s run``. Raises BciM2sError before anything starts, or what an engine thread raised."""
    from bci_m2s.lsl.network import local_clock

    console = console or make_console()
    stop = threading.Event()
    with stop_on_signals(stop), starting():
        plan = build.make_plan(pipeline, model=options.model, checked=False)
        if options.source_ids:
            plan = build.pinned(plan, options.source_ids)
        if options.waits_for_baseline:
            plan = build.waiting_for_baseline(plan)
        print_model(console, plan)
        if plan.settings.participants:
            _run_together(plan, options, console, stop)
            return
        shared = plan.settings.shared_with_group
        with build.output_folder(options.output, shared) as folder:
            print_lsl_session(console, options.lsl, folder)
            neighbours = Neighbours() if plan.settings.outlet.enabled else None
            try:
                with ThreadPoolExecutor(1) as beside:  # torch takes seconds, and so may the streams
                    making = beside.submit(_make_predictor, plan, options.device)
                    if options.connect is not None:
                        connected = options.connect(plan)
                    else:
                        over = partial(_is_over, stop, making)
                        environment = Environment(local_clock, console.print, over)
                        try:
                            connected = _connect(plan, environment, making)
                        except StreamError:
                            if stop.is_set() and not making.done():
                                console.print(STILL_LOADING)
                            raise
            except StreamError:
                if not stop.is_set():
                    raise
                console.print("stopped before the session began")
                return
            predictor = making.result()
            run_connected(plan, predictor, connected, options, folder, console, stop, neighbours)


def _run_together(plan: build.Plan, options: Options, console: Console, stop: threading.Event) -> None:
    """A session of several participants."""
    from bci_m2s.session.participants.run import run_participants

    _refuse_of_one(options)
    plans = plans_of(plan)
    with build.output_folder(options.output, plan.settings.shared_with_group) as folder:
        print_lsl_session(console, options.lsl, folder)
        console.print(f"{len(plans)} participants: {', '.join(plans)}")
        make = partial(_make_predictor, plan, options.device)
        run_participants(plan, plans, make, options, folder, console, stop)


def _refuse_of_one(options: Options) -> None:
    """Raise UsageError for what can be said of one participant only."""
    asked = {
        "--stream": options.source_ids,
        "--baseline": options.baseline,
        "a guided session": options.conduct,
        "the demo": options.connect,
    }
    for name, value in asked.items():
        if value:
            raise UsageError(f"{name}: is of one participant, and the pipeline has several")


def _make_predictor(plan: build.Plan, device: str | None) -> Predictor:
    """The plan's model, ready. Raises ModelError for arrays that its networks do not have."""
    check_tensors(plan.model_path, plan.contract, plan.tensors)
    return build.make_predictor(plan, device)


def _is_over(stop: threading.Event, making: Future[Predictor]) -> bool:
    """Whether nobody needs the streams any more: stopped, or no model to give them to."""
    return stop.is_set() or (making.done() and making.exception() is not None)


def _connect(plan: build.Plan, environment: Environment, making: Future[Predictor]) -> Connected:
    """Every stream that the plan names, and what else is to be recorded, once the model is ready too.

    Raises StreamError, or what kept the model from being made.
    """
    try:
        connected = connect(plan, environment)
    except StreamError:
        if making.done():
            making.result()  # this is why
        raise
    try:
        if any(settings.source == "lsl" for settings in plan.settings.streams.values()):
            connected = with_unnamed(connected, environment, plan.settings.record_also)
        making.result()
    except BaseException:
        connected.close()
        raise
    return connected


def print_lsl_session(console: Console, lsl: LslSession | None, folder: Path | None) -> None:
    """Print the id of a private LSL session, and save what the senders need."""
    if lsl is not None:
        console.print(lsl.describe())
        if folder is not None:
            console.print(f"for the computers that send: {lsl.save(folder)}")


def print_model(console: Console, plan: build.Plan) -> None:
    """Name the pipeline and the model, and warn of a model that was trained on simulated data."""
    console.print(f"pipeline {plan.path.name}, model {plan.contract.name!r}")
    if plan.contract.simulated and plan.tensors:  # one that is not there has not been trained
        console.print(
            "This model was trained on simulated data: its estimates say nothing about real feelings.",
            style="yellow",
        )


def check_pipeline(pipeline: str) -> None:
    """``bci-m2s check``: everything that can be known without streams."""
    console = make_console()
    plan = build.make_plan(pipeline, may_be_untrained=True)
    print_model(console, plan)
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
    if not plan.tensors:
        how = Untrained(plan.model_path, plan.contract).next_step(plan.settings.model)
        console.print(f"model {plan.settings.model!r}: not trained yet: {how}", style="yellow")
    if plan.settings.participants:
        for name, own in plans_of(plan).items():
            streams = ", ".join(f"{modality} {_sought(stream)}" for modality, stream in _named(own))
            console.print(f"participant {name}: {streams}")
    console.print(
        f"{plan.path}: ok{f'. Next: bci-m2s run {pipeline}' if plan.tensors else ''}", soft_wrap=True
    )


def _named(plan: build.Plan) -> list[tuple[str, LslStream]]:
    """The LSL streams of a plan, by modality."""
    return [(name, one) for name, one in plan.settings.streams.items() if isinstance(one, LslStream)]


def _sought(stream: LslStream) -> str:
    """What a stream is found by: its name alone where that says all."""
    wanted = {key: value for key, value in stream.wanted().items() if value}
    if set(wanted) == {"name"}:
        return repr(stream.name)
    return " ".join(f"{key.replace('_', ' ')} {value!r}" for key, value in wanted.items()) or "any"


def list_network(model: str | None, wait_s: float) -> None:
    """``bci-m2s streams``."""
    from bci_m2s.lsl.network import list_streams

    console = make_console()
    contract = load_model_file(find_model(model))[0] if model else None
    with console.status(f"looking for LSL streams, {wait_s:g} s"):
        shipped = [] if contract else shipped_contracts()
        types = {spec.stream_type.casefold() for one in shipped for spec in one.modalities.values()}
        found = list_streams(wait_s, describe=types or True)
    if not found:
        console.print(
            "no LSL stream found (is the sender running, on this network, with the same SessionID, and not "
            "blocked by a firewall?)"
        )
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    headings = ["name", "type", "rate", "channels", "host", "source id", "uid"]
    for heading in headings + ["fits"] * bool(contract):
        table.add_column(heading, overflow="fold")
    for info in found:
        rate = f"{info.rate_hz:g} Hz" if info.rate_hz else "irregular"
        row = [info.name, info.type, rate, str(info.n_channels), info.host, info.source_id, info.uid]
        if contract:
            row.append("; ".join(fits(contract, info)))
        table.add_row(*(Text(printable(text, 256)) for text in row))
    console.print(table)
    for line in say_fits(shipped, found) if contract is None else ():
        console.print(printable(line))
