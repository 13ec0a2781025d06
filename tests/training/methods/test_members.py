"""One modality predicts its own future; of three every pair takes its turn, with one encoder each."""

import numpy as np
import pytest
import torch
from support.small_pairs import THREE, corpus, job, training_settings, unit

from bci_m2s.errors import ContractError, TrainingError
from bci_m2s.training.methods.pretrain import fresh_networks, load_pretrained, pretrain, pretraining_model

PAIRS = ("eeg+eye", "eeg+skin", "eye+skin")


def of(names):
    settings = training_settings(names=names)
    sessions = corpus({name: THREE[name] for name in names}, people=6, per_session=4, steps=6)
    return settings, unit(settings, sessions)


def run(settings, data, path, **changes):
    return pretrain(job(settings, **changes), data.parts["train"], data.parts["validation"], path)


def moved(settings, networks, part):
    """Which modalities' weights of a part are no longer as initialised."""
    start = fresh_networks(job(settings))
    return {
        name
        for name, network in networks.items()
        if not all(
            torch.equal(value, start[name].get_submodule(part).state_dict()[key])
            for key, value in network.get_submodule(part).state_dict().items()
        )
    }


@pytest.fixture(scope="module", params=["eeg", "eye"])
def one(request):
    return of([request.param])


@pytest.fixture(scope="module")
def three():
    return of(list(THREE))


class TestOne:
    def test_the_encoder_learns_what_comes_next(self, one, tmp_path):
        settings, data = one
        changes = {"epochs": 4, "learning_rate": 1e-2}
        networks, rows = run(settings, data, tmp_path / "a.safetensors", **changes)
        assert rows[-1]["validation_cpc"] < rows[0]["validation_cpc"]
        assert rows[-1]["total"] == pytest.approx(rows[-1]["cpc"])
        assert not {name for name in rows[0] if name.startswith(("club", "contrast", "recon", "logit"))}
        assert moved(settings, networks, "encoder") == set(settings.pair)
        assert not moved(settings, networks, "heads")
        again, _ = run(settings, data, tmp_path / "b.safetensors", **changes)
        kept = load_pretrained(job(settings, **changes), tmp_path / "a.safetensors")
        for name, network in networks.items():
            for key, value in network.state_dict().items():
                assert torch.equal(value, again[name].state_dict()[key])
                assert torch.equal(value, kept[name].state_dict()[key])

    def test_a_loss_between_modalities_is_refused(self):
        for name in ("contrastive", "reconstruction", "club", "cpc_cross"):
            with pytest.raises(
                ContractError, match=rf"loss\.weights\.{name}: got 0.5, expected 0, since eeg"
            ):
                training_settings(names=["eeg"], pretrain={"loss": {"weights": {name: 0.5}}})

    def test_an_encoder_that_has_seen_the_future_is_refused(self):
        settings = training_settings(names=["eye"])
        settings.contract.modalities["eye"].network.params["causal"] = False
        with pytest.raises(ContractError, match="causal: got false"):
            pretraining_model(job(settings), fresh_networks(job(settings)))

    def test_no_windows_are_said(self, one, tmp_path):
        settings, data = one
        none = data.parts["train"].take(np.empty(0, dtype=np.int64))
        with pytest.raises(
            TrainingError, match=rf"got 0 windows with {settings.pair[0]}, expected at least 2"
        ):
            pretrain(job(settings), none, none, tmp_path / "a.safetensors")


class TestThree:
    def test_every_pair_is_trained_and_shares_its_encoders(self, three, tmp_path):
        settings, data = three
        networks, rows = run(settings, data, tmp_path / "a.safetensors", epochs=2, learning_rate=1e-2)
        for pair in PAIRS:
            name = f"contrastive {pair}"
            assert rows[-1][name] < rows[0][name]
            assert f"validation_matched {pair}" in rows[-1]
        of_pairs = [rows[-1][f"contrastive {pair}"] for pair in PAIRS]
        assert rows[-1]["contrastive"] == pytest.approx(np.mean(of_pairs))
        assert moved(settings, networks, "encoder") == moved(settings, networks, "projection") == set(THREE)
        model = pretraining_model(job(settings), fresh_networks(job(settings)))
        first, second, third = model.pairs
        assert first.a is second.a
        assert first.b is third.a
        assert second.b is third.b

    def test_an_interrupted_run_goes_on_to_the_same_weights(self, three, tmp_path):
        settings, data = three
        whole, _ = run(settings, data, tmp_path / "whole.safetensors")

        def stop(*_):
            raise KeyboardInterrupt

        path, parts = tmp_path / "parts.safetensors", (data.parts["train"], data.parts["validation"])
        with pytest.raises(KeyboardInterrupt):
            pretrain(job(settings), *parts, path, on_epoch=stop)
        resumed, _ = pretrain(job(settings), *parts, path)
        for name, network in whole.items():
            for key, value in network.state_dict().items():
                assert torch.equal(value, resumed[name].state_dict()[key])

    def test_a_window_needs_the_two_of_its_pair_only(self, three, tmp_path):
        """Skin is known in half of the windows; EEG and eyes learn from all of them nevertheless."""
        settings, data = three
        windows = data.parts["train"]
        some = np.arange(len(windows)) % 2 == 0
        partly = windows.__class__(**{**vars(windows), "present": {**windows.present, "skin": some}})
        none = windows.take(np.empty(0, dtype=np.int64))
        _, (row,) = pretrain(job(settings, epochs=1), partly, none, tmp_path / "a.safetensors")
        assert {f"contrastive {pair}" for pair in PAIRS} <= row.keys()
        never = windows.__class__(**{**vars(windows), "present": {**windows.present, "skin": ~some & some}})
        with pytest.raises(TrainingError, match="got 0 windows with both eeg and skin"):
            pretrain(job(settings), never, none, tmp_path / "b.safetensors")
