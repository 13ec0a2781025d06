"""Ways to train a classifier for each modality of a split: the method itself, and controls with networks.

pretrained   encoders as pre-trained, frozen; classifiers on labels
random       the same with encoders as initialised: the figure that pre-training has to exceed
supervised   encoders as initialised, trained with the classifier on labels
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Method
from bci_m2s.training.methods.across import Other, others_of
from bci_m2s.training.methods.finetune import Fitted, fewer_labels, finetune
from bci_m2s.training.methods.linear_beside import with_linear
from bci_m2s.training.methods.logistic import fit_logistic_classifiers
from bci_m2s.training.methods.pretrain import Job, Networks, fresh_networks
from bci_m2s.training.methods.readout import fit_readouts
from bci_m2s.training.methods.stage_settings import FinetuneSettings

Parts = Mapping[str, WindowSet]
Start = Callable[[], Networks]
OnEpoch = Callable[[], None]


def fit_modalities(
    job: Job,
    data: UnitData,
    networks: Networks,
    settings: FinetuneSettings,
    on_epoch: OnEpoch = lambda: None,
) -> dict[str, Fitted]:
    """Train a classifier on each modality's labels; `networks` are changed."""
    parts = labelled_parts(job, data, settings)
    if settings.readout and settings.freeze:  # not of a control that trains encoders
        fit_readouts(networks, data.parts["train"], settings.readout)
    others = others_of(networks, parts, settings)
    return {
        name: train_classifiers(network, parts, name, settings, job.seed, on_epoch, others)
        for name, network in networks.items()
    }


def train_classifiers(
    network: SingleModality,
    parts: Parts,
    modality: str,
    settings: FinetuneSettings,
    seed: int,
    on_epoch: OnEpoch = lambda: None,
    others: Mapping[str, Other] = MappingProxyType({}),
) -> Fitted:
    """Train a network's classifiers as ``finetune.classifier`` and ``linear`` say; `network` is changed.

    Where labels train the encoder too, it is always epoch by epoch, with nothing beside.
    """
    if settings.classifier == "logistic" and settings.freeze:
        fitted = fit_logistic_classifiers(network, parts, modality, settings.class_weight)
        on_epoch()
    else:
        fitted = finetune(network, parts, modality, settings, seed, on_epoch, others)
    return with_linear(fitted, parts, modality) if settings.linear and settings.freeze else fitted


def labelled_parts(job: Job, data: UnitData, settings: FinetuneSettings) -> dict[str, WindowSet]:
    """The parts of a split, with at most ``trials_per_class`` labelled training trials of each class."""
    head = job.contract.first_head
    train = fewer_labels(data.parts["train"], head, settings.trials_per_class, job.seed)
    return {**data.parts, "train": train}


def fit_pretrained(
    job: Job,
    data: UnitData,
    pretrained: Start,
    settings: FinetuneSettings,
    on_epoch: OnEpoch = lambda: None,
) -> dict[str, Fitted]:
    return fit_modalities(job, data, pretrained(), settings, on_epoch)


def _fit_fresh(
    freeze: bool,
    job: Job,
    data: UnitData,
    _: Start,
    settings: FinetuneSettings,
    on_epoch: OnEpoch = lambda: None,
) -> dict[str, Fitted]:
    settings = settings.model_copy(update={"freeze": freeze})
    return fit_modalities(job, data, fresh_networks(job), settings, on_epoch)


PRETRAINED = Method(fit=fit_pretrained)
RANDOM = Method(fit=partial(_fit_fresh, True), pretrained=False, frozen=True)
SUPERVISED = Method(fit=partial(_fit_fresh, False), shared=False, pretrained=False)
