"""What to do while there is no session: start one where only one can be meant, else ask.

With one pipeline that fits and one stream for each of its needs nobody has to choose anything. The engine
that is started is a process of its own and outlives the panel.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QWidget

from bci_m2s.files.access import open_private
from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.look.background import Background
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.operate.connect_dialog import ConnectDialog
from bci_m2s.panel.operate.offers import Choice, Lookout, Offer, find_offers, fitting, only_choice, serves
from bci_m2s.session.control.rendezvous import has_entry, someone_starts
from bci_m2s.session.detached import last_lines, start_detached
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.panel.app import PanelOptions

SESSIONS_FIRST_S = 3.0  # a session that runs already is shown, none is started
AGAIN_S = 2.0
SURE_LOOKS = 2  # as many looks must agree: a second headset may be slow to answer
SURE_OF_NOTHING = 4  # looks without any stream before that is stated: senders answer late
MOST_LISTED = 6
UNSEEN_S = 8.0  # after which a session that is announced, but not seen, is no late one
UNSEEN = (
    "It runs, but LSL does not show its streams here. On a machine with many, LSL's 32 ports are too few: "
    "[ports] PortRange = 200 in lsl_api.cfg, for every program. bci-m2s doctor says which file is in force."
)
LOOKING = ("Looking for sessions and streams …", "Senders may take a few seconds to answer.")


class EngineProcess:
    """``bci-m2s run PIPELINE --headless`` in a process group of its own.

    pipeline : file or shipped name; source_ids : which stream serves which modality; log : what it prints
    """

    def __init__(self, pipeline: str, source_ids: Mapping[str, str], log: Path) -> None:
        self.pipeline, self._log = pipeline, log
        command = [sys.executable, "-m", "bci_m2s", "run", pipeline, "--headless"]
        for modality, source_id in source_ids.items():
            command += ["--stream", f"{modality}={source_id}"]
        with open(log, "wb", opener=open_private) as output:
            self._process = start_detached(command, output)
        # reaped whenever it ends, so that no zombie is left while the window stays open
        threading.Thread(target=self._process.wait, daemon=True, name="engine-process").start()

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line that it printed: an error, if it failed."""
        lines = last_lines(self._log)
        errors = [line for line in lines if line.startswith("error: ")]
        newest = errors[-1:] or lines[-1:]
        return printable(newest[0]) if newest else ""


class FirstStart(QObject):
    """Looks for streams while there is no session; starts an engine by itself or from the dialog.

    client : knows whether there is a session
    options : of the panel; with ``session`` or ``remote`` nothing is started by itself
    folder : for the logs of engines
    notify : shows a line; second argument: "info", "warn" or "error"
    window : parent of the dialog; theme : asked for its look
    """

    def __init__(
        self,
        client: SessionClient,
        options: PanelOptions,
        folder: Path,
        notify: Callable[[str, str], None],
        window: QWidget,
        theme: Callable[[], Theme],
    ) -> None:
        super().__init__(window)
        self._client, self._folder, self._notify, self._window = client, folder, notify, window
        self._theme = theme
        self._by_itself = not options.session and not options.remote
        self._may_start = self._by_itself  # until an engine that was started fails
        self._options = options
        self._begun_s = self._looked_s = time.monotonic()
        self._background = Background(self)
        self._lookout = Lookout()
        self._offers: list[Offer] | None = None
        self._infos: list[StreamInfo] = []
        self._agreed: Choice | None = None
        self._agreeing = self._looks = 0
        self._is_someone_starting = False  # a session from a terminal, for instance
        self.engine: EngineProcess | None = None
        self._started_s = math.nan
        self.dialog: ConnectDialog | None = None

    # ---- looking ----

    def look(self) -> None:
        """Called a few times per second. Does nothing while there is a session."""
        self._watch_engine()
        now_s = time.monotonic()
        if self._client.facts is not None or not self._by_itself or self.engine is not None:
            return
        if now_s - self._begun_s < SESSIONS_FIRST_S or now_s - self._looked_s < AGAIN_S:
            return
        if not self._background.busy:
            self._looked_s = now_s
            self._background.start(self._find, self._found, self._failed)

    def _find(self) -> tuple[list[Offer], list[StreamInfo]]:
        """In a worker thread: models are opened and senders asked."""
        self._is_someone_starting = someone_starts()
        offers = self._offers if self._offers is not None else find_offers(self._options.pipeline)
        return offers, self._lookout()

    def _found(self, found: tuple[list[Offer], list[StreamInfo]]) -> None:
        self._offers, self._infos = found
        self._looks += 1
        choice = only_choice(self._offers, self._infos)
        taken = self._client.facts is not None or self.dialog is not None or self._is_someone_starting
        if choice is None or taken or not self._may_start:
            self._agreed = None
            return
        self._agreeing = self._agreeing + 1 if choice == self._agreed else 1
        self._agreed = choice
        if self._agreeing >= SURE_LOOKS:
            self._start(choice)

    def _failed(self, problem: Exception) -> None:
        self._notify(f"looking for streams failed: {problem}", "error")

    # ---- what is shown meanwhile ----

    @property
    def is_starting(self) -> bool:
        """Whether a session is on its way and nothing is seen of it yet."""
        return self._client.facts is None and (self.engine is not None or self._is_announced)

    @property
    def _is_announced(self) -> bool:
        """Whether the session that is to be shown says that it is there."""
        return bool(self._options.session) and has_entry(self._options.session)

    def words(self) -> tuple[str, str]:
        """Headline and details for the empty state."""
        if self.engine is not None:
            stem = Path(self.engine.pipeline).stem
            took_s = time.monotonic() - self._started_s
            return (
                f"Starting the session … {took_s:.0f} s",
                f"Loading the model of {stem!r}, connecting streams.",
            )
        if not self._by_itself:
            which = f" {self._options.session!r}" if self._options.session else ""
            where = "on the network" if self._options.remote else "on this machine"
            is_late = time.monotonic() - self._begun_s > UNSEEN_S
            if self._is_announced:
                if is_late:
                    return f"Looking for the session{which}", UNSEEN
                return "The session starts", "It loads its model and connects its streams."
            return f"Looking for a session{which}", f"No session {where} yet. Start one with bci-m2s run."
        if not self._infos and self._looks < SURE_OF_NOTHING:
            return LOOKING
        if not self._infos:
            return (
                "No stream found",
                "Is the headset's LSL program running on this network, and not behind a firewall? "
                "bci-m2s doctor looks for the cause.",
            )
        return "Choose streams and a model", "\n".join(self._details())

    def _details(self) -> list[str]:
        """For each pipeline what it lacks, in words."""
        names = [f"{info.describe()}" for info in self._infos[:MOST_LISTED]]
        lines = [f"On the network: {', '.join(names)}"]
        for offer in (self._offers or [])[:MOST_LISTED]:
            if offer.problem:
                lines.append(f"{offer.name}: {offer.problem[:200]}")
                continue
            fits = fitting(offer, self._infos)
            lacks = [offer.describe(need) for need, found in fits.items() if not found]
            several = [need for need, found in fits.items() if len(found) > 1]
            if lacks:
                lines.append(f"{offer.name}: also needs {'; '.join(lacks)}")
                lines += self._near_misses(offer)
            else:
                lines.append(
                    f"{offer.name}: fits" + (f"; several for {', '.join(several)}" if several else "")
                )
        return lines

    def _near_misses(self, offer: Offer) -> list[str]:
        """Which streams are of the kind that an offer asks for, and the field in which each differs."""
        found = [(info.name, serves(offer, info, self._infos)) for info in self._infos]
        return [
            f"{name!r} does not fit: {problem[:200]}"
            for name, problems in found
            for problem in problems.values()
            if problem
        ][:MOST_LISTED]

    # ---- starting ----

    def open_dialog(self) -> None:
        """Let the user choose streams and a model."""
        if self.dialog is not None:
            self.dialog.raise_()
            return
        find = partial(find_offers, self._options.pipeline)
        self.dialog = ConnectDialog(self._theme(), find, parent=self._window)
        self.dialog.finished.connect(self._chosen)
        self.dialog.open()

    def _chosen(self, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is None:
            return
        if result and dialog.choice is not None:
            self._start(dialog.choice)
        dialog.deleteLater()

    def _start(self, choice: Choice) -> None:
        offer, source_ids = choice
        log = self._folder / datetime.now().strftime("engine-%Y-%m-%d-%H%M%S.log")
        self._notify(f"starting {offer.name} with {', '.join(source_ids)}", "info")
        known = {need: source_id for need, source_id in source_ids.items() if source_id}
        self._agreed, self._agreeing = None, 0
        if self._client.facts is not None and not self._client.ended:
            self._notify("the previous session goes on; Ctrl+N shows it again", "info")
        self._client.follow_newcomer()
        self._started_s = time.monotonic()
        try:
            self.engine = EngineProcess(str(offer.pipeline), known, log)
        except OSError as problem:  # the log's folder is full, or no process can be made
            self._may_start = False
            self._notify(f"the engine cannot be started: {problem}", "error")

    def _watch_engine(self) -> None:
        """Report an engine that failed; the search goes on, but nothing starts by itself again."""
        engine = self.engine
        if engine is None or engine.status is None:
            return
        self.engine = None
        if engine.status != 0:
            self._may_start = False
            self._notify(f"the engine ended: {engine.last_words()}", "error")

    def close(self) -> None:
        """The window closes. An engine that was started goes on."""
        if self.dialog is not None:
            self.dialog.reject()
