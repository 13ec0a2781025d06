"""One session from opened sources to the summary: its streams, its takes, its panel and its commands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from bci_m2s.engine.engine import Engine
from bci_m2s.errors import OutputError, StreamError
from bci_m2s.lsl.configuration import LslSession
from bci_m2s.lsl.description import DisplayStream, SessionDescription
from bci_m2s.lsl.formats import RAW_TYPE
from bci_m2s.pipeline.baseline_file import adopt_baseline
from bci_m2s.recording.guided import own_markers
from bci_m2s.session.companions import Companions
from bci_m2s.session.description import describe_session, for_displays
from bci_m2s.session.newcomers import Newcomers
from bci_m2s.session.outlet_name import Namesakes, Neighbours, with_own_name
from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.listening import listening
from bci_m2s.session.remote.server import RemoteServer
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected
from bci_m2s.session.takes import EstimatingTake, Takes
from bci_m2s.session.terminal.recording_notice import RecordingNotice
from bci_m2s.session.terminal.run import deadline
from bci_m2s.session.terminal.view import print_notes
from bci_m2s.session.terminal.watch import Watch
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source
from bci_m2s.sources.operator import OperatorMarkers

if TYPE_CHECKING:
    from bci_m2s.engine.loops import Loops
    from bci_m2s.model.predictor import Predictor

Truth = Callable[[Sequence[tuple[float, str]]], Sequence[tuple[float, float, str]]]


class Conducted(Protocol):
    """What conducts a session. failure : what ended it before its time"""

    failure: BaseException | None

    def headline(self) -> str:
        """The step now in a line."""

    def request(self, action: str, value: str = "") -> str:
        """What people ask of it. Raises CommandError."""


Conducting = Callable[[Takes, Callable[[str], None], threading.Event], AbstractContextManager[Conducted]]


@dataclass(frozen=True, slots=True)
class Options:
    """What a command may ask of a session.

    duration_s : 0 for no limit; output : new folder for results; baseline : file of an earlier session,
    or what writes it and returns its path, called once samples are arriving;
    device, model : replace the pipeline's;
    truth : turns markers into spans of known class (simulator only); None: nobody can;
    notes : further entries for session.yaml; source_ids : exactly which streams, by modality;
    record : keep every sample as received in session.xdf, where there is an output folder;
    lsl : LSL session of its own, shown to the user and saved beside the results; mode : live or replay;
    panel : open a panel where there is a display; caution : to be said beside an agreement;
    remote : where experiment programs give commands, instead of where the pipeline says;
    connect : gives opened sources in place of those that the pipeline names;
    conduct : makes what conducts the session, of its takes, what notifies people, and what stops it;
    waits_for_baseline : the baseline begins when it is asked for, whatever the pipeline says
    """

    duration_s: float = 0.0
    output: Path | None = None
    baseline: Path | Callable[[], Path] | None = None
    device: str | None = None
    model: str | None = None
    truth: Truth | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    source_ids: Mapping[str, str] = field(default_factory=dict)
    record: bool = True
    lsl: LslSession | None = None
    mode: str = "live"
    panel: bool = False
    caution: str = ""
    remote: Address | None = None
    connect: Callable[[build.Plan], Connected] | None = None
    conduct: Conducting | None = None
    waits_for_baseline: bool = False

    def baseline_file(self) -> Path | None:
        """The file of the baseline, written now where nothing has written it yet."""
        return self.baseline() if callable(self.baseline) else self.baseline


def run_connected(
    plan: build.Plan,
    predictor: Predictor,
    connected: Connected,
    options: Options,
    folder: Path | None,
    console: Console,
    stop: threading.Event,
    neighbours: Neighbours | None = None,
    watch: Watch | None = None,
    loops: Loops | None = None,
) -> None:
    """Run opened sources through a plan's pipeline, take by take; close them at the end.

    folder : of the results, made and empty; None where nothing is kept until the operator asks for it
    neighbours : made earlier, where there was time to look for other sessions
    watch : shows it, None for on the terminal; loops : threads that serve other sessions too
    Raises what an engine thread raised, OutputError where results are not all on the disk.
    """
    with ExitStack() as closing:
        unclaimed = closing.enter_context(ExitStack())
        unclaimed.callback(connected.close)
        # what is replayed opens no port, though its pipeline did
        remote = listening(options.remote, plan.settings.remote if options.mode == "live" else None)
        if remote is not None:
            closing.callback(remote.close)
        infos = {modality: source.info for modality, source in connected.sources.items()}
        publisher = build.make_publisher(plan, connected.clock, is_judged=options.truth is not None)
        pipeline = build.make_pipeline(plan, predictor, infos, connected.clock, publisher.emit)
        if (file := options.baseline_file()) is not None:
            taken = adopt_baseline(file, pipeline)
            console.print(f"baseline of {', '.join(taken)} taken from {file}")
        session = describe_session(plan, infos, pipeline.device, options.mode, options.notes)
        if plan.settings.outlet.enabled:
            session = with_own_name(session, neighbours or Neighbours(), console)
        connected, session = offer_to_displays(plan, connected, session, console)
        outlets = build.make_sinks(plan, None, for_displays(session, plan, pipeline), outlet=True)
        for outlet in outlets:
            outlet.open()
            closing.callback(outlet.close)
        evidence = build.make_evidence(plan, predictor, pipeline, session)
        if evidence is not None:
            closing.callback(evidence.close)
        takes = Takes(plan, predictor, connected, session, outlets, evidence, console.print, folder, loops)
        take = takes.first(pipeline, publisher, options.record)
        if take.folder is not None and take.folder.warning:
            console.print(take.folder.warning, style="yellow")
        unclaimed.pop_all()
        closing.callback(lambda: takes.now.engine.close_sources())
        watch = watch or Watch()
        _accompany(takes, connected, session, outlets, options, console, stop, remote, watch)


def _accompany(
    takes: Takes,
    connected: Connected,
    session: SessionDescription,
    outlets: Sequence[Sink],
    options: Options,
    console: Console,
    stop: threading.Event,
    remote: RemoteServer | None,
    watch: Watch,
) -> None:
    """Run the takes, with a panel, servers of commands and an eye on the network beside them."""
    settings = takes.settings
    panel = options.panel and settings.outlet.enabled
    if options.panel and not panel:
        console.print(f"no panel: {takes.pipeline}: outlet.enabled is false, so there is nothing to draw")
    with ExitStack() as beside:
        companions = beside.enter_context(Companions(session.session_id, takes, console, panel, remote))
        if connected.is_live:
            known = [*(source.info for source in connected.all()), *connected.left_out]
            also, clock = settings.record_also, connected.clock
            beside.enter_context(Newcomers(known, lambda _info: [takes.add], also, clock, console.print))
        if settings.outlet.enabled:
            beside.enter_context(Namesakes(session, console.print))
        conducted = None
        if options.conduct is not None:
            conducted = beside.enter_context(options.conduct(takes, console.print, stop))
            companions.commands.protocol = conducted.request
            takes.can_answer = companions.can_answer
        try:
            watch.begins(takes, companions.commands)
            _run_takes(takes, options, console, stop, companions, conducted, watch)
        finally:
            takes.switch.end("failed")  # unless the reason is known
            # displays learn that the session has ended, and why
            last = takes.now.engine.reporter.report()
            for outlet in outlets:
                outlet.take(last)
            if stop.is_set():
                companions.end_panel()


def offer_to_displays(
    plan: build.Plan, connected: Connected, session: SessionDescription, console: Console
) -> tuple[Connected, SessionDescription]:
    """Make sources known to displays: the description then says of each stream where they find it.

    What is no LSL stream becomes one, where the pipeline has outlets. The operator's markers join the rest.
    """
    from bci_m2s.sources.lsl import LslSource
    from bci_m2s.sources.published import PublishedSource

    sources: dict[str, Source] = {}
    streams = dict(session.streams)
    for modality, source in connected.sources.items():
        sources[modality], info = source, source.info
        if isinstance(source, LslSource):
            panel = DisplayStream(source_id=info.source_id, uid=info.uid, type=info.type, name=info.name)
        elif plan.settings.outlet.enabled:
            published = PublishedSource(source, f"{session.session_id}-raw-{modality}")
            try:
                published.offer()
            except StreamError as problem:  # nothing but the display needs it
                console.print(f"{modality}: no display can draw it: {problem}", style="yellow")
                continue
            sources[modality] = published
            panel = DisplayStream(source_id=published.sent_info.source_id, type=RAW_TYPE)
        else:
            continue
        streams[modality] = streams[modality].model_copy(update={"panel": panel})
    markers = (*connected.markers, OperatorMarkers(connected.clock))
    session = session.model_copy(update={"streams": streams})
    return replace(connected, sources=sources, markers=markers), session


def _run_takes(
    takes: Takes,
    options: Options,
    console: Console,
    stop: threading.Event,
    companions: Companions,
    conducted: Conducted | None,
    watch: Watch,
) -> None:
    """Run takes until the session is over. Raises what an engine thread or the conductor raised."""
    end, title = deadline(options.duration_s), takes.model
    said: list[str] = []  # notes that are on the terminal
    lost: BaseException | None = None  # what an earlier take could not write: no reason to stop at once
    while True:
        take = takes.now
        try:
            take.engine.start()
            companions.commands.engine = take.engine
            takes.began()
            recorder = take.folder.recorder if take.folder is not None else None
            notice = RecordingNotice(recorder, console)
            tick = partial(_tick, take, companions, notice, console, said, watch)
            headline = conducted.headline if conducted is not None else None
            watch.show(take, console, stop, end, title, tick, headline)
        finally:
            take.engine.finish(keep_sources=True)
            _complete(takes, options, console, said, watch)
        failure = take.engine.failure
        if isinstance(failure, OutputError) and takes.switch.is_switching:
            console.print(f"from the previous take: {failure}", style="yellow")
            lost, failure = lost or failure, None
        if reason := why_over(take.engine, failure, stop, end, options.duration_s):
            break
        if takes.next() is None:
            reason = takes.switch.why_stopped or "stopped by the operator"
            break
        console.print(takes.describe())
    takes.switch.end(reason)
    if failure := lost or failure or (conducted.failure if conducted is not None else None):
        raise failure


def _tick(
    take: EstimatingTake,
    companions: Companions,
    notice: RecordingNotice,
    console: Console,
    said: list[str],
    watch: Watch,
) -> None:
    """What the terminal looks at a few times a second."""
    companions.check_panel()
    notice.look()
    watch.tell(take, console)
    fresh = [note for note in take.pipeline.notes if note not in said]
    print_notes(console, fresh)
    said += fresh


def why_over(
    engine: Engine, failure: BaseException | None, stop: threading.Event, end: float, duration_s: float
) -> str:
    """Why a session cannot go on after a run, "" where it can."""
    if failure is not None:
        return f"failed: {failure}"
    if stop.is_set():
        return "stopped at the terminal"
    if time.monotonic() >= end:
        return f"its {duration_s:g} s are over"
    return "the signals have ended" if engine.has_run_dry else ""


def _complete(takes: Takes, options: Options, console: Console, said: Sequence[str], watch: Watch) -> None:
    """The end of a take: its folder is made whole, and it is summed up. said : notes that were printed"""
    take = takes.now
    folder = take.folder.path if take.folder is not None else None
    try:
        takes.finished()
    except OutputError:
        if take.engine.failure is None:
            raise  # else that one names the recording, which matters more than this file
    finally:  # also where the disk is full
        markers = own_markers(take.engine.publisher.markers)
        truth = options.truth(markers) if options.truth is not None else ()
        with suppress(OSError):  # the terminal may be gone
            watch.sum_up(takes, console, truth, options.caution, said)
            if folder is not None:
                watch.say_saved(console, folder, is_guided=options.conduct is not None)
