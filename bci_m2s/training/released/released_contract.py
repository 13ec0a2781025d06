"""A checkpoint of the released code: its tensors by name, its sizes, its contract.

A pre-trained checkpoint is the state dict of the authors' model for EEG and eye movements; a fine-tuned
one holds ``{"Encoder": that, "Classifier": ...}``. Sizes are taken from the shapes, except the four
attention heads, which no shape shows.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134, released code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bci_m2s.errors import ModelError, UsageError, nearest
from bci_m2s.files.checksum import file_sha256
from bci_m2s.text import printable, quoted
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.layout import DataSet
from bci_m2s.training.datasets.seed_layout import CHANNELS
from bci_m2s.training.released.torch_files import State, read_torch_file

RELEASED_FOR = ("seed", "seed-iv", "seed-v")
HEAD = "emotion"
STEPS = 5
ATTENTION_HEADS = 4
LARGEST_SIDE = 65536  # of a matrix; the contract's own limits are narrower
SIDES = {"eeg": "EEG", "eye": "Eye"}


@dataclass
class Released:
    """A checkpoint's tensors by their released names; `used` collects those that were taken.

    classifier : empty where the checkpoint has none
    """

    path: Path
    encoder: State
    classifier: State
    used: set[str] = field(default_factory=set)

    def take(self, names: tuple[str, ...]) -> torch.Tensor:
        """The tensor that has one of these names. Raises ModelError when there is none."""
        for name in names:
            for part in (self.encoder, self.classifier):
                if name in part:
                    self.used.add(name)
                    return part[name]
        hint = nearest(names[0], [*self.encoder, *self.classifier])
        raise ModelError(f"{self.path}: tensor {names[0]!r} is missing{hint}")

    def sizes(self, *names: str) -> tuple[int, int]:
        """Rows and columns of a matrix that has one of these names. Raises ModelError."""
        matrix = self.take(names)
        if matrix.ndim != 2 or not all(1 <= side <= LARGEST_SIDE for side in matrix.shape):
            raise ModelError(
                f"{self.path}: tensor {names[0]!r}: got {tuple(matrix.shape)}, expected a matrix"
            )
        return matrix.shape[0], matrix.shape[1]


def read_released(path: Path) -> Released:
    """Read a checkpoint. Raises ModelError in one line with the path."""
    parts = read_torch_file(path)
    if set(parts) == {""}:
        return Released(path, _without_prefix(parts[""]), {})
    if set(parts) != {"Encoder", "Classifier"}:
        got = ", ".join(quoted(name) for name in sorted(parts)[:6])
        raise ModelError(
            f"{path}: got parts {got}, expected tensors by name, or 'Encoder' and 'Classifier'"
        )
    if not parts["Classifier"]:
        raise ModelError(f"{path}: part 'Classifier' is empty")
    return Released(path, _without_prefix(parts["Encoder"]), _without_prefix(parts["Classifier"]))


def _without_prefix(state: State) -> State:
    """Names without the "module." that torch's DataParallel puts before every one."""
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def contract_fields(released: Released, dataset: str, layout: str) -> dict[str, Any]:
    """Fields of a checkpoint's contract; parameters and errors as in ``import_released``."""
    path = released.path
    (eeg, n_eeg), (eye, n_eye) = (_settings(released, modality) for modality in SIDES)
    width, bands = released.sizes("EEG_ER_encoder.encoder.layers.0.self_attn.to_q.weight")
    eeg["head_width"] = width // ATTENTION_HEADS
    hidden, n_classes = 128, 0
    if released.classifier:
        hidden, _ = released.sizes("event_classifier.0.weight")
        n_classes, _ = released.sizes("event_classifier.3.weight")
    eeg["hidden"] = eye["hidden"] = hidden
    data = _data_set(path, dataset, {"eeg": n_eeg, "eye": n_eye}, n_classes)
    if n_eeg % bands:
        raise ModelError(f"{path}: got {n_eeg} EEG features, expected a multiple of {bands} bands")
    if data is not None:
        channels, classes, step_s = CHANNELS, data.heads[HEAD], data.step_s[data.default_feature]
    else:
        channels = tuple(f"channel {number}" for number in range(1, n_eeg // bands + 1))
        classes, step_s = tuple(f"class {number}" for number in range(n_classes)), 4.0
    if not classes:
        raise UsageError(f"{path}: neither classifier nor sizes give the classes: add --dataset")
    # SEED's released code reads the EEG features band by band
    default_layout = "band-major" if data is not None and data.name == "seed" else "channel-major"
    return {
        "name": f"released-{data.name}" if data is not None else "released-m2s",
        "description": "A checkpoint of the M2S authors' released code; features as distributed",
        "simulated": False,
        "heads": {HEAD: {"classes": classes}},
        "window": {"steps": STEPS, "step_s": step_s, "hop_s": step_s},
        "modalities": {
            "eeg": _modality(released, data, "EEG", channels, n_eeg)
            | {
                "layout": layout or default_layout,
                "network": {"name": "m2s-electrode", "params": eeg},
            },
            "eye": _modality(released, data, "Gaze", ("eye",), n_eye)
            | {"network": {"name": "m2s-sequence", "params": eye | {"causal": False}}},
        },
        "training": _record(released, data),
    }


def _modality(
    released: Released, data: DataSet | None, stream_type: str, channels: tuple[str, ...], n_features: int
) -> dict[str, Any]:
    """Fields of one modality's contract, but those of its network."""
    params = {"dataset": data.name} if data is not None else {}
    return {
        "stream_type": stream_type,
        "rate_min_hz": 1.0,
        "rate_max_hz": 1000.0,
        "channels": channels,
        "units": [""] * len(channels),
        "feature": {"name": "distributed", "params": params, "n_features": n_features},
        "normaliser": {"name": "training"},
        "calibration": {} if released.classifier else {HEAD: {"unknown_below": 1.0}},
    }


def _record(released: Released, data: DataSet | None) -> dict[str, Any]:
    """The training record of an imported model."""
    return {
        "method": "M2S, imported from a checkpoint of the released code",
        "data": data.name if data is not None else "unknown",
        "file": printable(released.path.name),
        "sha256": file_sha256(released.path),
        "kind": "fine-tuned" if released.classifier else "pre-trained",
        "step_s": "the usual one of the data set; the checkpoint has none",
        "classifier": "one for both modalities, as fine-tuned"
        if released.classifier
        else "untrained classifier: every class is equally probable, every estimate unknown",
    }


def _settings(released: Released, modality: str) -> tuple[dict[str, Any], int]:
    """Network settings of a modality from its shapes, and its number of features."""
    start = f"{SIDES[modality]}_ER_encoder"
    layer = re.compile(rf"{start}\.encoder\.layers\.(\d{{1,3}})\.")
    numbers = [int(match[1]) for name in released.encoder if (match := layer.match(name))]
    embedding, n_features = released.sizes(f"{start}.affine_matrix.weight", f"{start}.affine_matrix")
    first = f"{start}.encoder.layers.0."
    ffn, _ = released.sizes(
        f"{first}layers.0.weight", *([f"{first}linear1.weight"] if modality == "eye" else [])
    )
    projection, _ = released.sizes(f"{modality}_transform.0.weight")
    settings = {"depth": max(numbers) + 1, "heads": ATTENTION_HEADS, "ffn": ffn}
    return settings | {"embedding": embedding, "projection": projection}, n_features


def _data_set(path: Path, wanted: str, features: dict[str, int], n_classes: int) -> DataSet | None:
    """The data set that was named, else the only one that fits; None when none does."""

    def fits(data: DataSet) -> bool:
        return data.modalities == features and n_classes in (0, len(data.heads[HEAD]))

    if wanted:
        data = DATASETS[wanted]
        if not fits(data):
            sizes = ", ".join(f"{n} {name}" for name, n in features.items())
            expected = ", ".join(f"{n} {name}" for name, n in data.modalities.items())
            raise UsageError(
                f"dataset: {path} has {sizes} features and {n_classes or 'no'} classes, "
                f"{wanted} has {expected} and {len(data.heads[HEAD])}"
            )
        return data
    fitting = [name for name in RELEASED_FOR if fits(DATASETS[name])]
    if len(fitting) > 1:
        raise UsageError(f"{path}: fits {' and '.join(fitting)}: name one with --dataset")
    return DATASETS[fitting[0]] if fitting else None
