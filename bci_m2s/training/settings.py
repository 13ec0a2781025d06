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
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bci_m2s.errors import ConfigurationError, ContractError, nearest
from bci_m2s.files.explain import refused
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import refuse_other
from bci_m2s.model.contract import Contract
from bci_m2s.networks import NETWORKS
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.text import printable, quoted
from bci_m2s.training.data.label_settings import LabelSettings
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.markers import MarkerSettings
from bci_m2s.training.methods import METHODS
from bci_m2s.training.methods.loss_settings import LossSettings

MOST_SEEDS = 1000
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
LastBatch = Literal["merge", "drop", "keep"]
OF_PAIRS = ("contrastive", "reconstruction", "club", "cpc_cross", "vicreg")  # loss weights
RECIPE = ("preset", "windows", "pretrain", "finetune")  # sections that say how, not on what
# What applies to one modality alone where the file says nothing.
ALONE: dict[str, Any] = {
    "pretrain": {"loss": {"weights": dict.fromkeys(OF_PAIRS, 0.0) | {"cpc_within": 1.0}}},
    # frozen encoders serve the exchange of classifiers; and CPC leaves the projection as initialised
    "finetune": {"freeze": False},
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Part):
    """Which data."""

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


class SplitSettings(_Part):
    """Which trials train, validate and test.

    subjects : `test_subjects` people test, `validation_subjects` validate, all others train
    subject-folds : people in `folds` parts that test in turn (0: one person at a time)
    trials : within each session the first `train_trials` trials train, the others test
    trial-folds : within each session `folds` blocks of trials test in turn
    named : the people in `test` test, those in `validation` validate, all others train
    """

    kind: Literal["subjects", "subject-folds", "trials", "trial-folds", "named"] = "subjects"
    """How trials are divided."""
    test_subjects: Count = 4
    """For `subjects`: number of people that test."""
    validation_subjects: Count = 4
    """For `subjects` and `subject-folds`: number of people that validate."""
    folds: Annotated[int, Field(ge=0)] = 5
    """Number of parts; for `subject-folds`, 0 leaves one person out at a time."""
    train_trials: Count = 9
    """For `trials`: number of trials at the beginning of a session that train; the others test."""
    validation_trials: Count = 1
    """Within a session, the last training trials of each class of every head that validate."""
    test: tuple[str, ...] = ()
    """For `named`: who tests: people, or PERSON/SESSION for one session of a person."""
    validation: tuple[str, ...] = ()
    """For `named`: who validates, in the same way."""
    seed: int = 0
    """Of the draw of people, and of clips."""
    validation_by_seed: bool = False
    """For `subjects` and `subject-folds`: with each of `seeds` others validate, in turn; the same test."""
    stimuli: Literal["shared", "apart"] = "shared"
    """`apart`: no clip is in two parts. A trial of a person and a clip of different parts is not used."""
    stimulus_folds: Annotated[int, Field(ge=3)] = 5
    """With `stimuli: apart`: number of parts of the clips; one tests, the next validates, the others train;
    with folds of people they take turns."""

    @model_validator(mode="after")
    def _people_are_apart(self) -> SplitSettings:
        if self.stimuli == "apart" and self.kind in ("trials", "trial-folds"):
            expected = f"shared with kind {self.kind}, which keeps trials of one session apart"
            raise ContractError("split", "stimuli", "apart", expected)
        return self

    @model_validator(mode="after")
    def _validate_in_turn(self) -> SplitSettings:
        if self.validation_by_seed and self.kind not in ("subjects", "subject-folds"):
            expected = f"false with kind {self.kind}: subjects and subject-folds draw who validates"
            raise ContractError("split", "validation_by_seed", "true", expected)
        return self

    @model_validator(mode="after")
    def _are_named(self) -> SplitSettings:
        is_named = self.kind == "named"
        for part, names in (("test", self.test), ("validation", self.validation)):
            if bool(names) != is_named:
                got = f"{len(names)} names" if names else "nothing"
                expected = "names of people" if is_named else f"nothing with kind {self.kind}"
                raise ContractError("split", part, got, expected)
        return self


class WindowSettings(_Part):
    """How windows are cut and scaled."""

    every_hops: Count = 1
    """One window per this many hops."""
    straddling: bool = False
    """Released behaviour: windows may run over the end of a trial."""
    own_session: bool = False
    """Transductive: each session is z-scored by all of its own rows. Such a model cannot run live."""


class PretrainSettings(_Part):
    """Pre-training on pairs without labels (Algorithm 1)."""

    epochs: Annotated[int, Field(ge=0)] = 60
    """Passes through the training windows; 0 skips pre-training."""
    select: Literal["validation", "last"] = "validation"
    """Keep the epoch with the lowest loss on the unlabelled validation pairs, or the last."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs without a lower one; 0 for never."""
    stop_after: Annotated[int, Field(ge=0)] = 0
    """Stop after this number of epochs, the learning rate falling as for `epochs`; 0 for all."""
    batch: Annotated[int, Field(ge=2)] = 256
    """Windows per batch."""
    learning_rate: Positive = 1e-4
    """Of Adam; falls to 0 along a cosine over all steps."""
    weight_decay: NotNegative = 1e-4
    """Of Adam."""
    sampler: Literal["mixed", "within-person", "within-session"] = "within-person"
    """Whose windows share a batch: anybody's, one person's, or one session's."""
    last_batch: LastBatch = "merge"
    """Windows left over at an epoch's end join the batch before, are dropped, or form a short batch."""
    loss: LossSettings = LossSettings()
    """Weights and choices of the four losses."""
    predictions: Count = 2
    """Number of steps that CPC predicts."""
    context: Count = 64
    """Width of CPC's context."""
    club_hidden: Count = 32
    """Width of the CLUB estimators."""
    club_learning_rate: Positive = 1e-3
    """Of the CLUB estimators' own fit."""
    club_weight_decay: NotNegative = 0.0
    """Of the CLUB estimators' own fit."""
    club_inner_steps: Count = 3
    """Steps of the CLUB estimators' own fit per batch."""
    club_limit: Positive | None = 50.0
    """Training stops when an epoch's weighted CLUB terms average more; `null` for never."""
    causal_only: bool = True
    """Refuse encoders that have seen the steps they are to predict."""
    layers_start: Literal["independent", "copies"] = "independent"
    """Independent initialisation, or all layers as copies of the first."""
    precision: Literal["float32", "bf16"] = "float32"
    """`bf16` uses autocast on CUDA; on the CPU always float32."""
    compile: bool = False
    """Compile the pair model, on CUDA only."""


class FinetuneSettings(_Part):
    """Classifier training on one modality's labels."""

    epochs: Count = 100
    """Passes through the training windows."""
    batch: Annotated[int, Field(ge=2)] = 256
    """Windows per batch."""
    learning_rates: tuple[Positive, ...] = Field(default=(1e-3, 1e-4), min_length=1)
    """Every combination with `weight_decays` is tried; the best on validation trials is taken."""
    weight_decays: tuple[NotNegative, ...] = Field(default=(1e-4, 1e-2), min_length=1)
    """See `learning_rates`."""
    freeze: bool = True
    """Encoder and projection stay as pre-trained; false trains them too, as one modality alone does."""
    start: Literal["pretrained", "random"] = "pretrained"
    """`random` leaves the encoder as initialised: a control with `freeze`, else supervised training."""
    method: str = "pretrained"
    """How classifiers are trained: `pretrained` as described here, `supervised` with encoders that only
    labels train, or a method of an installed package."""
    frozen_dropout: bool = False
    """Released behaviour: dropout stays active in the frozen encoder."""
    frozen_in_optimiser: bool = False
    """Released behaviour: frozen parameters are given to Adam too."""
    last_batch: LastBatch = "merge"
    """As for pre-training."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the cross-entropy."""
    class_weight: Literal["balanced", "none"] = "balanced"
    """`balanced` gives every class the same weight; `none` as released."""
    adapt_norm: bool = True
    """A classifier trained on the other modality's labels takes its batch norm from this one's training
    windows. No label is used; both are assumed to hold the classes in the same shares."""
    classifier: Literal["network", "logistic"] = "network"
    """`network` as the paper's, trained epoch by epoch; `logistic`, not the paper's, a logistic regression
    of what it sees, fitted to its optimum: of these settings only `class_weight` and `readout` apply. It is
    for frozen encoders, whose signals a readout has brought into line: needs `freeze`, no `adapt_norm`."""
    readout: Annotated[int, Field(ge=0, le=1024)] = 0
    """Components of a canonical correlation of the modalities' projections on training pairs, without
    labels, that classifiers see; 0 for none. Not the paper's. Needs `freeze`."""
    linear: bool = False
    """A linear map of the features beside each classifier, of the same labels, how much of it by validation
    windows. For a modality's own labels alone; not the paper's. Needs `freeze`."""
    labels: str = "own"
    """For `--out`: `own`, or the modality whose labels train one classifier for all."""
    select: Literal["validation", "last"] = "validation"
    """Epoch and settings by validation trials, or the last epoch of the first setting."""
    stop_after: Annotated[int, Field(ge=0)] = 0
    """Training ends after this number of epochs, its learning rate falling as for `epochs`; 0 for all."""
    oracle: bool = False
    """Also report what selecting on the test trials would have given, labelled as such."""
    most_unknown: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    """Largest share of validation windows that may fall below the confidence threshold."""
    trials_per_class: Annotated[int, Field(ge=0)] = 0
    """Number of labelled training trials used per class, over all people; 0 for all."""
    keep: tuple[str, ...] = ()
    """Modalities that the model file holds; empty for all."""
    storage: Literal["float32", "float16"] = "float32"
    """Number format of the network's weights in the model file."""


class TrainingSettings(_Part):
    """A training file."""

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
        return _merged(ALONE, values) if len(pair) == 1 else values

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


def load_training(path: Path) -> TrainingSettings:
    """Read a training file on top of its preset; relative roots are relative to the file.

    Raises
    ------
    ConfigurationError
        File, line, key, got, expected; the first problem of several.
    """
    if path.suffix == ".safetensors":
        raise ConfigurationError(
            f"{path}: got a model file, expected a training file; to evaluate a model: "
            f"bci-m2s evaluate {path} --on TRAINING.yaml"
        )
    values, lines = read_yaml(path)
    refuse_other(path, values, "training file")
    try:
        _root_absolute(path, values)
        below = preset(values.get("preset", "sound"))
        if values.get("base"):
            recipe = {key: below[key] for key in RECIPE if key in below}
            below = _base(path, values["base"]) | recipe
        merged = _merged(below, values)
    except ConfigurationError as problem:
        raise ConfigurationError(with_line(path, lines, str(problem))) from None
    _count_distributed(merged)
    try:
        return TrainingSettings.model_validate(merged)
    except (ValidationError, ContractError) as problem:
        raise refused(path, lines, problem, TrainingSettings, values=merged) from None


def _base(path: Path, name: object) -> dict[str, Any]:
    """What a training file takes from the one that it names as its base."""
    below = path.parent / name if isinstance(name, str) else path
    if not below.is_file() or below.resolve() == path.resolve():
        raise ConfigurationError(
            f"base: got {quoted(name, 120)}, expected another training file beside this one"
        )
    values, _ = read_yaml(below)
    refuse_other(below, values, "training file")
    if values.get("base"):
        raise ConfigurationError(
            f"base: {below.name} has a base itself: name {quoted(values['base'], 120)}"
        )
    _root_absolute(below, values)
    return {key: value for key, value in values.items() if key not in RECIPE}


def _root_absolute(path: Path, values: dict[str, Any]) -> None:
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        data["root"] = _folder(path, data["root"])


def _count_distributed(values: Mapping[str, Any]) -> None:
    """State the number of features that only their data set knows, where the file leaves it out."""
    try:
        data_set = DATASETS[values["data"]["format"]]
        modalities = values["contract"]["modalities"]
        features = {name: spec["feature"] for name, spec in modalities.items()}
    except (KeyError, TypeError, AttributeError):  # refused with the settings
        return
    for name, feature in features.items():
        if isinstance(feature, dict) and feature.get("name") == "distributed":
            feature.setdefault("n_features", data_set.modalities.get(name, 1))


def _folder(path: Path, root: str) -> str:
    """A data folder as an absolute path: relative to the training file `path`, "~" is home."""
    try:
        return str((path.parent / Path(root).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as problem:  # a null character, a home that nobody has
        raise ConfigurationError(
            f"data.root: got {quoted(root, 120)}, expected a folder: {printable(problem)}"
        ) from None


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("bci_m2s.training") / "presets"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def preset(name: object) -> dict[str, Any]:
    """The values of a preset. Raises ConfigurationError for an unknown one."""
    if name not in presets():
        hint = nearest(str(name), presets())
        raise ConfigurationError(f"preset: got {quoted(name, 120)}, expected a known preset{hint}")
    text = (resources.files("bci_m2s.training") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    return values


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, section by section."""
    result = dict(below)
    for key, value in above.items():
        mixed = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if mixed else value
    return result
