"""Live emotion estimates from EEG or eye tracking with one sensor: the M2S method made usable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci_m2s.model.predictor import load_model as load_model
    from bci_m2s.training.estimator import M2SClassifier as M2SClassifier

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Load ``load_model`` or ``M2SClassifier``, and torch with them, only when they are asked for."""
    if name == "load_model":
        from bci_m2s.model.predictor import load_model

        return load_model
    if name == "M2SClassifier":
        from bci_m2s.training.estimator import M2SClassifier

        return M2SClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
