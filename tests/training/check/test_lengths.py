"""Trials that are shorter than a window."""

import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.model.contract import WindowContract
from bci_m2s.training.check.lengths import length_notes
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.data.splits import Listed
from bci_m2s.training.datasets.layout import Trial
from bci_m2s.training.datasets.recordings import RECORDINGS

WINDOW = WindowContract(steps=5, step_s=1.0, hop_s=0.25)


def notes(*lengths_s):
    trials = tuple(Trial(str(n), 100.0, 100.0 + length_s, {}) for n, length_s in enumerate(lengths_s))
    return length_notes(WINDOW, Listing(RECORDINGS, [Listed("P1", "1", trials)]))


def test_trials_that_may_hold_no_window_are_counted():
    assert notes(5.25, 60.0) == []
    assert notes(0.0, 0.0) == []  # not known before the data are read
    assert notes(5.01, 3.0, 60.0)[0].startswith("2 of 3 trials are shorter than 5.25 s")
    assert notes(5.01)[0].startswith("all trials are shorter")
    assert notes(5.01, 3.0)[0].endswith("they may hold no window, and 1 cannot")


def test_a_window_that_fits_into_no_trial_is_refused():
    said = "contract.window.steps: got 5 of 1 s, expected at most 4.9 s together, 4 steps: no trial of any"
    with pytest.raises(ConfigurationError, match=said):
        notes(4.9, 3.0)
