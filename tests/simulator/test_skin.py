"""Skin conductance: any part of it on its own, plausible, and livelier with arousal."""

import numpy as np
import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.features.physiology_windows import skin_values
from bci_m2s.signal.plausible import LEVELS
from bci_m2s.simulator import SimulatedSession, SimulatorSettings

SETTINGS = SimulatorSettings("muse", 128.0, classes=("calm", "fear"), trial_s=20.0, n_trials=10, effect=1.5)


@pytest.fixture(scope="module")
def session():
    return SimulatedSession(SETTINGS, subject=2)


def test_any_part_has_the_same_bits(session):
    whole = session.skin(0, 100_000)
    assert whole.shape == (SETTINGS.duration_s * 32, 1)
    assert whole.dtype == np.float32
    assert np.array_equal(SimulatedSession(SETTINGS, subject=2).skin(1001, 2003), whole[1001:2003])
    assert not np.array_equal(SimulatedSession(SETTINGS, subject=3).skin(0, 100), whole[:100])


def test_the_level_is_that_of_a_hand(session):
    low, high = LEVELS["microsiemens"]
    whole = session.skin(0, 100_000)
    assert low < whole.min()
    assert whole.max() < min(high, 40.0)
    assert (session.skin_info.type, session.skin_info.rate_hz, session.skin_info.labels) == (
        "GSR",
        32.0,
        ("GSR",),
    )


def test_arousal_brings_more_responses():
    risen = {"calm": [], "fear": []}
    for subject in range(4):
        session = SimulatedSession(SETTINGS, subject)
        for trial in session.trials:
            first, last = round(32 * (trial.start_s + 4)), round(32 * trial.stop_s)
            part = session.skin(first, last)[:, 0]
            levels = part[: len(part) // 4 * 4].reshape(-1, 4).mean(axis=1).astype(float)
            risen[trial.label].append(skin_values(levels, 0.125)[-1])  # responses per minute
    assert np.mean(risen["fear"]) > 1.5 * np.mean(risen["calm"])


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(ConfigurationError, match="skin_rate_hz: got 4"):
        SimulatorSettings(skin_rate_hz=4.0)
