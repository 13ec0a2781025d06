"""What cannot be pre-trained is said before anything is computed."""

import pytest
from support.small_pairs import training_settings

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.check.pretraining import check_pretraining
from bci_m2s.training.methods import METHODS, Method

ALL_OFF = {"contrastive": 0, "cpc": 0, "reconstruction": 0, "club": 0}


@pytest.mark.parametrize(
    ("names", "pretrain", "words"),
    [
        (
            ["eeg"],
            {"predictions": 4},
            "pretrain.predictions: got 4, expected fewer than the window's 4 steps",
        ),
        (["eeg", "eye"], {"predictions": 5}, "pretrain.predictions: got 5, expected fewer than"),
        (["eeg"], {"loss": {"weights": {"cpc": 0}}}, "weights: got 0 for every term, expected one above 0"),
        (["eeg", "eye"], {"loss": {"weights": ALL_OFF}}, "weights: got 0 for every term"),
    ],
)
def test_losses_that_cannot_be(names, pretrain, words):
    with pytest.raises(ConfigurationError, match=words):
        check_pretraining(training_settings(names=names, pretrain=pretrain))
    check_pretraining(training_settings(names=names, pretrain={**pretrain, "epochs": 0}))
    check_pretraining(training_settings(names=names, pretrain=pretrain, finetune={"method": "supervised"}))


def test_an_encoder_that_has_seen_the_future_is_named():
    settings = training_settings(names=["eeg", "eye", "skin"])
    settings.contract.modalities["skin"].network.params["causal"] = False
    with pytest.raises(ConfigurationError, match=r"modalities\.skin\.network\.params\.causal: got false"):
        check_pretraining(settings)
    free = settings.pretrain.model_copy(update={"causal_only": False})
    check_pretraining(settings.model_copy(update={"pretrain": free}))


@pytest.mark.parametrize("method", ["pairwise-cpc", "unicode-cpc"])
def test_other_methods_with_cpc_are_looked_at_too(method):
    settings = training_settings(finetune={"method": method}, pretrain={"predictions": 4})
    with pytest.raises(ConfigurationError, match=r"pretrain\.predictions: got 4, expected fewer"):
        check_pretraining(settings)
    check_pretraining(training_settings(finetune={"method": method[:-4]}, pretrain={"predictions": 4}))


def test_a_method_of_another_package_says_itself_that_it_predicts(monkeypatch):
    settings = training_settings(finetune={"method": "linear"}, pretrain={"predictions": 4})
    check_pretraining(settings)
    monkeypatch.setitem(
        METHODS._loaded, "linear", Method(learn=lambda *_: None, pretrained=False, predicts=True)
    )
    with pytest.raises(ConfigurationError, match=r"pretrain\.predictions: got 4, expected fewer"):
        check_pretraining(settings)


def test_vicreg_alone_is_enough():
    check_pretraining(training_settings(pretrain={"loss": {"weights": {**ALL_OFF, "vicreg": 1}}}))
