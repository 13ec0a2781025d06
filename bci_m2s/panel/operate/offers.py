"""What could run here: pipelines with their models, and which streams of the network would serve them.

A pipeline needs all the streams that it names; a one-sensor pipeline of a two-modality model names one.
Only a model's contract is read, not its weights, so nothing here needs torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bci_m2s.errors import BciM2sError, ContractError, StreamError, UsageError, nearest
from bci_m2s.files.shipped import folder
from bci_m2s.lsl import network as lsl_network
from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import read_contract
from bci_m2s.model.stream_check import check_stream
from bci_m2s.session.setup.config import load_pipeline
from bci_m2s.session.setup.shipped import find_pipeline, own_pipelines
from bci_m2s.session.setup.untrained import find_trained
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import MARKER_TYPE, StreamInfo

MARKERS = "markers"
SEVERAL = "has several participants: bci-m2s run starts it"
ABSURD = "refused: its rate or channel count cannot be"


@dataclass(frozen=True, slots=True)
class Offer:
    """A pipeline that could run.

    pipeline : path; name : for people
    needs : the live streams that it asks for, by modality, and "markers"
    contract : of its model, None where the file is broken; problem : what is broken, "" when nothing is
    """

    pipeline: Path
    name: str
    model: str = ""
    contract: Contract | None = None
    needs: Mapping[str, LslStream] = field(default_factory=lambda: MappingProxyType({}))
    problem: str = ""

    @property
    def simulated(self) -> bool:
        """Whether the model learnt from simulated data."""
        return self.contract is not None and self.contract.simulated

    def stream_type(self, modality: str) -> str:
        """LSL type of the streams that serve a modality, or "markers"."""
        spec = self.contract.modalities.get(modality) if self.contract else None
        return spec.stream_type if spec is not None else MARKER_TYPE

    def describe(self, modality: str) -> str:
        """What is looked for, in words: type 'EEG', 62 channels, 128 to 2000 Hz."""
        stream = self.needs[modality]
        parts = [f"{key} {value!r}" for key in ("name", "type") if (value := getattr(stream, key))]
        spec = self.contract.modalities.get(modality) if self.contract else None
        if spec is not None:
            parts += [] if stream.type or stream.name else [f"type {spec.stream_type!r}"]
            parts += [f"{len(spec.channels)} channels", f"{spec.rate_min_hz:g} to {spec.rate_max_hz:g} Hz"]
        return ", ".join(parts) or "any stream"


class Choice(NamedTuple):
    """What is to run: a pipeline, and the source id of the stream for each of its needs."""

    offer: Offer
    source_ids: dict[str, str]


def find_offers(pipeline: str = "") -> list[Offer]:
    """The given pipeline; else those of the current folder and its ``pipelines/``, and the shipped ones.

    A broken file is an offer too, with its problem in words. Pipelines of several people are none here.
    """
    if pipeline:
        try:
            return [_offer(find_pipeline(pipeline))]
        except BciM2sError as problem:
            return [Offer(Path(pipeline), Path(pipeline).stem, problem=str(problem))]
    found: dict[tuple[str, bytes], Path] = {}  # a copy of a shipped pipeline is that pipeline
    for path in (*own_pipelines(), *sorted(folder("pipelines").glob("*.yaml"))):
        content = path.read_bytes() if os.access(path, os.R_OK) else bytes(path.resolve())
        found.setdefault((path.stem, content), path.resolve())
    offers = [_offer(path) for path in found.values()]
    return [offer for offer in offers if offer.problem != SEVERAL]


def _offer(path: Path) -> Offer:
    try:
        settings = load_pipeline(path)
        if settings.participants:
            raise UsageError(SEVERAL)
        contract = read_contract(find_trained(path, settings.model))
        for modality in settings.streams:
            if modality not in contract.modalities:
                hint = nearest(modality, contract.modalities)
                raise ContractError(
                    str(path), f"streams.{modality}", "no such modality", f"one of the model's{hint}"
                )
    except BciM2sError as problem:
        return Offer(path, path.stem, problem=str(problem))
    asked = {**settings.streams, **({MARKERS: settings.markers} if settings.markers is not None else {})}
    needs = {modality: stream for modality, stream in asked.items() if isinstance(stream, LslStream)}
    return Offer(path, path.stem, contract.name, contract, needs)


def misfit(offer: Offer, modality: str, info: StreamInfo, among: Sequence[StreamInfo] = ()) -> str:
    """Why a stream cannot serve a modality (or "markers") of an offer, in words; "" when it can.

    among : all streams of the network; one that the pipeline could not tell from another does not fit
    """
    stream = offer.needs[modality]
    if info.channel_format == "undefined":
        return ABSURD
    for key, want in _wanted(offer, modality).items():
        got = getattr(info, key)
        if got != want and (key != "type" or got.casefold() != want.casefold()):
            return f"{modality}: {key}: got {got!r}, expected {want!r}"
    if modality == MARKERS:
        if not is_marker_stream(info):
            return f"markers: type: got {info.type!r}, expected {MARKER_TYPE!r}"
    elif offer.contract is not None:
        try:
            applied = stream.applied_to(info)
        except StreamError as problem:
            return f"{modality}: {problem}"
        problems = check_stream(offer.contract.modalities[modality], applied, modality)
        if stream.rate_hz == "auto":  # it is measured when the session connects
            problems = [problem for problem in problems if problem.field != "rate_hz"]
        if problems:
            return "; ".join(map(str, problems))
    return _mistakable(offer, modality, info, among)


def _wanted(offer: Offer, modality: str) -> dict[str, str]:
    """What the pipeline says of a stream; its type where it says nothing, as ``connect`` does."""
    stream = offer.needs[modality]
    asked = {key: getattr(stream, key) for key in ("name", "type", "source_id", "host")}
    asked = {key: value for key, value in asked.items() if value}
    if asked:
        return asked
    return {"type": offer.stream_type(modality)}


def _mistakable(offer: Offer, modality: str, info: StreamInfo, among: Sequence[StreamInfo]) -> str:
    wanted = _wanted(offer, modality) | ({"source_id": info.source_id} if info.source_id else {})
    alike = [other for other in among if all(getattr(other, key) == wanted[key] for key in wanted)]
    if len(alike) < 2:
        return ""
    what = f"source id {info.source_id!r}" if info.source_id else "no source id"
    return f"{modality}: source_id: got {what} of {len(alike)} streams alike, expected one of its own"


def serves(offer: Offer, info: StreamInfo, among: Sequence[StreamInfo] = ()) -> dict[str, str]:
    """What a stream would be used for: each modality whose type or name it has, with its misfit."""
    found = {}
    for modality in offer.needs:
        wanted = _wanted(offer, modality)
        key = next((key for key in ("name", "source_id", "type") if key in wanted), "type")
        is_kin = info.type.casefold() == offer.stream_type(modality).casefold()
        if getattr(info, key) == wanted.get(key) or is_kin:
            found[modality] = misfit(offer, modality, info, among)
    return found


def fitting(offer: Offer, infos: Sequence[StreamInfo]) -> dict[str, list[StreamInfo]]:
    """The streams that could serve each need of an offer, by modality; [] where none could."""
    return {
        modality: [info for info in infos if not misfit(offer, modality, info, infos)]
        for modality in offer.needs
    }


def only_choice(offers: Iterable[Offer], infos: Sequence[StreamInfo]) -> Choice | None:
    """The one offer all of whose needs exactly one stream serves; None where it is not the only one.

    None when several offers fit, when a need has several streams, and when any need has none: a pipeline
    does not start until all streams that it names are there.
    """
    tried = [(offer, fitting(offer, infos)) for offer in offers]
    served = [(offer, fits) for offer, fits in tried if fits and all(fits.values())]
    if len(served) != 1 or any(len(found) != 1 for found in served[0][1].values()):
        return None
    offer, fits = served[0]
    return Choice(offer, {modality: found[0].source_id for modality, found in fits.items()})


class Lookout:
    """The streams on the network, described; each sender is asked once. For a worker thread."""

    def __init__(self) -> None:
        self._network: lsl_network.LslNetwork | None = None
        self._known: dict[str, StreamInfo] = {}

    def __call__(self) -> list[StreamInfo]:
        """What is there now, sorted by type and name. Takes up to 0.3 s for each new sender."""
        if self._network is None:
            self._network = lsl_network.shared_network()
        infos, known = [], {}
        for uid, raw in self._network.streams().items():
            brief = lsl_network.brief_info(raw)
            info = self._known.get(uid) or lsl_network.request_info(raw, brief)
            if info is not None:
                known[uid] = info
            infos.append(info or replace(brief, labels=("",) * brief.n_channels))
        self._known = known
        return sorted(infos, key=lambda info: (info.type, info.name, info.uid))
