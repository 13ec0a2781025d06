"""Trials that an experiment program shows, followed by its markers."""

from __future__ import annotations

from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.session.protocol.external import MarkerTrials
from bci_m2s.session.protocol.questions import ask
from bci_m2s.session.protocol.stage import Stage

WAITING = "waiting for the experiment program"
NO_END = "no end: the next trial began"


def follow_program(stage: Stage) -> None:
    """Follow the trials of an experiment program by its markers."""
    trials = MarkerTrials(stage.settings.trials, stage.takes.now.engine.publisher.history.newest_markers)
    number = max((trial.number for trial in stage.conduct.before), default=0)
    begun: GuidedTrial | None = None
    if trials.n_early:
        stage.notify(
            f"{trials.n_early} trials of the experiment program began before now: they do not count"
        )
    stage.notify(WAITING)
    stage.set_step(WAITING, "")
    while not trials.is_over(number, begun is not None):
        if not stage.controls.wait(0.02):
            if begun is None:
                break
            stage.end_trial(begun.number, 1)
            begun = None
            stage.write_table()
            stage.notify(f"trial {number}: given up")
            stage.set_step(WAITING, "")
        for kind, at_s, label in trials.news(stage.clock()):
            if begun is not None:
                flags = [NO_END] if kind == "start" else []
                stage.end_trial(begun.number, 1, flags, stop_s=at_s)
                begun = None
                stage.write_table()
                if kind == "stop":
                    ask(stage, number, trials.goes_on)
                stage.set_step(WAITING, "")
            if kind == "start":
                number += 1
                begun = GuidedTrial(number, 1, label, at_s, item="")
                stage.begin_trial(begun)
                stage.notify(f"trial {number}: {label}")
                stage.set_step("trial", "", stage.settings.trials.duration_s)
