"""A simulated headset and eye tracker that look at the same simulated person.

One emotional state, known at every moment, drives both signals (``state.py``):

- ``eeg.py`` mixes patches of cortex whose rhythms follow the state (``cortex.py``) with blinks, eye
  movement, muscle and mains (``artefacts.py``);
- ``eye.py`` shows the scan path and blinks of ``gaze.py`` and a pupil that answers to light and arousal.

The two share nothing else that tells of the state, except that saccades and blinks also reach frontal
EEG channels. The published findings behind each part stand in its module. It is a model: what is learnt
from it says that a method works on data made like this, and nothing of people.

    session = SimulatedSession(SimulatorSettings(n_trials=12), subject=3)
    session.eeg(0, 1000), session.eye(0, 120), session.trials
"""

from bci_m2s.simulator.session import SimulatedSession
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.simulator.state import Trial

__all__ = ["SimulatedSession", "SimulatorSettings", "Trial"]
