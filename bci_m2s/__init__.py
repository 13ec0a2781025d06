"""Live emotion estimates from EEG or eye tracking with one sensor: the M2S method made usable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci_m2s.predictor import load_model as load_model

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load ``load_model`` (and torch with it) only when it is asked for."""
    if name == "load_model":
        from bci_m2s.predictor import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
