"""Conducts a guided session, step by step, beside the engine that records and judges it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bci_m2s.errors import BciM2sError, CommandError, OutputError
from bci_m2s.recording import trials as grammar
from bci_m2s.recording.trials import Trial
from bci_m2s.session.protocol.controls import Controls, Ended, refused_in
from bci_m2s.session.protocol.external import MarkerTrials
from bci_m2s.session.protocol.pace import FastClock, keep_pace
from bci_m2s.session.protocol.person import SimulatedPerson
from bci_m2s.session.protocol.planned import PlannedTrial, order_notes, planned_trials
from bci_m2s.session.protocol.settings import ProtocolSettings, RatingSettings
from bci_m2s.session.protocol.signal_check import StreamCheck, check_streams
from bci_m2s.session.protocol.stimulus import Shown, Stimulus
from bci_m2s.session.protocol.trial_table import write_trials
from bci_m2s.session.takes import Takes
from bci_m2s.types import Estimate

LOOK_S = 0.5  # between two looks at the signals
LONGEST_BASELINE = 4.0  # times its length, where signals are bad
ANSWER_S = 1.0  # that a simulated person thinks
COMPLETE = "the protocol is complete"
WAITING = "waiting for the experiment program"
NO_END = "no end: the next trial began"


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
    before: Sequence[Trial] = ()
    person: SimulatedPerson | None = None
    stimulus: Stimulus | None = None
    has_keyboard: bool = False


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
    controls : what people ask of it
    failure : what ended it before its time, None while nothing did
    is_complete : whether every step is over
    """

    def __init__(
        self, conduct: Conduct, takes: Takes, notify: Callable[[str], None], stop: threading.Event
    ) -> None:
        self._conduct, self._takes, self._notify, self._stop = conduct, takes, notify, stop
        self._settings, self._clock = conduct.settings, conduct.clock
        self._planned = planned_trials(conduct.settings)
        self._events: list[tuple[float, str]] = []
        self._state: dict[str, Any] = {"step": "", "text": ""}
        self._is_left = threading.Event()
        self._until_s = math.nan
        self._current = 0  # number of the trial that is shown, or was last
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self.failure: BaseException | None = None
        self.is_complete = False
        self._is_too_late: Callable[[], bool] = lambda: False  # to answer
        self._unwritten = ""  # why the table is not as it should be
        self._marking = threading.RLock()  # remarks come from other threads
        self.controls = Controls(conduct.clock, conduct.clock.speed, self._is_over, self._remark)
        self._set("", "")

    def __enter__(self) -> Conductor:
        self._takes.more_about = lambda: {"protocol": self.state()}
        self._thread.start()
        if self._clock.speed > 1.0:
            threading.Thread(target=self._keep_pace, name="pace", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_left.set()
        self.controls.interrupted.set()
        self._thread.join(5.0)
        if self._conduct.stimulus is not None:
            self._conduct.stimulus.close()

    def request(self, action: str, value: str = "") -> str:
        """What people ask of it; see ``Controls.request``."""
        return self.controls.request(action, value)

    # ---- for displays ----

    def state(self) -> dict[str, Any]:
        """The step now, as plain JSON values."""
        question, left_s = self.controls.question, self._until_s - self._clock()
        return {
            **self._state,
            "name": self._settings.name,
            "trials": self._n_trials(),
            "trial": self._current,
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
            words += f": {_asked(self.controls.question)}"
        elif state["seconds_left"] is not None:
            words += f", {state['seconds_left']:.0f} s"
        return str(words)

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
            self._until_s = math.nan
            self._unwritten = ""
            self._write_table()
            if reason:
                self._takes.stop(reason)

    def _protocol(self) -> None:
        settings = self._settings
        for note in order_notes(settings, self._takes.classes):
            self._notify(f"note: {note}")
        self._wait_for_engine()
        is_resumed = bool(self._conduct.before)
        begun = f"{grammar.SESSION_RESUME}{self._next_number()}" if is_resumed else ""
        self._mark(begun or grammar.SESSION_START + settings.name)
        if settings.check.enabled:
            self._check()
        if settings.baseline.duration_s:
            self._baseline()
        if settings.trials.show == "markers":
            self._external_trials()
        else:
            self._trials()
        if settings.live.duration_s:
            self._rest("live", settings.live.duration_s, settings.live.text)
        self._mark(grammar.SESSION_STOP)
        self._set("done", "Thank you.")

    def _check(self) -> None:
        """Wait until enough is good for long enough; the experimenter may go on before."""
        settings = self._settings.check
        channels = self._takes.channels
        self._mark("check/start")
        begun_s, good_since_s, before = self._clock(), math.nan, list[str]()
        self._set("signal check", "One moment, please: the signals are checked.", settings.give_up_s)
        while True:
            checks = check_streams(self._takes.now.engine.reporter.snapshot().health, channels)
            lines = [line for check in checks for line in check.describe()]
            if lines != before:
                self._say_check(lines)
                before = lines
            self._state["check"] = lines
            now_s = self._clock()
            if _enough(checks, settings.good_share):
                good_since_s = now_s if math.isnan(good_since_s) else good_since_s
                if now_s - good_since_s >= settings.good_for_s:
                    words = "ok"
                    break
            else:
                good_since_s = math.nan
            if now_s - begun_s > settings.give_up_s:
                raise CommandError(
                    f"signal check: in {settings.give_up_s:g} s not enough channels were good for "
                    f"{settings.good_for_s:g} s on end; now " + "; ".join(lines)
                )
            if not self.controls.wait(LOOK_S):
                words = "skipped"
                break
        self._mark(f"check/stop/{words}")
        self._notify(f"signal check: {words}")
        self._state.pop("check", None)

    def _say_check(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._notify(line)

    def _baseline(self) -> None:
        """Rest until the time is over and the model has what it needs."""
        settings = self._settings.baseline
        self._notify(f"baseline, {settings.duration_s:g} s")
        self._set("baseline", settings.text, settings.duration_s)
        self._state["cross"] = True
        self._mark(self._takes.settings.baseline.marker)
        self.controls.wait(settings.duration_s)
        limit_s = self._clock() + (LONGEST_BASELINE - 1) * settings.duration_s
        while (left := self._baseline_left()) and self._clock() < limit_s:
            self._set("baseline", settings.text, max(left.values()))
            if not self.controls.wait(LOOK_S):
                break
        if left := self._baseline_left():
            listed = ", ".join(f"{modality} {seconds:.0f} s" for modality, seconds in left.items())
            self._notify(f"baseline: not complete: {listed} of good signal are missing")
        self._state.pop("cross", None)
        self._mark("baseline/stop")

    def _baseline_left(self) -> dict[str, float]:
        """Seconds of usable signal that are missing, by modality."""
        return {
            health.modality: health.baseline_left_s
            for health in self._takes.now.engine.reporter.snapshot().health
            if health.baseline in ("waiting", "collecting")
        }

    def _next_number(self) -> int:
        """Of the first trial of this take."""
        left = self._left()
        return left[0].number if left else 1 + max((one.number for one in self._conduct.before), default=0)

    def _left(self) -> list[PlannedTrial]:
        """The planned trials that no take before has shown to their end."""
        over = {
            trial.number
            for trial in self._conduct.before
            if trial.excluded not in (grammar.REPEATED, grammar.NOT_FINISHED)
        }
        return [trial for trial in self._planned if trial.number not in over]

    def _trials(self) -> None:
        """Show the trials that are left."""
        left = self._left()
        at = 0
        while at < len(left):
            if not self._announce(left[at]):
                if self._current != left[at].number:  # else it was interrupted, and is on its way
                    at -= 1
                continue
            is_shown = self._trial(left[at])
            if not self.controls.take_repeat() and is_shown:
                self._ask(left[at].number)
                self._after(left[at:])
            if self.controls.take_repeat() or not is_shown:
                continue
            at += 1

    def _announce(self, trial: PlannedTrial) -> bool:
        """The seconds before a trial, after a pause where one is wanted; false to repeat the one before."""
        self._pause()
        countdown_s = self._settings.trials.countdown_s
        self._set("next trial", trial.text if self._settings.trials.show != "text" else "", countdown_s)
        self.controls.wait(countdown_s)
        return not self.controls.take_repeat()

    def _trial(self, trial: PlannedTrial) -> bool:
        """Show one trial; false where it was interrupted, to be shown again."""
        attempt = 1 + sum(one.number == trial.number for one in self._all_trials())
        words = f"trial {trial.number} of {self._n_trials()}: {trial.label}"
        self._notify(words + (f", attempt {attempt}" if attempt > 1 else ""))
        self._mark(grammar.begin_text(_begun(trial, attempt)))
        self._current = trial.number
        self._set("trial", trial.text, trial.duration_s)
        shown = self._show(trial)
        if math.isfinite(shown.stop_s):
            self._mark(grammar.TRIAL_STOP + trial.label, shown.stop_s)
        self._mark(grammar.end_text(trial.number, attempt, shown.flags, shown.spread_s))
        for flag in shown.flags:
            self._notify(f"trial {trial.number}: {flag}")
        interrupted = self.controls.interrupted.is_set()
        if not shown.completed and not interrupted:
            self._mark(f"{grammar.EXCLUDE}{trial.number}/not shown to its end")
        self._write_table()
        return not interrupted

    def _show(self, trial: PlannedTrial) -> Shown:
        """Show an item; its onset is marked as soon as it is known."""
        person, stimulus = self._conduct.person, self._conduct.stimulus
        if person is not None:
            person.watch(trial.label)

        def on_onset(at_s: float) -> None:
            self._mark(grammar.TRIAL_START + trial.label, at_s)

        try:
            if stimulus is None:
                return self._show_text(trial)
            interrupted = self.controls.interrupted
            return stimulus.present(trial.item, trial.duration_s, interrupted, on_onset)
        finally:
            if person is not None:
                person.look_away()

    def _show_text(self, trial: PlannedTrial) -> Shown:
        begun_s = self._mark(grammar.TRIAL_START + trial.label)
        completed = self.controls.wait(trial.duration_s or 0.0, can_skip=False)
        return Shown(begun_s, self._clock(), completed=completed)

    def _after(self, left: Sequence[PlannedTrial]) -> None:
        """Rest after a trial, with a break where a block ends."""
        settings, trials = self._settings, self._settings.trials
        self._set("rest", "", trials.rest_s)
        self.controls.wait(trials.rest_s)
        is_last = len(left) == 1
        if settings.breaks.duration_s and (is_last or left[1].block != left[0].block):
            self._rest("break", settings.breaks.duration_s, settings.breaks.text)

    def _external_trials(self) -> None:
        """Follow the trials of an experiment program by its markers."""
        trials = MarkerTrials(
            self._settings.trials, self._takes.now.engine.publisher.history.newest_markers
        )
        number = max((trial.number for trial in self._conduct.before), default=0)
        begun: Trial | None = None
        if trials.n_early:
            self._notify(
                f"{trials.n_early} trials of the experiment program began before now: they do not count"
            )
        self._notify(WAITING)
        self._set(WAITING, "")
        while not trials.is_over(number, begun is not None):
            if not self.controls.wait(0.02):
                if begun is None:
                    break
                self._mark(grammar.end_text(begun.number, 1))
                begun = None
                self._write_table()
                self._notify(f"trial {number}: given up")
                self._set(WAITING, "")
            for kind, at_s, label in trials.news(self._clock()):
                if begun is not None:
                    flags = [NO_END] if kind == "start" else []
                    self._mark(grammar.end_text(begun.number, 1, flags, stop_s=at_s))
                    begun = None
                    self._write_table()
                    if kind == "stop":
                        self._ask(number, trials.goes_on)
                    self._set(WAITING, "")
                if kind == "start":
                    number += 1
                    begun = Trial(number, 1, label, at_s, item="")
                    self._mark(grammar.begin_text(begun))
                    self._current = number
                    self._notify(f"trial {number}: {label}")
                    self._set("trial", "", self._settings.trials.duration_s)

    def _rest(self, step: str, duration_s: float, text: str) -> None:
        self._pause()
        self._notify(f"{step}, {duration_s:g} s")
        self._set(step, text, duration_s)
        self._mark(f"{step}/start")
        self.controls.wait(duration_s)
        self._mark(f"{step}/stop")

    def _pause(self) -> None:
        if self.controls.is_paused:
            self._mark("pause/start")
            self._notify("pause")
            self._set("pause", "")
            self.controls.wait_while_paused()
            self._mark("pause/stop")

    def _ask(self, number: int, is_too_late: Callable[[], bool] = lambda: False) -> None:
        """The questions after a trial. is_too_late : whether the next one has begun"""
        self._is_too_late = is_too_late
        for question in self._settings.ratings:
            if self.controls.interrupted.is_set():
                break  # it is shown again
            answer = self._answer(question)
            if answer:
                self._mark(grammar.rating_text(number, question.scale, answer))
            else:
                self._notify(f"trial {number}: no answer for {question.scale}")
        if self._settings.ratings:
            self._write_table()

    def _answer(self, question: RatingSettings) -> str | None:
        self._set("question", question.words)
        if self._conduct.person is not None:
            self.controls.question = question
            has_thought = self.controls.wait(ANSWER_S)
            self.controls.question = None
            return self._conduct.person.answer(question) if has_thought else None
        return self.controls.wait_for_answer(question, self._settings.rating_timeout_s, self._can_answer)

    def _can_answer(self) -> bool:
        if self._is_too_late():
            return False
        return self._conduct.has_keyboard or self._takes.can_answer()

    # ---- parts ----

    def _remark(self, action: str, reason: str) -> None:
        """Mark what the experimenter says of the trial that is shown, or was last."""
        words = f"/{reason or 'by the experimenter'}" if action == "exclude" else ""
        try:
            self._mark(f"trial/{action}/{self._current}{words}")
        except Ended:
            raise CommandError(f"{action}: the session is over") from None
        self._write_table()

    def _mark(self, text: str, at_s: float | None = None) -> float:
        """Write a marker into the recording; its stamp. Raises Ended where the session takes none."""
        with self._marking:
            at_s = self._clock() if at_s is None else at_s
            try:
                self._takes.now.engine.mark(text, at_s)
            except CommandError:
                if self._is_over():
                    raise Ended from None
                raise
            self._events.append((at_s, text))
        return at_s

    def _set(self, step: str, text: str, duration_s: float | None = None) -> None:
        self._until_s = math.nan if duration_s is None else self._clock() + duration_s
        if step != self._state["step"]:
            self.controls.begin_step()
        self._state.update(step=step, text=text)
        self.controls.refused = refused_in(step, self._current, self._settings.trials.show == "markers")

    def _all_trials(self) -> list[Trial]:
        """Of all takes; an earlier attempt at what was shown again is marked so."""
        own = grammar.read_trials(self._events)
        again = {trial.number for trial in own}
        return [
            replace(trial, excluded=grammar.REPEATED) if trial.number in again else trial
            for trial in self._conduct.before
        ] + own

    def _write_table(self) -> None:
        scales = [rating.scale for rating in self._settings.ratings]
        with self._marking:
            try:
                write_trials(self._conduct.root, self._all_trials(), scales)
                self._unwritten = ""
            except OutputError as problem:  # the recording has it all; a table may be open elsewhere
                if str(problem) != self._unwritten:
                    self._unwritten = str(problem)
                    self._notify(f"{problem}; tried again after each trial")

    def _n_trials(self) -> int | None:
        return self._settings.trials.count or len(self._planned) or None

    def _keep_pace(self) -> None:
        takes = self._takes

        def latest() -> list[Estimate]:
            return list(takes.now.engine.publisher.latest.values()) if takes.is_running else []

        keep_pace(self._clock, latest, self._notify, self._is_left)

    def _wait_for_engine(self) -> None:
        while not self._takes.is_running:
            self.controls.wait(0.02 * self._clock.speed, can_skip=False)

    def _is_over(self) -> bool:
        takes = self._takes
        is_over = self._stop.is_set() or takes.switch.is_over
        return is_over or (takes.is_running and takes.now.engine.wait(0.0))


def _begun(trial: PlannedTrial, attempt: int) -> Trial:
    return Trial(trial.number, attempt, trial.label, item=trial.item, block=trial.block)


def _enough(checks: Sequence[StreamCheck], share: float) -> bool:
    return bool(checks) and all(check.share >= share for check in checks)


def _asked(question: RatingSettings | None) -> str:
    """A question with its answers, for a line."""
    if question is None:
        return ""
    if question.kind == "sam":
        return f"{question.words} 1–{question.points}"
    if question.kind == "choice":
        listed = ", ".join(f"{number} {choice}" for number, choice in enumerate(question.choices, 1))
        return f"{question.words} {listed}"
    return f"{question.words} (text, Enter)"
