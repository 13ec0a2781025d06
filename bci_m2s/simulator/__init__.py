"""A simulated headset and eye tracker that look at the same simulated person.

One emotional state, known at every moment, drives both signals (``state.py``):

- ``eeg.py`` mixes patches of cortex whose rhythms follow the state (``cortex.py``) with blinks, eye
  movement, muscle and mains (``artefacts.py``);
- ``eye.py`` shows the scan path and blinks of ``gaze.py`` and a pupil that answers to light and arousal.

The two share nothing else that tells of the state, except that saccades and blinks also reach frontal
EEG channels. The published findings behind each part are given in its module. It is a model: what is learnt
from it says that a method works on data made like this, and nothing of people.

Difficulty at ``effect=1.0``, three classes, balanced accuracy over windows of five 1-s steps, logistic
regression, mean over the first 8 or 16 subjects of seed 0 with one session of 30 trials of 20 s:

- other trials of the same person (5 folds, split by trial): EEG with 62 channels 0.82, four Muse channels
  0.67, eyes 0.70; with shuffled labels 0.33 to 0.35;
- people not trained on, each normalised by their own rest: EEG 0.67 (leave one of 16 out, 20 s of rest),
  eyes 0.67 (leave one of 8 out, 16 s of rest).

    session = SimulatedSession(SimulatorSettings(n_trials=12), subject=3)
    session.eeg(0, 1000), session.eye(0, 120), session.trials
"""

from bci_m2s.simulator.session import SimulatedSession
from bci_m2s.simulator.settings import SimulatorSettings

__all__ = ["SimulatedSession", "SimulatorSettings"]
