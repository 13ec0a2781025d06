"""What a model's contract may say: typed, frozen, bounded.

A contract may come from a file made by anyone. Every number has a range, every text a length, every
name is looked up in its registry, and unknown fields are refused. A wrong value raises pydantic's
``ValidationError`` or, where two fields or a registry disagree, ``ContractError``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features import EXTRACTORS
from bci_m2s.lsl.formats import HIGHEST_RATE_HZ
from bci_m2s.model.feature_size import count_of
from bci_m2s.networks import complete_params
from bci_m2s.registry import Registry
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.signal.quality import LOSS_LIMIT
from bci_m2s.signal.smoothing import SMOOTHERS
from bci_m2s.text import quoted
from bci_m2s.types import UNKNOWN

_conflict = partial(ContractError, "contract")  # field, what it has, what is expected


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


def _bounded(value: JsonValue) -> JsonValue:
    _count_nodes(value, depth=0, nodes=0)
    return value


def _count_nodes(value: JsonValue, depth: int, nodes: int) -> int:
    """Number of values in a piece of JSON; ValueError beyond what a record can reasonably hold."""
    nodes += 1
    if depth > 8 or nodes > 20_000:
        raise ValueError("must hold at most 20000 values, nested at most 8 deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must hold finite numbers")
    if isinstance(value, dict):
        if not all(key.isprintable() and len(key) <= 256 for key in value):
            raise ValueError("must have printable keys of at most 256 characters")
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        nodes = _count_nodes(item, depth + 1, nodes)
    return nodes


Text = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)]
LongText = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_printable)]
ModalityName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]  # no dot: tensor names
HeadName = ModalityName
Record = Annotated[dict[str, JsonValue], AfterValidator(_bounded)]
Unit = Annotated[str, StringConstraints(max_length=256), AfterValidator(_printable)]
Labels = Annotated[tuple[Text, ...], Field(min_length=1, max_length=8)]
Reference = Literal["as recorded", "average"] | Labels
Rate = Annotated[float, Field(gt=0, le=HIGHEST_RATE_HZ)]
Fraction = Annotated[float, Field(ge=0, le=1)]
DriftView = Annotated[str, StringConstraints(pattern=r"^(profile|course|own|coupling)$")]
Affect = Annotated[float, Field(ge=-1, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(_Part):
    """A named choice and its parameters."""

    name: Text
    """Which one, by its registered name."""
    params: Record = {}
    """Its parameters; those left out have their defaults."""


class FeatureContract(Component):
    """What a step's features are."""

    n_features: Annotated[int, Field(ge=1, le=65536)] = 0
    """F, the number of features per step; left out, as many as the feature makes."""


class WindowContract(_Part):
    """A window is `steps` steps of `step_s` seconds; a new one is due every `hop_s` seconds."""

    steps: Annotated[int, Field(ge=1, le=120)] = 5
    """Steps per window."""
    step_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    """Length of a step, a whole number of hops."""
    hop_s: Annotated[float, Field(ge=0.01, le=3600)] = 0.25
    """Distance between estimates."""

    @property
    def blocks_per_step(self) -> int:
        """Number of hops in a step."""
        return round(self.step_s / self.hop_s)

    @model_validator(mode="after")
    def _whole_hops(self) -> WindowContract:
        hops = self.step_s / self.hop_s
        if round(hops) < 1 or abs(hops - round(hops)) > 1e-6:
            raise _conflict("window.hop_s", self.hop_s, f"{self.step_s:g} s / a whole number")
        return self


class CalibrationContract(_Part):
    """How one head's logits of one modality become probabilities; fitted on validation windows."""

    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Logits are divided by it before the softmax (Guo et al., ICML 2017)."""
    unknown_below: Fraction = 0.0
    """An estimate with less confidence is `unknown`; 0 for never."""
    ece_before: Fraction | None = None
    """Expected calibration error without the temperature."""
    ece_after: Fraction | None = None
    """Expected calibration error with it."""
    windows: Annotated[int, Field(ge=0)] = 0
    """Number of validation windows on which this rests."""
    trials: Annotated[int, Field(ge=0)] = 0
    """Number of trials from which they come."""
    windows_of: str = ""
    """The modality of those windows, where it is another one, whose labels trained the classifier."""


class DriftLimits(_Part):
    """Limits of one view."""

    whole: Annotated[float, Field(gt=0, le=1e12)]
    """Of all features: squared Mahalanobis distance per feature."""
    channel: Annotated[float, Field(gt=0, le=1e12)]
    """Of a channel's features given those of all others: how many times the channel's usual distance."""


class DriftContract(_Part):
    """How far features may be from those of the training, whose statistics are arrays of the file."""

    views: dict[DriftView, DriftLimits] = Field(min_length=1)
    """Limits by view: `profile` (against the training people), `course` (against this session so far),
    `coupling` (how channels go together, against the training people), and `own` (against the person that
    the model was calibrated on)."""
    smoothing_s: Annotated[float, Field(ge=0, le=60)]
    """Time constant of the smoothing over windows."""
    wait_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    """So long after the first window, a gap or a new baseline there is no drift: little is smoothed yet."""
    share: Fraction
    """Share of the windows of people like those trained on that may be beyond the limit."""
    people: Annotated[int, Field(ge=0)] = 0
    """Number of training people behind the statistics."""
    validation_people: Annotated[int, Field(ge=0)] = 0
    """Number of people that the limit was chosen on."""
    own_sessions: Annotated[int, Field(ge=0)] = 0
    """Number of sessions of the person calibrated on behind `own`."""
    pairs: Annotated[int, Field(ge=0, le=8192)] = 0
    """Number of pairs of channels behind `coupling`."""

    @model_validator(mode="after")
    def _consistent(self) -> DriftContract:
        if ("coupling" in self.views) != (self.pairs > 0):
            raise _conflict("pairs", self.pairs, "pairs with the view coupling, none without it")
        return self


class HeadContract(_Part):
    """One question that a model answers."""

    classes: tuple[Text, ...] = Field(min_length=2, max_length=64)
    """Class names in the order of the probabilities; `unknown` is reserved."""
    valence_arousal: dict[Text, tuple[Affect, Affect]] | None = None
    """Where each class lies in the plane; `null` when that has no meaning."""

    @model_validator(mode="after")
    def _consistent(self) -> HeadContract:
        _refuse_twins("classes", self.classes)
        if UNKNOWN in self.classes:
            raise _conflict("classes", repr(UNKNOWN), "names other than this reserved one")
        for name in self.valence_arousal or {}:
            _known("valence_arousal", name, self.classes)
        return self


class QualityContract(_Part):
    """When a channel's samples are not used. The defaults find lost samples alone."""

    sentinels: tuple[Annotated[float, Field(ge=-1e30, le=1e30)], ...] = Field(default=(), max_length=16)
    """Exact values by which the device says that it has no sample: 0, −1, 1e8 …"""
    limit: Annotated[float, Field(gt=0, le=1e30)] = LOSS_LIMIT
    """Larger magnitudes are loss, in the channels' own unit."""
    railed_share: Fraction = 0.0
    """Share of a hop's samples exactly at its extremes from which a channel is railed; 0 for never."""
    rails: tuple[float, float] | None = None
    """Range of the converter, [low, high] in the channels' unit; a channel that reaches it is railed."""
    noisy_ratio: Annotated[float, Field(ge=0, le=1e4)] = 0.0
    """First differences above this many times the usual are noise; above 1, or 0 for never."""

    @model_validator(mode="after")
    def _consistent(self) -> QualityContract:
        if self.rails is not None and not self.rails[0] < self.rails[1]:
            got = f"{self.rails[0]:g} to {self.rails[1]:g}"
            raise _conflict("quality.rails", got, "low below high")
        if 0 < self.noisy_ratio <= 1:
            raise _conflict("quality.noisy_ratio", self.noisy_ratio, "above 1, or 0 for never")
        return self


class ModalityContract(_Part):
    """What one modality's stream must be and what is made of it."""

    stream_type: Text
    """LSL type to look for, for instance `EEG` or `Gaze`."""
    rate_min_hz: Rate
    """Lowest nominal sampling rate for which the feature holds."""
    rate_max_hz: Rate
    """Highest nominal sampling rate for which the feature holds."""
    channels: tuple[Text, ...] = Field(min_length=1, max_length=1024)
    """Labels in the model's order; a stream is reordered by name."""
    units: tuple[Unit, ...] = Field(min_length=1, max_length=1024)
    """One entry per channel; empty where any unit will do."""
    reference: Reference = "as recorded"
    """What channels are referred to: `as recorded`, `average` of the model's good channels, or the mean of
    labels (`[A1, A2]`, `[Cz]`) that the stream has as channels, or states."""
    feature: FeatureContract
    """What is computed from the samples."""
    normaliser: Component
    """What the features of a person are expressed relative to."""
    smoothing: Component = Component(name="none")
    """Causal smoothing of the features over time."""
    quality: QualityContract = QualityContract()
    """When a channel's samples are not used."""
    amplitude: dict[Unit, tuple[float, float]] = Field(default={}, max_length=64)
    """By unit, the least and largest that a channel can have within a hop (standard deviation of a voltage,
    mean of anything else): what training data had, with a margin. It narrows the usual limits."""
    max_missing: Fraction = 0.25
    """Largest fraction of a step's features that may be replaced by the training mean."""
    layout: Literal["channel-major", "band-major"] = "channel-major"
    """Order in which scaler and network have the features; `band-major` is for imported networks."""
    network: Component
    """The network and its sizes."""
    calibration: dict[HeadName, CalibrationContract] = {}
    """By head; a head that is not named is not calibrated."""
    drift: DriftContract | None = None
    """When features are too far from the training's for an estimate; `null`: this is not checked."""

    @model_validator(mode="after")
    def _consistent(self) -> ModalityContract:
        if self.rate_min_hz > self.rate_max_hz:
            limit = f"at most rate_max_hz ({self.rate_max_hz:g})"
            raise _conflict("rate_min_hz", self.rate_min_hz, limit)
        if len(self.units) != len(self.channels):
            raise _conflict("units", len(self.units), f"one for each of {len(self.channels)}")
        for unit, (low, high) in self.amplitude.items():
            if not low < high:
                raise _conflict(f"amplitude.{unit}", f"{low:g} to {high:g}", "low below high")
        _refuse_twins("channels", [label.casefold() for label in self.channels])
        _known("feature.name", self.feature.name, EXTRACTORS)
        for field, component, registry in (
            ("normaliser", self.normaliser, NORMALISERS),
            ("smoothing", self.smoothing, SMOOTHERS),
        ):
            _known(f"{field}.name", component.name, registry)
            _check_numbers(field, component, registry[component.name])
        complete_params(self.network.name, self.network.params)
        if self.layout == "band-major" and self.feature.n_features % len(self.channels):
            expected = f"a multiple of the {len(self.channels)} channels for layout band-major"
            raise _conflict("feature.n_features", self.feature.n_features, expected)
        return self


class Contract(_Part):
    """Everything that a stream, a configuration and a reader must know of a model."""

    format: Literal["bci_m2s-model"] = "bci_m2s-model"
    """Kind of file."""
    version: Literal[1] = 1
    """Version of the format."""
    name: Text
    """Name of the model."""
    description: LongText = ""
    """What the model is, in a sentence."""
    simulated: bool
    """Whether the training data came from the simulator."""
    heads: dict[HeadName, HeadContract] = Field(min_length=1, max_length=8)
    """What is estimated, by name (`emotion`, `valence` …); every modality answers all heads."""
    window: WindowContract = WindowContract()
    """How features become windows."""
    modalities: dict[ModalityName, ModalityContract] = Field(min_length=1, max_length=8)
    """By name; each has its own network, and any one of them is enough for an estimate."""
    training: Record = {}
    """Free record: data, split, seeds, selection rule, metrics, versions, command."""

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        for name, spec in self.modalities.items():
            for head in spec.calibration:
                _known(f"modalities.{name}.calibration", head, self.heads)
        counted = {name: self._counted(name, spec) for name, spec in self.modalities.items()}
        object.__setattr__(self, "modalities", counted)  # frozen for everybody else
        return self

    def _counted(self, name: str, spec: ModalityContract) -> ModalityContract:
        """A modality that states the number of its features."""
        if spec.feature.n_features:
            return spec
        number = count_of(name, spec, self.window)
        return spec.model_copy(update={"feature": spec.feature.model_copy(update={"n_features": number})})

    @property
    def first_head(self) -> str:
        """The head that is meant where none is named."""
        return next(iter(self.heads))

    @property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """Class names of each head."""
        return {name: head.classes for name, head in self.heads.items()}


def _known(field: str, name: str, valid: Mapping[str, Any] | Sequence[str]) -> None:
    if name not in valid:
        hint = valid.unknown(name) if isinstance(valid, Registry) else nearest(name, valid)
        raise _conflict(field, quoted(name), f"a known name{hint}")


def _refuse_twins(field: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise _conflict(field, f"{quoted(twin)} twice", "different names, regardless of case")


@cache
def _defaults(built: Callable[..., Any]) -> dict[str, Any]:
    """Parameters that have a default; read once, which takes longer than to check what a file says."""
    return {
        key: parameter.default
        for key, parameter in inspect.signature(built).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def _check_numbers(field: str, component: Component, built: Any) -> None:
    """Parameters of normalisers and smoothers are the positive numbers of their signature."""
    defaults = _defaults(built)
    for key, value in component.params.items():
        if key not in defaults:
            known = f"a parameter of {component.name}{nearest(key, defaults)}"
            raise _conflict(f"{field}.params", quoted(key), known)
        whole = isinstance(defaults[key], int)
        right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (right_type and 0 < value <= 1e5):  # type: ignore[operator]
            kind = "a whole number" if whole else "a number"
            raise _conflict(f"{field}.params.{key}", quoted(value), f"{kind} above 0, to 1e5")
