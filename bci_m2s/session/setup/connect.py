"""Connecting the streams that a pipeline names, and holding them against the model's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bci_m2s.errors import StreamError
from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.model.contract import Contract
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.session.setup.build import Plan
from bci_m2s.sources import Environment, Source, StreamSettings
from bci_m2s.types import MARKER_TYPE, StreamInfo


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


def connect(plan: Plan, environment: Environment) -> Connected:
    """Open every stream of a plan and check it. When one fails, those opened before are closed again."""
    with ExitStack() as opened:

        def opening(settings: StreamSettings, stream_type: str) -> Source:
            here = replace(environment, folder=plan.path.parent, stream_type=stream_type)
            source = settings.make_source(here)
            opened.callback(source.close)
            source.open()
            return source

        sources: dict[str, Source] = {}
        markers: tuple[Source, ...] = ()
        for modality, settings in plan.settings.streams.items():
            spec = plan.contract.modalities[modality]
            source = opening(settings, spec.stream_type)
            source.info = settings.applied_to(source.info)
            check(plan, modality, source.info)
            sources[modality] = source
            environment.notify(f"{modality}: {source.info.describe()} connected")
            for doubt in stream_doubts(spec, source.info):
                environment.notify(f"note: {doubt}")
        if plan.settings.markers is not None:
            markers = (opening(plan.settings.markers, MARKER_TYPE),)
            info = markers[0].info
            if info.channel_format == "string" and info.rate_hz and not is_marker_stream(info):
                raise StreamError(f"markers: stream {info.name!r}: got {info.describe()}, expected markers")
            environment.notify(f"markers: {info.describe()} connected")
        opened.pop_all()
    return Connected(sources, markers, environment.clock)


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
