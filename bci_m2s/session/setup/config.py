"""Pipeline files: YAML to typed settings. Unknown keys are refused, the nearest valid one is named."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializeAsAny,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.files.yaml_file import Place, read_yaml
from bci_m2s.sinks import SINKS
from bci_m2s.sources import SOURCES, Name, Seconds, StreamSettings
from bci_m2s.text import printable


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _stream(value: Any) -> Any:
    """A stream of a file as the settings of the source that it names; "lsl" where it names none."""
    if not isinstance(value, dict):
        return value
    name = value.get("source", "lsl")
    if not isinstance(name, str) or name not in SOURCES:
        sources = ", ".join(map(repr, SOURCES))
        raise _refusal("source", name, f"a source: {sources}{SOURCES.unknown(str(name)[:60])}")
    return SOURCES[name].model_validate(value)


def _sinks(value: Any) -> Any:
    """Sinks by name with their parameters; a list of names stands for sinks without any."""
    if isinstance(value, list):
        value = {str(name): {} for name in value}
    for name, params in value.items() if isinstance(value, dict) else ():
        if name not in SINKS:
            raise _refusal(name, name, f"a sink: {', '.join(map(repr, SINKS))}{SINKS.unknown(name[:60])}")
        if isinstance(params, dict):
            try:
                inspect.signature(SINKS[name]).bind(Path(), {}, **params)
            except TypeError as problem:
                raise _refusal(name, params, f"parameters of this sink: {str(problem)[:200]}") from None
    return value


def _refusal(key: str, got: Any, expected: str) -> ValidationError:
    """An error at a key, in our own words."""
    error = PydanticCustomError("refused", "{expected}", {"expected": expected})
    return ValidationError.from_exception_data(
        "pipeline", [InitErrorDetails(type=error, loc=(key,), input=got)]
    )


# Source and sinks may come from another package, so their settings are looked up when a file is read.
Stream = Annotated[SerializeAsAny[StreamSettings], BeforeValidator(_stream)]
Sinks = Annotated[dict[Name, dict[Name, JsonValue]], BeforeValidator(_sinks), Field(max_length=16)]


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
    sinks: Sinks = {}
    """Further sinks, besides the usual ones: a list of names, or a mapping of names to parameters."""


def load_pipeline(path: Path) -> PipelineSettings:
    """Read a pipeline file.

    Raises
    ------
    ConfigurationError
        One line: file, line, key, got, expected; the first problem of several.
    """
    values, lines = read_yaml(path)
    try:
        return PipelineSettings.model_validate(values)
    except ValidationError as problem:
        # a misspelt key also makes the right one "missing": the misspelling says more
        errors = sorted(problem.errors(), key=lambda error: error["type"] != "extra_forbidden")
        raise _explain(path, values, lines, errors[0]) from None


def _explain(path: Path, values: Any, lines: dict[Place, int], error: Any) -> ConfigurationError:
    place = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    key = printable(".".join(str(part) for part in place))
    known = next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), 1)
    where = f"{path}:{known}: {key}" if key else f"{path}:{known}"
    if error["type"] == "extra_forbidden":
        valid = _keys_at(place[:-1], values)
        return ConfigurationError(f"{where}: unknown key{nearest(str(place[-1]), valid)}")
    if error["type"] == "missing":
        return ConfigurationError(f"{where}: got nothing, expected a value: this key is required")
    return ConfigurationError(f"{where}: got {_shown(error['input'])}, expected {_expected(error)}")


def _keys_at(place: Place, values: Any) -> list[str]:
    """Valid keys of the mapping at a place of the file."""
    kind: Any = PipelineSettings
    for part in place:
        values = values.get(part) if isinstance(values, dict) else None
        fields = kind.model_fields if _is_settings(kind) else {}
        kind = _settings_of(fields[str(part)].annotation if part in fields else kind, values)
    return list(kind.model_fields) if _is_settings(kind) else []


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _settings_of(annotation: Any, values: Any) -> Any:
    """The settings class that an annotation means; of a stream, that of the source that it names."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if NoneType in get_args(annotation):
        annotation = get_args(annotation)[0]
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is StreamSettings:
        return SOURCES[values.get("source", "lsl")]
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
