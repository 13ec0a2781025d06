"""A person's baseline as a file, so that a session can go on without resting again.

JSON: for each modality the feature names, and the mean and standard deviation of every feature (null
where a feature was never known). Numbers are written so that they read back to the same float.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.types import FloatArray

FORMAT = "bci_m2s-baseline"
LARGEST_BYTES = 16 << 20


def save_baseline(path: Path, pipeline: Pipeline, model: str) -> bool:
    """Write the statistics in use; false (and no file) when no modality has any.

    Raises OutputError when the file exists or cannot be written.
    """
    modalities = {
        name: {
            "features": list(pipeline.feature_names[name]),
            "mean": [None if math.isnan(value) else value for value in mean.tolist()],
            "std": std.tolist(),
        }
        for name, (mean, std) in pipeline.baselines().items()
    }
    if not modalities:
        return False
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "version": 1, "model": model, "modalities": modalities}, file)
    except OSError as problem:
        raise OutputError(f"{path}: cannot be created: {problem.strerror}") from None
    return True


def adopt_baseline(path: Path, pipeline: Pipeline) -> list[str]:
    """Give a pipeline the statistics of a file; returns the modalities that took them.

    Raises ConfigurationError when the file is damaged, of another feature set, or holds nothing
    that this pipeline can use.
    """
    modalities = _read(path)
    taken = []
    for name, feature_names in pipeline.feature_names.items():
        if name in modalities:
            pipeline.adopt_baseline(name, *_statistics(path, name, modalities[name], feature_names))
            taken.append(name)
    if not taken:
        raise ConfigurationError(
            f"{path}: modalities: got {', '.join(modalities) or 'none'}, "
            f"expected one of {', '.join(pipeline.feature_names)}"
        )
    return taken


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigurationError(f"{path}: size: expected at most {LARGEST_BYTES} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path}: not a baseline file: not valid JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != 1:
        raise ConfigurationError(f"{path}: format: expected {FORMAT!r} version 1")
    modalities = content.get("modalities")
    if not isinstance(modalities, dict):
        raise ConfigurationError(f"{path}: modalities: expected a mapping")
    return modalities


def _statistics(
    path: Path, modality: str, part: Any, feature_names: tuple[str, ...]
) -> tuple[FloatArray, FloatArray]:
    if not isinstance(part, dict) or part.get("features") != list(feature_names):
        raise ConfigurationError(
            f"{path}: {modality}.features: the file was made with other features than the model's "
            f"{len(feature_names)} (same model, same pipeline needed)"
        )
    arrays = []
    for key in ("mean", "std"):
        values: Any = part.get(key)
        if not _are_numbers(values, len(feature_names)):
            raise ConfigurationError(f"{path}: {modality}.{key}: expected {len(feature_names)} numbers")
        arrays.append(np.array([math.nan if value is None else float(value) for value in values]))
    mean, std = arrays
    if np.isinf(mean).any() or not (np.isfinite(std) & (std > 0)).all():
        raise ConfigurationError(f"{path}: {modality}: expected finite means and positive deviations")
    return mean, std


def _are_numbers(values: Any, count: int) -> bool:
    """Whether this is a list of `count` numbers or nulls."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(value is None or type(value) in (int, float) for value in values)
    )
