"""A console that nobody reads, and a verdict that is clear."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from bci_m2s.training.calibration.decide import Verdict


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="session")
def clear() -> Verdict:
    """Clearly above chance and above the base model."""
    return Verdict(
        chosen="both", accuracy=0.7, low=0.6, high=0.8, base=0.6, gain_low=0.02, gain_high=0.18,
        gain_error=0.04, chance=1 / 3, high_chance=0.5, p=0.001, each={"base": 0.6, "both": 0.7}, needed=12,
        needed_for_gain=21, trials=30, windows=200, shares=np.zeros(30),
    )  # fmt: skip
