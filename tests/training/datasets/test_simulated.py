"""Simulated sessions as raw segments, and through the live feature path."""

import pickle

import numpy as np
import pytest
from support.model_files import contract_fields
from support.raw_files import samples_of

from bci_m2s.errors import ConfigurationError
from bci_m2s.model.contract import Contract
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.training.data.sessions import from_raw
from bci_m2s.training.datasets.simulated import simulated_segments

SETTINGS = SimulatorSettings(
    montage="muse", eeg_rate_hz=256.0, rest_s=3.0, trial_s=4.0, pause_s=1.0, n_trials=3
)


def test_a_session_is_one_segment_with_its_trials():
    (segment,) = simulated_segments(SETTINGS, 4, 1)
    made = SimulatedSession(SETTINGS, 4, 1)
    assert (segment.subject, segment.session) == ("4", "1")
    assert (segment.streams["eeg"].info, segment.streams["eye"].info) == (made.eeg_info, made.eye_info)
    n = round(18.0 * 256)
    times, eeg = samples_of(segment, "eeg")
    np.testing.assert_array_equal(times, np.arange(n) / 256)
    np.testing.assert_array_equal(eeg, made.eeg(0, n))
    np.testing.assert_array_equal(samples_of(segment, "eye")[1], made.eye(0, n))
    assert [(trial.name, trial.start_s, trial.stop_s) for trial in segment.trials] == [
        ("1", 3.0, 7.0),
        ("2", 8.0, 12.0),
        ("3", 13.0, 17.0),
    ]
    names = [SETTINGS.classes[trial.labels["emotion"]] for trial in segment.trials]
    assert names == [trial.label for trial in made.trials]


def test_it_runs_through_the_live_feature_path_wherever_it_is_sent():
    segments = pickle.loads(pickle.dumps(simulated_segments(SETTINGS, 0, 0)))
    fields = contract_fields()
    del fields["modalities"]["eye"]
    session = from_raw(segments, Contract.model_validate(fields))
    assert session.values["eeg"].shape[1] == 20
    assert len(session.end_s) > 50  # 18 s, hop 0.25 s
    assert session.usable["eeg"].any()
    assert [trial.name for trial in session.trials] == ["1", "2", "3"]


def test_an_endless_session_cannot_be_trained_on():
    with pytest.raises(ConfigurationError, match="n_trials"):
        simulated_segments(SimulatorSettings(montage="muse"), 0, 0)
