"""Classifier training: what is frozen stays, selection looks at validation only, labels may be few."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from support.small_pairs import SIZES, corpus, finetune_settings, job, training_settings, trials, unit

from bci_m2s.errors import TrainingError
from bci_m2s.model.model_file import modality_network
from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.methods import finetune as module
from bci_m2s.training.methods.finetune import class_weights, fewer_labels, finetune, head_logits, project
from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.results.metrics import mean_over_subjects

HEADS = {"emotion": {"classes": ["negative", "positive"]}, "arousal": {"classes": ["low", "mid", "high"]}}


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(people=8, per_session=4, steps=6, effect=0.6))


def fit(settings, data, seed=0, modality="eye", parts=None, **changes):
    network = fresh_networks(job(settings, seed))[modality]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fitted = finetune(network, parts or data.parts, modality, finetune_settings(**changes), seed)
    assert fitted.network is network
    return fitted, before


def changed(fitted, before):
    return {
        key.split(".")[0]
        for key, value in fitted.network.state_dict().items()
        if not torch.equal(value, before[key])
    }


@pytest.mark.parametrize("modality", ["eeg", "eye"])
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"freeze": True}, {"heads"}),
        ({"freeze": True, "frozen_dropout": True}, {"heads"}),
        # decay would move them, but what has no gradient is passed over
        ({"freeze": True, "frozen_in_optimiser": True, "weight_decays": [0.5]}, {"heads"}),
        ({"freeze": False}, {"encoder", "projection", "heads"}),
    ],
)
def test_what_is_frozen_does_not_change(settings, data, modality, options, parts):
    fitted, before = fit(settings, data, modality=modality, **options)
    assert changed(fitted, before) == parts
    assert not fitted.network.training


def test_the_same_seed_gives_the_same_classifier(settings, data):
    first, _ = fit(settings, data)
    torch.manual_seed(77)
    same, _ = fit(settings, data)
    network = fresh_networks(job(settings, 0))["eye"]
    other = finetune(network, data.parts, "eye", finetune_settings(), 3)
    assert all(
        torch.equal(value, same.network.state_dict()[key])
        for key, value in first.network.state_dict().items()
    )
    assert not torch.equal(
        first.network.heads["emotion"].out.weight, other.network.heads["emotion"].out.weight
    )
    assert first.rows == same.rows


def test_frozen_dropout_is_off_unless_asked_for(data):
    """With dropout in the encoder the classifier sees other embeddings, so another loss."""
    noisy = training_settings()
    noisy.contract.modalities["eye"].network.params["dropout"] = 0.5
    losses = {on: fit(noisy, data, frozen_dropout=on)[0].rows[0]["loss"] for on in (False, True)}
    assert losses[False] != losses[True]
    calm = training_settings()
    calm.contract.modalities["eye"].network.params["dropout"] = 0.0
    losses = {on: fit(calm, data, frozen_dropout=on)[0].rows[0]["loss"] for on in (False, True)}
    assert losses[False] == pytest.approx(losses[True], rel=1e-5)


@pytest.mark.parametrize("freeze", [True, False])
def test_selection_takes_the_best_validation_epoch_of_the_grid(settings, data, freeze):
    """Every setting of the grid starts anew: what it gives does not depend on those before it."""
    grid = {"learning_rates": [1e-2, 1e-3], "weight_decays": [1e-1, 1e-4], "epochs": 6, "freeze": freeze}
    chosen, _ = fit(settings, data, **grid)
    alone = {
        (rate, decay): fit(
            settings, data, epochs=6, learning_rates=[rate], weight_decays=[decay], freeze=freeze
        )[0]
        for rate in grid["learning_rates"]
        for decay in grid["weight_decays"]
    }
    assert chosen.score == max(fitted.score for fitted in alone.values())
    assert chosen.chosen_by == "balanced accuracy"
    winner = alone[chosen.learning_rate, chosen.weight_decay]
    assert winner.score == chosen.score
    assert winner.rows == chosen.rows
    scores = [(row["validation"], -row["validation_loss"]) for row in chosen.rows]
    assert chosen.epoch == scores.index(max(scores)) + 1  # of equal scores the lowest loss
    validation = data.parts["validation"]
    guesses = head_logits(chosen.network, validation.features["eye"])["emotion"].argmax(axis=1)
    score = mean_over_subjects(validation.labels["emotion"], guesses, validation.subjects, 2)
    assert score == chosen.score  # the weights are those of that epoch


def test_validation_of_one_class_is_selected_on_by_its_loss(settings, data):
    """There a constant guess gets everything right, in the first epoch that makes it."""
    validation = data.parts["validation"]
    one = validation.take(validation.labels["emotion"] == 1)
    fitted, _ = fit(settings, data, parts=data.parts | {"validation": one}, epochs=8)
    losses = [row["validation_loss"] for row in fitted.rows]
    assert fitted.chosen_by == "loss"
    assert fitted.epoch == losses.index(min(losses)) + 1
    assert losses[0] > min(losses)
    logits = head_logits(fitted.network, one.features["eye"])["emotion"]
    expected = -np.log(softmax(logits, axis=1)[:, 1]).mean()  # one class, so its weight cancels
    assert fitted.rows[fitted.epoch - 1]["validation_loss"] == pytest.approx(expected, rel=1e-4)


def test_every_setting_of_the_grid_starts_from_the_same_encoder(settings, data, monkeypatch):
    seen = []

    class Spy(module._Attempt):
        def __init__(self, network, *arguments):
            seen.append({key: value.clone() for key, value in network.state_dict().items()})
            super().__init__(network, *arguments)

    monkeypatch.setattr(module, "_Attempt", Spy)
    _, before = fit(settings, data, freeze=False, epochs=1, learning_rates=[1e-2, 1e-3])
    assert len(seen) == 2
    for start in seen:
        assert all(torch.equal(start[key], before[key]) for key in before)


def test_the_last_epoch_of_the_first_setting_when_that_is_asked_for(settings, data):
    fitted, _ = fit(
        settings, data, select="last", epochs=5, learning_rates=[1e-3, 1e-2], weight_decays=[0.0, 1e-2]
    )
    assert (fitted.epoch, fitted.learning_rate, fitted.weight_decay) == (5, 1e-3, 0.0)
    assert fitted.score == fitted.rows[-1]["validation"]
    assert len(fitted.rows) == 5


def test_nothing_is_chosen_on_test_and_the_oracle_is_never_below(settings, data):
    plain, _ = fit(settings, data, epochs=8)
    asked, _ = fit(settings, data, epochs=8, oracle=True)
    assert plain.oracle is None
    assert not any("test" in row for row in plain.rows)
    assert all(
        torch.equal(value, asked.network.state_dict()[key])
        for key, value in plain.network.state_dict().items()
    )
    test = data.parts["test"]
    guesses = head_logits(asked.network, test.features["eye"])["emotion"].argmax(axis=1)
    reached = mean_over_subjects(test.labels["emotion"], guesses, test.subjects, 2)
    assert asked.oracle == {"emotion": max(row["test"] for row in asked.rows)}
    assert asked.rows[asked.epoch - 1]["test"] == reached
    assert asked.oracle["emotion"] >= reached
    swapped = dict(data.parts)
    swapped["test"] = replace(test, labels={"emotion": 1 - test.labels["emotion"]})
    other, _ = fit(settings, data, parts=swapped, epochs=8, oracle=True)
    assert (other.epoch, other.score) == (asked.epoch, asked.score)
    assert other.oracle["emotion"] == pytest.approx(1 - min(row["test"] for row in asked.rows))


def two_headed():
    """Every second trial lacks one of its two labels; arousal follows the emotion."""
    group = trials(people=8, per_session=6, steps=6)
    for trial in group:
        trial.labels["arousal"] = 2 * trial.labels["emotion"]
        if trial.trial in (2, 3):
            del trial.labels["emotion"]
        if trial.trial in (4, 5):
            del trial.labels["arousal"]
    settings = training_settings(heads=HEADS)
    return settings, unit(settings, from_steps(group, 1.0, SIZES))


def test_several_heads_learn_together_though_labels_are_missing():
    settings, data = two_headed()
    fitted, before = fit(settings, data, epochs=15, oracle=True)
    assert changed(fitted, before) == {"heads"}
    assert set(fitted.oracle) == set(HEADS)
    test = data.parts["test"]
    logits = head_logits(fitted.network, test.features["eye"])
    for head, n_classes in (("emotion", 2), ("arousal", 3)):
        assert logits[head].shape == (len(test), n_classes)
        labelled = test.labels[head] >= 0
        assert 0 < labelled.sum() < len(test)
        guesses = logits[head].argmax(axis=1)[labelled]
        reached = mean_over_subjects(
            test.labels[head][labelled], guesses, test.subjects[labelled], n_classes
        )
        assert reached > 0.8
        assert fitted.oracle[head] >= reached


def test_a_head_without_labels_in_a_batch_or_at_all_is_passed_over():
    settings, data = two_headed()
    parts = {
        name: replace(part, labels=part.labels | {"arousal": np.full(len(part), -1)})
        for name, part in data.parts.items()
    }
    fitted, _ = fit(settings, data, parts=parts)
    state = fitted.network.heads["arousal"].state_dict()
    assert int(state["norm.num_batches_tracked"]) == 0
    assert all(torch.isfinite(value).all() for value in fitted.network.state_dict().values())
    assert fitted.score == fitted.rows[fitted.epoch - 1]["validation"]


def test_class_weights_give_each_class_the_same_say():
    labels = torch.tensor([0] * 6 + [1] * 2 + [-1] * 5)
    weights = class_weights(labels, 3, "balanced")
    assert weights.tolist() == pytest.approx([8 / 12, 8 / 4, 0.0])  # the third never occurs
    assert float(sum(weights[label] for label in labels if label >= 0)) == pytest.approx(8)
    assert class_weights(labels, 3, "none") is None


def test_balanced_weights_help_the_rare_class(settings):
    group = [
        trial
        for trial in trials(people=10, per_session=8, steps=5, effect=0.25)
        if trial.labels["emotion"] or trial.trial == 2
    ]
    data = unit(settings, from_steps(group, 1.0, SIZES))
    chances = {}
    for kind in ("balanced", "none"):
        fitted, _ = fit(settings, data, class_weight=kind, select="last", epochs=10)
        test = data.parts["test"]
        rare = test.labels["emotion"] == 0
        logits = head_logits(fitted.network, test.features["eye"])["emotion"][rare]
        chances[kind] = softmax(logits, axis=1)[:, 0].mean()
    assert chances["balanced"] > chances["none"]


@pytest.mark.parametrize("per_class", [1, 2])
def test_fewer_labels_keep_so_many_trials_of_each_class(data, per_class):
    train = data.parts["train"]
    fewer = fewer_labels(train, "emotion", per_class, seed=3)
    kept = fewer.labels["emotion"] >= 0
    for label in (0, 1):
        assert len(np.unique(fewer.trials[kept & (fewer.labels["emotion"] == label)])) == per_class
    np.testing.assert_array_equal(fewer.labels["emotion"][kept], train.labels["emotion"][kept])
    assert all(kept[fewer.trials == trial].all() for trial in np.unique(fewer.trials[kept]))  # whole trials
    assert len(fewer) == len(train)  # unlabelled windows stay
    again = fewer_labels(train, "emotion", per_class, seed=3)
    np.testing.assert_array_equal(again.labels["emotion"], fewer.labels["emotion"])
    others = [fewer_labels(train, "emotion", per_class, seed=seed).labels["emotion"] for seed in range(6)]
    assert any((other != fewer.labels["emotion"]).any() for other in others)
    assert fewer_labels(train, "emotion", 0, seed=3) is train


def test_only_windows_with_the_modality_and_a_label_train(settings, data):
    parts = dict(data.parts)
    train = parts["train"]
    nonsense = train.take(np.arange(len(train)))
    nonsense.features["eye"][::3] = 1e6
    nonsense.present["eye"][::3] = False
    labels = nonsense.labels["emotion"].copy()
    labels[1::3] = -1
    parts["train"] = replace(nonsense, labels={"emotion": labels})
    fitted, _ = fit(settings, data, parts=parts)
    parts["train"] = train.take(np.arange(2, len(train), 3))
    expected, _ = fit(settings, data, parts=parts)
    assert fitted.rows == expected.rows


def test_no_labels_or_batches_are_refused(settings, data):
    none = {"emotion": np.full(len(data.parts["validation"]), -1)}
    parts = data.parts | {"validation": replace(data.parts["validation"], labels=none)}
    with pytest.raises(TrainingError, match="eye: no labelled validation windows are left"):
        fit(settings, data, parts=parts)
    gone = data.parts["train"].take(np.arange(0))
    with pytest.raises(TrainingError, match="eeg: no labelled train windows are left"):
        fit(settings, data, modality="eeg", parts=data.parts | {"train": gone})
    with pytest.raises(TrainingError, match="windows are too few for a batch of 4096"):
        fit(settings, data, batch=4096, last_batch="drop")


def test_label_smoothing_is_that_of_the_cross_entropy(settings, data):
    hard, _ = fit(settings, data, epochs=1)
    soft, _ = fit(settings, data, epochs=1, label_smoothing=0.2)
    assert soft.rows[0]["loss"] != hard.rows[0]["loss"]


def test_large_sets_are_projected_in_parts(settings, data, monkeypatch):
    network = fresh_networks(job(settings))["eeg"].eval()
    features = data.parts["test"].features["eeg"]
    whole = project(network, features)
    monkeypatch.setattr(module, "SIZE", 7)
    np.testing.assert_allclose(project(network, features), whole, atol=1e-6)
    assert whole.shape == (len(features), 6)
    assert head_logits(network, features[:0])["emotion"].shape == (0, 2)


def test_a_network_of_the_contract_is_what_is_trained(settings, data):
    fitted, _ = fit(settings, data, epochs=1)
    assert (
        fitted.network.state_dict().keys() == modality_network(settings.contract, "eye").state_dict().keys()
    )
