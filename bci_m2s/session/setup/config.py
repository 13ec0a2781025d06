"""Pipeline files: YAML to typed settings. Unknown keys are refused, the nearest valid one is named."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializeAsAny,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from bci_m2s.errors import nearest
from bci_m2s.files.explain import explain, refused
from bci_m2s.files.yaml_file import KeyPath, read_yaml
from bci_m2s.files.yaml_kind import refuse_other
from bci_m2s.registry import Registry
from bci_m2s.session.remote.address import HOST, KEY, KEY_EXPECTED, PORT
from bci_m2s.sinks import SINKS
from bci_m2s.sources import SOURCES, Name, Seconds, StreamSettings
from bci_m2s.text import quoted


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _stream(value: Any) -> Any:
    """A stream of a file as the settings of the source that it names; "lsl" where it names none."""
    if not isinstance(value, dict):
        return value
    name = value.get("source", "lsl")
    if not isinstance(name, str) or name not in SOURCES:
        raise _refusal(("source",), name, f"a source: {_valid(SOURCES, name)}")
    try:
        return SOURCES[name].model_validate(value)
    except ValidationError as problem:
        place, words = explain(problem, SOURCES[name], yaml=True)
        raise _refusal(place, value, words, kind="explained") from None


def _sinks(value: Any) -> Any:
    """Sinks by name with their parameters; a list of names stands for sinks without any."""
    if isinstance(value, list):
        value = {str(name): {} for name in value}
    for name, params in value.items() if isinstance(value, dict) else ():
        if name not in SINKS:
            raise _refusal((name,), name, f"a sink: {_valid(SINKS, name)}")
        if isinstance(params, dict):
            _check_parameters(name, params)
    return value


def _check_parameters(name: str, params: dict[Any, Any]) -> None:
    """Refuse parameters that a sink does not have, or that it lacks."""
    known = list(inspect.signature(SINKS[name]).parameters.values())[2:]  # behind folder and session
    open_ended = any(one.kind is one.VAR_KEYWORD for one in known)
    names = [one.name for one in known if one.kind is not one.VAR_KEYWORD]
    for key in params:
        if key not in names and not open_ended:
            raise _refusal(
                (name, key), key, f"a parameter of this sink{nearest(str(key), names) or ': none'}"
            )
    for one in known:
        if one.default is one.empty and one.kind is not one.VAR_KEYWORD and one.name not in params:
            raise _refusal((name,), params, f"its parameter {one.name!r} too")


def _refusal(place: KeyPath, got: Any, words: str, kind: str = "refused") -> ValidationError:
    """An error at a place, in our own words for what is expected, or, "explained", for all of it."""
    error = PydanticCustomError(kind, "{words}", {"words": words})
    return ValidationError.from_exception_data(
        "pipeline", [InitErrorDetails(type=error, loc=place, input=got)]
    )


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise ValueError("auto, cpu, cuda or cuda:N")
    return name


def _key(text: str) -> str:
    if not KEY.fullmatch(text):
        raise ValueError(KEY_EXPECTED)
    return text


def _valid(entries: Registry, name: object) -> str:
    """The names of a registry, and what else there is to say of one that is not among them."""
    hint = entries.unknown(str(name)[:60])
    return ", ".join(map(repr, entries)) + hint[hint.find("; no ") if hint.startswith("; valid") else 0 :]


def _switched_off(value: Any) -> Any:
    """YAML reads an unquoted ``off`` as false."""
    return "off" if value is False else value


# Source and sinks may come from another package, so their settings are looked up when a file is read.
Stream = Annotated[SerializeAsAny[StreamSettings], BeforeValidator(_stream)]
Device = Annotated[str, AfterValidator(_device)]
OnDrift = Annotated[Literal["refuse", "note", "off"], BeforeValidator(_switched_off)]
Sinks = Annotated[dict[Name, dict[Name, JsonValue]], BeforeValidator(_sinks), Field(max_length=16)]


def _folded(text: str) -> str:
    """A marker without letter case and blanks."""
    return "".join(text.casefold().split())


MOST_PARTICIPANTS = 64
PARTICIPANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)
TAKE = re.compile(r"take-\d+")


def _participant(name: str) -> str:
    if not PARTICIPANT.fullmatch(name):
        raise ValueError("1 to 32 letters, digits, - and _, of ASCII: a folder has this name")
    if DEVICE.fullmatch(name):
        raise ValueError("an id that is no device on Windows: a folder has this name")
    if TAKE.fullmatch(name):
        raise ValueError("an id that is no take's folder: a participant's folder has this name")
    return name


def _participants(value: Any) -> Any:
    """Participants by id; a list of ids stands for participants without settings of their own."""
    if isinstance(value, list):
        if not value:
            raise _refusal((), value, "at least one id")
        for place, name in enumerate(value):
            if not isinstance(name, str):
                raise _refusal((place,), name, "an id as text, in quotes")
            if name in value[:place]:
                raise _refusal((place,), name, "each id once")
        value = {name: {} for name in value}
    if isinstance(value, dict):
        folded = [str(name).casefold() for name in value]
        for name in value:
            if folded.count(str(name).casefold()) > 1:
                raise _refusal((name,), name, "ids that differ by more than the case of their letters")
        value = {name: own if own is not None else {} for name, own in value.items()}
    return value


class ParticipantSettings(_Settings):
    """What is different for one participant of several."""

    streams: dict[Name, dict[Name, JsonValue]] = {}
    """Keys of a stream that this participant has otherwise, by modality; with `source` all of its keys."""


ParticipantId = Annotated[str, AfterValidator(_participant)]
Participants = Annotated[
    dict[ParticipantId, ParticipantSettings],
    BeforeValidator(_participants),
    Field(max_length=MOST_PARTICIPANTS),
]


class BaselineSettings(_Settings):
    """When a person's baseline begins, for models whose contract asks for one."""

    start: Literal["first", "marker"] = "first"
    """`first`: with the stream. `marker`: when the marker below comes."""
    marker: Name = "baseline/start"
    """This marker begins a new baseline at any time, whatever `start` says."""

    def unmet(self, came: Sequence[str]) -> list[str]:
        """A note where a marker other than the usual one is not among those that came; else nothing.

        Of the usual one there is a note where only another spelling of it came (letter case, blanks). Where
        estimates wait for it, their reason says so.
        """
        if self.start == "marker" or self.marker in came:
            return []
        usual = type(self).model_fields["marker"].default
        if self.marker == usual:
            came = [text for text in came if _folded(text) == _folded(usual)]
            if not came:
                return []
        others = ", ".join(quoted(text, 40) for text in list(dict.fromkeys(came))[:4])
        more = f"; others came: {others}" if others else ""
        return [f"the baseline's marker {self.marker!r} never came{more}"]


class OutletSettings(_Settings):
    """The LSL stream of estimates."""

    enabled: bool = True
    """Whether anything is published; without it there is no panel either."""
    name: Name = "bci_m2s"
    """Name of the stream; with several heads `NAME-HEAD`."""


class RemoteSettings(_Settings):
    """Commands of experiment programs, in lines of text over TCP."""

    port: Annotated[int, Field(ge=0, le=65535)] = PORT
    """Where they connect, 22345 as LabRecorder's; 0: any free one, which is printed."""
    host: Name = HOST
    """Address of this computer to listen on; another one than its own loopback needs a key."""
    key: Annotated[str, AfterValidator(_key)] | None = Field(default=None, exclude=True, repr=False)
    """The first line of a connection must be `key KEY`; never written into results. `null`: the
    environment's BCI_M2S_REMOTE_KEY, else no key."""


class PipelineSettings(_Settings):
    """A whole pipeline file."""

    model: Name
    """A shipped model's name, or a path."""
    streams: Annotated[dict[Name, Stream], Field(min_length=1, max_length=16)]
    """For each modality of the model, where its stream comes from; the order is the order of preference."""
    participants: Participants = {}
    """Several people in one session: a list of ids, or a mapping of ids to what is different for each. The
    id takes the place of `{id}` in `streams`, `markers` and `outlet`."""
    markers: Stream | None = None
    """The stream of marker texts: logged, recorded, and able to begin a baseline."""
    record_also: Literal["markers", "all"] = "markers"
    """What else on the network a recording holds: every marker stream, or all streams that are there."""
    modality: Literal["each", "auto", "fused"] = "each"
    """Estimates side by side, of the first usable modality, or their average."""
    unknown_below: Annotated[float, Field(ge=0, le=1)] | None = None
    """An estimate with less confidence is `unknown`; `null`: as the model has it, 0: never."""
    drift: OnDrift = "refuse"
    """What is done where features are further from the training's than the model's limit: no estimate, an
    estimate with a note, or nothing is measured. Models without a limit are not checked."""
    back_after_s: Seconds = 2.0
    """A modality that failed leads again after it has been usable for this long."""
    late_after_s: Seconds = 5.0
    """An answer whose newest sample is older than this when it is published has the status `late`."""
    device: Device = "auto"
    """Where the network runs: `auto`, `cpu`, `cuda` or `cuda:N`."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of the network on the CPU."""
    baseline: BaselineSettings = BaselineSettings()
    """When a person's baseline begins."""
    outlet: OutletSettings = OutletSettings()
    """The LSL stream of estimates."""
    remote: RemoteSettings | None = None
    """Commands over TCP; `null`: none."""
    shared_with_group: bool = False
    """Whether the group may read what the session writes (0640, folders 0750), not its owner alone."""
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
    refuse_other(path, values, "pipeline")
    try:
        return PipelineSettings.model_validate(values)
    except ValidationError as problem:
        raise refused(path, lines, problem, PipelineSettings) from None
