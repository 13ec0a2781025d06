"""A candidate in a model file answers as it did in cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bci_m2s.networks import build_network
from bci_m2s.training.calibration.candidates import Scale, Situation, candidates, make, scores
from bci_m2s.training.calibration.ridge import targets

STEPS, CHANNELS, BANDS, TRIALS = 3, 4, 2, 9
SIZES = {"depth": 1, "ffn": 8, "embedding": 8, "projection": 6, "hidden": 10, "heads": 2, "head_width": 4}


@pytest.fixture(scope="module")
def situation():
    return made_situation()


def made_situation(heads=("emotion",), kind="m2s-electrode", sizes=SIZES):
    torch.manual_seed(0)
    n_features = CHANNELS * BANDS
    network = build_network(
        kind, sizes, n_features=n_features, n_channels=CHANNELS, heads=dict.fromkeys(heads, 3)
    )
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(3), TRIALS // 3)
    trials = np.repeat(np.arange(TRIALS), 4)
    features = rng.standard_normal((len(trials), STEPS, n_features)) + labels[trials][:, None, None]
    features[rng.random(features.shape) < 0.05] = np.nan
    scale = Scale(np.full(n_features, 0.5), np.full(n_features, 2.0))
    network = network.requires_grad_(False).eval()
    return Situation(network, scale, features, trials, labels, "emotion", 3, len(heads), temperature=2.0)


@pytest.mark.parametrize("name", ["base", "person", "head", "layer", "linear", "both"])
def test_the_network_gives_the_scores_of_the_regression(situation, name):
    everything = np.ones(TRIALS, dtype=bool)
    fold = candidates(situation)[name](everything)
    target = targets(situation.labels[None], 3)
    expected = fold.scores(np.arange(len(situation.trials)), target)[0]
    got = scores(make(name, situation), situation)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-4)


def test_a_fold_has_not_seen_the_trials_that_it_tests(situation):
    """Other values in another trial that does not train either change no score of a tested one."""
    train = np.arange(TRIALS) < 6
    tested = np.flatnonzero(situation.trials == 7)
    others = np.flatnonzero(situation.trials == 8)
    changed = situation.features.copy()
    changed[others] += 100.0
    target = targets(situation.labels[None, train], 3)
    again = Situation(**{**vars(situation), "features": changed})
    for name in candidates(situation):
        before = candidates(situation)[name](train).scores(tested, target)
        after = candidates(again)[name](train).scores(tested, target)
        np.testing.assert_array_equal(before, after, err_msg=name)


def test_other_heads_are_left_as_they_are():
    of_two = made_situation(heads=("emotion", "load"))
    assert list(candidates(of_two)) == ["base", "both", "layer", "head"]
    windows = torch.from_numpy(of_two.scale.applied(of_two.features))
    before = of_two.network(windows)["load"]
    for name in ("head", "layer", "both"):
        made = make(name, of_two)
        assert torch.equal(made.network(windows)["load"], before)
        assert not torch.equal(made.network(windows)["emotion"], of_two.network(windows)["emotion"])


def test_a_linear_base_has_no_layers_to_exchange():
    linear = made_situation(kind="linear", sizes={})
    assert list(candidates(linear)) == ["base", "linear", "person"]


def test_a_narrow_classifier_cannot_be_made_transparent():
    narrow = made_situation(sizes=SIZES | {"hidden": 4})
    assert list(candidates(narrow)) == ["base", "both", "linear", "person", "layer"]
