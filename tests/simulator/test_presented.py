"""A simulated person who feels what is shown, and nothing while nothing is."""

import numpy as np
import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator.noise import Seeds
from bci_m2s.simulator.presented import PresentedSchedule
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.simulator.state import Schedule

SETTINGS = SimulatorSettings(classes=("negative", "positive"), rest_s=0.0, trial_s=10.0, pause_s=5.0)
TIMES = np.arange(0.0, 30.0, 0.1)


def target(_index):
    return np.array([1.0])


def test_trials_at_the_same_moments_give_the_same_state():
    own, shown = Schedule(SETTINGS, Seeds(0, 1, 2)), PresentedSchedule(SETTINGS, Seeds(0, 1, 2))
    for trial in (own.trial(0), own.trial(1)):
        shown.begin(trial.start_s, trial.label)
        shown.end(trial.stop_s)
    assert np.allclose(shown.latent(TIMES), own.latent(TIMES), atol=1e-12)


def test_a_trial_lasts_until_it_is_ended():
    shown = PresentedSchedule(SETTINGS, Seeds(0, 1, 2))
    assert not shown.pull(TIMES, target, 1).any()
    shown.begin(5.0, "positive")
    pull = shown.pull(TIMES, target, 1)[:, 0]
    assert not pull[TIMES < 5.0].any()
    assert pull[TIMES > 7.1] == pytest.approx(1.0)
    shown.end(12.0)
    shown.end(13.0)  # it is over already
    assert not shown.pull(TIMES, target, 1)[TIMES > 13.6].any()
    assert shown.felt(0)[0] > 0.0


def test_a_class_that_the_person_does_not_know_is_refused():
    with pytest.raises(ConfigurationError, match="got 'postive'; nearest: 'positive'"):
        PresentedSchedule(SETTINGS, Seeds(0, 1, 2)).begin(0.0, "postive")
