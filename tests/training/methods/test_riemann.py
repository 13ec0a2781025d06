"""The tangent-space rival: against pyriemann's own pipeline, and where it cannot be tried."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import eigvalsh
from support.small_pairs import training_settings

from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import NotPossible, riemann
from bci_m2s.training.methods.riemann import centred_session, covariances_of, fit_tangent, matrices
from bci_m2s.training.run.raw_features import raw_settings

N_CHANNELS = 4
UPPER = np.triu_indices(N_CHANNELS)


def windows(seed, n=60, people=3):
    """Windows of three steps; the second class has more in common between its first two channels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    rows = np.empty((n, 3, len(UPPER[0])), np.float32)
    for i, label in enumerate(labels):
        mixing = np.eye(N_CHANNELS)
        mixing[0, 1] = 0.5 + 0.5 * label
        for step in range(3):
            signal = mixing @ rng.normal(size=(N_CHANNELS, 200))
            rows[i, step] = (signal @ signal.T / 200)[UPPER]
    number = np.arange(n)
    present = {"eeg": np.ones(n, bool)}
    return WindowSet(
        {"eeg": rows}, present, {"m": labels}, number % people, number % people, number, number
    )


def test_it_learns_what_is_in_the_covariance_alone():
    parts = {part: windows(seed) for seed, part in enumerate(("train", "validation", "test"))}
    fitted = fit_tangent(parts, ("eeg",), "m")
    right = fitted.predict(parts["test"]) == parts["test"].labels["m"]
    assert right.mean() > 0.9
    vectors = fitted.view(parts["train"], ["eeg"])
    assert vectors.shape == (60, len(UPPER[0]))
    assert np.abs(vectors.mean(axis=0)).max() < 0.05  # the tangent point is their Riemannian mean


def test_triangles_and_matrices_are_one_another():
    full = matrices(np.arange(1.0, 11.0)[None])[0]
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(full[UPPER], np.arange(1.0, 11.0))
    covariance = covariances_of(windows(0), "eeg")
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_a_session_is_centred_by_its_own_baseline_and_begins_after_it():
    rng = np.random.default_rng(0)
    mixing = np.linalg.cholesky(np.array([[4.0, 1, 0, 0], [1, 9, 2, 0], [0, 2, 8, 0], [0, 0, 0, 5]]))
    signal = np.einsum("ij,njt->nit", mixing, rng.normal(size=(80, N_CHANNELS, 2000)))
    rows = np.stack([(one @ one.T / 2000)[UPPER] for one in signal]).astype(np.float32)
    session = SessionFeatures("1", "1", np.arange(80.0), {"eeg": rows}, {"eeg": np.ones(80, bool)}, ())
    normaliser = SimpleNamespace(name="baseline", params={"duration_s": 39.5})
    found = centred_session(session, {"eeg": SimpleNamespace(normaliser=normaliser)}).values["eeg"]
    assert np.isnan(found[:40]).all()
    mean = matrices(found[40:].mean(axis=0)[None].astype(float))[0]
    np.testing.assert_allclose(mean, np.eye(N_CHANNELS), atol=0.03)
    normaliser.name = "training"
    assert centred_session(session, {"eeg": SimpleNamespace(normaliser=normaliser)}).values["eeg"] is rows


@pytest.mark.parametrize(("channels", "length"), [(62, 1953), (32, 528), (14, 105)])
def test_a_triangle_has_a_number_for_each_pair_of_channels(channels, length):
    assert matrices(np.ones((1, length))).shape == (1, channels, channels)


def test_a_session_through_another_mixing_has_the_same_distances_about_the_same_mean(monkeypatch):
    """Centring takes away what electrodes and skull do to all of a session's covariances alike."""
    monkeypatch.setattr(riemann, "SHRINKAGE", 0.0)
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(8, N_CHANNELS, 50))
    of_mixing = [distances_centred(signal, mixing) for mixing in (np.eye(4), rng.normal(size=(4, 4)))]
    assert of_mixing[0].max() > 0.5
    np.testing.assert_allclose(of_mixing[1], of_mixing[0], rtol=1e-3, atol=1e-3)


def distances_centred(signal, mixing):
    """Riemannian distances between a session's windows, its baseline being the same windows before."""
    rows = np.stack([(mixing @ one @ one.T @ mixing.T / 50)[UPPER] for one in signal]).astype(np.float32)
    values, usable = {"eeg": np.concatenate([rows, rows])}, {"eeg": np.ones(16, bool)}
    session = SessionFeatures("1", "1", np.arange(16.0), values, usable, ())
    normaliser = SimpleNamespace(name="baseline", params={"duration_s": 7.5})
    found = centred_session(session, {"eeg": SimpleNamespace(normaliser=normaliser)}).values["eeg"]
    centred = matrices(found[8:].astype(float))
    np.testing.assert_allclose(centred.mean(axis=0), np.eye(N_CHANNELS), atol=1e-6)
    pairs = [eigvalsh(one, other) for one in centred for other in centred]
    return np.sqrt((np.log(pairs) ** 2).sum(axis=1))


def test_features_that_were_distributed_are_no_raw_eeg():
    with pytest.raises(NotPossible, match="no raw EEG"):
        raw_settings(training_settings(), "covariance")


def test_raw_eeg_stands_alone_with_its_covariance():
    eeg = {"feature": {"name": "de"}, "rate_min_hz": 128.0}
    found = raw_settings(training_settings(eeg=eeg), "covariance")
    assert found.pair == ("eeg",)
    assert found.contract.modalities["eeg"].feature.name == "covariance"
    assert found.contract.modalities["eeg"].feature.n_features == 10
