"""Whether what a training file says of pre-training can be. Raises ConfigurationError, key first."""

from __future__ import annotations

from collections.abc import Iterator

from bci_m2s.errors import ConfigurationError
from bci_m2s.networks import complete_params
from bci_m2s.training.methods import METHODS
from bci_m2s.training.settings import TrainingSettings


def check_pretraining(settings: TrainingSettings) -> None:
    """Losses, predicted steps and causal encoders, where a method is pre-trained with these losses."""
    for problem in _problems(settings):  # only then, since looking at methods loads their libraries
        methods = [METHODS[name] for name in (settings.finetune.method, *settings.controls)]
        if any(method.pretrained or method.predicts for method in methods):
            raise ConfigurationError(problem)


def _problems(settings: TrainingSettings) -> Iterator[str]:
    pretrain, steps = settings.pretrain, settings.contract.window.steps
    weights = pretrain.loss.weights
    terms = (weights.cpc, weights.contrastive, weights.vicreg, weights.reconstruction, weights.club)
    if pretrain.epochs and not any(terms):
        yield "pretrain.loss.weights: got 0 for every term, expected one above 0"
    if pretrain.epochs and weights.cpc and pretrain.predictions >= steps:
        yield (
            f"pretrain.predictions: got {pretrain.predictions}, "
            f"expected fewer than the window's {steps} steps"
        )
    for name in settings.pair:
        network = settings.contract.modalities[name].network
        is_causal = complete_params(network.name, network.params).get("causal", True)
        if pretrain.causal_only and not is_causal:
            yield (
                f"contract.modalities.{name}.network.params.causal: got false, expected true: what CPC "
                "predicts must not be seen before (or pretrain.causal_only: false)"
            )
