"""Recorded sessions from the command line: through a pipeline, or as LSL streams."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from bci_m2s.commands.run import print_model
from bci_m2s.commands.simulate import send
from bci_m2s.engine.health import StreamHealth
from bci_m2s.engine.statistics import Statistics
from bci_m2s.errors import BciM2sError, StreamError, UsageError, nearest
from bci_m2s.files.shipped import names
from bci_m2s.model.contract import ModalityContract
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.model.training_people import training_remark
from bci_m2s.pipeline.baseline_file import adopt_baseline, save_baseline
from bci_m2s.pipeline.pipeline import run_offline
from bci_m2s.recording.file_names import takes_of
from bci_m2s.recording.guided import own_markers
from bci_m2s.recording.marker_texts import marker_texts
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.review.recorded import RecordedSession, has_session, read_recorded_session
from bci_m2s.session.description import describe_session, write_session
from bci_m2s.session.outlet_name import Neighbours
from bci_m2s.session.run import Options, run_connected
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected, check
from bci_m2s.session.setup.fitting import NONE_FITS, unused
from bci_m2s.session.setup.shipped import own_pipelines
from bci_m2s.session.terminal.run import stop_on_signals
from bci_m2s.session.terminal.view import make_console, print_summary
from bci_m2s.session.terminal.watch import say_saved
from bci_m2s.simulator.markers import trial_spans
from bci_m2s.sources import Source, StreamSettings
from bci_m2s.sources.replay import replay_sources
from bci_m2s.sources.timeline import LONGEST_WAIT_S
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor


@dataclass(frozen=True)
class Match:
    """A plan and the streams of a recording that serve its modalities."""

    plan: build.Plan
    streams: dict[str, RecordedStream]
    markers: tuple[RecordedStream, ...]


def replay_file(
    file: Path,
    pipeline: str | None,
    speed: float | None,
    loops: int,
    options: Options,
    model: str | None = None,
) -> None:
    """``bci-m2s replay FILE``: as fast as it can without `speed`, in the live engine with it."""
    console = make_console()
    recording = open_recording(file)
    for warning in recording.warnings:
        console.print(f"{file.name}: {warning}", style="yellow")
    _say_takes(file, console)
    match = match_pipeline(recording, pipeline, options.source_ids, model)
    print_model(console, match.plan)
    for modality, stream in match.streams.items():
        length_s = stream.n_samples / _samples_per_s(match, modality)
        console.print(f"{modality}: {stream.info.describe()}, {length_s:.1f} s")
        for doubt in stream_doubts(match.plan.contract.modalities[modality], stream.info):
            console.print(f"note: {doubt}", style="yellow")
    used = {modality: stream.info for modality, stream in match.streams.items()}
    if match.markers:
        console.print(printable(marker_texts(match.markers), 500), soft_wrap=True)
    if words := unused(match.plan.contract, used, [one.info for one in recording.raw_streams]):
        console.print(f"note: {printable(words)}", style="yellow")
    options = replace(options, caution=training_remark(match.plan.contract, file))
    with build.output_folder(options.output, match.plan.settings.shared_with_group) as folder:
        _replay(match, speed, loops, options, folder, console)


def _say_takes(file: Path, console: Console) -> None:
    """Which of a session's takes is played, and what to type for the next one."""
    takes = takes_of(file)
    if not takes:
        return
    number = takes.index(file) + 1
    then = f"; the next: bci-m2s replay {printable(str(takes[number].parent))}" if takes[number:] else ""
    words = f"note: take {number} of this session's {len(takes)} is played{then}"
    console.print(words, style="yellow", soft_wrap=True)


def _replay(
    match: Match,
    speed: float | None,
    loops: int,
    options: Options,
    folder: Path | None,
    console: Console,
) -> None:
    wants_outlets = speed is not None and match.plan.settings.outlet.enabled
    neighbours = Neighbours() if wants_outlets else None
    predictor = build.make_predictor(match.plan, options.device)
    if speed is None:
        _replay_fast(match, predictor, loops, options, folder, console)
        return
    from bci_m2s.lsl.network import local_clock

    stop = threading.Event()
    connected, left_out_s = _connect(match, local_clock, speed=speed, loops=loops)
    if left_out_s:
        words = f"{left_out_s:.0f} s of pauses are left out; none lasts more than {LONGEST_WAIT_S:g} s"
        console.print(f"note: {words}", style="yellow")
    # what is recorded already is not recorded once more
    options = replace(options, truth=trial_spans, record=False, mode="replay")
    with stop_on_signals(stop):
        run_connected(match.plan, predictor, connected, options, folder, console, stop, neighbours)


def match_pipeline(
    recording: Recording,
    pipeline: str | None,
    source_ids: Mapping[str, str] = MappingProxyType({}),
    model: str | None = None,
) -> Match:
    """The pipeline asked for, else that of the recorded session, else one of this folder, else one shipped.

    source_ids : exactly which streams, by modality
    model : file or name of one to take in place of the pipeline's; of a recorded session's, where it is
        not found

    Raises
    ------
    BciM2sError
        When the recording does not fit, with the reason; when none or several fit.
    """
    if pipeline is not None:
        return _match(recording, build.make_plan(pipeline, model=model), source_ids)
    if has_session(recording) and not source_ids:
        return _match_session(read_recorded_session(recording), model)
    matches, of_one = list[Match](), list[str]()
    for candidates in (map(str, own_pipelines()), names("pipelines", ".yaml")):
        for name in candidates if not matches else ():
            with suppress(BciM2sError):
                plan = build.make_plan(name, model=model)
                of_one += [] if plan.settings.participants else [name]
                matches.append(_match(recording, plan, source_ids))
    if len(matches) == 1:
        return matches[0]
    if not matches:
        how = NONE_FITS.format(source=f" --from {recording.path}")
        hint = f"; --pipeline {of_one[0]} says why it does not fit" if of_one else ""
        raise UsageError(f"{recording.path.name}: {how}{hint}")
    fitting = ", ".join(match.plan.path.stem for match in matches)
    raise UsageError(f"several pipelines fit {recording.path.name}: {fitting}; name one with --pipeline")


def _match_session(session: RecordedSession, model: str | None) -> Match:
    """A session's own plan and streams, as they were."""
    plan = session.plan(model)
    streams = {modality: session.raw_stream(modality) for modality in session.record.streams}
    for modality, stream in streams.items():
        check(plan, modality, stream.info)
    return Match(plan, streams, session.recording.markers)


def _match(recording: Recording, plan: build.Plan, source_ids: Mapping[str, str]) -> Match:
    if plan.settings.participants:
        raise UsageError(f"{plan.path}: has several participants; a replay is of one person")
    streams = {}
    for modality in source_ids:
        if modality not in plan.settings.streams:
            raise UsageError(f"--stream: got {modality!r}{nearest(modality, plan.settings.streams)}")
    for modality, settings in plan.settings.streams.items():
        spec = plan.contract.modalities[modality]
        wanted = {field: getattr(settings, field, "") for field in ("name", "type", "source_id", "host")}
        if modality in source_ids:
            wanted = {"source_id": source_ids[modality]}
        elif not any(wanted.values()):
            wanted["type"] = spec.stream_type
        stream = recording.find(
            wanted.get("name", ""),
            wanted.get("type", ""),
            wanted["source_id"],
            wanted.get("host", ""),
            fits=partial(_fits, settings, spec),
        )
        stream = recording.stamped(stream, settings.stamps)
        info = settings.applied_to(stream.info, stream.times)
        check(plan, modality, info)
        streams[modality] = replace(stream, info=info)
    return Match(plan, streams, recording.markers)


def _fits(settings: StreamSettings, spec: ModalityContract, info: StreamInfo) -> bool:
    try:
        return not check_stream(spec, settings.applied_to(info))
    except StreamError:
        return False


def _connect(match: Match, clock: Callable[[], float], **options: Any) -> tuple[Connected, float]:
    """The sources, and how many seconds of pauses a paced replay leaves out."""
    streams = [*match.streams.values(), *match.markers]
    made = replay_sources(streams, clock=clock, **options)
    for source in made:
        source.open()
    sources: dict[str, Source] = dict(zip(match.streams, made, strict=False))
    return Connected(sources, tuple(made[len(sources) :]), clock), made[0].timeline.left_out_s


def _replay_fast(
    match: Match,
    predictor: Predictor,
    loops: int,
    options: Options,
    folder: Path | None,
    console: Console,
) -> None:
    connected, _ = _connect(match, time.perf_counter, loops=loops)
    infos = {modality: source.info for modality, source in connected.sources.items()}
    publisher = build.make_publisher(match.plan, clock=None)
    pipeline = build.make_pipeline(match.plan, predictor, infos, connected.clock, publisher.emit)
    session = describe_session(match.plan, infos, pipeline.device, "replay")
    if folder is not None:
        write_session(folder, session)
    publisher.attach(build.make_sinks(match.plan, folder, session, outlet=False))
    stop = threading.Event()
    total = loops * sum(stream.n_samples for stream in match.streams.values())
    begun = time.perf_counter()
    with publisher, stop_on_signals(stop), Progress(console=console, transient=True) as progress:
        if (baseline := options.baseline_file()) is not None:
            adopt_baseline(baseline, pipeline)
        task = progress.add_task("replay", total=total)
        for estimate in run_offline(pipeline, connected.sources, connected.markers):
            publisher.put(estimate)
            progress.update(task, completed=sum(pipeline.state(name).samples for name in infos))
            if stop.is_set():
                console.print("stopped")
                break
    spent_s = time.perf_counter() - begun
    health = []
    for name, info in infos.items():
        state = pipeline.state(name)
        counts = (state.samples, state.lost_samples)
        health.append(StreamHealth(name, info.name, info.rate_hz, math.nan, *counts, math.nan))
    statistics = publisher.statistics
    truth = trial_spans(own_markers(publisher.markers))
    unmet = match.plan.settings.baseline.unmet([text for _, text, _ in publisher.markers])
    notes = [*pipeline.notes, *pipeline.never_used, *unmet]
    is_one_line = pipeline.chosen is not None
    _print_not_made(console, health, statistics, is_one_line)
    print_summary(
        console, statistics, health, 0, truth, publisher.markers, options.caution, notes, is_one_line
    )
    lengths_s = [stream.samples / _samples_per_s(match, stream.modality) for stream in health]
    signal_s = max(lengths_s, default=0.0)
    console.print(f"{signal_s:.1f} s of signal in {spent_s:.2f} s ({signal_s / spent_s:.0f} × real time)")
    if folder is not None:
        save_baseline(folder / "baseline.json", pipeline, match.plan.contract.name)
        say_saved(console, folder)


def _samples_per_s(match: Match, modality: str) -> float:
    """How many samples make a second: the nominal rate, as one stamp of a regular stream may lie hours off;
    of an irregular one, by all of its stamps.
    """
    stream = match.streams[modality]
    span_s = stream.last_s - stream.first_s
    if match.plan.settings.streams[modality].resample_hz and span_s > 0:
        return stream.n_samples / span_s
    return stream.info.rate_hz


def _print_not_made(
    console: Console, health: Sequence[StreamHealth], statistics: Statistics, is_one_line: bool
) -> None:
    """Print why a recording gave nothing, where it did."""
    if is_one_line and statistics.made:
        return  # a modality that nothing came from was not chosen
    for stream in health:
        if any(name == stream.modality for name, _ in statistics.made):
            continue
        reason = statistics.last_reason.get(stream.modality, "it is shorter than one hop")
        length_s = stream.samples / stream.rate_hz
        words = f"{stream.modality}: no estimate from {length_s:.1f} s of signal: {reason}"
        console.print(words, style="yellow")


def replay_as_lsl(file: Path, speed: float, loops: int) -> None:
    """``bci-m2s replay FILE --as-lsl``: every stream of the file that has samples."""
    from bci_m2s.lsl.network import local_clock

    recording = open_recording(file)
    for warning in recording.warnings:
        make_console().print(f"{file.name}: {warning}", style="yellow")
    _say_takes(file, make_console())
    streams = [stream for stream in recording.raw_streams if stream.n_samples]
    if not streams:
        raise StreamError(f"{file}: no stream of it holds a sample")
    send(replay_sources(streams, speed=speed, loops=loops, clock=local_clock), 0.0)
