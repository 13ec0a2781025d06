"""The window that trials hold."""

import math

import pytest

from bci_m2s.training.check.lengths import length_notes
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.data.splits import Listed
from bci_m2s.training.datasets.layout import Trial
from bci_m2s.training.datasets.recordings import RECORDINGS
from bci_m2s.training.new.window import USUAL, fit_window


@pytest.mark.parametrize(
    ("trial_s", "steps", "step_s"),
    [(60.0, 5, 1.0), (5.25, 5, 1.0), (5.0, 4, 1.0), (3.0, 2, 1.0), (2.0, 3, 0.5), (1.25, 2, 0.5)],
)
def test_it_is_as_long_as_a_trial_holds_for_certain(trial_s, steps, step_s):
    window = fit_window(trial_s)
    assert (window.steps, window.step_s) == (steps, step_s)
    trials = (Trial("1", 100.0, 100.0 + trial_s, {}),)
    assert length_notes(window, Listing(RECORDINGS, [Listed("P1", "1", trials)])) == []


def test_nothing_is_known_or_nothing_fits():
    assert fit_window(math.nan) == USUAL
    assert fit_window(1.2) is None
