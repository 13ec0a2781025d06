"""Training sees exactly what runs live: the same steps, the same normalisation, windows inside trials."""

import numpy as np
import pytest
from small_sessions import EEG_INFO, contract, eeg, pipeline

from bci_m2s.pipeline import ModalityStage
from bci_m2s.training.steps import LabelledSpan, cut_windows, normalised, rest_spread, session_steps
from bci_m2s.types import Chunk

TRIALS = [LabelledSpan(1010.0, 1020.0, 0), LabelledSpan(1022.0, 1032.0, 2)]


@pytest.fixture
def session():
    spec = contract()
    times, samples = eeg(36)
    chunks = [Chunk.of(times[i : i + 700], samples[i : i + 700]) for i in range(0, len(times), 700)]
    return session_steps(chunks, EEG_INFO, spec.modalities["eeg"], spec.window, 7, 0, TRIALS)


def test_windows_are_the_live_ones(session):
    """Every training window equals the features that the live stage hands to the network."""
    spec = contract()
    modality, window = spec.modalities["eeg"], spec.window
    spread = rest_spread([session])
    steps = normalised(session, modality, window, spread)
    windows = cut_windows([session], [steps], window, modality.max_missing, every=1)
    tensors = {"scaler.mean": np.zeros(20), "scaler.std": np.ones(20), "baseline.std": spread}
    stage = ModalityStage("eeg", modality, window, EEG_INFO, tensors)
    live = {round(w.end_s, 6): w.features for w in stage.push(Chunk.of(*eeg(36)))}
    ends = session.end_s
    at = 0
    for trial in TRIALS:
        inside = ends[(ends <= trial.stop_s) & (ends - 5.0 >= trial.start_s)]
        assert len(inside) == 20
        for end_s in inside:
            np.testing.assert_allclose(
                windows.features[at], live[round(end_s, 6)].values.astype(np.float32), rtol=1e-5, atol=1e-5
            )
            at += 1
    assert at == len(windows.labels)


def test_labels_people_and_trials_go_with_their_windows(session):
    spec = contract()
    steps = [normalised(session, spec.modalities["eeg"], spec.window, rest_spread([session]))]
    windows = cut_windows([session], steps, spec.window, 0.25, every=4)
    assert windows.labels.tolist() == [0] * 5 + [2] * 5
    assert windows.trials.tolist() == [0] * 5 + [1] * 5
    assert set(windows.persons) == {7}
    assert len(windows.of_persons(np.array([8])).labels) == 0


def test_unusable_steps_leave_their_windows_out():
    spec = contract()
    times, samples = eeg(36)
    samples[(15 * 256)] = np.nan
    broken = session_steps(
        [Chunk.of(times, samples)], EEG_INFO, spec.modalities["eeg"], spec.window, 0, 0, TRIALS
    )
    steps = [normalised(broken, spec.modalities["eeg"], spec.window, rest_spread([broken]))]
    windows = cut_windows([broken], steps, spec.window, 0.25, every=1)
    assert (windows.labels == 0).sum() < 20
    assert (windows.labels == 2).sum() == 20
    assert np.isfinite(windows.features).all()


def test_steps_before_the_baseline_is_complete_are_unknown(session):
    spec = contract()
    steps = normalised(session, spec.modalities["eeg"], spec.window, np.ones(20))
    known = np.isfinite(steps).all(axis=1)
    first = int(np.argmax(known))
    assert session.end_s[first] - session.end_s[int(np.argmax(session.usable))] == pytest.approx(1.0)
    assert known[first:].all()


def test_the_pipeline_has_the_same_names(session):
    assert session.values.shape[1] == len(pipeline().stages["eeg"].feature_names)
