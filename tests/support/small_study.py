"""A study that takes seconds: two methods, two parts, two seeds of four simulated people."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.training_files import SIMULATOR, training_values


def small_study(folder: Path) -> Path:
    """Write it and its training file into a folder, and return its path."""
    simulator = SIMULATOR | {"trial_s": 5.0, "rest_s": 8.0}
    values = training_values(
        controls=[],
        data={"format": "simulated", "persons": 4, "simulator": simulator},
        split={"kind": "subject-folds", "folds": 2, "validation_subjects": 1},
        pretrain={"epochs": 1, "batch": 16},
    )
    values["finetune"] |= {"epochs": 1, "oracle": False}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    path = folder / "study.yaml"
    methods = {"M2S": None, "random encoder": {"method": "random"}}
    data = {"tiny": {"training": "tiny.yaml"}}
    path.write_text(yaml.safe_dump({"title": "T", "data": data, "methods": methods, "seeds": 2}))
    return path
