"""Whether what a training file says of pre-training can be. Raises ConfigurationError, key first."""

from __future__ import annotations

from bci_m2s.errors import ConfigurationError
from bci_m2s.networks import complete_params
from bci_m2s.training.settings import TrainingSettings

PRETRAINED = ("pretrained", "permuted")  # methods that use what was pre-trained
PREDICTING = ("pairwise-cpc", "unicode-cpc")  # and those that pre-train themselves with CPC


def check_pretraining(settings: TrainingSettings) -> None:
    """Losses, predicted steps and causal encoders, where a method is pre-trained with these losses."""
    if not {*PRETRAINED, *PREDICTING} & {settings.finetune.method, *settings.controls}:
        return
    pretrain, steps = settings.pretrain, settings.contract.window.steps
    weights = pretrain.loss.weights
    terms = (weights.cpc, weights.contrastive, weights.vicreg, weights.reconstruction, weights.club)
    if pretrain.epochs and not any(terms):
        raise ConfigurationError("pretrain.loss.weights: got 0 for every term, expected one above 0")
    if pretrain.epochs and weights.cpc and pretrain.predictions >= steps:
        raise ConfigurationError(
            f"pretrain.predictions: got {pretrain.predictions}, "
            f"expected fewer than the window's {steps} steps"
        )
    for name in settings.pair:
        network = settings.contract.modalities[name].network
        is_causal = complete_params(network.name, network.params).get("causal", True)
        if pretrain.causal_only and not is_causal:
            raise ConfigurationError(
                f"contract.modalities.{name}.network.params.causal: got false, expected true: what CPC "
                "predicts must not be seen before (or pretrain.causal_only: false)"
            )
