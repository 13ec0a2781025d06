"""Proof of replay: recorded samples through the pipeline again, every estimate held against its twin.

Samples, stamps and controls alone decide what comes out. So on the CPU, with the same versions on the same
kind of machine, every probability must come back bit for bit, however the samples are cut into chunks.
Where one does not, the checksums that each estimate carries say which stage differs first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.lsl.formats import TRACED, RecordedEstimate, RecordLayout
from bci_m2s.model import arithmetic
from bci_m2s.pipeline import again
from bci_m2s.pipeline.failover import fuse
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.recording.recorded import Recording, open_recording
from bci_m2s.review.recorded import RecordedSession, read_recorded_session
from bci_m2s.session.description import versions
from bci_m2s.session.setup import build
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.types import BY_THE_CLOCK, Estimate, Status

TOLERANCE = 1e-3  # of a probability, where a GPU took part


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
    has_other_arithmetic : products could not be made as they were, see ``model.arithmetic``
    """

    tolerance: float
    equal: dict[str, int] = field(default_factory=dict)
    made: int = 0
    unrecorded: int = 0
    largest: float = 0.0
    first: Difference | None = None
    notes: list[str] = field(default_factory=list)
    has_other_arithmetic: bool = False


WindowKey = tuple[str, int, str]  # modality, last sample, head


def verify(
    path: Path,
    model: str | None = None,
    device: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Replay a recorded session and compare.

    Parameters
    ----------
    path : XDF file that ``bci-m2s run`` recorded
    model : file or name; None finds the one that the session names, beside the recording or shipped
    device : "cpu" by default; on another one, or when the session ran on one, ``TOLERANCE`` is allowed
    seed : of the chunk sizes
    progress : gets how many samples are done, and how many there are

    Raises
    ------
    RecordingError
        The file cannot be read, or holds no session of ours.
    UsageError
        The model is not there, or is not the one that was used.
    """
    session = _session(open_recording(path))
    plan = session.plan(model)
    # what was chosen from is compared, whatever was chosen
    plan = replace(plan, settings=plan.settings.model_copy(update={"modality": "each"}))
    arithmetic.ask_for(session.record.arithmetic)
    then, now = session.record.arithmetic, arithmetic.mode()
    predictor = build.make_predictor(plan, device or "cpu")
    if session.record.participant:
        predictor.judge_together()  # as it was, whoever else was there
    on_gpu = str(predictor.device) != "cpu" or session.record.device != "cpu"
    result = Verification(TOLERANCE if on_gpu else 0.0, notes=_version_notes(session.record.versions))
    if session.recording.damage:
        result.notes.append(session.recording.damage)
    if then != now and not on_gpu:
        result.has_other_arithmetic = True
        result.notes.append(f"arithmetic: recorded {then or 'as usual'}, replayed {now or 'as usual'}")
    infos = {modality: stream.info() for modality, stream in session.record.streams.items()}
    streams = {modality: session.raw_stream(modality) for modality in infos}
    total, done = sum(stream.n_samples for stream in streams.values()), 0
    replayed: dict[WindowKey, Estimate] = {}
    pipeline = build.make_pipeline(plan, predictor, infos, clock=lambda: 0.0)
    for number, (modality, stream) in enumerate(streams.items()):
        source = ReplaySource(stream, chunk_samples=np.random.default_rng([seed, number]))
        taken = partial(_samples, pipeline, modality)
        push, control = partial(pipeline.push, modality), partial(pipeline.control, modality)
        controls = session.controls.get(modality, [])
        for count, estimate in again.replayed(push, control, taken, source, controls):
            if estimate is not None:
                replayed[modality, estimate.last_index, estimate.head] = estimate
            progress(done + count, total)
        done += stream.n_samples
    _compare(session, replayed, result)
    return result


def _session(recording: Recording) -> RecordedSession:
    """As ``read_recorded_session``, which a damaged recording may be the reason of."""
    try:
        return read_recorded_session(recording)
    except RecordingError as problem:
        raise (RecordingError(f"{problem}; {recording.damage}") if recording.damage else problem) from None


def _samples(pipeline: Pipeline, modality: str) -> int:
    return pipeline.state(modality).samples


def _version_notes(then: Mapping[str, Any]) -> list[str]:
    now = versions()
    return [
        f"{name}: recorded with {str(then[name])[:40]}, replayed with {now[name]}"
        for name in ("python", "numpy", "scipy", "torch")
        if name in then and then[name] != now[name]
    ]


# ---- comparison ----


def _compare(session: RecordedSession, replayed: dict[WindowKey, Estimate], result: Verification) -> None:
    used: set[WindowKey] = set()
    for head, recorded in _recorded(session):
        if recorded.status in BY_THE_CLOCK:
            continue
        keys = [(modality, window.last_sample, head) for modality, window in recorded.windows.items()]
        difference = _differs(recorded, head, keys, replayed, result)
        if difference is not None:
            if result.first is None:
                result.first = difference
            continue
        used.update(keys)
        name = "+".join(recorded.windows)
        result.equal[name] = result.equal.get(name, 0) + 1
        result.made += recorded.status == Status.OK
    result.unrecorded = len(replayed.keys() - used)


def _recorded(session: RecordedSession) -> Iterator[tuple[str, RecordedEstimate]]:
    """Every recorded estimate with its head, head by head, in order."""
    for head, stream in session.estimates().items():
        where = f"{session.path}: estimates of {head}"
        try:
            layout = RecordLayout.read(() if stream.is_text else stream.info.labels)
        except ValueError as problem:
            raise RecordingError(f"{where}: {problem}") from None
        classes, modalities = tuple(session.record.heads[head]), tuple(session.record.modalities)
        if (layout.classes, layout.modalities) != (classes, modalities):
            raise RecordingError(f"{where}: its channels are not those of the session")
        for sample in stream.read(0, stream.n_samples).astype(np.float64):
            estimate = layout.unpack(sample)
            if estimate.status not in list(Status):
                raise RecordingError(f"{where}: status: got {sample[len(classes) + 1]:g}")
            yield head, estimate


def _differs(
    recorded: RecordedEstimate,
    head: str,
    keys: list[WindowKey],
    replayed: Mapping[WindowKey, Estimate],
    result: Verification,
) -> Difference | None:
    """Compare one recorded estimate with what the replay made of the same windows."""
    names = "+".join(key[0] for key in keys)
    last = keys[0][1] if keys else -1
    parts = [replayed.get(key) for key in keys]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts) or not parts:
        return Difference(names, head, last, "samples", "a window", "none")
    for part in found:
        trace = recorded.windows[part.modality].trace
        for stage in TRACED:
            then, now = getattr(trace, stage), getattr(part.trace, stage)
            if then != now:
                return Difference(part.modality, head, last, stage, f"CRC {then}", f"CRC {now}")
    status = Status(recorded.status)
    if status is Status.LATE and found[0].status is Status.OK:
        return None  # the same window was answered, too late to be told
    if found[0].status is not status:
        return Difference(names, head, last, "window", status.name.lower(), found[0].status.name.lower())
    if status is not Status.OK:
        return None
    again_p = fuse(found) if len(found) > 1 else found[0].probabilities
    recorded_p = recorded.probabilities
    off = float(np.abs(recorded_p - again_p).max())
    result.largest = max(result.largest, off)
    same = off <= result.tolerance if result.tolerance else recorded_p.tobytes() == again_p.tobytes()
    if same:
        return None
    shown = [np.array2string(p, precision=17, separator=", ") for p in (recorded_p, again_p)]
    return Difference(names, head, last, "network", *shown)
