"""The oracle across modalities: what choosing a classifier on the test windows of another one gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import Part, projections
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.metrics import mean_over_subjects


@dataclass(frozen=True)
class Other:
    """A modality whose networks labels do not change, to be judged by the classifiers of another.

    test : its labelled test windows; projected : of them, (n, P)
    unlabelled : projections of its training windows, (m, P), whose statistics the batch normalisation gets;
        None where it keeps its own
    """

    test: Part
    projected: Tensor
    unlabelled: Tensor | None

    @torch.no_grad()
    def scores(self, heads: nn.ModuleDict) -> dict[str, float]:
        """Balanced accuracy, mean over people, of every head that has labels."""
        heads = copy.deepcopy(heads).eval()
        found = {}
        for head, classifier in heads.items():
            if self.unlabelled is not None:
                assert isinstance(classifier, Classifier)
                adapt_norm(classifier, self.unlabelled)
            labels = self.test.labels[head]
            known = labels >= 0
            if known.any():
                logits = classifier(self.projected[known])
                guesses = logits.argmax(dim=1).numpy()
                people = self.test.subjects[known.numpy()]
                found[head] = mean_over_subjects(labels[known].numpy(), guesses, people, logits.shape[1])
        return found


def others_of(
    networks: Mapping[str, SingleModality], parts: Mapping[str, WindowSet], settings: FinetuneSettings
) -> dict[str, Other]:
    """Every modality that has test windows, where the oracle is asked for and encoders stay as they are."""
    if not settings.oracle or not settings.freeze or settings.frozen_dropout or len(networks) < 2:
        return {}
    found = {}
    for name, network in networks.items():
        test = Part.of(parts["test"], name)
        if len(test):
            unlabelled = None
            if settings.adapt_norm:
                seen = parts["train"].having([name]).features[name]
                unlabelled = projections(network, torch.from_numpy(seen)) if len(seen) > 1 else None
            found[name] = Other(test, projections(network, test.features), unlabelled)
    return found


@torch.no_grad()
def adapt_norm(classifier: Classifier, projected: Tensor) -> None:
    """Give a classifier's batch normalisation the statistics of these projections (n, P)."""
    norm = classifier.norm
    momentum, norm.momentum = norm.momentum, None  # None: the plain mean over all windows
    norm.reset_running_stats()
    classifier.train()
    classifier(projected)
    classifier.eval()
    norm.momentum = momentum
