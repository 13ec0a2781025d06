"""Conducts a guided session, step by step, beside the engine that records and judges it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bci_m2s.errors import BciM2sError
from bci_m2s.recording import trials as grammar
from bci_m2s.session.protocol.controls import Ended
from bci_m2s.session.protocol.external_trials import follow_program
from bci_m2s.session.protocol.pace import keep_pace
from bci_m2s.session.protocol.planned import length_note, order_notes
from bci_m2s.session.protocol.preparation import check_signals, measure_baseline
from bci_m2s.session.protocol.shown_trials import next_number, show_trials
from bci_m2s.session.protocol.stage import Conduct, Stage
from bci_m2s.session.takes import Takes
from bci_m2s.types import Estimate

COMPLETE = "the protocol is complete"


class Conductor:
    """Goes through a protocol in a thread of its own.

    Parameters
    ----------
    conduct : what is conducted
    takes : of the session that runs
    notify : takes lines for the experimenter
    stop : set when the session is to end

    Attributes
    ----------
    stage : where the session is
    failure : what ended it before its time, None while nothing did
    is_complete : whether every step is over
    """

    def __init__(
        self, conduct: Conduct, takes: Takes, notify: Callable[[str], None], stop: threading.Event
    ) -> None:
        self.stage = Stage(conduct, takes, notify, stop)
        self.controls = self.stage.controls
        self._is_left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self.failure: BaseException | None = None
        self.is_complete = False

    def __enter__(self) -> Conductor:
        self.stage.takes.more_about = lambda: {"protocol": self.state()}
        self._thread.start()
        if self.stage.clock.speed > 1.0:
            threading.Thread(target=self._keep_pace, name="pace", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_left.set()
        self.controls.interrupted.set()
        self._thread.join(5.0)
        if self.stage.conduct.stimulus is not None:
            self.stage.conduct.stimulus.close()

    def request(self, action: str, value: str = "") -> str:
        """What people ask of it; see ``Controls.request``."""
        return self.controls.request(action, value)

    def state(self) -> dict[str, Any]:
        """The step now, as plain JSON values."""
        return self.stage.state()

    def headline(self) -> str:
        """The step now in a line."""
        return self.stage.headline()

    # ---- its thread ----

    def _run(self) -> None:
        reason = ""
        try:
            self._protocol()
            reason, self.is_complete = COMPLETE, True
        except Ended:
            pass
        except BciM2sError as problem:
            reason, self.failure = f"failed: {problem}", problem
        except BaseException as problem:
            reason, self.failure = f"failed: {problem!r}", problem
        finally:
            self.stage.end()
            if reason:
                self.stage.takes.stop(reason)

    def _protocol(self) -> None:
        stage, settings = self.stage, self.stage.settings
        takes = stage.takes
        for note in [*order_notes(settings, takes.classes), length_note(settings, takes.window)]:
            if note:
                stage.notify(f"note: {note}")
        self._wait_for_engine()
        is_resumed = bool(stage.conduct.before)
        begun = f"{grammar.SESSION_RESUME}{next_number(stage)}" if is_resumed else ""
        stage.mark(begun or grammar.SESSION_START + settings.name)
        if settings.check.enabled:
            check_signals(stage)
        if settings.baseline.duration_s:
            measure_baseline(stage)
        if settings.trials.show == "markers":
            follow_program(stage)
        else:
            show_trials(stage)
        if settings.live.duration_s:
            stage.rest("live", settings.live.duration_s, settings.live.text)
        stage.mark(grammar.SESSION_STOP)
        stage.set_step("done", "Thank you.")

    def _wait_for_engine(self) -> None:
        while not self.stage.takes.is_running:
            self.controls.wait(0.02 * self.stage.clock.speed, can_skip=False)

    def _keep_pace(self) -> None:
        takes = self.stage.takes

        def latest() -> list[Estimate]:
            return list(takes.now.engine.publisher.latest.values()) if takes.is_running else []

        keep_pace(self.stage.clock, latest, self.stage.notify, self._is_left)
