"""The state of a session at one moment: for the terminal, the status outlet and the panel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bci_m2s.engine.history import rounded
from bci_m2s.engine.stream_state import silent_after_s
from bci_m2s.signal.drift import Drift
from bci_m2s.types import Estimate, Status

if TYPE_CHECKING:
    from bci_m2s.recording.recorder import RecorderState

SILENT_S = 1.0  # a stream that is silent for longer is in trouble; markers may be silent for ever


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """State of one stream.

    measured_hz : effective rate, NaN while it is being measured
    lost : samples missing in the gaps, by the stamps
    age_s : since the last delivery, NaN before the first
    problem : why its samples cannot be used, "" when they can
    bad_channels : state of each channel that has not been good for a second, by label: lost, flat, …
    clock_offset_s : sender's to local clock, NaN while unknown
    baseline : of the person: none, waiting, collecting or complete
    baseline_left_s : seconds of usable signal that it still needs
    drift : of the newest window from the training; None where the model has no limit for it
    """

    modality: str
    name: str
    rate_hz: float
    measured_hz: float
    samples: int
    lost: int
    age_s: float
    problem: str = ""
    bad_channels: Mapping[str, str] = field(default_factory=dict)
    clock_offset_s: float = math.nan
    baseline: str = "none"
    baseline_left_s: float = 0.0
    drift: Drift | None = None

    @property
    def is_silent(self) -> bool:
        """Whether samples should have come and did not; before the first one too."""
        return self.rate_hz > 0 and not self.age_s <= silent_after_s(self.rate_hz, SILENT_S)

    @property
    def state(self) -> str:
        """In a word: ok, warn or bad."""
        if self.problem or self.is_silent:
            return "bad"
        has_drift = self.drift is not None and self.drift.is_beyond
        return "warn" if self.bad_channels or self.lost or has_drift else "ok"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine now.

    latest : newest estimate by modality and head; by "" and head where one line is made of several
        modalities
    chosen : what estimates come from where one line is made of several modalities, else None
    recording : of the recorder, None when nothing is recorded
    problems : what else is wrong: files that cannot be written, inference that stopped
    markers : the newest, oldest first: (local time, text, origin)
    """

    latest: Mapping[tuple[str, str], Estimate]
    health: Sequence[StreamHealth]
    elapsed_s: float
    chosen: str | None = None
    recording: RecorderState | None = None
    problems: Sequence[str] = ()
    markers: Sequence[tuple[float, str, str]] = ()

    @property
    def state(self) -> str:
        """The worst of everything: ok, warn or bad."""
        recording = self.recording
        if self.problems or (recording is not None and (recording.problem or recording.lost_samples)):
            return "bad"
        words = [health.state for health in self.health]
        return "bad" if "bad" in words else "warn" if "warn" in words else "ok"


def status_report(snapshot: Snapshot, heads: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A snapshot as plain JSON values; NaN becomes None. heads : class names of each head."""
    latest = [
        {
            "modality": estimate.modality,
            "head": head,
            "status": Status(estimate.status).name.lower(),
            "reason": estimate.reason,
            "label": estimate.label(heads[head]),
            "confidence": rounded(estimate.confidence),
            "age_s": rounded(estimate.stamps.age_s),
        }
        for (_, head), estimate in snapshot.latest.items()
    ]
    return {
        "state": snapshot.state,
        "elapsed_s": round(snapshot.elapsed_s, 3),
        "modality": snapshot.chosen,
        "problems": list(snapshot.problems),
        "streams": [_stream(health) for health in snapshot.health],
        "recording": _recording(snapshot.recording),
        "latest": latest,
        "markers": [[rounded(local_s), text, origin] for local_s, text, origin in snapshot.markers],
    }


def signature(snapshot: Snapshot) -> tuple[object, ...]:
    """What a change of is worth a report at once, out of turn."""
    streams = tuple(
        (health.state, health.problem, health.baseline, *health.bad_channels.items())
        for health in snapshot.health
    )
    disk = snapshot.recording.problem if snapshot.recording else None
    answers = tuple((key, estimate.status) for key, estimate in snapshot.latest.items())
    return (snapshot.chosen, tuple(snapshot.problems), disk, streams, answers, *snapshot.markers[-1:])


def _stream(health: StreamHealth) -> dict[str, Any]:
    values = asdict(health)
    seconds_left = round(values.pop("baseline_left_s"), 2)
    values |= {key: rounded(values[key]) for key in ("measured_hz", "age_s", "clock_offset_s")}
    if health.drift is not None:
        values["drift"]["distance"] = rounded(health.drift.distance)
    values["baseline"] = {"state": health.baseline, "seconds_left": seconds_left}
    return {**values, "state": health.state}


def _recording(state: RecorderState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "file": state.path.name,
        "bytes": state.bytes_written,
        "samples": state.samples_written,
        "waiting_bytes": state.waiting_bytes,
        "lost_samples": state.lost_samples,
        "problem": state.problem,
        "free_bytes": state.free_bytes,
        "seconds_left": rounded(state.seconds_left),
        "elapsed_s": round(state.elapsed_s, 3),
    }
