"""What comes before the trials of a guided session: the signal check and the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bci_m2s.errors import CommandError
from bci_m2s.session.protocol.signal_check import StreamCheck, check_streams
from bci_m2s.session.protocol.stage import Stage

LOOK_S = 0.5  # between two looks at the signals
LONGEST_BASELINE = 4.0  # times its length, where signals are bad


def check_signals(stage: Stage) -> None:
    """Wait until enough is good for long enough; the experimenter may go on before."""
    settings = stage.settings.check
    channels = stage.takes.channels
    stage.mark("check/start")
    begun_s, good_since_s, before = stage.clock(), math.nan, list[str]()
    stage.set_step("signal check", "One moment, please: the signals are checked.", settings.give_up_s)
    while True:
        checks = check_streams(stage.takes.now.engine.reporter.snapshot().health, channels)
        lines = [line for check in checks for line in check.describe()]
        if lines != before:
            for line in lines:
                stage.notify(line)
            before = lines
        stage.shown["check"] = lines
        now_s = stage.clock()
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
        if not stage.controls.wait(LOOK_S):
            words = "skipped"
            break
    stage.mark(f"check/stop/{words}")
    stage.notify(f"signal check: {words}")
    stage.shown.pop("check", None)


def measure_baseline(stage: Stage) -> None:
    """Rest until the time is over and the model has what it needs."""
    settings = stage.settings.baseline
    stage.notify(f"baseline, {settings.duration_s:g} s")
    stage.set_step("baseline", settings.text, settings.duration_s)
    stage.shown["cross"] = True
    stage.mark(stage.takes.settings.baseline.marker)
    stage.controls.wait(settings.duration_s)
    limit_s = stage.clock() + (LONGEST_BASELINE - 1) * settings.duration_s
    while (left := _baseline_left(stage)) and stage.clock() < limit_s:
        stage.set_step("baseline", settings.text, max(left.values()))
        if not stage.controls.wait(LOOK_S):
            break
    if left := _baseline_left(stage):
        listed = ", ".join(f"{modality} {seconds:.0f} s" for modality, seconds in left.items())
        stage.notify(f"baseline: not complete: {listed} of good signal are missing")
    stage.shown.pop("cross", None)
    stage.mark("baseline/stop")


def _baseline_left(stage: Stage) -> dict[str, float]:
    """Seconds of usable signal that are missing, by modality."""
    return {
        health.modality: health.baseline_left_s
        for health in stage.takes.now.engine.reporter.snapshot().health
        if health.baseline in ("waiting", "collecting")
    }


def _enough(checks: Sequence[StreamCheck], share: float) -> bool:
    return bool(checks) and all(check.share >= share for check in checks)
