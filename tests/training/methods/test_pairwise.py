"""Modality-pairwise contrastive learning: its losses, whom they reach, and whom it answers for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_pairs import THREE, corpus, finetune_settings, job, training_settings, unit
from torch import nn

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.losses import cpc_loss, draw_step
from bci_m2s.training.methods.m2m_cpc import PairPrediction
from bci_m2s.training.methods.pairwise import Encoders, pair_loss, pretrained, subsets
from bci_m2s.training.methods.pairwise_released import CroppedEncoders, crops_of, two_crop_loss

NAMES = tuple(THREE)


@pytest.fixture(scope="module")
def settings():
    return training_settings(names=NAMES)


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(THREE, people=6, per_session=4, steps=6))


def lacking(data, modality, part="train"):
    """The data of which a part has no window with this modality."""
    windows = data.parts[part]
    present = {**windows.present, modality: np.zeros(len(windows), bool)}
    return replace(data, parts={**data.parts, part: replace(windows, present=present)})


def test_the_losses_of_embeddings_that_are_all_alike():
    alike = torch.ones(32, 4)
    assert pair_loss(alike, alike).item() == pytest.approx(math.log(32), abs=1e-5)
    assert math.log(32) == pytest.approx(3.4657, abs=1e-4)
    crops = torch.ones(2, 32, 4)
    assert two_crop_loss(crops, crops).item() == pytest.approx(2.0716, abs=1e-4)


def test_the_released_loss_of_one_view_is_nothing():
    assert two_crop_loss(torch.randn(1, 8, 4), torch.randn(1, 8, 4)).item() == 0


def test_the_released_loss_asks_for_the_other_crop_of_the_same_window():
    """Written out: anchors of A against all of B but the one of the same window and crop."""
    a, b = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    units = [nn.functional.normalize(one, dim=-1) for one in (a, b)]
    total = 0.0
    for crop in range(2):
        for window in range(3):
            against = {
                (other, of): float(units[0][crop, window] @ units[1][other, of]) / 0.07
                for other in range(2)
                for of in range(3)
                if (other, of) != (crop, window)
            }
            below = math.log(sum(math.exp(value) for value in against.values()))
            total += below - against[1 - crop, window]
    assert two_crop_loss(a, b).item() == pytest.approx(total / 6 / 2, rel=1e-4)


def test_crops_are_a_window_without_its_first_or_its_last_step():
    windows = torch.arange(24.0).reshape(4, 3, 2)
    crops = crops_of(windows, torch.Generator().manual_seed(1))
    assert [one.shape for one in crops] == [(4, 2, 2)] * 2
    starts = [[int(crop[i, 0, 0] - windows[i, 0, 0]) // 2 for i in range(4)] for crop in crops]
    assert {*starts[0], *starts[1]} == {0, 1}  # each is drawn
    assert starts[0] != starts[1]
    for start, crop in zip(starts, crops, strict=True):
        for i in range(4):
            assert torch.equal(crop[i], windows[i, start[i] : start[i] + 2])
    assert all(torch.equal(one, windows[:, :1]) for one in crops_of(windows[:, :1], None))


def test_the_released_loss_goes_over_both_orders_of_each_pair():
    torch.manual_seed(0)
    encoders = CroppedEncoders([nn.Linear(3, 4), nn.Linear(3, 4)], [4, 4]).eval()
    windows, present = [torch.randn(6, 3, 3), torch.randn(6, 3, 3)], [torch.ones(6, dtype=torch.bool)] * 2
    loss = encoders(windows, present).item()
    assert loss == encoders(windows, present).item()  # epochs are judged alike
    generator, projected = torch.Generator().manual_seed(0), []
    for number, one in enumerate(windows):
        crops = [encoders.features(number, crop) for crop in crops_of(one, generator)]
        projected.append(torch.stack([encoders.projections[number](crop) for crop in crops]))
    both = two_crop_loss(*projected) + two_crop_loss(*projected[::-1])
    assert loss == pytest.approx(both.item() / 2, abs=1e-6)


def test_the_loss_is_the_mean_of_all_pairs_each_of_the_windows_that_have_both():
    torch.manual_seed(0)
    network = Encoders([nn.Linear(2, 4), nn.Linear(3, 4), nn.Linear(5, 6)], [4, 4, 6])
    windows = [torch.randn(8, 3, n) for n in (2, 3, 5)]
    present = [torch.ones(8, dtype=torch.bool) for _ in windows]
    present[2][:3] = False
    projected = [network.projections[k](network.features(k, one)) for k, one in enumerate(windows)]
    expected = [pair_loss(projected[0], projected[1])]
    expected += [pair_loss(projected[k][3:], projected[2][3:]) for k in (0, 1)]
    torch.testing.assert_close(network(windows, present), torch.stack(expected).mean())
    present[1][:], present[2][:] = False, False
    alone = network(windows, present)
    assert alone.item() == 0
    alone.backward()


def test_the_loss_of_each_pair_has_its_own_prediction_beside_it():
    torch.manual_seed(0)
    plain = Encoders([nn.Linear(2, 4), nn.Linear(3, 4), nn.Linear(5, 4)], [4, 4, 4])
    beside = [Constant(value) for value in (1.0, 20.0, 300.0)]
    network = Encoders(list(plain.encoders), [4, 4, 4], beside)
    network.projections.load_state_dict(plain.projections.state_dict())
    windows = [torch.randn(8, 3, n) for n in (2, 3, 5)]
    present = [torch.ones(8, dtype=torch.bool) for _ in windows]
    present[2][:3] = False
    added = network(windows, present) - plain(windows, present)
    assert added.item() == pytest.approx(321 / 3, rel=1e-5)
    embedded = [encoder(one) for encoder, one in zip(plain.encoders, windows, strict=True)]
    for one, (a, b), first in zip(beside, ((0, 1), (0, 2), (1, 2)), (0, 3, 3), strict=True):
        torch.testing.assert_close(one.seen[0], embedded[a][first:])
        torch.testing.assert_close(one.seen[1], embedded[b][first:])


class Constant(nn.Module):
    """Notes what it is given."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, *seen):
        self.seen = seen
        return torch.tensor(self.value)


def test_a_prediction_is_the_m2m_cpc_of_m2s_with_the_weights_of_the_file(settings):
    weights = {"cpc": 3.0, "cpc_cross": 0.5, "cpc_within": 0.25}
    values = settings.pretrain.model_dump() | {"predictions": 1, "context": 7}
    values["loss"]["weights"] |= weights
    prediction = PairPrediction(8, type(settings.pretrain).model_validate(values)).eval()
    a, b = torch.randn(6, 4, 8), torch.randn(6, 4, 8)
    assert prediction.predictor.lstm_a.hidden_size == 7
    step = draw_step(4, 1, torch.Generator().manual_seed(0), 2)
    expected = cpc_loss(a, b, prediction.predictor(a, b, step), step, cross=0.5, within=0.25)
    torch.testing.assert_close(prediction(a, b), 3 * expected)
    torch.testing.assert_close(prediction(a, b), prediction(a, b))
    torch.manual_seed(3)
    drawn = {round(prediction.train()(a, b).item(), 6) for _ in range(20)}
    assert len(drawn) == 2  # it predicts step 2 or 3: one is seen at least twice


def test_pre_training_with_prediction_begins_alike_and_trains_the_predictors(settings, data):
    plain, begun, trained = (
        pretrained(job(settings, epochs=epochs), data, predicts=predicts).state_dict()
        for epochs, predicts in ((0, False), (0, True), (2, True))
    )
    extra = begun.keys() - plain.keys()
    assert all(torch.equal(begun[name], value) for name, value in plain.items())
    assert {name.split(".")[1] for name in extra} == {"0", "1", "2"}
    assert all(name.startswith("predictions.") for name in extra)
    assert not any(torch.equal(begun[name], trained[name]) for name in extra)


def test_it_answers_for_each_signal_for_all_but_one_and_for_all(settings, data):
    answers = METHODS["pairwise"].learn(job(settings), data, finetune_settings(epochs=1))
    pairs = [NAMES[:2], (NAMES[0], NAMES[2]), NAMES[1:]]
    expected = [*((name,) for name in NAMES), *pairs, NAMES]
    assert list(answers) == [(names, names) for names in expected]
    assert subsets(("a", "b")) == [("a",), ("b",), ("a", "b")]
    assert len(subsets(tuple("abcdefg"))) == 7 + 7 + 1


def test_a_dropped_signal_changes_no_answer_of_the_others(settings, data):
    answers = METHODS["pairwise"].learn(job(settings), data, finetune_settings(epochs=1))
    test = data.parts["test"]
    without = lacking(data, "skin", "test").parts["test"]
    without.features["skin"][:] = np.nan
    names = ("eeg", "eye")
    for kept in (names[:1], names[1:], names):
        answer = answers[kept, kept]
        np.testing.assert_array_equal(answer(test, "emotion"), answer(without, "emotion"))


def test_windows_of_two_of_three_signals_are_learnt_from(settings, data):
    """Without a window that has the third, its encoder stays as it was; those of the others do not."""
    first, trained = (
        pretrained(job(settings, epochs=epochs), lacking(data, "skin")).state_dict() for epochs in (0, 2)
    )
    same = {name for name in first if torch.equal(first[name], trained[name])}
    of_skin = {name for name in first if name.startswith(("encoders.2.", "projections.2."))}
    assert of_skin <= same
    assert not [name for name in same if name.startswith(("projections.0", "projections.1"))]


def test_labels_are_not_needed_to_learn_the_encoders(settings, data):
    windows = data.parts["train"]
    unlabelled = replace(windows, labels={"emotion": np.full(len(windows), -1)})
    found = [
        pretrained(job(settings), one).state_dict()
        for one in (data, replace(data, parts={**data.parts, "train": unlabelled}))
    ]
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name])


def test_one_signal_and_signals_that_are_never_there_together_are_refused(settings, data):
    with pytest.raises(NotPossible, match="two signals or more"):
        METHODS["pairwise"].takes(settings.contract, ("eeg",))
    apart = lacking(lacking(data, "eye"), "skin")
    with pytest.raises(NotPossible, match="no two training windows have the same two signals"):
        METHODS["pairwise"].learn(job(settings), apart, finetune_settings(epochs=1))
