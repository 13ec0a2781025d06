"""Pipeline files: YAML to typed settings. Unknown keys are refused, the nearest valid one is named."""

from __future__ import annotations

import math
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.files.yaml_file import Place, read_yaml
from bci_m2s.text import printable

Name = Annotated[str, Field(max_length=256)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LslStream(_Settings):
    """A live stream, found by whatever is given of name, type, source id and host."""

    source: Literal["lsl"] = "lsl"
    """A live stream."""
    name: Name = ""
    """Name of the stream; empty for any."""
    type: Name = ""
    """LSL type; where nothing is specified, the type that the model's contract names."""
    source_id: Name = ""
    """The sender's source id; empty for any."""
    host: Name = ""
    """Host name of the sender's machine; empty for any."""
    wait_s: Seconds = 10.0
    """How long to look for the stream."""
    gap_s: Seconds = 0.1
    """A stamp that deviates from the sampling interval by more begins a new segment."""
    rename: dict[Name, Name] = {}
    """The stream's label: the model's label."""


class ReplayStream(_Settings):
    """A stream of a recorded file, played at its own pace; relative paths start at the YAML file."""

    source: Literal["replay"]
    """A stream of a recording."""
    file: Name
    """XDF, EDF, BDF, FIF or BrainVision file."""
    name: Name = ""
    """Name of the stream in the file; empty for any."""
    type: Name = ""
    """Type of the stream in the file; empty for any."""
    loops: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How often the recording is played."""
    gap_s: Seconds = 0.1
    """A stamp that deviates from the sampling interval by more begins a new segment."""
    rename: dict[Name, Name] = {}
    """The stream's label: the model's label."""


class SimulatedStream(_Settings):
    """A stream of the simulator, made inside the engine."""

    source: Literal["simulated"]
    """A stream of a simulated person."""
    stream: Literal["eeg", "eye", "markers"]
    """Which of the simulator's streams."""
    montage: Name = "seed-62"
    """`seed-62`, `muse`, or the name of a montage that mne knows."""
    subject: Annotated[int, Field(ge=0)] = 0
    """Which simulated person."""
    session: Annotated[int, Field(ge=0)] = 0
    """Which session of the person."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Selects the population from which the person comes."""
    gap_s: Seconds = 0.1
    """A stamp that deviates from the sampling interval by more begins a new segment."""
    rename: dict[Name, Name] = {}
    """The stream's label: the model's label."""


Stream = Annotated[LslStream | ReplayStream | SimulatedStream, Field(discriminator="source")]


class BaselineSettings(_Settings):
    """When a person's baseline begins, for models whose contract asks for one."""

    start: Literal["first", "marker"] = "first"
    """`first`: with the stream. `marker`: when the marker below comes."""
    marker: Name = "baseline/start"
    """This marker begins a new baseline at any time, whatever `start` says."""


class OutletSettings(_Settings):
    """The LSL stream of estimates."""

    enabled: bool = True
    """Whether anything is published; without it there is no panel either."""
    name: Name = "bci_m2s"
    """Name of the stream; with several heads `NAME-HEAD`."""


class PipelineSettings(_Settings):
    """A whole pipeline file."""

    model: Name
    """A shipped model's name, or a path."""
    streams: Annotated[dict[Name, Stream], Field(min_length=1, max_length=16)]
    """For each modality of the model, where its stream comes from; the order is the order of preference."""
    markers: Stream | None = None
    """The stream of marker texts: logged, recorded, and able to begin a baseline."""
    modality: Literal["each", "auto", "fused"] = "each"
    """Estimates side by side, of the first usable modality, or their average."""
    back_after_s: Seconds = 2.0
    """A modality that failed leads again after it has been usable for this long."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")] = "auto"
    """Where the network runs: `auto`, `cpu`, `cuda` or `cuda:N`."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of the network on the CPU."""
    baseline: BaselineSettings = BaselineSettings()
    """When a person's baseline begins."""
    outlet: OutletSettings = OutletSettings()
    """The LSL stream of estimates."""


def load_pipeline(path: Path) -> PipelineSettings:
    """Read a pipeline file.

    Raises
    ------
    ConfigurationError
        One line: file, line, key, got, expected; the first problem of several.
    """
    values, lines = read_yaml(path)
    for modality in ("streams", "markers"):
        _default_source(values.get(modality), deep=modality == "streams")
    try:
        return PipelineSettings.model_validate(values)
    except ValidationError as problem:
        # a misspelt key also makes the right one "missing": the misspelling says more
        errors = sorted(problem.errors(), key=lambda error: error["type"] != "extra_forbidden")
        raise _explain(path, values, lines, errors[0]) from None


def _default_source(part: Any, deep: bool) -> None:
    """A stream without `source:` is an LSL stream."""
    for stream in part.values() if deep and isinstance(part, dict) else [part]:
        if isinstance(stream, dict):
            stream.setdefault("source", "lsl")


def _explain(path: Path, values: Any, lines: dict[Place, int], error: Any) -> ConfigurationError:
    place = _in_file(error["loc"], values)
    key = printable(".".join(str(part) for part in place))
    known = next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 1)
    where = f"{path}:{known}: {key}" if key else f"{path}:{known}"
    if error["type"] == "extra_forbidden":
        valid = _keys_at(place[:-1], values)
        return ConfigurationError(f"{where}: unknown key{nearest(str(place[-1]), valid)}")
    if error["type"] == "missing":
        return ConfigurationError(f"{where}: got nothing, expected a value: this key is required")
    return ConfigurationError(f"{where}: got {_shown(error['input'])}, expected {_expected(error)}")


def _in_file(location: Place, values: Any) -> Place:
    """The place in the file: pydantic's location without the names of union members."""
    place: list[str | int] = []
    at = values
    for number, part in enumerate(location):
        last = number == len(location) - 1
        is_member = part in ("lsl", "replay", "simulated") and not (isinstance(at, dict) and part in at)
        if is_member and (not last or not isinstance(at, dict)):
            continue
        place.append(part)
        at = at.get(part) if isinstance(at, dict) else None
    if place and place[-1] == "[key]":
        place.pop()
    return tuple(place)


def _keys_at(place: Place, values: Any) -> list[str]:
    """Valid keys of the mapping at a place of the file."""
    model: Any = PipelineSettings
    at = values
    for part in place:
        at = at.get(part) if isinstance(at, dict) else None
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _inner(model.model_fields[str(part)].annotation, at)
        else:
            model = _inner(model, at)
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    return list(model.model_fields) if is_model else []


def _inner(annotation: Any, value: Any) -> Any:
    """The settings class behind an annotation, the right member of a union by its `source`."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        source = value.get("source", "lsl") if isinstance(value, dict) else "lsl"
        for member in get_args(annotation):
            inner = _inner(member, value)
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                kind = inner.model_fields.get("source")
                if kind is None or source in get_args(kind.annotation):
                    return inner
    return annotation


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (yes, no, on and off are true and false in YAML; quote text)"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"{value[:60]!r} (text)"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f"{str(value)[:60]} ({type(value).__name__})"


def _expected(error: Any) -> str:
    kind, message = error["type"], str(error["msg"])
    words = {
        "model_attributes_type": "a mapping (key: value)",
        "model_type": "a mapping (key: value)",
        "dict_type": "a mapping (key: value)",
        "union_tag_invalid": "a source: " + error.get("ctx", {}).get("expected_tags", ""),
        "too_short": "at least one entry",
        "string_pattern_mismatch": "auto, cpu, cuda or cuda:N",
        "string_type": "text",
        "bool_type": "true or false",
    }
    if kind in ("float_type", "int_type"):
        number = "a number" if kind == "float_type" else "a whole number"
        hint = "; YAML reads 1e-3 as text, write 1.0e-3" if _is_number(error["input"]) else ""
        return number + hint
    return words.get(kind, message.removeprefix("Input should be "))


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True
