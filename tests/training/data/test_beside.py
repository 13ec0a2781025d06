"""Distributed steps of one modality beside raw signals of another."""

import numpy as np
import pytest

from bci_m2s.training.data.sessions import SessionFeatures, with_distributed
from bci_m2s.training.datasets.layout import DistributedTrial, Trial

HOP_S, STEP_S = 1.0, 4.0


def raw_session(trials):
    end_s = np.concatenate(
        [trial.start_s + np.arange(4.0, trial.stop_s - trial.start_s + 0.5) for trial in trials]
    )
    n = len(end_s)
    return SessionFeatures(
        "3",
        "1",
        end_s,
        {"eeg": np.zeros((n, 2), np.float32), "eye": np.full((n, 3), np.nan, np.float32)},
        {"eeg": np.ones(n, bool), "eye": np.zeros(n, bool)},
        tuple(trials),
    )


@pytest.fixture
def beside():
    trials = [Trial("1", 0.0, 12.0, {"emotion": 0}), Trial("2", 1000.0, 1016.0, {"emotion": 1})]
    rows = {
        1: np.full((3, 3), 10.0) + np.arange(3)[:, None],
        2: np.full((2, 3), 20.0) + np.arange(2)[:, None],
    }
    given = [
        DistributedTrial(3, 1, number, {"emotion": 0}, {"eye": steps}) for number, steps in rows.items()
    ]
    return with_distributed(raw_session(trials), given, "eye", STEP_S, HOP_S)


def test_each_step_stands_where_it_ends(beside):
    known = beside.usable["eye"]
    assert beside.end_s[known].tolist() == [4.0, 8.0, 12.0, 1004.0, 1008.0]
    assert beside.values["eye"][known][:, 0].tolist() == [10.0, 11.0, 12.0, 20.0, 21.0]


def test_rows_between_steps_and_after_the_last_one_stay_unknown(beside):
    assert np.isnan(beside.values["eye"][~beside.usable["eye"]]).all()
    assert not beside.usable["eye"][beside.end_s == 1012.0].any()


def test_the_raw_modality_is_untouched(beside):
    assert beside.usable["eeg"].all()
    assert (beside.values["eeg"] == 0).all()
