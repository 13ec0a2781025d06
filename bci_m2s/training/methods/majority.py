"""The most frequent class of the training windows, whatever the signals say."""

from __future__ import annotations

from collections.abc import Mapping

from sklearn.dummy import DummyClassifier

from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method, of_classifier

_OWN = of_classifier(DummyClassifier(strategy="most_frequent"))


def fit_majority(parts: Mapping[str, WindowSet], trained_on: str, tested_on: str, head: str) -> Fit:
    """The most frequent class of one modality's windows, as an answer for another's."""
    assert _OWN.guess is not None
    return Fit((tested_on,), _OWN.guess(parts, (trained_on,), head).model)


MAJORITY = Method(guess=_OWN.guess, cross=fit_majority, draws=False, pretrained=False)
