"""One participant of several: waits for the streams, runs like any session, and ends alone."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bci_m2s.engine.health import Snapshot
from bci_m2s.engine.loops import Loops
from bci_m2s.errors import BciM2sError, StreamError
from bci_m2s.lsl.network import local_clock
from bci_m2s.registry import blame
from bci_m2s.session.outlet_name import Neighbours
from bci_m2s.session.participants.console import NamedConsole
from bci_m2s.session.run import Options, run_connected
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected, connect, with_unnamed
from bci_m2s.session.terminal.watch import Watch, last_notes
from bci_m2s.sources import Environment, Source
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor
    from bci_m2s.session.operator_commands import Commands
    from bci_m2s.session.takes import EstimatingTake, Takes

TRY_AGAIN_S = 2.0
LISTED = "; on the network:"  # what an error says after this is another thing at each look
LOADING = "the model is being loaded"
WAIT_S = 0.1


class Claims:
    """Which streams are whose, so that nobody is given another's signal. Any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._owners: dict[tuple[str, ...], str] = {}

    def claim(self, info: StreamInfo, name: str) -> str:
        """Give a stream to a participant; who has it already, `name` where nobody else has.

        A sender that was restarted with its source id is the same stream.
        """
        identity = (info.name, info.type, info.source_id or info.uid, info.host)
        with self._changing:
            return self._owners.setdefault(identity, name)

    def release(self, name: str) -> None:
        """Give up all streams of a participant."""
        with self._changing:
            self._owners = {stream: owner for stream, owner in self._owners.items() if owner != name}


@dataclass(frozen=True, slots=True)
class Shared:
    """What all have in common once the model is loaded.

    neighbours : other sessions; end : ``time.monotonic`` of the session's end
    """

    predictor: Predictor
    neighbours: Neighbours
    end: float = math.inf


class Participant:
    """A session of its own, in a thread that waits most of the time.

    Parameters
    ----------
    name : the participant's id
    plan : with the id filled in
    options : of the whole session; `output` is the participant's own folder
    is_others : whether a stream belongs to somebody else of the session
    console : the terminal that all share
    stop : set when the whole session ends
    loops : the threads that all share
    claims : of all participants
    together : id of the whole session

    Attributes
    ----------
    takes, commands : once it runs, and after it
    failure : what ended it before its time, None while nothing did
    waiting : why it does not run yet, "" once it does
    """

    def __init__(
        self,
        name: str,
        plan: build.Plan,
        options: Options,
        is_others: Callable[[StreamInfo], bool],
        console: Console,
        stop: threading.Event,
        loops: Loops,
        claims: Claims,
        together: str = "",
    ) -> None:
        self.together, self._claims = together, claims
        self._said: set[str] = set()
        self.name, self.plan, self._options, self._is_others = name, plan, options, is_others
        self._console = NamedConsole(name, console)
        self._stop, self._loops = stop, loops
        self.takes: Takes | None = None
        self.commands: Commands | None = None
        self.failure: BaseException | None = None
        self.waiting = "connecting"
        self._thread: threading.Thread | None = None

    def start(self, shared: Future[Shared]) -> None:
        """Begin, in a thread: connect now, and go on once there is what all have in common.

        shared : stays without a result where that cannot be made; then the session is stopped
        """
        self._thread = threading.Thread(target=self._guarded, args=[shared], name=f"session-{self.name}")
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._thread is not None and not self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join()

    @property
    def folder(self) -> Path | None:
        """Where its results are, None where it keeps none."""
        return self._options.output

    def snapshot(self) -> Snapshot | None:
        """How it stands, None before it runs. Any thread."""
        takes = self.takes
        return takes.now.engine.reporter.snapshot() if takes is not None else None

    def lacks(self, info: StreamInfo) -> bool:
        """Whether it runs and does not read a stream, which appeared after it had connected."""
        return self.takes is not None and not self.is_over and info.uid not in self.takes.uids

    def add(self, source: Source, is_markers: bool) -> None:
        """Take an opened source that appeared."""
        if self.takes is None or self.is_over:
            source.close()
        else:
            self.takes.add(source, is_markers)

    # ---- its thread ----

    def _guarded(self, shared: Future[Shared]) -> None:
        try:
            self._run(shared)
        except BaseException as problem:  # whatever it is, the others go on
            self.failure = problem
            self._say(f"ended: {self.describe_failure()}", "bold red")
        finally:
            self._claims.release(self.name)

    def describe_failure(self) -> str:
        """What ended it, in a line."""
        problem = self.failure
        if problem is None or isinstance(problem, BciM2sError):
            return printable(problem or "", 500)
        return printable(blame(problem) or f"{type(problem).__name__}: {problem}", 500)

    def _say(self, words: str, style: str = "yellow") -> None:
        with suppress(OSError):  # the terminal may be gone
            self._console.print(words, style=style, soft_wrap=True)

    def _run(self, shared: Future[Shared]) -> None:
        options, for_group = self._options, self.plan.settings.shared_with_group
        with build.output_folder(options.output, for_group) as folder:
            connected = self._connect(shared)
            if connected is None:
                return
            self.waiting, end = "", shared.result().end
            left_s = 0.0 if math.isinf(end) else round(max(0.1, end - time.monotonic()), 1)
            run_connected(
                self.plan,
                shared.result().predictor,
                connected,
                replace(options, duration_s=left_s),
                folder,
                self._console,
                self._stop,
                shared.result().neighbours,
                _Quiet(self),
                self._loops,
            )

    def _connect(self, shared: Future[Shared]) -> Connected | None:
        """Its streams, whenever they come, and the model; None where the session ends before that."""
        environment = Environment(local_clock, self._say_of_streams, self._stop.is_set)
        while not self._stop.is_set():
            try:
                return self._connected(environment, shared)
            except StreamError as problem:
                if self._stop.is_set():
                    break
                self.waiting = printable(problem, 500)
                self._say_once(self.waiting.partition(LISTED)[0], f"does not take part yet: {self.waiting}")
                self._stop.wait(TRY_AGAIN_S)
        return None

    def _connected(self, environment: Environment, shared: Future[Shared]) -> Connected | None:
        connected = connect(self.plan, environment)
        try:
            self._claim(connected)
            self.waiting = LOADING
            while not shared.done():
                if self._stop.wait(WAIT_S):
                    connected.close()
                    return None
            # only now: from here on whoever runs all of them looks for what appears
            if any(settings.source == "lsl" for settings in self.plan.settings.streams.values()):
                also = self.plan.settings.record_also
                connected = with_unnamed(connected, environment, also, self._is_others)
        except BaseException:
            self._claims.release(self.name)
            connected.close()
            raise
        return replace(connected, is_live=False)  # whoever runs all of them looks for newcomers

    def _claim(self, connected: Connected) -> None:
        """Raises StreamError for a stream of a modality that another participant has."""
        for modality, source in connected.sources.items():
            if not source.info.uid:
                continue  # not from the network
            if (owner := self._claims.claim(source.info, self.name)) != self.name:
                raise StreamError(
                    f"{modality}: stream {source.info.name!r}: got that of participant {owner!r}, expected "
                    "one that nobody else has"
                )

    def _say_of_streams(self, words: str) -> None:
        self._say_once(words, words, "")

    def _say_once(self, what: str, words: str, style: str = "yellow") -> None:
        """Say something that is found again with each try. what : tells it from other words"""
        if what not in self._said:
            self._said.add(what)
            self._say(words, style)


class _Quiet(Watch):
    """Shows nothing of its own: the table of all participants does."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant

    def begins(self, takes: Takes, commands: Commands) -> None:
        """Let the table see it."""
        participant = self._participant
        participant.takes, participant.commands = takes, commands
        takes.more_about = lambda: {"participant": participant.name, "together": participant.together}

    def show(
        self,
        take: EstimatingTake,
        console: Console,
        stop: threading.Event,
        end: float,
        title: str,
        tick: Callable[[], None],
        headline: Callable[[], str] | None,
    ) -> None:
        """Wait for the end of a take."""
        del console, title, headline
        while not stop.is_set() and time.monotonic() < end and not take.engine.wait(WAIT_S):
            tick()

    def tell(self, take: EstimatingTake, console: Console) -> None:
        """It is said once for everybody."""

    def sum_up(
        self,
        takes: Takes,
        console: Console,
        truth: Sequence[tuple[float, float, str]],
        caution: str,
        said: Sequence[str],
    ) -> None:
        """What is not in the table: notes and problems."""
        del truth, caution
        notes = [note for note in takes.now.pipeline.notes if note not in said]
        for words in [*notes, *last_notes(takes), *takes.now.engine.reporter.snapshot().problems]:
            console.print(f"note: {printable(words, 500)}", style="yellow")

    def say_saved(self, console: Console, folder: Path, is_guided: bool) -> None:
        """The folder of all is said once."""
