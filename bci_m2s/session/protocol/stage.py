"""What the steps of a guided session share: markers, the state for displays, what people ask, the table."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bci_m2s.errors import CommandError, OutputError
from bci_m2s.recording import trials as grammar
from bci_m2s.recording.recorder import Recorder
from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.session.protocol.controls import NO_ROOM, NO_SAMPLES, Controls, Ended, refused_in
from bci_m2s.session.protocol.outages import Outages
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.person import SimulatedPerson
from bci_m2s.session.protocol.planned import planned_trials
from bci_m2s.session.protocol.settings import ProtocolSettings, RatingSettings
from bci_m2s.session.protocol.stimulus import Stimulus
from bci_m2s.session.protocol.trial_table import write_trials
from bci_m2s.session.takes import Takes

TYPED_SHOWN = 60  # letters
LOOK_S = 0.5  # between two looks at streams that are waited for
BETWEEN = ("pause", "break", "live", "done")  # steps that are of no trial


@dataclass(frozen=True, slots=True)
class Conduct:
    """What a guided session is made of.

    settings : the protocol, its order drawn
    root : folder of the session
    before : trials of earlier takes, where it is taken up again
    clock : of the session; person : who takes part, where that is simulated
    stimulus : shows clips, None where nothing does
    has_keyboard : whether somebody can press keys here
    """

    settings: ProtocolSettings
    root: Path
    clock: FastClock
    before: Sequence[GuidedTrial] = ()
    person: SimulatedPerson | None = None
    stimulus: Stimulus | None = None
    has_keyboard: bool = False


class Stage:
    """Where a guided session is, and what its steps do it with.

    Parameters
    ----------
    conduct : what is conducted
    takes : of the session that runs
    notify : takes lines for the experimenter
    stop : set when the session is to end

    Attributes
    ----------
    controls : what people ask of it
    planned : trials in the order of the protocol
    shown : the step now, for displays
    current : number of the trial that is shown, or was last
    """

    def __init__(
        self, conduct: Conduct, takes: Takes, notify: Callable[[str], None], stop: threading.Event
    ) -> None:
        self.conduct, self.takes, self.notify, self._stop = conduct, takes, notify, stop
        self.settings, self.clock = conduct.settings, conduct.clock
        self.planned = planned_trials(conduct.settings)
        self.shown: dict[str, Any] = {"step": "", "text": ""}
        self.current = 0
        self._events: list[tuple[float, str]] = []
        self._until_s = math.nan
        self._lost_before = 0  # samples, before the trial that is shown
        self._outages = Outages(lambda: takes.now.engine.reporter.snapshot().health, conduct.clock)
        self._does_without = False  # the experimenter goes on, whether samples come or not
        self._unwritten = ""  # why the table is not as it should be
        self._marking = threading.RLock()  # remarks come from other threads
        self.controls = Controls(conduct.clock, conduct.clock.speed, self.is_over, self._remark)
        self.set_step("", "")

    # ---- for displays ----

    def state(self) -> dict[str, Any]:
        """The step now, as plain JSON values."""
        question, left_s = self.controls.question, self._until_s - self.clock()
        return {
            **self.shown,
            "name": self.settings.name,
            "trials": self.n_trials,
            "trial": 0 if self.shown["step"] in BETWEEN else self.current,
            "speed": self.clock.speed,
            "seconds_left": round(max(0.0, left_s), 1) if math.isfinite(left_s) else None,
            "is_paused": self.controls.is_paused,
            "question": None if question is None else {**question.model_dump(), "words": question.words},
        }

    def headline(self) -> str:
        """The step now in a line."""
        state = self.state()
        words = state["step"]
        if state["trial"]:
            words += f" {state['trial']}" + (f" of {state['trials']}" if state["trials"] else "")
        if state["is_paused"]:
            words += ", pause"
        if state["question"]:
            words += f": {_asked(self.controls.question, self.controls.typed)}"
        elif state["seconds_left"] is not None:
            words += f", {state['seconds_left']:.0f} s"
        return str(words)

    def end(self) -> None:
        """Nothing is counted down any more, and the table is as it stays."""
        self._until_s = math.nan
        self._unwritten = ""
        self.write_table()

    # ---- for the steps ----

    def rest(self, step: str, duration_s: float, text: str) -> None:
        """A step that only lasts: a break, the live run. text : what the participant reads"""
        self.pause()
        self.notify(f"{step}, {duration_s:g} s")
        self.set_step(step, text, duration_s)
        self.mark(f"{step}/start")
        self.controls.wait(duration_s)
        self.mark(f"{step}/stop")

    def pause(self) -> None:
        """A pause where one is wanted, and while the disk is full."""
        if self.controls.is_paused:
            self.notify("pause")
            self._wait("pause", "", lambda: self.controls.is_paused)
        if self.recorder_problem():
            self.notify("the recording cannot be written: the session waits until it can; Ctrl-C ends it")
            self._wait(NO_ROOM, "One moment, please.", lambda: bool(self.recorder_problem()))

    def wait_for_samples(self) -> None:
        """Wait where no stream gives samples, until one does or the experimenter goes on."""
        silent = self._outages.all_silent()
        if not silent or self._does_without:
            self._does_without = bool(silent)
            return
        self.notify(
            f"NO SAMPLES from {' and '.join(silent)}: the session waits until they come again; s goes on "
            "without them, r shows the trial before once more, Ctrl-C ends it (--resume takes it up again)"
        )
        self.mark("pause/start")
        self.set_step(NO_SAMPLES, "One moment, please.")
        while self._outages.all_silent():
            if not self.controls.wait(LOOK_S):
                self._does_without = not self.controls.interrupted.is_set()
                break
        else:
            self.notify("samples come again: the session goes on")
        self.mark("pause/stop")

    def _wait(self, step: str, text: str, holds: Callable[[], bool]) -> None:
        self.mark("pause/start")
        self.set_step(step, text)
        self.controls.wait_while(holds)
        self.mark("pause/stop")

    def begin_trial(self, trial: GuidedTrial) -> None:
        """Mark that a trial is about to be shown, or was begun by a program."""
        self._lost_before = self._lost()
        self._outages.begin_trial()
        self.mark(grammar.begin_text(trial))
        self.current = trial.number

    def end_trial(
        self,
        number: int,
        attempt: int,
        flags: Sequence[str] = (),
        spread_s: float = math.nan,
        stop_s: float = math.nan,
    ) -> None:
        """Mark the end of a trial, with flags where something is missing of it, and say them."""
        shown = grammar.read_trials(self._events)
        flags = [*flags, *self._outages.flags(shown[-1].start_s if shown else math.nan)]
        if lost := self._lost() - self._lost_before:
            flags.append(f"{lost} samples are not recorded")
        elif self.recorder_problem():
            flags.append("the recording could not be written")
        self.mark(grammar.end_text(number, attempt, flags, spread_s, stop_s))
        for flag in flags:
            self.notify(f"trial {number}: {flag}")

    def recorder_problem(self) -> str:
        """Why the recording cannot be written now, "" while it can."""
        recorder = self._recorder()
        return recorder.state().problem if recorder is not None else ""

    def _lost(self) -> int:
        recorder = self._recorder()
        return recorder.state().lost_samples if recorder is not None else 0

    def _recorder(self) -> Recorder | None:
        folder = self.takes.now.folder
        return folder.recorder if folder is not None else None

    def _remark(self, action: str, reason: str) -> None:
        """Mark what the experimenter says of the trial that is shown, or was last."""
        words = f"/{reason or 'by the experimenter'}" if action == "exclude" else ""
        try:
            self.mark(f"trial/{action}/{self.current}{words}")
        except Ended:
            raise CommandError(f"{action}: the session is over") from None
        self.write_table()

    def mark(self, text: str, at_s: float | None = None) -> float:
        """Write a marker into the recording; its stamp. Raises Ended where the session takes none."""
        with self._marking:
            at_s = self.clock() if at_s is None else at_s
            try:
                self.takes.now.engine.mark(text, at_s)
            except CommandError:
                if self.is_over():
                    raise Ended from None
                raise
            self._events.append((at_s, text))
        return at_s

    def set_step(self, step: str, text: str, duration_s: float | None = None) -> None:
        """Begin a step. text : what the participant reads; duration_s : where it is known"""
        self._until_s = math.nan if duration_s is None else self.clock() + duration_s
        if step != self.shown["step"]:
            self.controls.begin_step()
        self.shown.update(step=step, text=text)
        self.controls.refused = refused_in(step, self.current, self.settings.trials.show == "markers")

    def all_trials(self) -> list[GuidedTrial]:
        """Of all takes; an earlier attempt at what was shown again is marked so."""
        own = grammar.read_trials(self._events)
        again = {trial.number for trial in own}
        return [
            replace(trial, excluded=grammar.REPEATED) if trial.number in again else trial
            for trial in self.conduct.before
        ] + own

    def write_table(self) -> None:
        """Write ``trials.csv`` anew; where that cannot be, it is said once."""
        scales = [rating.scale for rating in self.settings.ratings]
        with self._marking:
            try:
                write_trials(self.conduct.root, self.all_trials(), scales)
                self._unwritten = ""
            except OutputError as problem:  # the recording has it all; a table may be open elsewhere
                if str(problem) != self._unwritten:
                    self._unwritten = str(problem)
                    self.notify(f"{problem}; tried again after each trial")

    @property
    def n_trials(self) -> int | None:
        """How many trials there are, None where only the experiment program knows."""
        return self.settings.trials.count or len(self.planned) or None

    def is_over(self) -> bool:
        """Whether the session has ended."""
        takes = self.takes
        is_over = self._stop.is_set() or takes.switch.is_over
        return is_over or (takes.is_running and takes.now.engine.wait(0.0))


def _asked(question: RatingSettings | None, typed: str) -> str:
    """A question with its answers, or the end of what is typed, for a line."""
    if question is None:
        return ""
    if question.kind == "sam":
        return f"{question.words} 1–{question.points}"
    if question.kind == "choice":
        listed = ", ".join(f"{number} {choice}" for number, choice in enumerate(question.choices, 1))
        return f"{question.words} {listed}"
    return f"{question.words} (text, Enter) {typed[-TYPED_SHOWN:]}▏"
