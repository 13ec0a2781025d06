"""Connecting the streams that a pipeline names, and holding them against the model's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bci_m2s.errors import StreamError, nearest
from bci_m2s.model.model_file import Contract, check_stream, stream_doubts
from bci_m2s.session.setup.build import Plan
from bci_m2s.session.setup.config import LslStream, ReplayStream, SimulatedStream
from bci_m2s.sources import SOURCES, Source
from bci_m2s.types import StreamInfo

StreamSettings = LslStream | ReplayStream | SimulatedStream
MARKER_TYPE = "Markers"


@dataclass(frozen=True, slots=True)
class Connected:
    """Opened and checked sources: one for each modality, all that give markers, and their clock."""

    sources: Mapping[str, Source]
    markers: tuple[Source, ...]
    clock: Callable[[], float]

    def close(self) -> None:
        """Let go of them, where no engine has taken them over."""
        for source in (*self.sources.values(), *self.markers):
            source.close()


@dataclass(frozen=True, slots=True)
class Environment:
    """What live sources need to know: the local clock, whom to tell, when to give up."""

    clock: Callable[[], float]
    say: Callable[[str], None]
    stopped: Callable[[], bool]


def connect(plan: Plan, around: Environment) -> Connected:
    """Open every stream of a plan and check it. When one fails, those opened before are closed again."""
    network = _network(plan)
    opened: list[Source] = []

    def opening(settings: StreamSettings, stream_type: str) -> Source:
        source = _make_source(plan, settings, stream_type, around, network)
        opened.append(source)
        source.open()
        return source

    sources: dict[str, Source] = {}
    markers: tuple[Source, ...] = ()
    try:
        for modality, settings in plan.settings.streams.items():
            spec = plan.contract.modalities[modality]
            source = opening(settings, spec.stream_type)
            source.info = renamed(source.info, settings.rename)
            check(plan, modality, source.info)
            sources[modality] = source
            around.say(f"{modality}: {source.info.describe()} connected")
            for doubt in stream_doubts(spec, source.info):
                around.say(f"note: {doubt}")
        if plan.settings.markers is not None:
            markers = (opening(plan.settings.markers, MARKER_TYPE),)
            _check_markers(markers[0].info)
            around.say(f"markers: {markers[0].info.describe()} connected")
    except BaseException:
        for source in opened:
            source.close()
        raise
    return Connected(sources, markers, around.clock)


def _network(plan: Plan) -> Any:
    """One look at the network for all live streams of a plan; None when it has none."""
    wanted = [*plan.settings.streams.values(), plan.settings.markers]
    if not any(isinstance(settings, LslStream) for settings in wanted):
        return None
    from bci_m2s.sources.lsl import Network

    return Network()


def _make_source(
    plan: Plan, settings: StreamSettings, stream_type: str, around: Environment, network: Any
) -> Source:
    kind = SOURCES[settings.source]
    if isinstance(settings, LslStream):
        said = {key: getattr(settings, key) for key in ("name", "type", "source_id", "host")}
        wanted = said if any(said.values()) else {"type": stream_type}
        return kind(
            **wanted, wait_s=settings.wait_s, network=network, say=around.say, stopped=around.stopped
        )
    if isinstance(settings, ReplayStream):
        from bci_m2s.recording.recorded import open_recording

        recording = open_recording(plan.path.parent / settings.file)
        wanted_type = settings.type or ("" if settings.name else stream_type)
        stream = pick_stream(recording, settings.name, wanted_type)
        return kind(stream, speed=1.0, loops=settings.loops, clock=around.clock)
    from bci_m2s.simulator.settings import SimulatorSettings

    simulator = SimulatorSettings(montage=settings.montage, seed=settings.seed)
    return kind(
        simulator, settings.stream, settings.subject, settings.session, speed=1.0, clock=around.clock
    )


def pick_stream(recording: Any, name: str, stream_type: str) -> Any:
    """The one stream of a recording with this name and type. Raises StreamError."""
    said = " and ".join([f"name {name!r}"] * bool(name) + [f"type {stream_type!r}"] * bool(stream_type))
    matching = [
        stream
        for stream in recording.streams
        if name in ("", stream.info.name) and stream_type.casefold() in ("", stream.info.type.casefold())
    ]
    if len(matching) > 1:
        matching = [stream for stream in matching if stream.n_samples] or matching
    if len(matching) == 1:
        return matching[0]
    listed = "; ".join(
        f"{stream.info.describe()}, {stream.n_samples} samples" for stream in recording.streams
    )
    word = "no stream has" if not matching else f"{len(matching)} streams have"
    raise StreamError(f"{recording.path}: {word} {said}; the file holds: {listed or 'no stream'}")


def renamed(info: StreamInfo, names: Mapping[str, str]) -> StreamInfo:
    """The description with the stream's labels as the model calls them. Raises StreamError."""
    for label in names:
        if label not in info.labels:
            raise StreamError(
                f"stream {info.name!r}: rename: the stream has no channel {label!r}"
                f"{nearest(label, info.labels)}"
            )
    return replace(info, labels=tuple(names.get(label, label) for label in info.labels))


def check(plan: Plan, modality: str, info: StreamInfo) -> None:
    """Refuse a stream that the contract does not accept; the message holds every difference."""
    problems = check_stream(plan.contract.modalities[modality], info, f"{modality}: stream {info.name!r}")
    if problems:
        raise StreamError("; ".join(str(problem) for problem in problems))


def _check_markers(info: StreamInfo) -> None:
    if info.channel_format != "string":
        raise StreamError(
            f"markers: stream {info.name!r}: channel format: got {info.channel_format}, expected string"
        )


def fits(contract: Contract, info: StreamInfo) -> list[str]:
    """For a stream on the network: which modalities it fits, else what differs."""
    verdicts = []
    for modality, spec in contract.modalities.items():
        if info.type.casefold() != spec.stream_type.casefold():
            continue
        problems = check_stream(spec, info, modality)
        verdicts.append(f"fits {modality}" if not problems else "; ".join(map(str, problems)))
    return verdicts or [f"type {info.type!r} is none of the model's"]
