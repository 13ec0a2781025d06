"""Live emotion estimates from EEG or eye tracking with one sensor: the M2S method made usable.

Everything that is meant to be used from Python is here; ``docs/api.md`` describes it. Each name is loaded
when it is used for the first time, so ``import bci_m2s`` takes no time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know this name; importing typing would take most of the time
if TYPE_CHECKING:
    from typing import Any

    from bci_m2s.errors import (
        BciM2sError,
        CommandError,
        ConfigurationError,
        ContractError,
        DeviceError,
        ExtensionError,
        ModelError,
        OutputError,
        ParticipantError,
        RecordingError,
        StreamError,
        TrainingError,
        UsageError,
    )
    from bci_m2s.handover.report import write_report
    from bci_m2s.model.predictor import load_model
    from bci_m2s.recording.opened import open_recording
    from bci_m2s.recording.recovery import recover
    from bci_m2s.review.verify import verify
    from bci_m2s.session.notebook import make_pipeline, run_offline
    from bci_m2s.session.setup.shipped import find_model
    from bci_m2s.training.data.prepare import training_data
    from bci_m2s.training.estimator import M2SClassifier
    from bci_m2s.types import Chunk, Estimate, Event, Status, StreamInfo

__version__ = "0.2.0"

__all__ = [
    "BciM2sError",
    "Chunk",
    "CommandError",
    "ConfigurationError",
    "ContractError",
    "DeviceError",
    "Estimate",
    "Event",
    "ExtensionError",
    "M2SClassifier",
    "ModelError",
    "OutputError",
    "ParticipantError",
    "RecordingError",
    "Status",
    "StreamError",
    "StreamInfo",
    "TrainingError",
    "UsageError",
    "__version__",
    "find_model",
    "load_model",
    "make_pipeline",
    "open_recording",
    "recover",
    "run_offline",
    "training_data",
    "verify",
    "write_report",
]


_HOME = {  # module: what it gives
    "bci_m2s.handover.report": ("write_report",),
    "bci_m2s.model.predictor": ("load_model",),
    "bci_m2s.session.setup.shipped": ("find_model",),
    "bci_m2s.training.data.prepare": ("training_data",),
    "bci_m2s.training.estimator": ("M2SClassifier",),
    "bci_m2s.recording.opened": ("open_recording",),
    "bci_m2s.session.notebook": ("make_pipeline", "run_offline"),
    "bci_m2s.review.verify": ("verify",),
    "bci_m2s.recording.recovery": ("recover",),
    "bci_m2s.types": ("Chunk", "Estimate", "Event", "Status", "StreamInfo"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
_MODULE |= {name: "bci_m2s.errors" for name in __all__ if name.endswith("Error")}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_MODULE[name]), name)
    return value


def __dir__() -> list[str]:
    """Names that are public, loaded or not."""
    return sorted({*globals(), *__all__})
