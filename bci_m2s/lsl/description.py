"""What a session says of itself: in ``session.yaml``, in its recording, and on the network for displays.

One class, written once and read in two ways: ``strict`` for a replay, which must have all of it right, and
``lenient`` for whoever only looks. It is on this floor because sinks write it, review and panel read it.
"""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from bci_m2s.lsl.formats import HIGHEST_RATE_HZ
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

LONGEST_SHOWN = 200  # characters
MOST_TRIES = 8


def _shown(value: Any, info: ValidationInfo) -> Any:
    """A lenient reader shows what it reads."""
    return printable(value, LONGEST_SHOWN) if info.context and isinstance(value, str) else value


Exact = Annotated[str, Field(max_length=4096)]  # as sent, to look a stream or file up by
Shown = Annotated[Exact, BeforeValidator(_shown)]
Labels = Annotated[tuple[Shown, ...], Field(max_length=65_535)]
Rate = Annotated[float, Field(ge=0, le=HIGHEST_RATE_HZ, allow_inf_nan=False)]
Affect = Annotated[float, Field(ge=-1, le=1)]
Names = Annotated[tuple[Shown, ...], Field(max_length=8)]
Classes = Annotated[tuple[Shown, ...], Field(max_length=64)]
Heads = Annotated[dict[Shown, Classes], Field(max_length=8)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    def values(self) -> dict[str, Any]:
        """Plain values, as JSON and YAML take them; what was never set is left out."""
        return self.model_dump(mode="json", exclude_unset=True)


class DisplayStream(_Part):
    """Where a display finds the samples of a modality; "" where a property does not matter."""

    source_id: Exact = ""
    uid: Exact = ""
    type: Exact = ""
    name: Exact = ""


class StreamDescription(_Part):
    """A stream as the session knows it, channels renamed as the pipeline says; fields of ``StreamInfo``."""

    name: Exact = ""
    type: Exact = ""
    source_id: Exact = ""
    uid: Exact = ""
    host: Exact = ""
    rate_hz: Rate = 0.0
    labels: Labels = ()
    units: Labels = ()
    channel_format: Exact = ""
    reference: Exact = ""
    remark: Exact = ""
    missing_channels: Exact = "refuse"
    panel: DisplayStream | None = None

    @staticmethod
    def of(info: StreamInfo) -> StreamDescription:
        """The description of a stream."""
        return StreamDescription.model_construct(**asdict(info))  # as it is, whatever its sender says

    def info(self) -> StreamInfo:
        """The stream, as ``StreamInfo`` has it."""
        return StreamInfo(**self.model_dump(exclude={"panel"}))


class ModelDescription(_Part):
    """Which model. path : of its file, from the folder in which the session was started; sha256 : of the
    file; training : its record
    """

    name: Shown = ""
    file: Shown = ""
    path: Exact = ""
    sha256: Shown = ""
    simulated: bool = False
    training: dict[str, Any] = {}


class PipelineDescription(_Part):
    """The pipeline file's name and every setting of it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    file: Shown = ""
    modality: Shown = ""
    streams: dict[str, Any] = {}


class SessionDescription(_Part):
    """Everything needed to understand and repeat a session; notes of the session's maker are kept too.

    mode : live, replay or record; take : number of the recording within the session
    coordinates : of classes in the valence–arousal plane, by head
    voices : what an estimate can be made of, in the order of the codes in streams; () for the modalities
    features, bands : names, and {name: (low, high)} in Hz, by modality; for displays only
    channels : labels of those that the model uses, by modality; for displays only
    arithmetic : of the CPU, see ``model.arithmetic``; "" for the usual one
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    bci_m2s: Shown = ""
    mode: Shown = ""
    session_id: Shown = ""
    take: int = 1
    begun_utc: Shown = ""
    pipeline: PipelineDescription = PipelineDescription()
    model: ModelDescription | None = None
    heads: Heads = {}
    coordinates: dict[Shown, dict[Shown, tuple[Affect, Affect]] | None] = {}
    modalities: Names = ()
    voices: Annotated[tuple[Shown, ...], Field(max_length=256)] = ()
    window: dict[str, Any] = {}
    streams: Annotated[dict[Shown, StreamDescription], Field(max_length=8)] = {}
    device: Shown = ""
    outlet_name: Shown = ""
    versions: dict[Shown, Shown] = {}
    features: dict[Shown, Annotated[tuple[Shown, ...], Field(max_length=65536)]] = {}
    bands: dict[Shown, Any] = {}
    channels: Annotated[dict[Shown, Labels], Field(max_length=8)] = {}
    participant: Shown = ""
    arithmetic: Shown = ""
    simulated_signals: Any = None

    @property
    def combinations(self) -> tuple[str, ...]:
        """What an estimate can be made of, in the order of the codes in streams."""
        return self.voices or self.modalities

    @property
    def model_name(self) -> str:
        """Name of the model, "" without one."""
        return self.model.name if self.model is not None else ""

    @property
    def origin(self) -> dict[str, str]:
        """What each stream of results says of where its numbers come from."""
        simulated = self.model is not None and self.model.simulated
        return {"manufacturer": "bci_m2s", "model": self.model_name, "simulated": str(simulated).lower()}

    @property
    def simulated(self) -> tuple[str, ...]:
        """What is simulated: "model", "signals"."""
        sources = [source for source in self.pipeline.streams.values() if isinstance(source, dict)]
        made_up = any(source.get("source") == "simulated" for source in sources)
        model = ("model",) if self.model is not None and self.model.simulated else ()
        return model + (("signals",) if made_up or self.simulated_signals else ())

    @staticmethod
    def strict(values: Any) -> ReplayableSession:
        """The description of a session that can be replayed. Raises pydantic's ValidationError."""
        return ReplayableSession.model_validate(values)

    @staticmethod
    def lenient(values: Any) -> SessionDescription:
        """Whatever of a description makes sense; texts are made fit to show, the rest is left out."""
        values = copy.deepcopy(values) if isinstance(values, dict) else {}
        for _ in range(MOST_TRIES):
            try:
                return SessionDescription.model_validate(values, context={"lenient": True})
            except ValidationError as problem:
                for error in problem.errors(include_url=False, include_input=False):
                    _leave_out(values, error["loc"])
        return SessionDescription()


class ReplayableStream(StreamDescription):
    """A stream of which everything is known that a replay needs."""

    name: Exact
    type: Exact
    rate_hz: Rate
    labels: Annotated[Labels, Field(min_length=1)]
    units: Annotated[Labels, Field(min_length=1)]
    channel_format: Exact


class ReplayableModel(ModelDescription):
    """A model that can be found again."""

    name: Shown
    file: Shown
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ReplayableSession(SessionDescription):
    """A session that can be replayed."""

    pipeline: PipelineDescription
    model: ReplayableModel
    heads: Heads
    modalities: Names
    streams: Annotated[dict[Shown, ReplayableStream], Field(min_length=1, max_length=8)]  # type: ignore[assignment]
    device: Shown


def _leave_out(values: dict[str, Any], location: tuple[int | str, ...]) -> None:
    """Take out of nested mappings the last one of the keys that lead to what is wrong."""
    holder, key, inner = values, None, values
    for part in location:
        if not isinstance(inner, dict) or part not in inner:
            break
        holder, key, inner = inner, part, inner[part]
    if key is not None:
        holder.pop(key, None)
