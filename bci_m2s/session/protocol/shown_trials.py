"""Trials that a guided session shows itself: clips, programs or words, each with its questions and rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bci_m2s.recording import trials as grammar
from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.session.protocol.planned import PlannedTrial
from bci_m2s.session.protocol.questions import ask
from bci_m2s.session.protocol.stage import Stage
from bci_m2s.session.protocol.stimulus import Shown
from bci_m2s.types import TRIAL_START, TRIAL_STOP


def next_number(stage: Stage) -> int:
    """Of the first trial of this take."""
    left = _left(stage)
    return left[0].number if left else 1 + max((one.number for one in stage.conduct.before), default=0)


def _left(stage: Stage) -> list[PlannedTrial]:
    """The planned trials that no take before has shown to their end."""
    over = {
        trial.number
        for trial in stage.conduct.before
        if trial.excluded not in (grammar.REPEATED, grammar.NOT_FINISHED)
    }
    return [trial for trial in stage.planned if trial.number not in over]


def show_trials(stage: Stage) -> None:
    """Show the trials that are left."""
    left = _left(stage)
    at = 0
    while at < len(left):
        if not _announce(stage, left[at]):
            if stage.current != left[at].number:  # else it was interrupted, and is on its way
                at -= 1
            continue
        is_shown = _trial(stage, left[at])
        if not stage.controls.take_repeat() and is_shown:
            ask(stage, left[at].number)
            _after(stage, left[at:])
        if stage.controls.take_repeat() or not is_shown:
            continue
        at += 1


def _announce(stage: Stage, trial: PlannedTrial) -> bool:
    """The seconds before a trial, after a pause where one is wanted; false to repeat the one before."""
    stage.pause()
    stage.wait_for_samples()
    stage.pause()  # one may have been wanted meanwhile
    countdown_s = stage.settings.trials.countdown_s
    stage.set_step("next trial", trial.text if stage.settings.trials.show != "text" else "", countdown_s)
    stage.controls.wait(countdown_s)
    return not stage.controls.take_repeat()


def _trial(stage: Stage, trial: PlannedTrial) -> bool:
    """Show one trial; false where it was interrupted, to be shown again."""
    attempt = 1 + sum(one.number == trial.number for one in stage.all_trials())
    words = f"trial {trial.number} of {stage.n_trials}: {trial.label}"
    stage.notify(words + (f", attempt {attempt}" if attempt > 1 else ""))
    stage.begin_trial(_begun(trial, attempt))
    stage.set_step("trial", trial.text, trial.duration_s)
    shown = _show(stage, trial)
    if math.isfinite(shown.stop_s):
        stage.mark(TRIAL_STOP + trial.label, shown.stop_s)
    stage.end_trial(trial.number, attempt, shown.flags, shown.spread_s)
    interrupted = stage.controls.interrupted.is_set()
    if not shown.completed and not interrupted:
        stage.mark(f"{grammar.EXCLUDE}{trial.number}/not shown to its end")
    stage.write_table()
    return not interrupted


def _show(stage: Stage, trial: PlannedTrial) -> Shown:
    """Show an item; its onset is marked as soon as it is known."""
    person, stimulus = stage.conduct.person, stage.conduct.stimulus
    if person is not None:
        person.watch(trial.label)

    def on_onset(at_s: float) -> None:
        stage.mark(TRIAL_START + trial.label, at_s)

    try:
        if stimulus is None:
            return _show_text(stage, trial)
        interrupted = stage.controls.interrupted
        return stimulus.present(trial.item, trial.duration_s, interrupted, on_onset)
    finally:
        if person is not None:
            person.look_away()


def _show_text(stage: Stage, trial: PlannedTrial) -> Shown:
    begun_s = stage.mark(TRIAL_START + trial.label)
    completed = stage.controls.wait(trial.duration_s or 0.0, can_skip=False)
    return Shown(begun_s, stage.clock(), completed=completed)


def _after(stage: Stage, left: Sequence[PlannedTrial]) -> None:
    """Rest after a trial, with a break where a block ends."""
    settings, trials = stage.settings, stage.settings.trials
    stage.set_step("rest", "", trials.rest_s)
    stage.controls.wait(trials.rest_s)
    is_last = len(left) == 1
    if settings.breaks.duration_s and (is_last or left[1].block != left[0].block):
        stage.rest("break", settings.breaks.duration_s, settings.breaks.text)


def _begun(trial: PlannedTrial, attempt: int) -> GuidedTrial:
    return GuidedTrial(trial.number, attempt, trial.label, item=trial.item, block=trial.block)
