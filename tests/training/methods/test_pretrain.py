"""Pre-training: the same seed gives the same bits, an interruption costs nothing, runaways stop."""

import math
from unittest import mock

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, job, training_settings, unit

from bci_m2s.errors import ContractError, ModelError, TrainingError
from bci_m2s.training.methods import members
from bci_m2s.training.methods import pretrain as module
from bci_m2s.training.methods.checkpoint import read_progress
from bci_m2s.training.methods.epochs import is_over, kept_epoch
from bci_m2s.training.methods.pretrain import (
    fresh_networks,
    load_pretrained,
    make_optimisers,
    pretrain,
    pretraining_model,
)
from bci_m2s.training.training_file import preset

TERMS = {"contrastive", "cpc", "reconstruction", "club_a", "club_b"}
RELEASED = {
    "sampler": "mixed",
    "last_batch": "keep",
    "causal_only": False,
    "layers_start": "copies",
    "club_learning_rate": 1e-4,
    "club_limit": None,
    "loss": {
        "max_logit_scale": math.inf,
        "mask_same_trial": False,
        "club_per_step": False,
        "club_derangement": False,
        "club_floor": False,
        "club_ceiling": math.inf,
    },
}


@pytest.fixture(scope="module")
def settings():
    return training_settings()


@pytest.fixture(scope="module")
def data(settings):
    return unit(settings, corpus(people=6, per_session=4, steps=6))


def run(settings, data, path, seed=0, on_epoch=lambda _epoch, _row: None, on_batch=lambda: None, **changes):
    """on_batch : called after each batch"""
    step = module._Run._step

    def counted(self, *arguments):
        row = step(self, *arguments)
        on_batch()
        return row

    with mock.patch.object(module._Run, "_step", counted):
        parts = data.parts["train"], data.parts["validation"]
        return pretrain(job(settings, seed, **changes), *parts, path, on_epoch=on_epoch)


def weights(networks):
    return {
        f"{name}.{key}": value for name in networks for key, value in networks[name].state_dict().items()
    }


def same(networks, others):
    first, other = weights(networks), weights(others)
    assert first.keys() == other.keys()
    return all(torch.equal(first[key], other[key]) for key in first)


def losses(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the checkpoint of ``whole`` is."""
    return tmp_path_factory.mktemp("whole") / "a.safetensors"


@pytest.fixture(scope="module")
def whole(settings, data, kept):
    """Networks and rows of a run that nothing interrupts."""
    return run(settings, data, kept)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(settings, data, tmp_path, whole):
    first, rows = whole
    torch.manual_seed(99)  # what was drawn before does not matter
    second, again = run(settings, data, tmp_path / "b.safetensors")
    other, _ = run(settings, data, tmp_path / "c.safetensors", seed=1)
    assert same(first, second)
    assert losses(rows) == losses(again)
    assert not same(first, other)
    assert not any(network.training for network in first.values())


@pytest.mark.parametrize("recipe", [{}, RELEASED], ids=["sound", "released"])
def test_an_interrupted_run_goes_on_to_the_same_weights_bit_for_bit(settings, data, tmp_path, recipe):
    recipe = {"epochs": 2, "batch": 6, **recipe}
    whole, rows = run(settings, data, tmp_path / "whole.safetensors", **recipe)
    path = tmp_path / "parts.safetensors"
    batches = 0

    def stop():
        nonlocal batches
        batches += 1
        if batches == 6:  # four batches an epoch: in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, data, path, on_batch=stop, **recipe)
    assert read_progress(path).epoch == 1
    assert losses(read_progress(path).rows) == losses(rows[:1])
    torch.manual_seed(5)
    resumed, again = run(settings, data, path, **recipe)
    assert same(whole, resumed)
    assert losses(again) == losses(rows)
    assert same(load_pretrained(job(settings, **recipe), path), whole)


def test_an_interruption_in_the_first_epoch_leaves_a_checkpoint_of_none(settings, data, tmp_path, whole):
    path = tmp_path / "pretrain.safetensors"

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings, data, path, on_batch=stop)
    assert read_progress(path).epoch == 0
    with pytest.raises(ModelError, match=r"stopped after epoch 0 of 2; continue with pretrain --resume"):
        load_pretrained(job(settings), path)
    assert same(run(settings, data, path)[0], whole[0])


def test_no_epochs_leave_the_encoders_as_initialised(settings, data, tmp_path):
    path = tmp_path / "pretrain.safetensors"
    networks, rows = run(settings, data, path, epochs=0)
    assert rows == []
    assert same(networks, fresh_networks(job(settings)))
    assert same(load_pretrained(job(settings, epochs=0), path), networks)


def test_a_finished_run_is_not_trained_further(settings, data, whole, kept):
    before = kept.read_bytes()
    calls = []
    again, rows = run(settings, data, kept, on_epoch=lambda epoch, _row: calls.append(epoch))
    assert same(whole[0], again)
    assert calls == []
    assert len(rows) == 2
    assert kept.read_bytes() == before


@pytest.mark.parametrize("changes", [{"learning_rate": 2e-3}, {"loss": {"weights": {"cpc": 0.5}}}])
def test_a_checkpoint_of_other_settings_is_refused(settings, data, tmp_path, changes):
    path = tmp_path / "pretrain.safetensors"
    run(settings, data, path, epochs=1)
    with pytest.raises(ModelError, match="was made with other settings"):
        run(settings, data, path, epochs=1, **changes)
    with pytest.raises(ModelError, match="was made with other settings"):
        run(settings, data, path, epochs=1, seed=1)


def test_something_else_in_place_of_a_checkpoint_is_refused(settings, data, tmp_path):
    path = tmp_path / "pretrain.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"pretrain\.safetensors"):
        run(settings, data, path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_pretrained(job(settings), tmp_path / "none.safetensors")


@pytest.mark.parametrize("off", ["contrastive", "cpc", "reconstruction", "club"])
def test_each_loss_can_be_switched_off(settings, data, tmp_path, off):
    run_settings = {"epochs": 1, "loss": {"weights": {off: 0.0}}}
    _, (row,) = run(settings, data, tmp_path / "a.safetensors", **run_settings)
    gone = {name for name in TERMS if name.startswith(off)}
    assert row.keys() & TERMS == TERMS - gone
    assert not any(name.removeprefix("validation_") in gone for name in row)
    assert ("club_fit" in row) == (off != "club")
    kept = {"contrastive": 1.0, "cpc": 1.0, "reconstruction": 0.1, "club_a": 0.3, "club_b": 0.3}
    if off == "club":  # without CLUB's limits the total is the weighted sum of the means
        assert row["total"] == pytest.approx(sum(kept[name] * row[name] for name in TERMS - gone), rel=1e-5)


def test_a_part_that_no_loss_trains_stays_as_it_was(settings, data, tmp_path):
    """Reconstruction alone never touches the projection; contrastive alone does."""
    only = {"cpc": 0.0, "club": 0.0}
    start = fresh_networks(job(settings))
    for off, moved in (("contrastive", False), ("reconstruction", True)):
        changes = {"epochs": 1, "weight_decay": 0.0, "loss": {"weights": {**only, off: 0.0}}}
        networks, _ = run(settings, data, tmp_path / f"{off}.safetensors", **changes)
        for name in PAIR:
            before, after = start[name].projection.linear.weight, networks[name].projection.linear.weight
            assert torch.equal(before, after) != moved
            assert not torch.equal(start[name].encoder.affine.weight, networks[name].encoder.affine.weight)


def test_the_classifiers_are_left_alone(settings, data, tmp_path):
    networks, _ = run(settings, data, tmp_path / "a.safetensors", epochs=1)
    start = fresh_networks(job(settings))
    for name in PAIR:
        for key, value in networks[name].heads.state_dict().items():
            assert torch.equal(value, start[name].heads.state_dict()[key])


@pytest.mark.nightly
def test_contrastive_learning_finds_partners(data, tmp_path):
    settings = training_settings(pretrain={"epochs": 15, "batch": 32, "learning_rate": 1e-2})
    _, rows = run(settings, data, tmp_path / "a.safetensors")
    assert rows[-1]["contrastive"] < 0.7 * rows[0]["contrastive"]
    assert rows[-1]["validation_contrastive"] < 0.7 * rows[0]["validation_contrastive"]
    assert rows[-1]["reconstruction"] < rows[0]["reconstruction"]
    rates = [row["learning_rate"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    # the last batch of all: one of two in the last epoch remained
    assert rates[-1] == pytest.approx(1e-2 * (1 + math.cos(math.pi * 14.5 / 15)) / 2)


def test_layers_start_independent_or_as_copies(settings):
    deep = training_settings()
    for name in PAIR:
        deep.contract.modalities[name].network.params["depth"] = 2
    for start, alike in (("copies", True), ("independent", False)):
        networks = fresh_networks(job(deep, layers_start=start))
        for name in PAIR:
            first, second = (layer.state_dict() for layer in networks[name].encoder.layers)
            assert all(torch.equal(first[key], second[key]) for key in first) == alike
    assert same(fresh_networks(job(settings, 4)), fresh_networks(job(settings, 4)))
    assert not same(fresh_networks(job(settings, 4)), fresh_networks(job(settings, 5)))


def test_the_optimisers_share_nothing_and_hold_no_classifier(settings):
    networks = fresh_networks(job(settings))
    model = pretraining_model(job(settings), networks)
    optimisers = make_optimisers(model, settings.pretrain)
    held = {
        name: {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        for name, optimiser in optimisers.items()
    }
    assert not held["main"] & held["club"]
    assert held["main"] | held["club"] == {id(parameter) for parameter in model.parameters()}
    for network in networks.values():
        assert not {id(parameter) for parameter in network.heads.parameters()} & (
            held["main"] | held["club"]
        )


def test_a_club_term_that_runs_away_stops_training_and_keeps_the_last_good_checkpoint(
    settings, data, tmp_path
):
    path = tmp_path / "pretrain.safetensors"
    changes = {"epochs": 6, "club_learning_rate": 1e-2, "loss": {"club_ceiling": 1e-9}}
    _, rows = run(settings, data, tmp_path / "free.safetensors", club_limit=None, **changes)
    clubs = [0.3 * (max(0.0, row["club_a"]) + max(0.0, row["club_b"])) for row in rows]
    late = next(i for i, value in enumerate(clubs) if i and value > max(clubs[:i]))
    limit = (max(clubs[:late]) + clubs[late]) / 2  # crossed in that epoch and not before
    with pytest.raises(
        TrainingError, match=f"epoch {late + 1}: the weighted CLUB terms average .*club_limit"
    ):
        run(settings, data, path, club_limit=limit, **changes)
    assert read_progress(path).epoch == late
    assert all(math.isfinite(value) for row in read_progress(path).rows for value in row.values())


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_last_good_checkpoint(
    settings, data, tmp_path, monkeypatch, whole
):
    path = tmp_path / "pretrain.safetensors"
    honest = members.pair_terms
    calls = 0

    def broken(*arguments, **options):
        nonlocal calls
        calls += 1
        terms = honest(*arguments, **options)
        if calls == 6:  # of an epoch's two batches and two of validation: in the second epoch
            terms["cpc"] = terms["cpc"] * math.nan
        return terms

    monkeypatch.setattr(members, "pair_terms", broken)
    with pytest.raises(TrainingError, match=r"epoch 2: .* is not finite: lower learning_rate"):
        run(settings, data, path)
    progress = read_progress(path)
    assert progress.epoch == 1
    monkeypatch.undo()
    assert same(run(settings, data, path)[0], whole[0])


def test_encoders_that_see_the_future_are_refused_unless_allowed(data, tmp_path):
    settings = training_settings()
    settings.contract.modalities["eye"].network.params["causal"] = False
    with pytest.raises(ContractError, match="causal"):
        run(settings, data, tmp_path / "a.safetensors", epochs=1)
    run(settings, data, tmp_path / "a.safetensors", epochs=1, causal_only=False)


def test_windows_of_one_modality_are_no_pairs(settings, data, tmp_path):
    train = data.parts["train"]
    alone = train.take(np.arange(len(train)))
    alone.present["eye"][1:] = False
    with pytest.raises(TrainingError, match="got 1 windows with both eeg and eye, expected at least 2"):
        pretrain(job(settings), alone, data.parts["validation"], tmp_path / "a.safetensors")


def test_validation_is_not_needed_and_never_trained_on(settings, data, tmp_path):
    with_it, rows = run(settings, data, tmp_path / "a.safetensors", select="last")
    none = data.parts["validation"].take(np.arange(0))
    without, other = pretrain(job(settings), data.parts["train"], none, tmp_path / "b.safetensors")
    assert same(with_it, without)
    assert {name for name in rows[0] if name.startswith("validation")} == {
        "validation_contrastive",
        "validation_cpc",
        "validation_reconstruction",
        "validation_club_a",
        "validation_club_b",
        "validation_matched",
        "validation_matched_chance",
    }
    assert not any(name.startswith("validation") for name in other[0])


def row_of(loss, **more):
    return {"validation_contrastive": loss, "validation_cpc": 9.0 - loss, **more}


def test_the_epoch_with_the_lowest_loss_on_validation_pairs_is_kept(settings):
    rows = [row_of(loss) for loss in (3.0, 1.0, 2.0, 1.0)]
    kept = job(settings, epochs=9).settings
    assert kept_epoch(rows, kept) == 2  # the first of equals
    assert kept_epoch(rows, kept.model_copy(update={"select": "last"})) == 4
    assert kept_epoch([{"contrastive": 1.0}] * 3, kept) == 3  # nobody validates
    assert kept_epoch([{"validation_cpc": 1.0}, {"validation_cpc": 2.0}], kept) == 1  # one signal alone
    assert kept_epoch([], kept) == 0
    weighted = [row_of(1.0, validation_vicreg=3.0), row_of(2.0, validation_vicreg=1.0)]
    shared = job(settings, loss={"weights": {"vicreg": 1.0}}).settings
    assert kept_epoch(weighted, shared) == 2
    assert not is_over(rows, kept)
    assert is_over(rows, kept.model_copy(update={"patience": 2}))
    assert not is_over(rows, kept.model_copy(update={"patience": 3}))
    assert is_over(rows, kept.model_copy(update={"stop_after": 4}))


def test_what_is_kept_is_that_epochs_also_after_an_interruption(settings, data, tmp_path, monkeypatch):
    """Validation losses as told: the second epoch of four is the best, and patience ends after it."""
    told = [3.0, 1.0, 2.0, 2.5]

    def run_told(path, stop=0, **changes):
        def on_epoch(epoch, _row):
            if epoch == stop:
                raise KeyboardInterrupt

        return run(settings, data, path, on_epoch=on_epoch, epochs=4, batch=16, **changes)

    honest = module._Run.epoch

    def epoch(self, number):
        return honest(self, number) | {"validation_contrastive": told[number]}

    monkeypatch.setattr(module._Run, "epoch", epoch)
    kept, rows = run_told(tmp_path / "a.safetensors")
    two, _ = run_told(tmp_path / "b.safetensors", select="last", stop_after=2)
    assert len(rows) == 4
    assert same(kept, two)
    assert same(load_pretrained(job(settings, epochs=4, batch=16), tmp_path / "a.safetensors"), kept)
    path = tmp_path / "d.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run_told(path, stop=3)
    resumed, again = run_told(path)
    assert same(resumed, kept)
    assert losses(again) == losses(rows)
    patient, few = run_told(tmp_path / "e.safetensors", patience=1)
    assert len(few) == 3
    assert same(patient, kept)


def test_the_share_of_batches_at_the_ceiling_of_club_is_logged(settings, data, tmp_path):
    for ceiling, share in ((1e-9, 1.0), (math.inf, 0.0)):
        changes = {"club_learning_rate": 1e-2, "club_limit": None, "epochs": 4}
        _, rows = run(
            settings, data, tmp_path / f"{ceiling}.safetensors", loss={"club_ceiling": ceiling}, **changes
        )
        assert rows[-1]["club_at_ceiling"] == pytest.approx(share, abs=0.5)
        if not share:
            assert all(row["club_at_ceiling"] == 0 for row in rows)


def test_the_club_estimators_have_the_weight_decay_that_is_set(settings):
    for decay in (0.0, 1e-3):
        task = job(settings, club_weight_decay=decay)
        optimisers = make_optimisers(pretraining_model(task, fresh_networks(task)), task.settings)
        assert {group["weight_decay"] for group in optimisers["club"].param_groups} == {decay}
    released = preset("released-cross-subject")["pretrain"]
    assert released["club_weight_decay"] == released["weight_decay"] == 1e-3


def test_dropout_is_on_in_training_and_off_in_validation(settings, data, tmp_path, monkeypatch):
    honest, seen = members.pair_terms, []

    def spy(model, *arguments, **options):
        seen.append(model.training)
        return honest(model, *arguments, **options)

    monkeypatch.setattr(members, "pair_terms", spy)
    run(settings, data, tmp_path / "a.safetensors")
    assert seen == [True, True, False, False] * 2  # two batches of training and of validation an epoch


@pytest.mark.parametrize("sampler", ["mixed", "within-person", "within-session"])
def test_every_sampler_trains_and_progress_is_reported(settings, data, tmp_path, sampler):
    epochs, batches = [], []
    _, rows = run(
        settings,
        data,
        tmp_path / "a.safetensors",
        on_epoch=lambda epoch, row: epochs.append((epoch, row)),
        on_batch=lambda: batches.append(1),
        sampler=sampler,
        batch=8,
    )
    assert [epoch for epoch, _ in epochs] == [1, 2]
    assert [row for _, row in epochs] == rows
    assert len(batches) == 2 * (len(data.parts["train"]) // 8 if sampler == "mixed" else 2)
