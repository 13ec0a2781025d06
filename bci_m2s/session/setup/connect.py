"""Connecting the streams that a pipeline names, and holding them against the model's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bci_m2s.errors import StreamError
from bci_m2s.lsl.formats import ANSWER_TYPE, OWN_TYPES
from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.model.contract import Contract
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.session.setup.build import Plan
from bci_m2s.session.setup.fitting import offer
from bci_m2s.signal.rates import MEASURE_S
from bci_m2s.sources import Environment, Source, StreamSettings
from bci_m2s.sources.measure import first_stamps
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import MARKER_TYPE, StreamInfo

UNNAMED = "; the pipeline does not name it"
MOST_OFFERED = 8  # streams that are asked for their labels, where the one that was named is not there
UNNAMED_WAIT_S = 2.0  # for a stream that is on the network already


@dataclass(frozen=True, slots=True)
class Connected:
    """Opened and checked sources: one for each modality, all that give markers, and their clock.

    others : only recorded; left_out : streams of the network that were found at the beginning
    is_live : more may appear on the network
    """

    sources: Mapping[str, Source]
    markers: tuple[Source, ...]
    clock: Callable[[], float]
    others: tuple[Source, ...] = ()
    left_out: tuple[StreamInfo, ...] = ()
    is_live: bool = False

    def all(self) -> tuple[Source, ...]:
        """Every source."""
        return (*self.sources.values(), *self.markers, *self.others)

    def close(self) -> None:
        """Let go of them, where no engine has taken them over."""
        for source in self.all():
            source.close()


def connect(plan: Plan, environment: Environment) -> Connected:
    """Open every stream of a plan and check it. When one fails, those opened before are closed again."""
    with ExitStack() as opened:

        def opening(name: str, settings: StreamSettings, stream_type: str) -> Source:
            here = replace(
                environment,
                folder=plan.path.parent,
                stream_type=stream_type,
                notify=lambda words: environment.notify(f"{name}: {words}"),
            )
            try:
                source = settings.make_source(here)
                opened.callback(source.close)
                source.open()
            except StreamError as problem:
                other = _offer(plan, name, settings)
                raise StreamError(f"{name}: {problem}{other}") from None
            return source

        sources: dict[str, Source] = {}
        markers: tuple[Source, ...] = ()
        for modality, settings in plan.settings.streams.items():
            spec = plan.contract.modalities[modality]
            source = opening(modality, settings, spec.stream_type)
            stamps = None
            if settings.rate_hz == "auto":
                environment.notify(f"{modality}: its rate is measured, {MEASURE_S:g} s")
                stamps = first_stamps(source, environment.stopped)
            source.info = settings.applied_to(source.info, stamps)
            check(plan, modality, source.info)
            sources[modality] = source
            how = "; its samples are stamped on arrival" if settings.stamps == "arrival" else ""
            how += "; an irregular stream, put on a regular grid" if settings.resample_hz else ""
            environment.notify(f"{modality}: {source.info.describe()} connected{how}")
            for doubt in stream_doubts(spec, source.info):
                environment.notify(f"note: {doubt}")
        if plan.settings.markers is not None:
            markers = (opening("markers", plan.settings.markers, MARKER_TYPE),)
            info = markers[0].info
            if info.channel_format == "string" and info.rate_hz and not is_marker_stream(info):
                raise StreamError(f"markers: stream {info.name!r}: got {info.describe()}, expected markers")
            environment.notify(f"markers: {info.describe()} connected")
        opened.pop_all()
    return Connected(sources, markers, environment.clock)


def _offer(plan: Plan, modality: str, settings: StreamSettings) -> str:
    """The only stream of the network that would fit instead, for an error; "" for none."""
    if modality not in plan.contract.modalities or not isinstance(settings, LslStream):
        return ""
    from bci_m2s.lsl.network import brief_info, request_info, shared_network

    seen = [(raw, brief_info(raw)) for raw in shared_network().streams().values()]
    numbers = [(raw, info) for raw, info in seen if info.channel_format != "string"]
    chosen = [(raw, info) for raw, info in numbers if not _is_of_a_session(info)][:MOST_OFFERED]
    full = [request_info(raw, info) for raw, info in chosen]
    return offer(plan.contract.modalities[modality], settings, [info for info in full if info])


def with_unnamed(
    connected: Connected,
    environment: Environment,
    record_also: str,
    is_others: Callable[[StreamInfo], bool] = lambda _info: False,
) -> Connected:
    """The same with every other marker stream on the network, so that no trigger is missing in a recording.

    What is not taken is named once. A stream that does not open is left out, and named.

    record_also : "all" for every other stream too, which is then only recorded
    is_others : whether a stream is another participant's, of which nothing is taken or said
    """
    taken = {source.info.uid for source in connected.all()}
    found = [info for info in unnamed_streams() if info.uid not in taken and not is_others(info)]
    unnamed = [info for info in found if not is_marker_stream(info)]
    others: list[Source] = []
    if record_also == "all":
        others = open_unnamed(unnamed, "recorded", environment)
    elif unnamed:
        listed = "; ".join(info.describe() for info in unnamed)
        environment.notify(
            f"note: not recorded, since the pipeline does not name it: {listed} (`record_also: all` does)"
        )
    markers = open_unnamed([info for info in found if is_marker_stream(info)], "markers", environment)
    return replace(
        connected,
        markers=(*connected.markers, *markers),
        others=tuple(others),
        left_out=tuple(found),
        is_live=True,
    )


def unnamed_streams() -> list[StreamInfo]:
    """What is on the network now, but for what sessions of ours publish."""
    from bci_m2s.lsl.network import brief_info, shared_network

    found = [brief_info(raw) for raw in shared_network().streams().values()]
    return [info for info in found if not _is_of_a_session(info)]


def _is_of_a_session(info: StreamInfo) -> bool:
    """Whether a session of bci_m2s sends a stream: its answers, or what is for displays."""
    return info.type in (ANSWER_TYPE, *OWN_TYPES)


def open_unnamed(
    infos: Sequence[StreamInfo], role: str, environment: Environment, remark: str = UNNAMED
) -> list[Source]:
    """Sources of streams that nobody asked for; those that do not open are named and left out.

    role, remark : what a line about each begins and ends with
    """
    from bci_m2s.sources.lsl import LslSource

    opened: list[Source] = []
    for info in infos:
        source = LslSource(
            info.name,
            info.type,
            info.source_id,
            info.host,
            UNNAMED_WAIT_S,
            stopped=environment.stopped,
            uid=info.uid,
        )
        try:
            source.open()
        except StreamError as problem:
            environment.notify(f"note: not recorded: {problem}")
            source.close()
            continue
        opened.append(source)
        environment.notify(f"{role}: {source.info.describe()} connected{remark}")
    return opened


def check(plan: Plan, modality: str, info: StreamInfo) -> None:
    """Refuse a stream that the contract does not accept; the message holds every difference."""
    problems = check_stream(plan.contract.modalities[modality], info, f"{modality}: stream {info.name!r}")
    if problems:
        raise StreamError("; ".join(str(problem) for problem in problems))


def fits(contract: Contract, info: StreamInfo) -> list[str]:
    """For a stream on the network: which modalities it fits, else what differs."""
    verdicts = []
    for modality, spec in contract.modalities.items():
        if info.type.casefold() != spec.stream_type.casefold():
            continue
        problems = check_stream(spec, info, modality)
        verdicts.append(f"fits {modality}" if not problems else "; ".join(map(str, problems)))
    return verdicts or [f"the model uses no stream of type {info.type!r}"]
