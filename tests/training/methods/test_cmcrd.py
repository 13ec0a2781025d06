"""CMCRD: who learns from whom, and by which windows."""

import math

import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit
from torch.nn import functional

from bci_m2s.training.methods import METHODS, cmcrd
from bci_m2s.training.methods.contrast_banks import NEGATIVES, ContrastBanks, signed_weights
from bci_m2s.training.methods.own_networks import Selection, labelled_rows


@pytest.fixture(scope="module")
def data():
    return unit(training_settings(), corpus(people=6, per_session=4, steps=6))


@pytest.fixture(scope="module")
def rows(data):
    return labelled_rows(data.parts["train"], PAIR, "emotion")


def batch(n=6, width=8):
    torch.manual_seed(0)
    labels = torch.arange(30) % 3
    return ContrastBanks(width, labels), torch.randn(n, width), torch.randn(n, width), torch.arange(n)


def test_a_teacher_stays_as_it_is_while_the_student_learns(rows):
    torch.manual_seed(0)
    teacher, student = (cmcrd.Perceptron(rows.features[name][0].numel(), 2) for name in PAIR)
    before = [
        {key: one.clone() for key, one in network.state_dict().items()} for network in (teacher, student)
    ]
    settings = finetune_settings(epochs=2)
    cmcrd.distil(teacher, student, rows, PAIR, Selection(student, None, rows), settings, 0)
    assert all(torch.equal(one, before[0][key]) for key, one in teacher.state_dict().items())
    assert all(one.grad is None for one in teacher.parameters())
    assert not all(torch.equal(one, before[1][key]) for key, one in student.state_dict().items())


def test_the_side_that_alone_is_right_gets_no_gradient():
    banks, of_student, of_teacher, chosen = batch()
    features = (of_student.requires_grad_(), of_teacher.requires_grad_())
    student_right = torch.tensor([True, True, False, False, True, False])
    teacher_right = torch.tensor([True, False, True, False, False, True])
    banks(features, (student_right, teacher_right), chosen, torch.ones(6)).backward()
    moved = [one.grad.abs().sum(dim=1) > 0 for one in features]
    assert moved[0].tolist() == [True, False, True, True, False, True]
    assert moved[1].tolist() == [True, True, False, True, True, False]


def test_negatives_are_of_other_classes_and_of_all_of_them():
    banks, *_, chosen = batch()
    drawn = banks.negatives(chosen)
    assert drawn.shape == (6, NEGATIVES)
    for window, negatives in zip(chosen, drawn, strict=True):
        classes = set(banks.labels[negatives].tolist())
        assert classes == {0, 1, 2} - {int(banks.labels[window])}


def test_the_loss_tells_a_window_from_noise():
    """Written out, with the scale that the first batch leaves."""
    banks, *_, chosen = batch()
    units = functional.normalize(torch.randn(6, 8), dim=-1)
    drawn = banks.negatives(chosen)
    banks.against(0, units, chosen, drawn)
    scale = banks.scale.clone()
    assert scale[0] > 0
    assert scale[1] == 0
    other = functional.normalize(torch.randn(6, 8), dim=-1)
    found = banks.against(0, other, chosen, drawn)
    assert torch.equal(banks.scale, scale)
    expected = 0.0
    for place, row in enumerate([0, *drawn[0].tolist()]):
        chance = math.exp(float(other[0] @ banks.banks[1][row]) / 0.07) / float(scale[0])
        noise = NEGATIVES / 30
        expected -= math.log((chance if place == 0 else noise) / (chance + noise))
    assert found[0].item() == pytest.approx(expected, rel=1e-3)


def test_the_rows_of_the_windows_are_renewed_and_no_others():
    banks, of_student, of_teacher, chosen = batch()
    before = banks.banks.clone()
    right = torch.ones(6, dtype=torch.bool)
    banks((of_student, of_teacher), (right, right), chosen, torch.ones(6))
    assert torch.equal(banks.banks[:, 6:], before[:, 6:])
    new = functional.normalize(banks.maps[1](of_teacher), dim=-1)
    expected = functional.normalize(0.05 * before[1, :6] + 0.95 * new, dim=-1)
    torch.testing.assert_close(banks.banks[1, :6], expected)


def test_a_sure_teacher_weighs_more_and_one_that_errs_pushes_away():
    logits = torch.tensor([[9.0, 0.0], [0.1, 0.0], [9.0, 0.0]])
    weights = signed_weights(logits, torch.tensor([0, 0, 1]))
    assert weights[0] > weights[1] > 0
    assert weights[2] == -weights[0]
    assert weights.abs().sum().item() == pytest.approx(3)
    assert (weights[0] / weights[1]).item() == pytest.approx(2 / 1.5, abs=0.01)


def test_the_rate_rises_over_a_quarter_of_the_epochs_and_falls():
    rates = [cmcrd.rate(epoch, 40) for epoch in range(41)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == rates[10] == 1e-3
    assert rates[25] == pytest.approx(5e-4)
    assert rates[40] == pytest.approx(0)
    assert cmcrd.rate(0, 1) == 1e-3


def test_each_signal_is_answered_for_by_itself(data):
    answers = METHODS["cmcrd"].learn(job(training_settings()), data, finetune_settings(epochs=1))
    assert list(answers) == [((name,), (name,)) for name in PAIR]
