"""Pre-training, classifiers, controls and calibration; what is learnt and how.

Adding a method: one file here and one line in ``METHODS``, or one file in your own package and an entry
point in the group ``bci_m2s.methods``; either leads to a ``Method``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.errors import TrainingError
from bci_m2s.registry import Registry

if TYPE_CHECKING:
    from bci_m2s.model.contract import Contract
    from bci_m2s.training.data.windows import WindowSet

View = Callable[["WindowSet", "Sequence[str]"], Any]  # features of some modalities as rows (n, columns)
# modalities whose labels count, modalities judged → probabilities (n, classes) of a head for windows
Answers = Mapping[tuple[tuple[str, ...], tuple[str, ...]], Callable[["WindowSet", str], Any]]


class NotPossible(TrainingError):
    """A method cannot be tried on such data; the table says why, and the others are tried."""


def flat(windows: WindowSet, modalities: Sequence[str]) -> Any:
    """Features of some modalities side by side, (n, T·F)."""
    return windows.flat(modalities)


@dataclass(frozen=True)
class Method:
    """A way to learn from the labels of a pair of modalities: with networks, or without.

    fit : (job, data, pretrained, settings, on_epoch) → modality → ``Fitted``. `pretrained` loads the
        networks that `pretrain` made, or fresh ones; a method that needs neither does not call it
    guess : (parts, modalities, head) → an object that has seen the train and validation windows of `parts`,
        for one modality or for both side by side; its `predict(windows)` gives class indices (n,). Of a
        method without networks
    cross : (parts, trained_on, tested_on, head) → the same, of a method that judges one modality by the
        labels of another without networks: labels of windows of `trained_on`, and pairs of both without
        any. Beside `guess`, or without it
    learn : (job, data, settings) → ``Answers``, for every direction that the method can do. Of a method
        with networks of its own, which trains them on the training windows of ``data.parts``, chooses by
        the validation windows, and draws everything from ``job.seed``. `settings` : those of ``finetune``
    feature : which feature of raw EEG `guess` is given, not standardised, in place of the contract's; where
        there is no raw EEG the method is not tried
    takes : (contract, pair) → None. Raises ``NotPossible`` where the method can never take such signals, so
        that this is known before anything is computed
    approximate : its authors released no code of it: tables mark the row
    permutes : `evaluate` runs it with labels exchanged between trials, ``permutations`` times
    shared : with ``finetune.freeze`` labels do not change the encoders, so that the classifiers of two
        modalities can be exchanged
    frozen : labels never change the encoders, whatever ``finetune.freeze`` says
    draws : another seed may give other results
    pretrained : `pretrained` is called
    passes : sections of the training file whose `epochs` `learn` goes through; none where it has its
        own number
    predicts : `learn` pre-trains its networks with M2M CPC over ``pretrain.predictions`` steps
    """

    fit: Callable[..., Mapping[str, Any]] | None = None
    guess: Callable[[Mapping[str, WindowSet], tuple[str, ...], str], Any] | None = None
    shared: bool = True
    draws: bool = True
    pretrained: bool = True
    frozen: bool = False
    cross: Callable[[Mapping[str, WindowSet], str, str, str], Any] | None = None
    learn: Callable[..., Answers] | None = None
    takes: Callable[[Contract, Sequence[str]], object] = lambda *_: None
    approximate: bool = False
    permutes: bool = False
    feature: str = ""
    passes: tuple[str, ...] = ("finetune",)
    predicts: bool = False

    def crosses(self, freeze: bool) -> bool:
        """Whether a modality may be judged with the classifier of another one.

        Where labels have trained its encoder it has seen the labels of its own modality, and what a foreign
        classifier then reaches says nothing about crossing.

        freeze : ``finetune.freeze``
        """
        return self.shared and (freeze or self.frozen)


@dataclass(frozen=True)
class Fit:
    """A fitted classifier of scikit-learn's kind, on the windows of some modalities side by side.

    view : what it sees of them
    """

    modalities: tuple[str, ...]
    model: Any
    view: View = flat

    def predict(self, windows: WindowSet) -> Any:
        """Class indices (n,)."""
        return self.model.predict(self.view(windows, self.modalities))

    def chances(self, windows: WindowSet, n_classes: int) -> Any:
        """Probabilities (n, classes), 0 of a class that was not trained on; None of a model without any."""
        if not hasattr(self.model, "predict_proba"):
            return None
        known = self.model.predict_proba(self.view(windows, self.modalities))
        every = np.zeros((len(known), n_classes))
        every[:, self.model.classes_] = known
        return every


def of_classifier(model: Any, *, draws: bool = False) -> Method:
    """A method that fits a copy of a scikit-learn classifier on the training windows, flattened.

    draws : the classifier draws random numbers
    """

    def guess(parts: Mapping[str, WindowSet], modalities: tuple[str, ...], head: str) -> Fit:
        train = parts["train"].having(modalities, head)
        if not len(train):
            raise TrainingError(f"no labelled training window has {' and '.join(modalities)}")
        return Fit(modalities, copy.deepcopy(model).fit(train.flat(modalities), train.labels[head]))

    return Method(guess=guess, draws=draws, pretrained=False)


# What a training file may name under `controls`; those with networks also as `finetune.method`.
METHODS = Registry(
    "method",
    "bci_m2s.methods",
    {
        "pretrained": "bci_m2s.training.methods.methods:PRETRAINED",
        "random": "bci_m2s.training.methods.methods:RANDOM",
        "supervised": "bci_m2s.training.methods.methods:SUPERVISED",
        "permuted": "bci_m2s.training.methods.permuted:PERMUTED",
        "majority": "bci_m2s.training.methods.majority:MAJORITY",
        "linear": "bci_m2s.training.methods.linear:LINEAR",
        "cca": "bci_m2s.training.methods.cca:CCA",
        "riemann": "bci_m2s.training.methods.riemann:RIEMANN",
        "pseudo": "bci_m2s.training.methods.pseudo:PSEUDO",
        "cmcrd": "bci_m2s.training.methods.cmcrd:CMCRD",
        "eco-fet": "bci_m2s.training.methods.eco_fet:ECO_FET",
        "etf": "bci_m2s.training.methods.etf:ETF",
        "pairwise": "bci_m2s.training.methods.pairwise:PAIRWISE",
        "pairwise-cpc": "bci_m2s.training.methods.pairwise:PAIRWISE_CPC",
        "pairwise-released": "bci_m2s.training.methods.pairwise_released:PAIRWISE_RELEASED",
        "bdae": "bci_m2s.training.methods.bdae:BDAE",
        "bdae-cgan": "bci_m2s.training.methods.bdae_cgan:BDAE_CGAN",
        "bdae-regressor": "bci_m2s.training.methods.bdae_regressor:BDAE_REGRESSOR",
        "dcca": "bci_m2s.training.methods.dcca:DCCA",
        "dcca-am": "bci_m2s.training.methods.dcca_am:DCCA_AM",
        "maet": "bci_m2s.training.methods.maet:MAET",
        "unicode": "bci_m2s.training.methods.unicode:UNICODE",
        "unicode-cpc": "bci_m2s.training.methods.unicode:UNICODE_CPC",
        "unicode-attention": "bci_m2s.training.methods.unicode_attention:UNICODE_ATTENTION",
        "unicode-native": "bci_m2s.training.methods.unicode_native:UNICODE_NATIVE",
        "unicode-released": "bci_m2s.training.methods.unicode:UNICODE_RELEASED",
        "vigilancenet": "bci_m2s.training.methods.vigilancenet:VIGILANCENET",
    },
    needs=("fit", "guess", "shared", "draws", "pretrained"),
)
