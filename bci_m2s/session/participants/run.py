"""A session of several participants: everybody's own, one predictor, shared threads, one table."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from bci_m2s.engine.loops import Loops
from bci_m2s.errors import BciM2sError, ParticipantError
from bci_m2s.lsl.network import Selector, local_clock
from bci_m2s.session.newcomers import Newcomers
from bci_m2s.session.outlet_name import Neighbours
from bci_m2s.session.panel_process import PanelProcess, has_display, start_overview
from bci_m2s.session.participants.commands import give_all
from bci_m2s.session.participants.one import LOADING, Claims, Participant, Shared
from bci_m2s.session.participants.overload_notice import OverloadNotice
from bci_m2s.session.participants.table import live_table, plain_line, print_summaries
from bci_m2s.session.remote.listening import listening
from bci_m2s.session.run import Options
from bci_m2s.session.setup.build import Plan
from bci_m2s.session.setup.connect import unnamed_streams
from bci_m2s.session.terminal.run import PLAIN_LINE_S, REDRAW_S, deadline
from bci_m2s.session.terminal.view import discard_output
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor

LOOK_S = 0.1
MOST_FILES = 8192
ONE_BY_ONE = (
    "note: windows are judged one by one: on this computer the last bits of an answer would depend on how "
    "many are judged at once"
)
GRACE_S = 1.0  # each ends by itself when the time is over


def run_participants(
    plan: Plan,
    plans: Mapping[str, Plan],
    make_predictor: Callable[[], Predictor],
    options: Options,
    folder: Path | None,
    console: Console,
    stop: threading.Event,
) -> None:
    """Run everybody until `stop`, until the time is over, or until nobody is left.

    Parameters
    ----------
    plan : as its file has it; plans : of each participant, by id
    make_predictor : the model of all, ready
    options : of each; `output` is not used
    folder : of the whole session, in which each has one of their own; None where nothing is kept

    Raises
    ------
    ParticipantError
        Somebody was ended by a failure, or nobody took part and it was not stopped; after all have ended.
    """
    from bci_m2s.model.arithmetic import ask_for_strict

    ask_for_strict()
    allow_many_files()
    neighbours, loops, shared = Neighbours(), Loops(), Future[Shared]()
    participants = _participants(plans, options, folder, console, stop, loops)
    for participant in participants:
        participant.start(shared)  # the model takes seconds, and so do the streams
    try:
        predictor = make_predictor()
        if not predictor.judge_together():
            console.print(ONE_BY_ONE)
        remote = listening(options.remote, plan.settings.remote)
    except BaseException:
        stop.set()
        for participant in participants:
            participant.join()
        raise
    end = deadline(options.duration_s)
    panel: PanelProcess | None = None
    is_stopped = False
    try:
        shared.set_result(Shared(predictor, _Known(neighbours.names()), end))
        if remote is not None:
            remote.serve(partial(give_all, participants), console.print)
            console.print(remote.describe())
        panel = _overview(console) if options.panel else None
        with _newcomers(plan, participants, console):
            _show(participants, console, stop, end)
    finally:
        is_stopped = stop.is_set()  # else the time is over, or nobody is left
        stop.set()
        for participant in participants:
            participant.join()
        if remote is not None:
            remote.close()
        if panel is not None:
            panel.end()
        loops.close()
        is_waiting = is_stopped and _has_nobody(participants)
        with suppress(OSError):  # the terminal may be gone
            if is_waiting:
                waited_for = ", ".join(one.name for one in participants if one.waiting != LOADING)
                what = waited_for or "the model, which was being loaded"
                console.print(f"stopped while waiting for {what}: nobody took part", soft_wrap=True)
            else:
                print_summaries(console, participants)
            if folder is not None and any(one.takes is not None for one in participants):
                console.print(f"saved in {folder}: a folder for each participant", soft_wrap=True)
    if not is_waiting:
        _raise_failures(participants)


def _has_nobody(participants: Sequence[Participant]) -> bool:
    """Whether nobody took part, and for no other reason than that their streams were not there."""
    return all(one.takes is None and one.failure is None for one in participants)


def allow_many_files() -> None:
    """Let this process open more files and sockets: a participant takes some sixty of the usual 1024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _participants(
    plans: Mapping[str, Plan],
    options: Options,
    folder: Path | None,
    console: Console,
    stop: threading.Event,
    loops: Loops,
) -> list[Participant]:
    """Everybody, not started."""
    is_others, claims, together = named_by(plans), Claims(), uuid.uuid4().hex
    made = []
    for name, plan in plans.items():
        output = folder / name if folder is not None else None
        own = replace(
            options, output=output, remote=None, panel=False, notes={**options.notes, "participant": name}
        )
        made.append(Participant(name, plan, own, is_others, console, stop, loops, claims, together))
    return made


class _Known(Neighbours):
    """Sessions that were on the network before any of ours was."""

    def __init__(self, taken: dict[str, set[str]]) -> None:
        self._taken = taken

    def names(self) -> dict[str, set[str]]:
        """Their hosts, by the name of their streams."""
        return self._taken


def _overview(console: Console) -> PanelProcess | None:
    """A window of all participants; None where there is no display for it."""
    if not has_display():
        console.print("no display: terminal only")
        return None
    try:
        return start_overview()
    except OSError as problem:
        console.print(f"the overview cannot be started: {problem}", style="yellow")
        return None


def _newcomers(plan: Plan, participants: Sequence[Participant], console: Console) -> Newcomers:
    """Gives everybody the marker streams that appear and are nobody's own."""
    return Newcomers(
        unnamed_streams(),  # whoever connects takes what is there by themselves
        lambda info: [one.add for one in participants if one.lacks(info)],
        plan.settings.record_also,
        local_clock,
        console.print,
        is_others=named_by({one.name: one.plan for one in participants}),
    )


def named_by(plans: Mapping[str, Plan]) -> Callable[[StreamInfo], bool]:
    """Whether a stream is named for one of the participants: then it is nobody else's."""
    selectors = []
    for plan in plans.values():
        markers = [plan.settings.markers] if plan.settings.markers is not None else []
        for modality, stream in [*plan.settings.streams.items(), *(("", one) for one in markers)]:
            if isinstance(stream, LslStream):
                usual = plan.contract.modalities[modality].stream_type if modality else "Markers"
                wanted = Selector(stream.name, stream.type, stream.source_id, stream.host)
                selectors.append(wanted if wanted != Selector() else Selector(type=usual))
    return lambda info: any(selector.matches(info) for selector in selectors)


def _show(participants: Sequence[Participant], console: Console, stop: threading.Event, end: float) -> None:
    """Show everybody until all is over."""
    begun = time.monotonic()
    title = participants[0].plan.contract.name
    notice = OverloadNotice(participants, console)
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while not _over(participants, stop, end, REDRAW_S):
                    notice.look(time.monotonic())
                    above = f"{title} · {time.monotonic() - begun:.0f} s   Ctrl-C ends"
                    live.update(live_table(participants, above), refresh=True)
        else:
            while not _over(participants, stop, end, PLAIN_LINE_S):
                notice.look(time.monotonic())
                line = f"{time.monotonic() - begun:6.1f} s  {plain_line(participants)}"
                console.print(line, soft_wrap=True)
    except OSError:  # the terminal or pipe is gone; the session is not
        discard_output()
        while not _over(participants, stop, end, PLAIN_LINE_S):
            pass


def _over(participants: Sequence[Participant], stop: threading.Event, end: float, wait_s: float) -> bool:
    """Wait a moment; true when nobody is left, or nobody is to be any more."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if stop.wait(LOOK_S) or all(one.is_over for one in participants):
            return True
    return time.monotonic() > end + GRACE_S


def _raise_failures(participants: Sequence[Participant]) -> None:
    """Say that not everything went well, in the exit status too."""
    failed = [one for one in participants if one.failure is not None]
    if failed:
        for one in failed:
            if not isinstance(one.failure, BciM2sError) and one.failure is not None:
                raise one.failure  # a bug
        said = "; ".join(f"{one.name}: {one.describe_failure()}" for one in failed)
        raise ParticipantError(f"{len(failed)} of {len(participants)} participants ended early: {said}")
    if _has_nobody(participants):
        said = "; ".join(f"{one.name}: {one.waiting}" for one in participants)
        raise ParticipantError(f"nobody took part: {said}")
