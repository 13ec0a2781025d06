"""A signal without labelled windows learns from the answers of another one, at the same moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bci_m2s.model.model_file import load_model_file
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.candidates import make, scores
from bci_m2s.training.calibration.material import Material, Outside, Windows
from bci_m2s.training.calibration.pairs import FEWEST_PAIRS, paired
from bci_m2s.training.calibration.problems import make_problems, situation_of
from bci_m2s.training.calibration.unlabelled import unlabelled
from bci_m2s.training.calibration.write import write_calibrated

CLASSES = ("negative", "neutral", "positive")
N_TRIALS = 12


@pytest.fixture(scope="module")
def base():
    path = find_model("demo-62ch-eye")
    return Base(path, *load_model_file(path))


def windows(base, modality, labels, rng):
    """Windows at the scaler's mean, with a pattern of each class that is this person's own."""
    spec = base.contract.modalities[modality]
    mean, std = (base.array(f"{modality}.scaler.{part}") for part in ("mean", "std"))
    pattern = np.random.default_rng(14).standard_normal((3, len(mean)))
    shape = (len(labels), base.contract.window.steps, spec.feature.n_features)
    return mean + std * (0.3 * pattern[labels][:, None] + 0.2 * rng.standard_normal(shape))


def material_of(base, n_outside=FEWEST_PAIRS):
    """Labelled EEG, and both signals outside trials."""
    rng = np.random.default_rng(3)
    labels, hidden = np.arange(N_TRIALS) % 3, np.arange(n_outside) % 3
    eeg = Windows(windows(base, "eeg", np.repeat(labels, 3), rng), np.repeat(np.arange(N_TRIALS), 3))
    eye = Windows(np.empty((0,)), np.empty(0, dtype=np.int64), "no eyes seen")
    ends_s = np.arange(n_outside) + 0.0
    outside = {
        "eeg": {0: Outside(ends_s, windows(base, "eeg", hidden, rng))},
        "eye": {0: Outside(ends_s + 0.2, windows(base, "eye", hidden, rng))},
    }
    return Material(
        "emotion", CLASSES, labels, np.zeros_like(labels), {"eeg": eeg, "eye": eye}, {}, outside
    )


def test_windows_of_the_same_moment_of_the_same_session_are_pairs():
    def outside(*ends_s):
        return Outside(np.array(ends_s), np.array(ends_s).reshape(-1, 1, 1))

    seen = {
        "eeg": {0: outside(1.0, 2.0, 3.0, 9.0), 1: outside(5.0)},
        "eye": {0: outside(1.4, 2.9, 5.0, 9.5), 1: outside(2.0, 5.3), 2: outside(1.0)},
    }
    material = Material("emotion", CLASSES, np.zeros(3), np.zeros(3), {}, {}, seen)
    eeg, eye = paired(material, "eeg", "eye")
    assert eeg.ravel().tolist() == [1.0, 3.0, 9.0, 5.0]
    assert eye.ravel().tolist() == [1.4, 2.9, 9.5, 5.3]


def test_a_signal_learns_from_the_others_answers_and_the_file_says_so(base, clear, tmp_path):
    material = material_of(base)
    problems = make_problems(material, base)
    assert set(problems) == {"eeg"}
    verdicts = {"eeg": clear}
    left = unlabelled(material, base, problems, verdicts)
    said = left["eye"].sentence("eye")
    assert said == (
        "eye: not judged: 0 of 12 trials have usable windows (no eyes seen), wanted 4 of each class; "
        "its base model has learnt from what eeg answered in 120 windows outside trials"
    )
    path = tmp_path / "me.safetensors"
    write_calibrated(path, base, material, problems, verdicts, left, [])
    written = Base(path, *load_model_file(path))
    told = written.contract.training["calibration"]["modalities"]["eye"]
    assert (told["decision"], told["chosen"], told["teacher"], told["pairs"]) == (said, "pairs", "eeg", 120)
    eye = written.contract.modalities["eye"]
    assert eye.network.name == "m2s-sequence-linear"
    assert eye.calibration["emotion"].trials == 0
    fresh = np.arange(60) % 3
    it = situation_of(
        base, "eye", "emotion", windows(base, "eye", fresh, np.random.default_rng(9)), fresh, fresh
    )
    inputs = torch.from_numpy(it.scale.applied(it.features))
    answers = written.network("eye")(inputs)["emotion"].numpy().argmax(axis=1)
    before = scores(make("base", it), it).argmax(axis=1)
    assert np.mean(answers == fresh) > 0.9 > 0.6 > np.mean(before == fresh)


def test_with_few_pairs_the_base_model_stays(base, clear):
    material = material_of(base, FEWEST_PAIRS - 1)
    left = unlabelled(material, base, make_problems(material, base), {"eeg": clear})
    assert not left["eye"].is_taught
    assert left["eye"].sentence("eye").endswith("119 windows beside eeg's outside trials, wanted 120")
