"""The pre-trained networks with labels exchanged between each person's trials: what chance alone gives.

As many times as ``permutations`` says, with every seed; the p value is the rank of the true figure (Ojala &
Garriga 2010, "Permutation tests for studying classifier performance", JMLR 11:1833, test 1). Only the
classifiers learn anew: what pre-training may have learnt of the classes, it has learnt in both.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import nn

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Method
from bci_m2s.training.methods.finetune import project
from bci_m2s.training.methods.methods import Start, fit_pretrained
from bci_m2s.training.methods.readout import fit_readouts
from bci_m2s.training.methods.stage_settings import FinetuneSettings


class Begun(NamedTuple):
    """What a method with permuted labels learns from: see the arguments of ``Method.fit``."""

    data: UnitData
    pretrained: Start
    settings: FinetuneSettings


def projected_once(data: UnitData, pretrained: Start, settings: FinetuneSettings) -> Begun:
    """The same classifiers to be trained, with features that frozen encoders have already projected.

    Where labels or dropout change what an encoder does, everything stays as it is. Where a linear map is
    beside the classifiers, which sees the features themselves, encoders stay and have their readout.
    """
    if not settings.freeze or settings.frozen_dropout:
        return Begun(data, pretrained, settings)
    networks = pretrained()
    if settings.readout:
        fit_readouts(networks, data.parts["train"], settings.readout)
    without_readout = settings.model_copy(update={"readout": 0})
    if settings.linear:
        return Begun(data, lambda: copy.deepcopy(networks), without_readout)
    parts = {}
    for part, windows in data.parts.items():
        features = {
            name: project(network, windows.features[name]).astype(np.float32)
            for name, network in networks.items()
        }
        parts[part] = replace(windows, features=features)
    for network in networks.values():
        for part in ("encoder", "projection", "readout"):
            setattr(network, part, nn.Identity())
    return Begun(
        replace(data, parts=parts),
        lambda: copy.deepcopy(networks),
        without_readout,
    )


def permuted_parts(parts: Mapping[str, WindowSet], number: int) -> dict[str, WindowSet]:
    """The parts of a split with labels exchanged between the trials of each person.

    Windows of a trial keep one label, heads go together, and a trial has the same label in every part and
    in every split of a run: as if the experiment had had this order. Test labels are exchanged too.

    number : of the permutation; another gives another order
    """
    trials = np.concatenate([windows.trials for windows in parts.values()])
    subjects = np.concatenate([windows.subjects for windows in parts.values()])
    unique, first = np.unique(trials, return_index=True)
    source = np.arange(len(unique))  # whose label a trial takes
    for subject in np.unique(subjects):
        own = np.flatnonzero(subjects[first] == subject)
        source[own] = np.random.default_rng([number, int(subject)]).permutation(own)
    heads = next(iter(parts.values())).labels
    labels = {
        head: np.concatenate([windows.labels[head] for windows in parts.values()])[first][source]
        for head in heads
    }
    return {
        part: replace(
            windows,
            labels={head: labels[head][np.searchsorted(unique, windows.trials)] for head in heads},
        )
        for part, windows in parts.items()
    }


PERMUTED = Method(fit=fit_pretrained, permutes=True)
