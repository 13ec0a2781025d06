"""What a training file may say: typed, frozen, with the sound choice as default.

A file names a preset ("sound" unless it says otherwise) and only what differs from it. Where the
authors' released code does something that should not be followed, the released behaviour is a setting
too; presets/released-*.yaml hold them together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bci_m2s.errors import ConfigurationError, ContractError, nearest, printable
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.model_file import Contract
from bci_m2s.training.datasets.markers import MarkerSettings
from bci_m2s.training.methods.losses import LossSettings

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
LastBatch = Literal["merge", "drop", "keep"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Part):
    """Which data.

    Parameters
    ----------
    format : a data set's name, "recordings" for a folder of XDF files, or "simulated"
    root : folder of the copy; relative to the training file
    feature : which of the distributed features; "" for the usual one
    raw : begin with raw signals and the live feature path; for formats that also distribute features
    subjects : only these people; empty for all
    persons, sessions, simulator : for "simulated": how many people, sessions of each, and what
        ``SimulatorSettings`` takes
    markers : for "recordings": how marker texts name trials, see ``MarkerSettings``
    threshold : for rated data sets: ratings above it are "high"; None for the usual one
    """

    format: str
    root: Path | None = None
    feature: str = ""
    raw: bool = False
    subjects: tuple[str, ...] = ()
    persons: Count = 24
    sessions: Count = 1
    simulator: dict[str, Any] = {}
    markers: MarkerSettings = MarkerSettings()
    threshold: float | None = None


class SplitSettings(_Part):
    """Which trials train, validate and test.

    subjects : `test_subjects` people test, `validation_subjects` validate, all others train
    subject-folds : people in `folds` parts that test in turn (0: one person at a time)
    trials : within each session the first `train_trials` trials train, the others test
    trial-folds : within each session `folds` blocks of trials test in turn

    Within a session the last `validation_trials` training trials of each class validate. `seed` draws
    people.
    """

    kind: Literal["subjects", "subject-folds", "trials", "trial-folds"] = "subjects"
    test_subjects: Count = 4
    validation_subjects: Count = 4
    folds: Annotated[int, Field(ge=0)] = 5
    train_trials: Count = 9
    validation_trials: Count = 1
    seed: int = 0


class WindowSettings(_Part):
    """How windows are cut and scaled.

    every_hops : one window every so many hops
    straddling : released: windows may run over the end of a trial
    own_session : named option, transductive: each session is z-scored by all of its own rows, the test
        trials among them. Such a model cannot run live and none is written
    """

    every_hops: Count = 1
    straddling: bool = False
    own_session: bool = False


class PretrainSettings(_Part):
    """Pre-training on pairs without labels (Algorithm 1).

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay : Adam, cosine to 0 over all steps
    sampler : whose windows share a batch: anybody's, one person's, or one session's
    last_batch : windows left over at an epoch's end join the batch before, are dropped, or are kept
        as a short batch
    loss : weights and choices of the four losses
    predictions, context : of M2M CPC
    club_hidden, club_learning_rate, club_inner_steps : of the CLUB estimators' own fit
    club_limit : training stops, and says so, when the weighted CLUB terms of an epoch average more;
        None never stops
    causal_only : refuse encoders that have seen the steps they are to predict
    layers_start : independent initialisation, or all layers as copies of the first
    precision : "bf16" uses autocast on CUDA; on the CPU always float32
    compile : torch.compile the pair model, on CUDA only
    """

    epochs: Annotated[int, Field(ge=0)] = 60
    batch: Annotated[int, Field(ge=2)] = 256
    learning_rate: Positive = 1e-4
    weight_decay: NotNegative = 1e-4
    sampler: Literal["mixed", "within-person", "within-session"] = "within-person"
    last_batch: LastBatch = "merge"
    loss: LossSettings = LossSettings()
    predictions: Count = 2
    context: Count = 64
    club_hidden: Count = 32
    club_learning_rate: Positive = 1e-3
    club_inner_steps: Count = 3
    club_limit: Positive | None = 50.0
    causal_only: bool = True
    layers_start: Literal["independent", "copies"] = "independent"
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = False


class FinetuneSettings(_Part):
    """Classifier training on one modality's labels.

    Parameters
    ----------
    epochs, batch : Adam, cosine to 0
    learning_rates, weight_decays : every pair is tried; the best on validation trials is taken
    freeze : encoder and projection stay as pre-trained; false trains them too
    start : "random" leaves the encoder as initialised: with `freeze` the control that shows what
        pre-training adds, without it supervised training
    frozen_dropout : released: dropout stays active in the frozen encoder
    frozen_in_optimiser : released: frozen parameters are handed to Adam too
    label_smoothing : of the cross-entropy
    class_weight : "balanced" gives every class the same say, as the balanced accuracy does; "none" as
        released
    adapt_norm : a classifier that judges a modality on whose labels it was not trained takes its batch
        normalisation from that modality's training windows, without labels; false as released
    labels : of the model that ``--out`` writes: "own", each modality's classifier learnt on its own
        labels, or the name of the modality on whose labels one classifier for all was trained
    select : the epoch and settings by validation trials, or the last epoch of the first setting
    oracle : also report what picking on the test trials would have given, labelled so
    most_unknown : at most this share of validation windows may fall below the confidence threshold
    trials_per_class : how many labelled training trials of each class are used, whosever; 0 for all
    keep : modalities that the model file holds; empty for all
    storage : of the network's weights in the model file
    """

    epochs: Count = 100
    batch: Annotated[int, Field(ge=2)] = 256
    learning_rates: tuple[Positive, ...] = Field(default=(1e-3, 1e-4), min_length=1)
    weight_decays: tuple[NotNegative, ...] = Field(default=(1e-4, 1e-2), min_length=1)
    freeze: bool = True
    start: Literal["pretrained", "random"] = "pretrained"
    frozen_dropout: bool = False
    frozen_in_optimiser: bool = False
    last_batch: LastBatch = "merge"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weight: Literal["balanced", "none"] = "balanced"
    adapt_norm: bool = True
    labels: str = "own"
    select: Literal["validation", "last"] = "validation"
    oracle: bool = False
    most_unknown: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    trials_per_class: Annotated[int, Field(ge=0)] = 0
    keep: tuple[str, ...] = ()
    storage: Literal["float32", "float16"] = "float32"


class TrainingSettings(_Part):
    """A training file. `contract` is what the model file will say, `pair` which modalities train."""

    preset: str = "sound"
    contract: dict[str, Any]
    pair: tuple[str, str]
    data: DataSettings
    split: SplitSettings = SplitSettings()
    windows: WindowSettings = WindowSettings()
    pretrain: PretrainSettings = PretrainSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    controls: tuple[Literal["random", "supervised", "linear", "permuted"], ...] = ()
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)

    @property
    def draft(self) -> Contract:
        """The contract without a training record."""
        return Contract.model_validate(self.contract)

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSettings:
        draft = self.draft
        taught = () if self.finetune.labels == "own" else (self.finetune.labels,)
        for name in (*self.pair, *self.finetune.keep, *taught):
            if name not in draft.modalities:
                expected = f"a modality of the contract{nearest(name, draft.modalities)}"
                raise ContractError("training", "pair", repr(name), expected)
        if self.pair[0] == self.pair[1] or set(draft.modalities) != set(self.pair):
            expected = "two different modalities, the contract's"
            raise ContractError("training", "pair", ", ".join(self.pair), expected)
        if self.data.format != "simulated" and self.data.root is None:
            raise ContractError("training", "data.root", "nothing", "the folder of your copy")
        if len(set(self.seeds)) < len(self.seeds):
            raise ContractError("training", "seeds", self.seeds, "different numbers")
        return self


def recorded(settings: BaseModel) -> dict[str, Any]:
    """Settings as strict JSON takes them, for checkpoints and model files: infinity becomes "inf"."""
    return {key: _finite(value) for key, value in settings.model_dump(mode="json").items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def load_training(path: Path) -> TrainingSettings:
    """Read a training file on top of its preset; relative roots are relative to the file.

    Raises
    ------
    ConfigurationError
        File, field, got and expected.
    """
    values, _ = read_yaml(path)
    name = values.get("preset", "sound")
    merged = _merged(preset(str(name)), values)
    data = merged.get("data")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        data["root"] = _folder(path, data["root"])
    place: tuple[str | int, ...] = ("contract",)
    try:
        if "contract" in merged:
            Contract.model_validate(merged["contract"])  # by itself, for the places in its messages
        place = ()
        return TrainingSettings.model_validate(merged)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        field = ".".join(str(part) for part in (*place, *first["loc"])) or "as a whole"
        got = "nothing" if first["type"] == "missing" else repr(first["input"])[:120]
        what = printable(f"{field}: got {got}, expected: {first['msg']}")
        raise ConfigurationError(f"{path}: {what}") from None
    except ContractError as problem:
        raise ConfigurationError(f"{path}: {printable(problem)}") from None


def _folder(path: Path, root: str) -> str:
    """A data folder as the training file `path` means it: relative to itself, "~" is home."""
    try:
        return str((path.parent / Path(root).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as problem:  # a null character, a home that nobody has
        raise ConfigurationError(
            f"{path}: data.root: got {printable(repr(root)[:120])}, expected a folder: {problem}"
        ) from None


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("bci_m2s.training") / "presets"
    return sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml"))


def preset(name: str) -> dict[str, Any]:
    """The values of a preset. Raises ConfigurationError for an unknown one."""
    if name not in presets():
        raise ConfigurationError(f"preset: {name!r} is unknown{nearest(name, presets())}")
    text = (resources.files("bci_m2s.training") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    return values


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, section by section; sections of the contract are never mixed."""
    result = dict(below)
    for key, value in above.items():
        mixed = isinstance(value, Mapping) and isinstance(result.get(key), Mapping) and key != "contract"
        result[key] = _merged(result[key], value) if mixed else value
    return result
