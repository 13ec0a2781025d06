"""Whether trials are long enough for a window of a model."""

from __future__ import annotations

from collections.abc import Sequence

from bci_m2s.model.contract import WindowContract

EXACT_S = 1e-6  # two lengths are the same within this


def short_trials(lengths_s: Sequence[float], window: WindowContract) -> str:
    """Say which trials are shorter than a window and a hop; "" where none is.

    Windows end on a grid of hops.
    """
    window_s = window.steps * window.step_s
    sure_s = window_s + window.hop_s
    n_short = sum(length_s < sure_s - EXACT_S for length_s in lengths_s)
    n_none = sum(length_s < window_s - EXACT_S for length_s in lengths_s)
    if not n_short:
        return ""
    which = f"{n_short} of {len(lengths_s)} trials" if n_short < len(lengths_s) else "all trials"
    if n_none == len(lengths_s):
        return f"{which} are shorter than a window of the model, {window_s:g} s: they hold none"
    none = f", and {n_none} cannot" if n_none else ""
    return f"{which} are shorter than {sure_s:g} s, a window and a hop: they may hold no window{none}"
