"""What every feature, network and normaliser promises, those of installed packages included.

Sources, sinks, data sets and methods have such a test beside their own: see docs/extend.md.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bci_m2s.features import EXTRACTORS
from bci_m2s.networks import NETWORKS, build_network, complete_params
from bci_m2s.signal.normalise import NORMALISERS

# Built-in features that need parameters or a certain signal are tried in features/test_every_extractor.py.
FEATURES = [name for name in EXTRACTORS if name not in ("eye", "physiology", "distributed", "ecg")]
RATE_HZ, STEP_S, HOP_S = 128.0, 1.0, 0.25
BLOCK = round(RATE_HZ * HOP_S)


def push(extractor, samples):
    blocks = samples.reshape(-1, BLOCK, samples.shape[1])
    return [extractor.push(block, np.isnan(block)) for block in blocks]


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_makes_a_step_of_every_block_and_knows_what_is_missing(name):
    def make():
        return EXTRACTORS[name]({}, ("a", "b"), RATE_HZ, STEP_S, HOP_S)

    samples = 20 * np.random.default_rng(0).normal(size=(BLOCK * 160, 2))
    made = make()
    made.reset()
    steps = push(made, samples)
    assert steps[:3] == [None] * 3
    settled = steps[3 + int(np.ceil(made.settle_s / HOP_S)) :]
    assert all(step.values.shape == (len(made.names),) for step in settled)
    assert all(np.isfinite(step.values).all() and step.problem == "" for step in settled)
    assert len(set(made.names)) == len(made.names)
    made.reset()
    for again, fresh in zip(push(made, samples), push(make(), samples), strict=True):
        assert (again is None) == (fresh is None)
        assert again is None or (again.values.tolist(), again.filters_crc) == (
            fresh.values.tolist(),
            fresh.filters_crc,
        )
    samples[BLOCK * 100 : BLOCK * 108] = np.nan
    lost = push(make(), samples)[107]
    assert np.isnan(lost.values).all()
    assert lost.problem


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_every_head_and_does_not_draw_when_it_answers(name):
    settings = complete_params(name, {})
    torch.manual_seed(0)
    network = build_network(name, settings, n_features=12, n_channels=4, heads={"a": 2, "b": 3}).eval()
    x = torch.randn(5, 3, 12)
    with torch.no_grad():
        assert network.embed(x).shape[:2] == (5, 3)
        assert network.project(x).shape[0] == 5
        first, again = network(x), network(x)
    assert {head: tuple(logits.shape) for head, logits in first.items()} == {"a": (5, 2), "b": (5, 3)}
    assert all(
        torch.equal(first[head], again[head]) and torch.isfinite(first[head]).all() for head in first
    )
    for setting in NETWORKS[name].settings.values():
        assert setting.accepts(setting.default)
        assert setting.meaning


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_normaliser_becomes_ready_and_keeps_the_shape(name):
    made = NORMALISERS[name](np.ones(2), STEP_S, HOP_S)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        left_s = made.seconds_left
        made.observe(3.0 + rng.normal(size=2))
        assert 0.0 <= made.seconds_left <= left_s
    assert made.seconds_left == 0.0
    window = rng.normal(size=(5, 2))
    assert made.apply(window).shape == (5, 2)
    assert np.isfinite(made.apply(window)).all()
    assert isinstance(made.finish(), str)
    statistics = made.statistics()
    if statistics is not None:
        mean, std = statistics
        np.testing.assert_allclose(mean, 3.0, atol=0.5)
        assert (std > 0).all()
        other = NORMALISERS[name](np.ones(2), STEP_S, HOP_S)
        other.adopt(mean, std)
        np.testing.assert_allclose(other.apply(window), made.apply(window))
    made.restart()
    assert isinstance(made.no_baseline, str)
