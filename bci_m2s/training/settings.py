"""What a training file may say: typed, frozen, with the sound choice as default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bci_m2s.errors import ContractError, nearest
from bci_m2s.model.contract import Contract
from bci_m2s.networks import NETWORKS
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.text import quoted
from bci_m2s.training.data.label_settings import LabelSettings
from bci_m2s.training.data.split_settings import SplitSettings, WindowSettings
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.markers import MarkerSettings
from bci_m2s.training.methods import METHODS
from bci_m2s.training.methods.stage_settings import FinetuneSettings, PretrainSettings

MOST_SEEDS = 1000
Count = Annotated[int, Field(ge=1)]
OF_PAIRS = ("contrastive", "reconstruction", "club", "cpc_cross", "vicreg")  # loss weights
# What applies to one modality alone where the file says nothing.
ALONE: dict[str, Any] = {
    "pretrain": {"loss": {"weights": dict.fromkeys(OF_PAIRS, 0.0) | {"cpc_within": 1.0}}},
    # frozen encoders serve the exchange of classifiers; and CPC leaves the projection as initialised
    "finetune": {"freeze": False},
}


class DataSettings(BaseModel):
    """Which data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    """A data set's name, `recordings` for a folder of recordings, or `simulated`."""
    root: Path | None = None
    """Folder of your copy, relative to the training file."""
    feature: str = ""
    """Which of the distributed features; empty for the usual one."""
    raw: bool = False
    """Begin with raw signals and the live features, for formats that also distribute features."""
    subjects: tuple[str, ...] = ()
    """Only these people; empty for all."""
    persons: Count = 24
    """For `simulated`: number of people."""
    sessions: Count = 1
    """For `simulated`: sessions per person."""
    simulator: dict[str, Any] = {}
    """For `simulated`: settings of the simulator."""
    markers: MarkerSettings = MarkerSettings()
    """For `recordings`: how markers name trials."""
    streams: dict[str, StreamFacts] = {}
    """For `recordings`: what is stated of the stream of each modality, as in a pipeline."""
    files: tuple[FileSettings, ...] = ()
    """For `recordings`: what files do not say themselves; the first entry that fits a file counts."""
    threshold: float | None = None
    """For rated data sets: ratings above it are high; `null` for the usual one."""


class TrainingSettings(BaseModel):
    """A training file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "sound"
    """What applies where this file says nothing: `sound`, `aligned` or a released recipe."""
    base: str = ""
    """Another training file, relative to this one. What it says on data, contract, split, labels, controls
    and seeds applies where this one says nothing; `preset`, `windows`, `pretrain` and `finetune` do not."""
    contract: Contract
    """The contract of the model file to be written; see above."""
    pair: tuple[str, ...] = Field(min_length=1)
    """The modalities that train together: all of the contract, each once. Two, or one alone, or more."""
    data: DataSettings
    """Which data."""
    split: SplitSettings = SplitSettings()
    """Which trials train, validate and test."""
    labels: LabelSettings = LabelSettings()
    """Whose labels count."""
    windows: WindowSettings = WindowSettings()
    """How windows are cut and scaled."""
    pretrain: PretrainSettings = PretrainSettings()
    """Pre-training on pairs without labels."""
    finetune: FinetuneSettings = FinetuneSettings()
    """Classifier training on labels."""
    controls: tuple[str, ...] = ()
    """What `evaluate` sets beside the method: `majority`, `linear`, `cca`, `pseudo`, `riemann`, `random`,
    `supervised`, `permuted`, another's."""
    permutations: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Of the labels, for the control `permuted`; its smallest p value is 1 / (1 + permutations)."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """One model per seed: a list, or their number, counted from 0."""

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if not 0 < value <= MOST_SEEDS:
            raise ValueError(f"their number, 1 to {MOST_SEEDS}, or a list")
        return tuple(range(value))

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, values: Any) -> Any:
        """Of the losses, one modality alone has only the prediction of its own future."""
        if not isinstance(values, Mapping) or not isinstance(pair := values.get("pair"), list | tuple):
            return values
        return laid_over(ALONE, values) if len(pair) == 1 else values

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSettings:
        teacher = () if self.finetune.labels == "own" else (self.finetune.labels,)
        named = {"pair": self.pair, "finetune.keep": self.finetune.keep, "finetune.labels": teacher}
        for key, name in ((key, name) for key, names in named.items() for name in names):
            if name not in self.contract.modalities:
                expected = f"a modality of the contract{nearest(name, self.contract.modalities)}"
                raise ContractError("training", key, repr(name), expected)
        if sorted(self.pair) != sorted(self.contract.modalities):
            expected = f"each modality of the contract once: {', '.join(self.contract.modalities)}"
            raise ContractError("training", "pair", ", ".join(self.pair), expected)
        self._check_weights()
        self._check_readout()
        self._check_labels()
        for name, spec in self.contract.modalities.items():
            if not getattr(NETWORKS[spec.network.name], "is_trained", True):
                field = f"contract.modalities.{name}.network.name"
                trained = [key for key, kind in NETWORKS.items() if getattr(kind, "is_trained", True)]
                expected = f"one that is trained: {', '.join(trained)}"
                raise ContractError("training", field, quoted(spec.network.name), expected)
        for name in self.data.streams:
            if name not in self.contract.modalities:
                expected = f"a modality of the contract{nearest(name, self.contract.modalities)}"
                raise ContractError("training", "data.streams", quoted(name), expected)
        generated = self.data.format in DATASETS and not DATASETS[self.data.format].needs_root
        if self.data.root is None and not generated:
            raise ContractError("training", "data.root", "nothing", "the folder of your copy")
        methods = [
            ("finetune.method", self.finetune.method),
            *(("controls", name) for name in self.controls),
        ]
        for field, name in methods:
            if name not in METHODS:
                known = f"a method{METHODS.unknown(name[:60])}"
                raise ContractError("training", field, quoted(name), known)
        if self.finetune.method in self.controls:
            expected = "methods other than finetune.method"
            raise ContractError("training", "controls", repr(self.finetune.method), expected)
        if teacher and not METHODS[self.finetune.method].crosses(self.finetune.freeze):
            expected = "own, since labels train the encoders here: a classifier fits its own one alone"
            raise ContractError("training", "finetune.labels", quoted(teacher[0]), expected)
        if len(set(self.seeds)) < len(self.seeds):
            raise ContractError("training", "seeds", self.seeds, "different numbers")
        if len(set(self.controls)) < len(self.controls):
            raise ContractError("training", "controls", ", ".join(self.controls), "each once")
        return self

    def _check_readout(self) -> None:
        if self.finetune.linear and not self.finetune.freeze:
            expected = "false with freeze: false: there labels train the encoders"
            raise ContractError("training", "finetune.linear", True, expected)
        if self.finetune.readout and not self.finetune.freeze:
            expected = "0 with freeze: false: a readout is for encoders that stay as they are"
            raise ContractError("training", "finetune.readout", self.finetune.readout, expected)
        if self.finetune.classifier == "logistic":
            for key, must_be in (("freeze", True), ("adapt_norm", False)):
                if (got := getattr(self.finetune, key)) is not must_be:
                    said = f"{str(must_be).lower()} with classifier: logistic"
                    raise ContractError("training", f"finetune.{key}", str(got).lower(), said)
        if self.finetune.readout and len(self.pair) == 1:
            expected = "0, since there is nothing to bring into line with one modality"
            raise ContractError("training", "finetune.readout", self.finetune.readout, expected)
        for name, spec in self.contract.modalities.items():
            if spec.network.params.get("readout"):
                field = f"contract.modalities.{name}.network.params.readout"
                got = spec.network.params["readout"]
                raise ContractError("training", field, got, "nothing: finetune.readout sets it")

    def _check_labels(self) -> None:
        labels = self.labels
        if not labels.leave_out:
            return
        if self.finetune.select != "last":
            expected = "last with labels, since validation people then have none that could choose"
            raise ContractError("training", "finetune.select", self.finetune.select, expected)
        if labels.unpaired and len(self.pair) == 1:
            expected = "false with one modality, which has no pairs"
            raise ContractError("training", "labels.unpaired", "true", expected)
        if self.split.kind in ("trials", "trial-folds"):
            expected = f"nothing with split.kind {self.split.kind}, which tests no new people"
            raise ContractError("training", "labels", "labels that are left out", expected)

    def _check_weights(self) -> None:
        weights = self.pretrain.loss.weights
        for name in OF_PAIRS if len(self.pair) == 1 else ():
            if getattr(weights, name):
                expected = f"0, since {self.pair[0]} is trained alone"
                raise ContractError(
                    "training", f"pretrain.loss.weights.{name}", getattr(weights, name), expected
                )


def recorded(settings: BaseModel) -> dict[str, Any]:
    """Settings as strict JSON takes them, for checkpoints and model files: infinity becomes "inf"."""
    return {key: _finite(value) for key, value in settings.model_dump(mode="json").items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, section by section."""
    result = dict(below)
    for key, value in above.items():
        mixed = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = laid_over(result[key], value) if mixed else value
    return result
