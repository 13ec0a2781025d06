"""Whether a YAML file is a pipeline, a training file, a protocol or a study: its keys say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bci_m2s.errors import ConfigurationError

Kind = Literal["pipeline", "training file", "protocol", "study"]
KEYS: dict[Kind, set[str]] = {
    "pipeline": {
        "model",
        "streams",
        "markers",
        "modality",
        "outlet",
        "sinks",
        "record_also",
        "participants",
    },
    "training file": {
        "base",
        "preset",
        "contract",
        "data",
        "pair",
        "split",
        "windows",
        "pretrain",
        "finetune",
    }
    | {"controls", "permutations", "seeds"},
    "protocol": {"pipeline", "trials", "ratings", "breaks", "live", "check", "simulated", "fast_speed"},
    "study": {"title", "methods", "protocols", "grid"},
}
WITH: dict[Kind, str] = {
    "pipeline": "bci-m2s run {path} and bci-m2s check {path} take it",
    "training file": "bci-m2s pretrain {path} and bci-m2s check {path} take it",
    "protocol": "bci-m2s session {path} and bci-m2s check {path} take it",
    "study": "bci-m2s study {path} takes it",
}


def kind_of(values: Mapping[str, Any]) -> Kind | None:
    """Which kind the keys of a file belong to; None where they do not say."""
    counts = {kind: len(keys & values.keys()) for kind, keys in KEYS.items()}
    most = [kind for kind, count in counts.items() if count == max(counts.values())]
    return most[0] if len(most) == 1 else None


def refuse_other(path: Path, values: Mapping[str, Any], wanted: Kind) -> None:
    """Raise ConfigurationError for a file whose keys are those of the other kind."""
    found = kind_of(values)
    if found is not None and found != wanted:
        does = WITH[found].format(path=path)
        raise ConfigurationError(f"{path}: this is a {found}, expected a {wanted}; {does}")
