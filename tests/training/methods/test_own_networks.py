"""One contract for every method with networks of its own, and what they share."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from support.nightly import nightly
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit
from torch import nn

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.own_networks import (
    Rows,
    Selection,
    eeg_and_other,
    labelled_rows,
    rows_of,
    train,
)
from bci_m2s.training.results.evaluation import EvaluationSetup, evaluate_answers
from bci_m2s.training.run.without_files import judge

LEARNT = [name for name in METHODS if METHODS[name].learn is not None]
LONG = (
    *("maet", "unicode", "unicode-cpc", "pairwise-cpc", "bdae", "bdae-cgan", "bdae-regressor"),
    *("eco-fet", "etf", "cmcrd", "vigilancenet", "unicode-released"),
    *("unicode-attention", "unicode-native"),
)
ALIKE = (  # others, in part
    *("unicode-cpc", "pairwise-cpc", "unicode-released", "pairwise-released"),
    *("unicode-attention", "unicode-native"),
)
EACH = [*(name for name in LEARNT if name not in ALIKE), *nightly(*ALIKE)]
WIDE = {"eeg": 8, "eye": 9}


@pytest.fixture(scope="module")
def settings():
    values = training_settings().model_dump(mode="json")
    values["contract"]["modalities"]["eye"]["feature"]["n_features"] = WIDE["eye"]
    return type(training_settings()).model_validate(values)


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(WIDE, people=8, per_session=6, steps=8))


@pytest.fixture
def few_epochs(monkeypatch):
    """Of those whose number is their own: what is not about learning does not wait for it."""
    for module in ("bdae_network", "bdae_generator"):
        monkeypatch.setattr(f"bci_m2s.training.methods.{module}.EPOCHS", 2)


def bits(answers, windows):
    return {key: answer(windows, "emotion") for key, answer in answers.items()}


def relabelled(data, part):
    """The data with other labels in one part."""
    windows = data.parts[part]
    other = replace(windows, labels={"emotion": 1 - windows.labels["emotion"]})
    return replace(data, parts={**data.parts, part: other})


@pytest.mark.usefixtures("few_epochs")
@pytest.mark.parametrize("name", EACH)
def test_answers_are_probabilities_of_directions_that_depend_on_data_and_seed_alone(settings, data, name):
    learn, test = METHODS[name].learn, data.parts["test"]
    before = {part: windows.features["eeg"].copy() for part, windows in data.parts.items()}
    answers = learn(job(settings), data, finetune_settings(epochs=2))
    first = bits(answers, test)
    assert first
    for (trained_on, tested_on), chances in first.items():
        assert set(trained_on) <= set(PAIR)
        assert set(tested_on) <= set(PAIR)
        assert chances.shape == (len(test), 2)
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
        assert (chances >= 0).all()
    torch.manual_seed(99)  # of what other code has drawn
    hidden = relabelled(data, "test")  # whose labels nobody may see
    again = bits(learn(job(settings), hidden, finetune_settings(epochs=2)), test)
    for direction, chances in first.items():
        np.testing.assert_array_equal(chances, again[direction])
    one = bits(answers, test.take(np.array([3])))
    for direction, chances in first.items():  # a window is judged by itself
        np.testing.assert_allclose(one[direction][0], chances[3], atol=1e-5)
    for part, features in before.items():
        np.testing.assert_array_equal(features, data.parts[part].features["eeg"])


@pytest.mark.parametrize("name", [*(name for name in LEARNT if name not in LONG), *nightly(*LONG)])
def test_a_clear_class_is_found_in_every_direction(settings, data, name):
    answers = METHODS[name].learn(job(settings, epochs=25), data, finetune_settings(epochs=25))
    test = data.parts["test"]
    for direction, chances in bits(answers, test).items():
        found = balanced_accuracy_score(test.labels["emotion"], chances.argmax(axis=1))
        assert found > 0.8, direction


@pytest.mark.usefixtures("few_epochs")
@pytest.mark.parametrize("name", EACH)
def test_a_crossed_direction_sees_no_label_of_windows_of_the_judged_signal_alone(settings, data, name):
    """Windows that only the judged signal has are labelled wrongly: the answers stay as they are."""
    windows = data.parts["train"]
    alone = np.arange(len(windows)) % 3 == 0
    learn = METHODS[name].learn
    for judged, other in (PAIR, PAIR[::-1]):
        present = {**windows.present, other: windows.present[other] & ~alone}
        true = replace(data, parts={**data.parts, "train": replace(windows, present=present)})
        answers = learn(job(settings), true, finetune_settings(epochs=1))
        if not any(trained_on != tested_on for trained_on, tested_on in answers):
            return  # it crosses nowhere
        labels = {"emotion": np.where(alone, 1 - windows.labels["emotion"], windows.labels["emotion"])}
        wrong = replace(data, parts={**data.parts, "train": replace(true.parts["train"], labels=labels)})
        direction = ((other,), (judged,))
        if direction in answers:
            misled = learn(job(settings), wrong, finetune_settings(epochs=1))
            of_true, of_wrong = (one[direction](data.parts["test"], "emotion") for one in (answers, misled))
            np.testing.assert_array_equal(of_true, of_wrong)


def test_answers_become_results_of_their_directions(data):
    test = data.parts["test"]
    setup = EvaluationSetup("all", 0, "emotion", 2, data.names.subjects)
    right = np.eye(2)

    def answer(windows, head):
        return right[windows.labels[head]]

    answers = {(PAIR, PAIR): answer, (("eeg",), ("eye",)): answer, (("eye",), ("eye",)): answer}
    results = evaluate_answers(setup, "m", answers, test, PAIR)
    assert [one.direction for one in results] == ["both → both", "eeg → eye", "eye → eye"]
    assert {one.figures["balanced_accuracy"] for one in results} == {1.0}


def test_the_epoch_that_is_best_on_validation_is_kept_and_of_equals_that_of_the_lowest_loss():
    rows = Rows({}, torch.tensor([0, 1]), np.array([0, 0]))
    network = nn.Linear(1, 1, bias=False)
    right, sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    judged = iter([torch.tensor([[0.0, 9.0], [0.0, 9.0]]), right, sure, right])
    selection = Selection(network, lambda: next(judged), rows)
    for number in range(4):
        with torch.no_grad():
            network.weight.fill_(number)
        selection.look()
    selection.take()
    assert network.weight.item() == 2
    last = Selection(network, None, rows)
    with torch.no_grad():
        network.weight.fill_(7)
    last.look()
    last.take()
    assert network.weight.item() == 7


def test_every_row_is_seen_once_per_epoch_in_another_order():
    seen, ends = [], []
    network = nn.Linear(1, 1)

    def loss(chosen):
        seen.append(chosen.tolist())
        return network.weight.sum() * 0

    train(network, [], loss, 10, epochs=2, batch=4, seed=0, after_epoch=lambda: ends.append(len(seen)))
    assert ends == [2, 4]
    first, second = [*seen[0], *seen[1]], [*seen[2], *seen[3]]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_what_a_method_for_eeg_and_one_other_signal_takes(settings, data):
    sizes = eeg_and_other(settings.contract, PAIR[::-1])
    assert (sizes.eeg, sizes.other, sizes.channels, sizes.bands, sizes.features) == ("eeg", "eye", 4, 2, 9)
    with pytest.raises(NotPossible, match="it takes EEG and one other signal, and there are eye"):
        eeg_and_other(settings.contract, ("eye",))
    of_one = data.parts["train"].take(data.parts["train"].labels["emotion"] == 0)
    with pytest.raises(NotPossible, match="eeg have labels of fewer than two classes"):
        labelled_rows(of_one, ("eeg",), "emotion")
    assert set(rows_of(of_one, ("eeg",)).labels.tolist()) == {-1}


def test_the_oracle_of_a_method_is_what_choosing_on_test_windows_gives(settings, data):
    chosen = training_settings().model_copy(
        update={"finetune": finetune_settings(epochs=4, oracle=True), "contract": settings.contract}
    )
    setup = EvaluationSetup("test", 0, "emotion", 2, tuple("abcdefgh"))
    experiment, begun = SimpleNamespace(settings=chosen, second=None), SimpleNamespace(data=data)
    (result,) = judge(experiment, job(settings), begun, "dcca-am", [setup])
    peeked = replace(data, parts={**data.parts, "validation": data.parts["test"]})
    answers = METHODS["dcca-am"].learn(job(settings), peeked, chosen.finetune)
    (best,) = evaluate_answers(setup, "dcca-am", answers, data.parts["test"], PAIR)
    assert result.oracle == pytest.approx(np.mean(list(best.figures["by_subject"].values())))
    assert result.oracle >= np.mean(list(result.figures["by_subject"].values()))
