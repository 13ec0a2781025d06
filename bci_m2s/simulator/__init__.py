"""A simulated headset and eye tracker that look at the same simulated person; nothing is sent from here.

One emotional state, known at every moment, drives both signals (``state``): ``eeg`` mixes patches of cortex
(``cortex``) with artefacts (``artefacts``), ``eye`` shows the scan path and blinks of ``gaze`` and a pupil.

    session = SimulatedSession(SimulatorSettings(n_trials=12), subject=3)
    session.eeg(0, 1000), session.eye(0, 120), session.trials
"""

from typing import TYPE_CHECKING, Any

from bci_m2s.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from bci_m2s.simulator.session import SimulatedSession

__all__ = ["SimulatedSession", "SimulatorSettings"]


def __getattr__(name: str) -> Any:
    """The session on use: whoever only reads markers does without its mathematics."""
    if name != "SimulatedSession":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bci_m2s.simulator.session import SimulatedSession

    return SimulatedSession
