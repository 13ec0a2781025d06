"""Ways to train a classifier for each modality of a split: the method itself, and its controls.

pretrained   encoders as pre-trained, frozen; classifiers on labels
random       the same with encoders as initialised: the figure that pre-training has to exceed
supervised   encoders as initialised, trained with the classifier on labels
permuted     as pretrained, with the training labels shuffled between trials: expected at chance
linear       logistic regression on the same windows, flattened
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression

from bci_m2s.errors import TrainingError
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method
from bci_m2s.training.methods.finetune import Fitted, fewer_labels, finetune
from bci_m2s.training.methods.pretrain import Job, Networks, fresh_networks
from bci_m2s.training.methods.readout import fit_readouts
from bci_m2s.training.results.metrics import mean_over_subjects
from bci_m2s.training.settings import FinetuneSettings

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse penalties of the linear model, chosen on validation
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
    return {
        name: finetune(network, parts, name, settings, job.seed, on_epoch)
        for name, network in networks.items()
    }


def labelled_parts(job: Job, data: UnitData, settings: FinetuneSettings) -> dict[str, WindowSet]:
    """The parts of a split, with at most ``trials_per_class`` labelled training trials of each class."""
    head = job.contract.first_head
    train = fewer_labels(data.parts["train"], head, settings.trials_per_class, job.seed)
    return {**data.parts, "train": train}


def _fit_pretrained(
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


def _fit_permuted(
    job: Job,
    data: UnitData,
    pretrained: Start,
    settings: FinetuneSettings,
    on_epoch: OnEpoch = lambda: None,
) -> dict[str, Fitted]:
    shuffled = {part: permuted_labels(windows, job.seed) for part, windows in data.parts.items()}
    shuffled["test"] = data.parts["test"]
    return fit_modalities(job, replace(data, parts=shuffled), pretrained(), settings, on_epoch)


def permuted_labels(windows: WindowSet, seed: int) -> WindowSet:
    """The windows with their labels exchanged between trials; windows of a trial keep one label."""
    trials, first = np.unique(windows.trials, return_index=True)
    order = np.random.default_rng(seed).permutation(len(trials))
    position = np.searchsorted(trials, windows.trials)
    labels = {head: rows[first][order][position] for head, rows in windows.labels.items()}
    return replace(windows, labels=labels)


def fit_linear(parts: Parts, modalities: tuple[str, ...], head: str) -> Fit:
    """Logistic regression with the penalty that is best on validation windows."""
    chosen = {part: windows.having(modalities, head) for part, windows in parts.items()}
    train, validation = chosen["train"], chosen["validation"]
    if not len(train) or not len(validation):
        raise TrainingError(f"linear model: no labelled windows with {' and '.join(modalities)}")
    n_classes = int(max(part.labels[head].max(initial=0) for part in chosen.values())) + 1
    fits = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000, class_weight="balanced")
        fitted = Fit(modalities, model.fit(train.flat(modalities), train.labels[head]))
        fits[fitted] = mean_over_subjects(
            validation.labels[head], fitted.predict(validation), validation.subjects, n_classes
        )
    return max(fits, key=lambda fitted: fits[fitted])


PRETRAINED = Method(fit=_fit_pretrained)
RANDOM = Method(fit=partial(_fit_fresh, True), pretrained=False, frozen=True)
SUPERVISED = Method(fit=partial(_fit_fresh, False), shared=False, pretrained=False)
PERMUTED = Method(fit=_fit_permuted)
LINEAR = Method(guess=fit_linear, draws=False, pretrained=False)
