"""Logistic regression in the tangent space of covariance matrices of raw EEG (Barachant et al. 2012).

The covariance of a window, filtered once, with a little of its mean power on the diagonal, is mapped to the
tangent space at the Riemannian mean of the training windows (pyriemann). Each session is first centred by
the mean covariance of its baseline, as live use could (Zanini et al. 2018); its windows end after it, as
those of the other methods do. The penalty is the best on validation people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from bci_m2s.model.contract import Contract, ModalityContract
from bci_m2s.training.data.sessions import Rows, SessionFeatures
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method, NotPossible
from bci_m2s.training.methods.linear import fit_linear
from bci_m2s.types import FloatArray

SHRINKAGE = 1e-2  # share of the mean power that is added to the diagonal
MOST_FOR_MEAN = 1000  # windows whose mean is the tangent point


def matrices(rows: FloatArray) -> FloatArray:
    """Upper triangles (n, C(C+1)/2) as symmetric matrices (n, C, C)."""
    n_channels = int((np.sqrt(8 * rows.shape[1] + 1) - 1) / 2)
    upper = np.triu_indices(n_channels)
    full = np.zeros((len(rows), n_channels, n_channels))
    full[:, upper[0], upper[1]] = full[:, upper[1], upper[0]] = rows
    return full


def centred_session(session: SessionFeatures, specs: Mapping[str, ModalityContract]) -> SessionFeatures:
    """A session of covariances, each modality by the mean of its baseline, NaN until that has passed.

    specs : of the training file, whose normaliser says how long a baseline is; without one nothing changes
    """
    values = dict(session.values)
    for name, rows in session.values.items():
        normaliser = specs[name].normaliser
        if normaliser.name != "baseline":
            continue
        at_rest = session.end_s <= session.end_s[0] + float(cast(float, normaliser.params["duration_s"]))
        seen = rows[at_rest & session.usable[name]].astype(np.float64)
        out = np.full(rows.shape, np.nan, np.float32)
        if len(seen):
            powers, vectors = np.linalg.eigh(_firm(matrices(seen.mean(axis=0, keepdims=True)))[0])
            whitener = (vectors / np.sqrt(powers)) @ vectors.T
            after = ~at_rest & session.usable[name]
            upper = np.triu_indices(len(whitener))
            out[after] = (whitener @ matrices(rows[after]) @ whitener)[:, upper[0], upper[1]]
        values[name] = out
    return replace(session, values=values)


def _firm(covariances: FloatArray) -> FloatArray:
    """With some of the mean power on the diagonal: of full rank."""
    n = covariances.shape[-1]
    power = np.trace(covariances, axis1=-2, axis2=-1)[:, None, None] / n
    return np.asarray((1 - SHRINKAGE) * covariances + SHRINKAGE * power * np.eye(n))


def covariances_of(windows: WindowSet, modality: str) -> FloatArray:
    """One covariance per window, (n, C, C), the mean over its steps."""
    return _firm(matrices(windows.features[modality].astype(np.float64).mean(axis=1)))


def fit_tangent(parts: Mapping[str, WindowSet], modalities: tuple[str, ...], head: str) -> Fit:
    """Logistic regression on tangent vectors.

    Raises
    ------
    NotPossible
        The package is not installed.
    """
    try:
        from pyriemann.tangentspace import TangentSpace
    except ImportError:
        raise NotPossible("pyriemann is not installed: pip install 'bci_m2s[riemann]'") from None
    spaces: dict[str, Any] = {}
    for name in modalities:
        training = parts["train"].having([name])
        if not len(training):
            raise NotPossible(f"no training window has raw {name}")
        some = training.take(np.arange(0, len(training), -(-len(training) // MOST_FOR_MEAN)))
        spaces[name] = TangentSpace(metric="riemann").fit(covariances_of(some, name))

    def view(windows: WindowSet, names: Sequence[str]) -> Rows:
        return np.concatenate(
            [spaces[name].transform(covariances_of(windows, name)) for name in names], axis=1
        )

    return fit_linear(parts, modalities, head, (view,))


def raw_eeg(contract: Contract, pair: Sequence[str]) -> None:
    """Takes EEG whose features are computed here. Raises NotPossible."""
    specs = [contract.modalities[name] for name in pair]
    if not any(one.stream_type.upper() == "EEG" and one.feature.name != "distributed" for one in specs):
        raise NotPossible(f"it takes raw EEG, and there is none: {', '.join(pair)}")


RIEMANN = Method(guess=fit_tangent, takes=raw_eeg, draws=False, pretrained=False, feature="covariance")
