"""The correlation of deep CCA, and the two methods that maximise it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA
from support.small_pairs import PAIR, THREE, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.dcca import SHARES, WIDTHS, Shared
from bci_m2s.training.methods.dcca_am import FIRST, SECOND, DccaAm, widths_of
from bci_m2s.training.methods.deep_cca import branch, correlation
from bci_m2s.training.methods.own_networks import rows_of

TINY_RIDGE = 1e-12


def sides(n=300, seed=0):
    """Two sets of rows that share some of what is in them, (n, 5) and (n, 4)."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    ways = rng.normal(size=(3, 5)), rng.normal(size=(3, 4))
    noise = rng.normal(size=(n, 5)), rng.normal(size=(n, 4))
    return [torch.from_numpy(common @ way + more) for way, more in zip(ways, noise, strict=True)]


def test_correlation_of_a_side_with_itself_is_the_number_of_its_columns():
    one = sides()[0]
    assert float(correlation(one, one, TINY_RIDGE)) == pytest.approx(5, abs=1e-6)


def test_correlation_does_not_change_with_invertible_maps():
    one, other = sides()
    rng = np.random.default_rng(1)
    maps = [torch.from_numpy(rng.normal(size=(n, n))) for n in (5, 4)]
    before = correlation(one, other, TINY_RIDGE)
    after = correlation(one @ maps[0] + 3, other @ maps[1] - 2, TINY_RIDGE)
    assert 0.5 < float(before) < 4
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)


def test_gradient_is_that_of_the_correlation_on_both_sides():
    inputs = [side[:20].clone().requires_grad_() for side in sides()]
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, 1e-3), inputs)


def test_linear_branches_reach_the_sum_of_linear_cca():
    one, other = sides()
    fitted = CCA(n_components=2, max_iter=5000, tol=1e-10).fit(one.numpy(), other.numpy())
    scores = fitted.transform(one.numpy(), other.numpy())
    best = sum(np.corrcoef(a, b)[0, 1] for a, b in zip(scores[0].T, scores[1].T, strict=True))
    torch.manual_seed(0)
    networks = [branch(n, (2,), lambda _: torch.nn.Identity()).double() for n in (5, 4)]
    parameters = [one for network in networks for one in network.parameters()]
    optimiser = torch.optim.LBFGS(parameters, max_iter=300, line_search_fn="strong_wolfe")

    def step():
        optimiser.zero_grad()
        loss = -correlation(networks[0](one), networks[1](other), 1e-8)
        loss.backward()
        return loss

    assert -step().item() < best - 0.1
    optimiser.step(step)
    assert -step().item() == pytest.approx(best, abs=1e-4)


def test_widths_are_drawn_within_the_released_limits_and_by_the_seed():
    drawn = [widths_of(seed) for seed in range(200)]
    first, second, last = (np.array(one) for one in zip(*drawn, strict=True))
    assert FIRST[0] <= first.min() <= 105
    assert 195 <= first.max() < FIRST[1]
    assert SECOND[0] <= second.min() <= 22
    assert 47 <= second.max() < SECOND[1]
    assert set(last) == {12}
    assert widths_of(3) == drawn[3]


def test_attention_takes_the_branch_whose_output_it_favours():
    network = DccaAm((5, 4), (8, 6, 3), 2)
    outputs = torch.randn(2, 7, 3)
    with torch.no_grad():
        network.weight.zero_()
        torch.testing.assert_close(network.fused(outputs), network.head(outputs.mean(dim=0)))
        network.weight[0] = 100.0
        favoured = outputs.clone()
        favoured[0, :, 0], favoured[1, :, 0] = -1, 1
        torch.testing.assert_close(network.fused(favoured), network.head(favoured[1]))


def test_a_window_is_the_mean_of_its_steps_and_the_outputs_are_those_of_every_step():
    network = DccaAm((5, 4), (8, 6, 3), 2)
    windows = torch.randn(6, 4, 5), torch.randn(6, 4, 4)
    logits, outputs = network(*windows)
    assert outputs.shape == (2, 24, 3)
    steps = [network.of_windows(*(one[:, [step]] for one in windows)) for step in range(4)]
    torch.testing.assert_close(logits, torch.stack(steps).mean(dim=0))


def shared_of(data):
    torch.manual_seed(0)
    pairs = rows_of(data.parts["train"], PAIR)
    branches = {name: branch(pairs.features[name].shape[2], WIDTHS, torch.nn.Softplus) for name in PAIR}
    branches = {name: network[:3].append(torch.nn.Linear(200, 20)) for name, network in branches.items()}
    return Shared(torch.nn.ModuleDict(branches), pairs)


def test_components_of_the_two_signals_stand_for_each_other():
    data = unit(training_settings(), corpus())
    shared, train = shared_of(data), data.parts["train"]
    one, other = (shared.features(train, [name]) for name in PAIR)
    first = [np.corrcoef(one[:, k], other[:, k])[0, 1] for k in range(2)]
    assert min(first) > 0.8
    assert abs(np.corrcoef(one[:, 0], other[:, 1])[0, 1]) < 0.5
    both = shared.features(train, PAIR)
    np.testing.assert_allclose(both, SHARES[0] * one + SHARES[1] * other)
    test = data.parts["test"].take(np.array([2]))
    np.testing.assert_allclose(
        shared.features(test, ["eye"]), shared.features(data.parts["test"], ["eye"])[[2]], atol=1e-5
    )


def test_branches_learn_from_windows_without_labels():
    settings = training_settings()
    data = unit(settings, corpus())
    windows = data.parts["train"]
    half = np.arange(len(windows)) % 2 == 0
    labels = {"emotion": np.where(half, -1, windows.labels["emotion"])}
    fewer = replace(data, parts={**data.parts, "train": replace(windows, labels=labels)})
    gone = replace(data, parts={**data.parts, "train": windows.take(~half)})
    answers = [METHODS["dcca"].learn(job(settings), one, finetune_settings()) for one in (fewer, gone)]
    chances = [one[("eeg",), ("eye",)](data.parts["test"], "emotion") for one in answers]
    assert not np.allclose(*chances, atol=1e-3)


@pytest.mark.parametrize("name", ["dcca", "dcca-am"])
def test_what_they_refuse(name):
    settings = training_settings(names=tuple(THREE))
    data = unit(settings, corpus(THREE))
    with pytest.raises(NotPossible, match="it takes two signals, and there are eeg, eye, skin"):
        METHODS[name].learn(job(settings), data, finetune_settings())
    assert METHODS[name].approximate is (name == "dcca")


def test_without_pairs_nothing_correlates():
    settings = training_settings()
    data = unit(settings, corpus())
    windows = data.parts["train"]
    apart = replace(windows, present={**windows.present, "eye": ~windows.present["eeg"]})
    alone = replace(data, parts={**data.parts, "train": apart})
    with pytest.raises(NotPossible, match="fewer than two training windows have eeg and eye"):
        METHODS["dcca"].learn(job(settings), alone, finetune_settings())
