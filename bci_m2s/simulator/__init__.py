"""A simulated headset and eye tracker that look at the same simulated person; docs/simulator.md says more.

One emotional state, known at every moment, drives both signals (``state``): ``eeg`` mixes patches of cortex
(``cortex``) with artefacts (``artefacts``), ``eye`` shows the scan path and blinks of ``gaze`` and a pupil.

    session = SimulatedSession(SimulatorSettings(n_trials=12), subject=3)
    session.eeg(0, 1000), session.eye(0, 120), session.trials
"""

from bci_m2s.simulator.session import SimulatedSession
from bci_m2s.simulator.settings import SimulatorSettings

__all__ = ["SimulatedSession", "SimulatorSettings"]
