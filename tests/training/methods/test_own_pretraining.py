"""What methods with a stage without labels share."""

import copy

import numpy as np
import pytest
import torch
from support.small_pairs import corpus, finetune_settings, job, training_settings, unit
from torch import nn

from bci_m2s.training.methods import METHODS, own_networks
from bci_m2s.training.methods.own_networks import Rows
from bci_m2s.training.methods.own_pretraining import LowestLoss, fit_head


def weighing(network, number):
    with torch.no_grad():
        network.weight.fill_(number)


def test_the_epoch_with_the_lowest_loss_is_kept():
    network = nn.Linear(1, 1, bias=False)
    losses = iter([3.0, 1.0, 1.0, 2.0])
    selection = LowestLoss(network, lambda _: torch.tensor(next(losses)), np.zeros(4, int), 4)
    for number in range(4):
        weighing(network, number)
        selection.look()
    selection.take()
    assert network.weight.item() == 1
    assert not network.training


def test_without_windows_to_judge_the_last_state_is_kept():
    network = nn.Linear(1, 1, bias=False)
    selection = LowestLoss(network, lambda _: torch.tensor(0.0), np.zeros(1, int), 4)
    selection.look()
    weighing(network, 7)
    selection.take()
    assert network.weight.item() == 7


def test_every_window_is_judged_once_in_the_same_batches_and_counts_alike():
    seen = []

    def loss(chosen):
        seen.append(chosen.tolist())
        return chosen.float().mean()

    selection = LowestLoss(nn.Linear(1, 1), loss, np.zeros(10, int), 4)
    selection.look()
    selection.look()
    assert seen[:2] == seen[2:]
    assert sorted(len(part) for part in seen[:2]) == [4, 6]
    assert sorted(seen[0] + seen[1]) == list(range(10))
    assert selection.lowest == pytest.approx(4.5)


def test_a_head_learns_from_fixed_features():
    torch.manual_seed(0)
    labels = torch.arange(40) % 2
    features = {"a": torch.randn(40, 3) + 4 * labels[:, None]}
    rows = Rows(features, labels, np.zeros(40, int))
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    fit_head(network, rows, rows, 2, finetune_settings(epochs=20, batch=8), 0)
    assert (network(features["a"]).argmax(dim=1) == labels).float().mean() > 0.9


def test_a_head_has_the_settings_that_are_best_on_validation_as_m2s_has():
    torch.manual_seed(0)
    labels = torch.arange(40) % 2
    rows = Rows({"a": torch.randn(40, 3) + 4 * labels[:, None]}, labels, np.zeros(40, int))
    of_network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

    def right(rates, select="validation"):
        network = copy.deepcopy(of_network)
        settings = finetune_settings(epochs=20, batch=8).model_copy(
            update={"learning_rates": rates, "select": select}
        )
        fit_head(network, rows, rows, 2, settings, 0)
        return float((network(rows.features["a"]).argmax(dim=1) == labels).float().mean())

    slow, fast = 1e-9, 1e-2
    assert right((slow,)) < 0.7
    assert right((slow, fast)) == right((fast, slow)) == right((fast,)) > 0.9
    assert right((slow, fast), "last") == right((slow,))  # chosen by nothing


@pytest.mark.parametrize("method", ["pairwise", "unicode", "dcca", "eco-fet"])
@pytest.mark.parametrize("sampler", ["within-person", "mixed"])
def test_without_labels_a_batch_is_of_whom_the_sampler_says(method, sampler, monkeypatch):
    settings = training_settings(
        pretrain={"sampler": sampler, "epochs": 1, "batch": 8}, finetune={"method": method, "epochs": 1}
    )
    data = unit(settings, corpus(people=8, per_session=6))
    subjects = data.parts["train"].having(settings.pair).subjects
    drawn = []
    real = own_networks.epoch_batches

    def noted(groups, *rest):
        batches = real(groups, *rest)
        drawn.extend(len(np.unique(subjects[batch.numpy()])) for batch in batches)
        return batches

    monkeypatch.setattr(own_networks, "epoch_batches", noted)
    METHODS[method].learn(job(settings), data, settings.finetune)
    assert drawn
    assert (max(drawn) == 1) == (sampler == "within-person")
