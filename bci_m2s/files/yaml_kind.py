"""Whether a YAML file is a pipeline or a training file: its keys say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bci_m2s.errors import ConfigurationError

Kind = Literal["pipeline", "training file"]
KEYS: dict[Kind, set[str]] = {
    "pipeline": {"model", "streams", "markers", "modality", "outlet", "sinks", "record_also"},
    "training file": {"contract", "data", "pair", "split", "windows", "pretrain", "finetune", "controls"},
}
WITH: dict[Kind, str] = {
    "pipeline": "bci-m2s run {path} and bci-m2s check {path} take it",
    "training file": "bci-m2s pretrain {path} and bci-m2s check {path} take it",
}


def kind_of(values: Mapping[str, Any]) -> Kind | None:
    """Which kind the keys of a file belong to; None where they do not say."""
    n_pipeline, n_training = (len(keys & values.keys()) for keys in KEYS.values())
    if n_pipeline == n_training:
        return None
    return "pipeline" if n_pipeline > n_training else "training file"


def refuse_other(path: Path, values: Mapping[str, Any], wanted: Kind) -> None:
    """Raise ConfigurationError for a file whose keys are those of the other kind."""
    found = kind_of(values)
    if found is not None and found != wanted:
        does = WITH[found].format(path=path)
        raise ConfigurationError(f"{path}: this is a {found}, expected a {wanted}; {does}")
