"""Covariances per step against numpy's, and what makes them unknown."""

import numpy as np
import pytest

from bci_m2s.errors import ContractError
from bci_m2s.features.covariance import Covariance
from bci_m2s.signal.filters import FilterBank

LABELS = ("Fp1", "Cz", "Oz")
RATE = 128.0


def extractor(**params):
    return Covariance(params, LABELS, RATE, step_s=1.0, hop_s=0.5)


def samples(n_blocks=12):
    rng = np.random.default_rng(0)
    mixing = np.array([[10.0, 0, 0], [6, 8, 0], [0, 3, 5]])
    return rng.normal(size=(64 * n_blocks, 3)) @ mixing.T


def pushed(found, rows, missing=None):
    missing = np.zeros(rows.shape, bool) if missing is None else missing
    return [found.push(rows[i : i + 64].copy(), missing[i : i + 64]) for i in range(0, len(rows), 64)]


def test_a_step_is_the_covariance_of_its_filtered_samples():
    rows = samples()
    step = pushed(extractor(), rows)[-1]
    (band,) = FilterBank([(1.0, 45.0)], RATE, 3, []).apply(rows.T)
    last = band[:, -128:]
    np.testing.assert_allclose(step.values, (last @ last.T / 128)[np.triu_indices(3)], rtol=1e-9)
    assert extractor().names[:4] == ("Fp1 with Fp1", "Fp1 with Cz", "Fp1 with Oz", "Cz with Cz")
    assert Covariance.count({}, LABELS) == len(extractor().names) == len(step.values)


def test_one_missing_channel_leaves_no_matrix():
    rows = samples()
    missing = np.zeros(rows.shape, bool)
    missing[-1, 2] = True
    *_, before, last = pushed(extractor(), rows, missing)
    assert np.isfinite(before.values).all()
    assert np.isnan(last.values).all()
    assert "Oz" in last.problem


def test_wrong_parameters_are_named():
    for params, word in (({"band_hz": [1.0]}, "band_hz"), ({"order": 0}, "order"), ({"bands": 1}, "bands")):
        with pytest.raises(ContractError, match=word):
            extractor(**params)
