"""The window of a model: the usual one where trials hold it, else one that they do."""

from __future__ import annotations

import math

from bci_m2s.model.contract import WindowContract

USUAL = WindowContract()
FEWEST_STEPS = 2  # pre-training predicts one from the one before
STEPS_S = (USUAL.step_s, 0.5)  # a shorter one holds no two periods of 4 Hz


def fit_window(trial_s: float) -> WindowContract | None:
    """The longest window up to the usual one that a trial of `trial_s` holds wherever in a hop it begins.

    None where the trial is too short for any; the usual one for NaN, when nothing is known.
    """
    if math.isnan(trial_s):
        return USUAL
    for step_s in STEPS_S:
        steps = math.floor((trial_s - USUAL.hop_s) / step_s + 1e-6)
        if steps >= FEWEST_STEPS:
            return USUAL.model_copy(update={"steps": min(USUAL.steps, steps), "step_s": step_s})
    return None


def length_s(window: WindowContract) -> float:
    """How long a window is, s."""
    return window.steps * window.step_s


def protocol_trial_s(usual_s: float, window: WindowContract) -> float:
    """Length of the protocol's trials, s: as those that were seen, where they hold a window."""
    if math.isnan(usual_s):
        return 20.0
    return float(max(math.ceil(length_s(window) + window.hop_s), round(usual_s)))
