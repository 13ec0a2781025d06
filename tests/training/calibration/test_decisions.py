"""What a verdict promotes, and what it says of what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bci_m2s.training.calibration.figures import trials_for_gain


def test_clearly_better_than_chance_and_than_the_base_model_is_promoted(clear):
    assert clear.is_promoted
    expected = "eye: promoted: the model and a linear model together, 0.70 with 30 trials, base model 0.60"
    assert clear.sentence("eye") == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"accuracy": 0.63, "needed_for_gain": 54},
            "0.63 with 30 trials, not clearly above the base model's 0.60; "
            "a gain of this size would likely show with about 24 more trials",
        ),
        (
            {"accuracy": 0.63, "needed_for_gain": 30},
            "0.63 with 30 trials, not clearly above the base model's 0.60; a few more trials may settle it",
        ),
        (
            {"accuracy": 0.6, "chosen": "base", "needed_for_gain": None},
            "the base model as it is does as well (0.60)",
        ),
        (
            {"p": 0.03, "needed": 45},
            "0.70 with 30 trials could be chance; "
            "an effect of this size would likely show with about 15 more trials",
        ),
        (
            {"p": 0.03, "needed": 884_343},
            "0.70 with 30 trials could be chance; "
            "an effect of this size would likely show only with more than 500 more trials",
        ),
        (
            {"p": 0.6, "accuracy": 0.3, "needed": None},
            "0.30 with 30 trials could be chance; nothing was seen that more trials would confirm",
        ),
    ],
)
def test_what_is_not_promoted_says_why_and_what_more_trials_would_do(clear, changes, words):
    verdict = replace(clear, **changes)
    assert not verdict.is_promoted
    assert verdict.sentence("eye") == f"eye: not promoted: {words}"


def test_as_many_trials_show_a_gain_as_the_usual_formula_says():
    """A gain of 0.2 with a spread of 0.4 in 8 of 10 sessions, one standard error asked for."""
    gains = np.tile([0.6, -0.2], 20)
    labels = np.repeat([0, 1], 20)
    exact = ((1 + 0.8416) * 0.4 / 0.2) ** 2
    assert exact <= trials_for_gain(gains, labels, 2, 1.0) <= exact * 1.06 + 2
    assert trials_for_gain(-gains, labels, 2, 1.0) is None
