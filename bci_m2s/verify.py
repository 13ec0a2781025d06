"""Proof of replay: recorded samples through the pipeline again, every estimate held against its twin.

Samples and stamps alone decide what comes out, and controls (a baseline that began, samples that were
skipped, a stream that was refused), which the recording holds as events. So on the CPU, with the same
versions on the same kind of machine, every probability must come back bit for bit, however the samples are
cut into chunks. Where one does not, the checksums that each estimate carries say which stage differs first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s import build
from bci_m2s.config import PipelineSettings
from bci_m2s.contract import load_model_file
from bci_m2s.errors import RecordingError, UsageError
from bci_m2s.failover import fuse
from bci_m2s.pipeline import Pipeline
from bci_m2s.recording import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.shipped import find_model
from bci_m2s.sources.recorded import RecordedStream, Recording, open_recording
from bci_m2s.stages import CONTROLS
from bci_m2s.types import Chunk, Estimate, Status, StreamInfo

LARGEST_CHUNK = 1000  # samples; sizes are drawn so that small ones are as likely as large ones
TOLERANCE = 1e-3  # of a probability, where a GPU took part
NEEDED = ("pipeline", "model", "heads", "modalities", "streams", "device")
STAGES = ("samples", "filters", "features")
NO_WINDOW = (Status.STALE, Status.FAILED)  # the engine says these by the clock; no samples are behind them


@dataclass(frozen=True, slots=True)
class Difference:
    """The first estimate that does not come back: which, and at which stage it begins to differ."""

    modality: str
    head: str
    last_sample: int
    stage: str
    recorded: str
    replayed: str

    def describe(self) -> str:
        """In one line."""
        return (
            f"{self.modality} {self.head}, window that ends with sample {self.last_sample}: differs from "
            f"the {self.stage} on: recorded {self.recorded}, replayed {self.replayed}"
        )


@dataclass(slots=True)
class Verification:
    """What a verification found.

    equal : estimates that came back, by modality (what made them)
    made : of these, how many hold probabilities
    unrecorded : windows that the replay made and the recording does not hold (skipped, or not chosen)
    tolerance : 0.0 where bits were compared
    """

    tolerance: float
    equal: dict[str, int] = field(default_factory=dict)
    made: int = 0
    unrecorded: int = 0
    largest: float = 0.0
    first: Difference | None = None
    notes: list[str] = field(default_factory=list)


Place = tuple[str, int, str]  # modality, last sample, head
Control = tuple[int, str, Mapping[str, Any]]  # before which sample, which, the event's fields


def _no_progress(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True)
class _Session:
    """What a recording says of itself."""

    recording: Recording
    fields: Mapping[str, Any]
    controls: Mapping[str, list[Control]]  # by modality


def verify(
    path: Path,
    model: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = _no_progress,
) -> Verification:
    """Replay a recorded session and compare.

    Parameters
    ----------
    path : XDF file that ``bci-m2s run`` recorded
    model : file or name; None finds the one that the session names, beside the recording or shipped
    device : "cpu" by default; on another one, or when the session ran on one, ``TOLERANCE`` is allowed
    seed : of the chunk sizes
    progress : told how many samples are done, of how many

    Raises
    ------
    RecordingError
        The file cannot be read, or holds no session of ours.
    UsageError
        The model is not there, or is not the one that was used.
    """
    session = _read_session(path)
    plan = _plan(session, model, path)
    predictor = build.make_predictor(plan, device or "cpu")
    on_gpu = str(predictor.device) != "cpu" or session.fields["device"] != "cpu"
    result = Verification(TOLERANCE if on_gpu else 0.0, notes=_version_notes(session.fields))
    infos = {modality: _info(fields) for modality, fields in session.fields["streams"].items()}
    streams = {modality: _raw_stream(session.recording, modality, info) for modality, info in infos.items()}
    total, done = sum(stream.n_samples for stream in streams.values()), 0
    replayed: dict[Place, Estimate] = {}
    pipeline = build.make_pipeline(plan, predictor, infos, clock=lambda: 0.0)
    for number, (modality, stream) in enumerate(streams.items()):
        rng = np.random.default_rng([seed, number])
        for count, estimate in _replay(pipeline, modality, stream, session.controls.get(modality, []), rng):
            if estimate is not None:
                replayed[modality, estimate.last_index, estimate.head] = estimate
            progress(done + count, total)
        done += stream.n_samples
    _compare(session, replayed, result)
    return result


# ---- what the recording says ----


def _read_session(path: Path) -> _Session:
    recording = open_recording(path)
    events = [stream for stream in recording.streams if stream.info.type == EVENTS_TYPE]
    if not events or not any(stream.info.type == ESTIMATES_TYPE for stream in recording.streams):
        raise RecordingError(f"{path}: holds no estimates of bci_m2s: there is nothing to compare with")
    fields: Mapping[str, Any] = {}
    controls: dict[str, list[Control]] = {}
    for stream in events:
        for row in stream.read(0, stream.n_samples):
            line = _json_object(path, row[0])
            if line.get("kind") == "session":
                fields = line.get("session", {})
            elif line.get("kind") in CONTROLS:
                try:
                    control = (int(line["at_sample"]), str(line["kind"]), line)
                    controls.setdefault(str(line["modality"]), []).append(control)
                except (KeyError, TypeError, ValueError):
                    kind = line["kind"]
                    raise RecordingError(f"{path}: event {kind!r}: no modality or at_sample") from None
    missing = [key for key in NEEDED if key not in fields]
    if missing:
        raise RecordingError(f"{path}: session description: got no {', '.join(missing)}, expected one")
    return _Session(recording, fields, controls)


def _json_object(path: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordingError(f"{path}: an event is not JSON: {text[:60]!r}") from None
    if not isinstance(value, dict):
        raise RecordingError(f"{path}: an event is not a JSON object: {text[:60]!r}")
    return value


def _info(fields: Mapping[str, Any]) -> StreamInfo:
    known = {key: value for key, value in fields.items() if key in StreamInfo.__dataclass_fields__}
    return StreamInfo(**{**known, "labels": tuple(fields["labels"]), "units": tuple(fields["units"])})


def _raw_stream(recording: Recording, modality: str, info: StreamInfo) -> RecordedStream:
    """The recorded stream of a modality. Raises RecordingError."""

    def same(one: StreamInfo) -> bool:
        wanted = (info.name, info.type, info.uid, info.n_channels)
        return (one.name, one.type, one.uid, one.n_channels) == wanted

    found = [stream for stream in recording.streams if same(stream.info)]
    if len(found) != 1:
        raise RecordingError(
            f"{recording.path}: {modality}: got {len(found)} streams {info.name!r} with uid {info.uid!r}, "
            "expected 1"
        )
    return replace(found[0], info=info)


def _plan(session: _Session, model: str | None, path: Path) -> build.Plan:
    said = session.fields["model"]
    file = find_model(model or str(said["file"]), near=path.parent if model is None else None)
    contract, tensors = load_model_file(file)
    got = build.file_sha256(file)
    if got != said["sha256"]:
        raise UsageError(
            f"model {file}: sha256: got {got[:16]}…, expected {str(said['sha256'])[:16]}… "
            f"({said['file']}); name the session's model with --model"
        )
    settings = {key: value for key, value in session.fields["pipeline"].items() if key != "file"}
    settings["modality"] = "each"  # what was chosen from is compared, whatever was chosen
    checked = PipelineSettings.model_validate(settings, strict=False)
    return build.Plan(path, checked, file, contract, tensors)


def _version_notes(fields: Mapping[str, Any]) -> list[str]:
    now, then = build.versions(), fields.get("versions", {})
    return [
        f"{name}: recorded with {then[name]}, replayed with {now[name]}"
        for name in ("python", "numpy", "scipy", "torch")
        if name in then and then[name] != now[name]
    ]


# ---- replay ----


def _replay(
    pipeline: Pipeline,
    modality: str,
    stream: RecordedStream,
    controls: list[Control],
    rng: np.random.Generator,
) -> Iterator[tuple[int, Estimate | None]]:
    """Yield (samples done, estimate); (samples done, None) after each chunk."""
    stage, at, waiting = pipeline.stages[modality], 0, list(controls)
    while at < stream.n_samples or waiting:
        while waiting and waiting[0][0] <= at:
            _, kind, fields = waiting.pop(0)
            stage.control(kind, fields)
            at = stage.samples
        size = int(math.exp(rng.uniform(0.0, math.log(LARGEST_CHUNK))))
        stop = min(at + size, stream.n_samples, waiting[0][0] if waiting else stream.n_samples)
        if stop <= at:
            return  # what is told of samples that the file no longer holds
        for estimate in pipeline.push(modality, Chunk.of(stream.times[at:stop], stream.read(at, stop))):
            yield at, estimate
        pipeline.events()  # nobody asks for them here
        at = stop
        yield at, None


# ---- comparison ----


def _compare(session: _Session, replayed: dict[Place, Estimate], result: Verification) -> None:
    used: set[Place] = set()
    for head, row in _recorded_rows(session):
        known = session.fields["modalities"]
        modalities = [name for name in known if not math.isnan(row[f"last_sample.{name}"])]
        if Status(int(row["status"])) in NO_WINDOW:
            continue
        keys = [(name, int(row[f"last_sample.{name}"]), head) for name in modalities]
        difference = _differs(session, row, head, keys, replayed, result)
        if difference is not None:
            if result.first is None:
                result.first = difference
            continue
        used.update(keys)
        name = "+".join(modalities)
        result.equal[name] = result.equal.get(name, 0) + 1
        result.made += int(row["status"]) == Status.OK
    result.unrecorded = len(replayed.keys() - used)


def _recorded_rows(session: _Session) -> Iterator[tuple[str, dict[str, float]]]:
    """Every recorded estimate as (head, {channel: value}), head by head, in order."""
    heads = list(session.fields["heads"])
    streams = [stream for stream in session.recording.streams if stream.info.type == ESTIMATES_TYPE]
    if len(streams) != len(heads):
        raise RecordingError(
            f"{session.recording.path}: got {len(streams)} streams of estimates, "
            f"expected {len(heads)} (one a head)"
        )
    for head, stream in zip(heads, streams, strict=True):
        for row in stream.read(0, stream.n_samples).tolist():
            yield head, dict(zip(stream.info.labels, row, strict=True))


def _differs(
    session: _Session,
    row: Mapping[str, float],
    head: str,
    keys: list[Place],
    replayed: Mapping[Place, Estimate],
    result: Verification,
) -> Difference | None:
    """Compare one recorded estimate with what the replay made of the same windows."""
    names = "+".join(key[0] for key in keys)
    last = keys[0][1] if keys else -1
    parts = [replayed.get(key) for key in keys]
    there = [part for part in parts if part is not None]
    if len(there) < len(parts) or not parts:
        return Difference(names, head, last, "samples", "a window", "none")
    for part in there:
        for stage in STAGES:
            recorded, again = int(row[f"{stage}_crc.{part.modality}"]), getattr(part.trace, stage)
            if recorded != again:
                return Difference(part.modality, head, last, stage, f"{recorded:08x}", f"{again:08x}")
    status = Status(int(row["status"]))
    if there[0].status is not status:
        return Difference(names, head, last, "window", status.name.lower(), there[0].status.name.lower())
    if status is not Status.OK:
        return None
    recorded_p = np.array([row[name] for name in session.fields["heads"][head]])
    again_p = fuse(there) if len(there) > 1 else there[0].probabilities
    off = float(np.abs(recorded_p - again_p).max())
    result.largest = max(result.largest, off)
    same = off <= result.tolerance if result.tolerance else recorded_p.tobytes() == again_p.tobytes()
    if same:
        return None
    shown = [np.array2string(p, precision=17, separator=", ") for p in (recorded_p, again_p)]
    return Difference(names, head, last, "network", *shown)
