"""A training file for a few simulated people and tiny networks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

from support.small_pairs import TINY

SIMULATOR: dict[str, Any] = {
    "montage": "muse",
    "eeg_rate_hz": 128.0,
    "eye_rate_hz": 60.0,
    "rest_s": 12.0,
    "trial_s": 8.0,
    "pause_s": 1.0,
    "n_trials": 4,
    "order": "balanced",
    "effect": 3.0,
}
EYE_COLUMNS = {"pupil_x": "pupil_left", "pupil_y": "pupil_right"} | {
    name: name for name in ("gaze_x", "gaze_y", "confidence")
}


def training_values(**changes: Any) -> dict[str, Any]:
    """What such a file says; `changes` replaces sections."""
    baseline = {"name": "baseline", "params": {"duration_s": 5.0}}
    fields = {
        "contract": {
            "name": "tiny-live",
            "simulated": True,
            "heads": {"emotion": {"classes": ["negative", "positive"]}},
            "window": {"steps": 3, "step_s": 1.0, "hop_s": 0.5},
            "modalities": {
                "eeg": {
                    "stream_type": "EEG",
                    "rate_min_hz": 128.0,
                    "rate_max_hz": 1024.0,
                    "channels": ["TP9", "AF7", "AF8", "TP10"],
                    "units": ["uV"] * 4,
                    "feature": {"name": "de", "n_features": 20},
                    "normaliser": baseline,
                    "network": {"name": "m2s-electrode", "params": TINY | {"head_width": 4}},
                },
                "eye": {
                    "stream_type": "Gaze",
                    "rate_min_hz": 60.0,
                    "rate_max_hz": 1000.0,
                    "channels": ["gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence"],
                    "units": ["normalized", "normalized", "mm", "mm", "normalized"],
                    "feature": {
                        "name": "eye",
                        "n_features": 33,
                        "params": {
                            "columns": EYE_COLUMNS,
                            "gaze_unit": "normalized",
                            "degrees_per_unit_x": 35.0,
                            "degrees_per_unit_y": 20.0,
                        },
                    },
                    "normaliser": baseline,
                    "max_missing": 0.3,
                    "network": {"name": "m2s-sequence", "params": TINY | {"causal": True}},
                },
            },
        },
        "pair": ["eeg", "eye"],
        "data": {"format": "simulated", "persons": 5, "simulator": SIMULATOR},
        "split": {"kind": "subjects", "test_subjects": 1, "validation_subjects": 1},
        "windows": {"every_hops": 2},
        "pretrain": {"epochs": 3, "batch": 16, "learning_rate": 1e-2},
        "finetune": {
            "epochs": 4,
            "batch": 16,
            "learning_rates": [1e-2],
            "weight_decays": [1e-4],
            "oracle": True,
            "most_unknown": 0.3,
        },
        "controls": ["linear", "random", "supervised", "permuted"],
        "permutations": 3,
        "seeds": [0, 1],
        **changes,
    }
    copied: dict[str, Any] = json.loads(json.dumps(fields))  # nothing shared: YAML would write an alias
    return copied


@contextlib.contextmanager
def without_pictures() -> Iterator[None]:
    """Runs that nobody looks at draw none: drawing takes longer than all else of a tiny one."""
    from bci_m2s.training.results import report  # torch comes with it

    with mock.patch.multiple(report, _draw=lambda *_: None, draw_confusions=lambda *_: None):
        yield
