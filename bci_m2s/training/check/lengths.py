"""Which trials are too short for a window of the model."""

from __future__ import annotations

from bci_m2s.model.contract import WindowContract
from bci_m2s.training.check.listing import Listing


def length_notes(window: WindowContract, listing: Listing) -> list[str]:
    """A line where trials are shorter than a window, or may hold none, since it ends on a grid of hops."""
    lengths_s = [trial.stop_s - trial.start_s for session in listing.sessions for trial in session.trials]
    lengths_s = [length_s for length_s in lengths_s if length_s > 0]  # the others are not known yet
    window_s = window.steps * window.step_s
    if lengths_s and max(lengths_s) < window_s:
        return [
            f"contract.window.steps: got {window.steps} of {window.step_s:g} s, which is longer than every "
            f"trial (the longest has {max(lengths_s):.3g} s): nothing can be trained on them"
        ]
    sure_s = window_s + window.hop_s
    n_short = sum(length_s < sure_s for length_s in lengths_s)
    if not n_short:
        return []
    which = f"{n_short} of {len(lengths_s)} trials" if n_short < len(lengths_s) else "all trials"
    return [f"{which} are shorter than {sure_s:g} s, a window and a hop: they may hold no window"]
