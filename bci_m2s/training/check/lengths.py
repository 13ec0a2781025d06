"""Which trials are too short for a window of the model."""

from __future__ import annotations

from bci_m2s.errors import ConfigurationError
from bci_m2s.model.contract import WindowContract
from bci_m2s.model.trial_lengths import EXACT_S, short_trials
from bci_m2s.training.check.listing import Listing


def length_notes(window: WindowContract, listing: Listing) -> list[str]:
    """A line where some trials are shorter than a window or a hop longer: windows end on a grid of hops.

    Raises
    ------
    ConfigurationError
        No trial of any person is as long as a window.
    """
    lengths_s = [trial.stop_s - trial.start_s for session in listing.sessions for trial in session.trials]
    lengths_s = [length_s for length_s in lengths_s if length_s > 0]  # the others are not known yet
    window_s = window.steps * window.step_s
    longest_s = max(lengths_s, default=window_s)
    if longest_s < window_s - EXACT_S:
        steps = int(longest_s / window.step_s + EXACT_S)
        fewer = f", {steps} steps" if steps else ""
        raise ConfigurationError(
            f"contract.window.steps: got {window.steps} of {window.step_s:g} s, expected at most "
            f"{longest_s:.3g} s together{fewer}: no trial of any person is longer"
        )
    words = short_trials(lengths_s, window)
    return [words] if words else []
