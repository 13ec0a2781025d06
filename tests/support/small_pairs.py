"""A small corpus of modalities that all carry the class, two as a rule, and settings for tiny networks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bci_m2s.training.data.prepare import UnitData, prepare
from bci_m2s.training.data.sessions import SessionFeatures, from_steps
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.splits import Split, make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.datasets.layout import DistributedTrial
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.stage_settings import FinetuneSettings, PretrainSettings
from bci_m2s.training.settings import TrainingSettings

SIZES = {"eeg": 8, "eye": 5}
THREE = {**SIZES, "skin": 4}
PAIR = ("eeg", "eye")
TINY = {"depth": 1, "heads": 2, "ffn": 16, "embedding": 8, "projection": 6, "hidden": 8}

RELEASED_LOSSES = LossSettings(
    max_logit_scale=math.inf,
    mask_same_trial=False,
    club_per_step=False,
    club_derangement=False,
    club_floor=False,
    club_ceiling=math.inf,
)


def contract_values(
    heads: dict[str, Any] | None = None, names: Sequence[str] = PAIR, **eeg: Any
) -> dict[str, Any]:
    """Fields of a contract over the corpus; `eeg` replaces fields of that modality."""
    both = {"rate_min_hz": 1.0, "rate_max_hz": 1000.0, "normaliser": {"name": "training"}}
    values = {
        "name": "tiny-pair",
        "simulated": True,
        "heads": heads or {"emotion": {"classes": ["negative", "positive"]}},
        "window": {"steps": 4, "step_s": 1.0, "hop_s": 1.0},
        "modalities": {
            "eeg": both
            | {
                "stream_type": "EEG",
                "channels": ["Fp1", "Fp2", "O1", "O2"],
                "units": ["uV"] * 4,
                "feature": {"name": "distributed", "n_features": SIZES["eeg"]},
                "network": {"name": "m2s-electrode", "params": TINY | {"head_width": 4}},
            }
            | eeg,
            "eye": both
            | {
                "stream_type": "Gaze",
                "channels": ["gaze_x", "gaze_y"],
                "units": ["normalized"] * 2,
                "feature": {"name": "distributed", "n_features": SIZES["eye"]},
                "network": {"name": "m2s-sequence", "params": TINY | {"causal": True}},
            },
            "skin": both
            | {
                "stream_type": "GSR",
                "channels": ["GSR"],
                "units": ["uS"],
                "feature": {"name": "distributed", "n_features": THREE["skin"]},
                "network": {"name": "m2s-sequence", "params": TINY | {"causal": True}},
            },
        },
    }
    values["modalities"] = {name: values["modalities"][name] for name in names}
    copied: dict[str, Any] = json.loads(json.dumps(values))  # nothing shared: YAML would write an alias
    return copied


def training_settings(
    heads: dict[str, Any] | None = None,
    eeg: dict[str, Any] | None = None,
    names: Sequence[str] = PAIR,
    **sections: Any,
) -> TrainingSettings:
    """Settings as a training file would give them; `sections` replaces whole sections."""
    values = {
        "contract": contract_values(heads, names, **(eeg or {})),
        "pair": list(names),
        "data": {"format": "simulated"},
        "split": {"kind": "subjects", "test_subjects": 2, "validation_subjects": 2},
        "pretrain": {"epochs": 2, "batch": 32, "learning_rate": 1e-3},
        "finetune": {"epochs": 3, "batch": 32, "learning_rates": [1e-2], "weight_decays": [1e-4]},
        "seeds": [0],
        **sections,
    }
    return TrainingSettings.model_validate(values)


def trials(
    people: int = 8,
    sessions: int = 1,
    per_session: int = 6,
    steps: int = 8,
    effect: float = 2.0,
    seed: int = 0,
    sizes: Mapping[str, int] = SIZES,
) -> list[DistributedTrial]:
    """Trials whose class moves all modalities by `effect`, over noise of a state that they share.

    Classes alternate; person, session and trial count from 1. `steps` rows per trial.
    """
    rng = np.random.default_rng(seed)
    ways = {name: rng.normal(size=(3, n)) for name, n in sizes.items()}
    made = []
    for person in range(1, people + 1):
        for session in range(1, sessions + 1):
            for trial in range(1, per_session + 1):
                label = trial % 2
                state = rng.normal(size=(steps, 3)) * (0.5, 1.0, 1.0)
                state[:, 0] += effect * (2 * label - 1)
                rows = {
                    name: state @ way + 0.3 * rng.normal(size=(steps, way.shape[1]))
                    for name, way in ways.items()
                }
                made.append(DistributedTrial(person, session, trial, {"emotion": label}, rows))
    return made


def corpus(sizes: Mapping[str, int] = SIZES, **options: Any) -> list[SessionFeatures]:
    """The trials as sessions; as in ``trials``."""
    return from_steps(trials(sizes=sizes, **options), 1.0, dict(sizes))


def unit(settings: TrainingSettings, sessions: list[SessionFeatures], number: int = 0) -> UnitData:
    """Windows of one split."""
    split = make_splits(sessions, settings.split, settings.contract.first_head)[number]
    return prepare(settings, sessions, split, Names.of(sessions))


def job(settings: TrainingSettings, seed: int = 0, **changes: Any) -> Job:
    """A pre-training on the CPU; `changes` replaces fields of its settings."""
    values = settings.pretrain.model_dump() | changes
    return Job(
        settings.contract, settings.pair, PretrainSettings.model_validate(values), seed, torch.device("cpu")
    )


def finetune_settings(**changes: Any) -> FinetuneSettings:
    """Quick settings of classifier training."""
    values = {"epochs": 4, "batch": 32, "learning_rates": [1e-2], "weight_decays": [1e-4], **changes}
    return FinetuneSettings.model_validate(values)


# Settings of each kind of split, for six people with two sessions of six trials.
KINDS: dict[str, dict[str, Any]] = {
    "subjects": {"test_subjects": 2, "validation_subjects": 1},
    "subject-folds": {"folds": 3, "validation_subjects": 1},
    "leave-one-out": {"kind": "subject-folds", "folds": 0, "validation_subjects": 2},
    "trials": {"train_trials": 4},
    "trial-folds": {"folds": 3},
    "named": {"test": ("2", "5"), "validation": ("1",)},
}


def splits_of(sessions: list[SessionFeatures], kind: str, **changes: Any) -> list[Split]:
    """Every split of a kind, its settings changed."""
    settings = SplitSettings(**({"kind": kind} | KINDS[kind] | changes))
    return make_splits(sessions, settings, "emotion")
