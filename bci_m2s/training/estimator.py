"""The networks and training of this package behind scikit-learn's interface.

    model = make_pipeline(StandardScaler(), M2SClassifier(steps=5, n_channels=14))
    cross_val_score(model, X, y, groups=people, cv=GroupKFold(5))

Labels of a sensor and unlabelled pairs of it with another one:

    model = M2SClassifier(steps=5, n_channels=14).pretrain(X_eeg, X_eye)
    model.fit(X_eeg[labelled], y).predict_other(X_eye)

Windows of a training file, and from them a model file that runs live:

    data = training_data("my-training.yaml")
    train = data.parts["train"].having(["eeg"], "emotion")
    model = M2SClassifier(n_channels=14).fit(train.features["eeg"], train.labels["emotion"])
    model.to_model_file("my-model.safetensors", data)
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from bci_m2s.model.model_file import modality_network
from bci_m2s.model.predictor import resolve_device
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.estimator_file import write_estimator
from bci_m2s.training.estimator_parts import (
    OTHER,
    OWN,
    Rows,
    as_value_error,
    crossed_networks,
    cut,
    estimator_contract,
    finetune_settings,
    flattened,
    held_out,
    numbered,
    other_windows,
    others,
    pretrain_settings,
    probabilities,
    window_set,
)
from bci_m2s.training.methods.methods import train_classifiers
from bci_m2s.training.methods.pretrain import Job, pretrain
from bci_m2s.training.methods.readout import fit_readouts

NO_Y = "no_validation"  # scikit-learn's value for no y


@dataclass(eq=False, repr=False)  # both are scikit-learn's
class M2SClassifier(ClassifierMixin, BaseEstimator):
    """M2S for one modality's windows, with optional pre-training without labels.

    ``fit`` alone trains encoder and classifier on labels. After ``pretrain`` with other modalities it
    trains the classifier on the pre-trained encoder, which stays frozen, and ``predict_other`` classifies
    another modality with the same classifier. After ``pretrain`` of one modality alone, which learns to
    predict its own future, encoder and classifier go on from there. Features are not scaled: put a
    StandardScaler before. Every class has the same weight in the loss, however often it occurs.

    The epoch is chosen on validation rows taken out of those given to ``fit``: whole groups where ``fit``
    has them, else rows of each class at random. Windows that overlap, or are of one trial, do not validate
    each other: pass their people, or their trials, as groups.

    Parameters
    ----------
    steps : T; rows of a two-dimensional X are T·F numbers, step by step. A three-dimensional X has its own
    n_channels : of the modality given to ``fit``. Above 0 a step's F features are (channel, band)
        flattened and the network attends between channels; 0 is for features of any other kind
    n_channels_other : the same of the other modality; of several, a mapping by name
    depth, heads, ffn, embedding, projection, hidden, dropout : of the networks; `embedding` is a multiple
        of `heads`. The defaults are the published sizes
    epochs, batch, learning_rate, weight_decay : of ``fit``: Adam, cosine to 0
    validation : share of rows, or groups, that choose the epoch, at least 0 and below 1. With 0, and where
        a class would have no training rows left, the last epoch is taken
    adapt_norm : the classifier's batch norm has, for another modality, the statistics of that one's rows in
        ``pretrain``, as `finetune.adapt_norm`: it assumes the same mix of classes in both. None: as in the
        preset
    preset : recipe, as in a training file: "sound", or "aligned" with VICReg and a readout of canonical
        correlations, which is not the paper's. What is given here counts before it
    pretrain_epochs, pretrain_batch, pretrain_learning_rate, pretrain_weight_decay : of ``pretrain``
    random_state : int, which is then the seed as in a training file, RandomState or None
    device : "auto", "cpu", "cuda" or "cuda:N", where ``pretrain`` runs; everything else is on the CPU

    Attributes
    ----------
    classes_ : (classes,) labels in the order of the probabilities
    n_features_in_ : T·F
    n_validation_ : number of rows that chose the epoch
    epoch_, score_ : chosen epoch, from 1, and its balanced accuracy on those rows, NaN without any
    network_ : the trained network, in float64, so that a row's result does not depend on other rows
    encoders_ : pre-trained networks by "own" and "other", or the others' names; only after ``pretrain``
    losses_ : one dict of losses per epoch of ``pretrain``

    Raises
    ------
    ValueError
        From every method, for parameters or data that cannot be used.

    Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134.
    """

    steps: int = 1
    n_channels: int = 0
    n_channels_other: int | Mapping[str, int] = 0
    _: KW_ONLY
    depth: int = 4
    heads: int = 4
    ffn: int = 1024
    embedding: int = 128
    projection: int = 32
    hidden: int = 128
    dropout: float = 0.1
    epochs: int = 50
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    validation: float = 0.2
    adapt_norm: bool | None = None
    preset: str = "sound"
    pretrain_epochs: int = 60
    pretrain_batch: int = 256
    pretrain_learning_rate: float = 1e-4
    pretrain_weight_decay: float = 1e-4
    random_state: Any = None
    device: str = "auto"

    def __sklearn_tags__(self) -> Any:
        """Accept three-dimensional input too."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def pretrain(
        self,
        X: ArrayLike,
        X_other: ArrayLike | Mapping[str, ArrayLike] | None = None,
        groups: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        starts: ArrayLike | None = None,
    ) -> M2SClassifier:
        """Learn the encoders from rows that were recorded together, without labels.

        Every call starts from random weights. ``sklearn.base.clone``, and so cross-validation, drops the
        result: pre-train inside each fold, on its training part.

        Parameters
        ----------
        X : (n, T·F) or (n, T, F)
        X_other : the same of the other modality, row i of both at the same time; T is the same, F may
            differ. Of several others a mapping by name; None where there is no other
        groups : (n,) person of each row. Each batch is then drawn from one person, so that pairs cannot be
            matched by recognising the person, and the share `validation` of the groups chooses the epoch
        trials, starts : (n,) trial of each row, and its first step within the trial, in steps; windows of a
            trial that share signal are then no negatives of each other. Without `starts`, all of a trial
        """
        own, _ = self._windows(X, NO_Y, reset=True)
        rows = {OWN: own, **others(X_other, self.steps)}
        check_consistent_length(*rows.values())
        for other in rows.values():
            if own.shape[1] != other.shape[1]:
                raise ValueError(f"X has {own.shape[1]} steps, X_other {other.shape[1]}: expected the same")
        unlabelled = np.full(len(own), -1, dtype=np.int64)
        windows = window_set(rows, unlabelled, numbered(groups, len(own)), trials, starts)
        held = np.zeros(len(own), dtype=bool)
        if groups is not None:
            held = held_out(unlabelled, windows.subjects, self.validation, self._seed())
        training = windows.take(~held)
        with as_value_error(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
            settings = pretrain_settings(
                self.get_params(),
                own.shape[1],
                within_person=groups is not None,
                alone=len(rows) == 1,
                masked=trials is not None,
                reach="overlap" if starts is not None else None,
            )
            shapes = {name: part.shape for name, part in rows.items()}
            contract = estimator_contract(self.get_params(), shapes, 2)
            job = Job(contract, tuple(rows), settings, self._seed(), resolve_device(self.device))
            path = Path(folder) / "checkpoint"
            self.encoders_, self.losses_ = pretrain(job, training, windows.take(held), path)
        self._unlabelled = training
        self._shapes = {name: part.shape[1:] for name, part in rows.items()}
        return self

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> M2SClassifier:
        """Train on labelled rows of one modality.

        Parameters
        ----------
        X : (n, T·F) or (n, T, F), finite
        y : (n,) labels of at least two classes
        groups : (n,) person, or trial, of each row. Validation takes whole groups, and an epoch's score is
            the mean over groups
        """
        features, targets = self._windows(X, y, reset=True)
        check_classification_targets(targets)
        self.classes_, numbers = np.unique(targets, return_inverse=True)
        labels = numbers.astype(np.int64)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: expected at least two")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation: got {self.validation!r}, expected at least 0 and below 1")
        group_numbers, seed = numbered(groups, len(features)), self._seed()
        held = held_out(labels, None if groups is None else group_numbers, self.validation, seed)
        windows = window_set({OWN: features}, labels, group_numbers)
        # Without validation rows the last epoch is taken, and no score is used.
        parts = {"train": windows.take(~held), "validation": windows.take(held if held.any() else ~held)}
        with as_value_error(), torch.random.fork_rng(devices=[]):  # its seeds stay within
            networks = self._fresh_networks(features, seed)
            settings = finetune_settings(
                self.get_params(),
                # alone there is nobody to exchange classifiers with, so nothing has to stay
                freeze=len(networks) > 1,
                validate=bool(held.any()),
            )
            if settings.readout:
                fit_readouts(networks, self._unlabelled, settings.readout)
            fitted = train_classifiers(networks[OWN], parts, OWN, settings, seed)
            unlabelled = self._unlabelled if settings.adapt_norm and len(networks) > 1 else None
            self._crossed = crossed_networks(networks, fitted, unlabelled)
        self._shapes = getattr(self, "_shapes", {}) | {OWN: features.shape[1:]}
        self.n_validation_, self.epoch_ = int(held.sum()), fitted.epoch
        self.score_ = fitted.score if held.any() else float("nan")
        self.network_ = fitted.network.double().requires_grad_(False).eval()
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities (n, classes), not calibrated. X : as in ``fit``."""
        check_is_fitted(self, "network_")
        return probabilities(self.network_, self._windows(X, NO_Y, reset=False)[0])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each row, (n,). X : as in ``fit``."""
        return self._named(self.predict_proba(X))

    def predict_proba_other(self, X_other: ArrayLike, modality: str = OTHER) -> NDArray[np.float64]:
        """Class probabilities (n, classes) from another modality, with the classifier of ``fit``.

        Parameters
        ----------
        X_other : (n, T·F) or (n, T, F)
        modality : which one, where ``pretrain`` had several by name
        """
        check_is_fitted(self, ["network_", "encoders_"])
        known = [name for name in self.encoders_ if name != OWN]
        if modality not in known:
            raise ValueError(f"modality: got {modality!r}, expected one of {', '.join(known) or 'none'}")
        windows = other_windows(X_other, self.steps)
        if windows.shape[1:] != self._shapes[modality]:
            raise ValueError(
                f"X_other: got steps and features {windows.shape[1:]}, expected {self._shapes[modality]}"
            )
        return probabilities(self._network_of(modality), windows)

    def predict_other(self, X_other: ArrayLike, modality: str = OTHER) -> NDArray[Any]:
        """Most probable class of each row of another modality, (n,); as ``predict_proba_other``."""
        return self._named(self.predict_proba_other(X_other, modality))

    def to_model_file(
        self,
        path: str | Path,
        data: UnitData,
        *,
        modality: str = "",
        head: str = "",
        overwrite: bool = False,
    ) -> None:
        """Write a model file that ``run``, ``replay`` and ``load_model`` take, calibrated on validation.

        What was pre-trained beside the fitted modality is in it too, with the same classifier.

        Parameters
        ----------
        path : of the file
        data : what ``training_data`` gave, and this was trained on: it has contract and scalers
        modality : the contract's name of what ``fit`` had; "" for the first one that no other has
        head : of the contract; "" for the first. Labels are the names or the indices of its classes

        Raises
        ------
        ValueError
            Classes, steps, features or names are not the contract's.
        OutputError
            The file exists and `overwrite` is false, or it cannot be written.
        """
        check_is_fitted(self, "network_")
        networks = {OWN: self._network_of(OWN)}
        networks |= {name: self._network_of(name) for name in getattr(self, "encoders_", ()) if name != OWN}
        with as_value_error():
            write_estimator(
                Path(path),
                self,
                networks,
                self._shapes,
                data,
                modality=modality,
                head=head,
                overwrite=overwrite,
            )

    def _network_of(self, name: str) -> SingleModality:
        """The network of a modality with the classifier of ``fit``, in float64."""
        return self.network_ if name == OWN else self._crossed[name]

    def _named(self, probabilities: NDArray[np.float64]) -> NDArray[Any]:
        return cast(NDArray[Any], self.classes_[probabilities.argmax(axis=1)])

    def _windows(self, X: Any, y: Any, *, reset: bool) -> tuple[Rows, NDArray[Any]]:
        """X as (n, T, F) float32 and finite, and y as scikit-learn returns it."""
        X, steps = flattened(X, self.steps)
        checked = validate_data(self, X, y, dtype=np.float32, reset=reset)
        rows, targets = (checked, np.empty(0)) if isinstance(y, str) and y == NO_Y else checked
        return cut(rows, steps), targets

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _fresh_networks(self, features: Rows, seed: int) -> dict[str, SingleModality]:
        """Each modality's network with a fresh classifier, on the pre-trained encoder if there is one."""
        torch.manual_seed(seed)
        others = {name: shape for name, shape in self._shapes_before().items() if name != OWN}
        shapes = {OWN: features.shape} | {name: (len(features), *shape) for name, shape in others.items()}
        contract = estimator_contract(self.get_params(), shapes, len(self.classes_))
        networks = {name: cast(SingleModality, modality_network(contract, name)) for name in shapes}
        if hasattr(self, "encoders_"):
            if features.shape[1:] != self._shapes[OWN]:
                got, expected = features.shape[1:], self._shapes[OWN]
                raise ValueError(f"X: got steps and features {got}, expected {expected} as in pretrain")
            try:
                for name, network in networks.items():
                    network.encoder.load_state_dict(self.encoders_[name].encoder.state_dict())
                    network.projection.load_state_dict(self.encoders_[name].projection.state_dict())
            except RuntimeError:
                raise ValueError(
                    "sizes of the network have changed since pretrain: call it again"
                ) from None
        return networks

    def _shapes_before(self) -> dict[str, tuple[int, ...]]:
        """Steps and features of every modality that was pre-trained."""
        return {name: self._shapes[name] for name in getattr(self, "encoders_", ())}
