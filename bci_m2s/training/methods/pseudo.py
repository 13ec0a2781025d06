"""Labels carried over the pairs: a linear model of one signal guesses, another learns its guesses.

The guesses label the windows in which both signals were recorded; a linear model of the other signal is
fitted to them, its view and penalty by guessed validation windows. No label of the other signal is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method, NotPossible
from bci_m2s.training.methods.linear import fit_linear


def fit_pseudo(parts: Mapping[str, WindowSet], trained_on: str, tested_on: str, head: str) -> Fit:
    """A linear model of `tested_on` that has seen labels of `trained_on` alone."""
    teacher = fit_linear(parts, (trained_on,), head)
    guessed = {}
    for part in ("train", "validation"):
        pairs = parts[part].having([trained_on, tested_on])
        if not len(pairs):
            raise NotPossible(f"no {part} window has {trained_on} and {tested_on}")
        guessed[part] = replace(pairs, labels={head: teacher.predict(pairs)})
    return fit_linear(guessed, (tested_on,), head)


PSEUDO = Method(cross=fit_pseudo, draws=False, pretrained=False)
