"""A person's baseline as a file, so that a session can go on without resting again.

JSON: for each modality the feature names, and the mean and standard deviation of every feature (null
where a feature was never known). Numbers are written so that they read back to the same float.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.explain import describe
from bci_m2s.files.tensor_file import strict_json
from bci_m2s.files.whole import write_whole
from bci_m2s.pipeline.pipeline import Pipeline

LARGEST_BYTES = 16 << 20
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Statistics(BaseModel):
    model_config = ConfigDict(strict=True)

    features: list[str]
    mean: list[Finite | None]
    std: list[Annotated[Finite, Field(gt=0)]]


class _BaselineFile(BaseModel):
    model_config = ConfigDict(strict=True)

    format: Literal["bci_m2s-baseline"] = "bci_m2s-baseline"
    version: Literal[1] = 1
    model: str
    modalities: dict[str, _Statistics]


def save_baseline(path: Path, pipeline: Pipeline, model: str) -> bool:
    """Write the statistics in use; false (and no file) when no modality has any.

    Raises OutputError when the file exists or cannot be written.
    """
    modalities = {
        name: _Statistics(
            features=list(pipeline.feature_names[name]),
            mean=[None if math.isnan(value) else value for value in mean.tolist()],
            std=std.tolist(),
        )
        for name, (mean, std) in pipeline.baselines().items()
    }
    if modalities:
        content = _BaselineFile(model=model, modalities=modalities).model_dump()
        write_whole(path, json.dumps(content), overwrite=False, private=True)
    return bool(modalities)


def adopt_baseline(path: Path, pipeline: Pipeline) -> list[str]:
    """Give a pipeline the statistics of a file; returns the modalities that took them.

    Raises ConfigurationError when the file is damaged, of another feature set, or holds nothing
    that this pipeline can use.
    """
    modalities = _read(path).modalities
    taken = [name for name in pipeline.feature_names if name in modalities]
    if not taken:
        raise ConfigurationError(
            f"{path}: modalities: got {', '.join(modalities) or 'none'}, "
            f"expected one of {', '.join(pipeline.feature_names)}"
        )
    for name in taken:
        statistics, names = modalities[name], pipeline.feature_names[name]
        if statistics.features != list(names):
            raise ConfigurationError(
                f"{path}: {name}.features: the file was made with other features than the model's "
                f"{len(names)} (same model, same pipeline needed)"
            )
        if {len(statistics.mean), len(statistics.std)} != {len(names)}:
            raise ConfigurationError(f"{path}: {name}: expected {len(names)} means and deviations")
        mean = np.array([math.nan if value is None else value for value in statistics.mean])
        pipeline.adopt_baseline(name, mean, np.array(statistics.std))
    return taken


def _read(path: Path) -> _BaselineFile:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigurationError(f"{path}: size: expected at most {LARGEST_BYTES} bytes")
        return _BaselineFile.model_validate(strict_json(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValidationError as problem:
        raise ConfigurationError(f"{path}: {describe(problem, _BaselineFile)}") from None
    except ValueError:
        raise ConfigurationError(f"{path}: not a baseline file: not valid JSON") from None
