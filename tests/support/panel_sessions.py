"""A session as the panel sees it: real LSL outlets, fed by hand."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pylsl

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.session.control import rendezvous
from bci_m2s.sinks.outlets import OutletSink, StatusSink
from bci_m2s.types import Estimate, Stamps, Status, StatusReport

LIMIT_S = 120.0
CLASSES = ("negative", "neutral", "positive")
EEG_LABELS = ("FP1", "FZ", "CZ", "PZ", "O1", "O2", "T7", "T8")
EYE_LABELS = ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "valid")


def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for a condition."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


class FakeSession:
    """Outlets of a session: one status, one head, and a raw EEG stream and an eye tracker.

    It is the sender's side only; what the panel makes of it is what is tested.
    """

    def __init__(self, combined: bool = False, eeg_rate_hz: float = 250.0, **changes: Any) -> None:
        self.session_id = uuid.uuid4().hex
        name = f"test-{self.session_id[:8]}"
        self.eeg = _outlet(f"{name}-cap", "EEG", EEG_LABELS, eeg_rate_hz, "microvolts", self.session_id)
        self.eye = _outlet(f"{name}-eye", "Gaze", EYE_LABELS, 120.0, "normalised", self.session_id)
        self.session: dict[str, Any] = {
            "session_id": self.session_id,
            "outlet_name": name,
            "mode": "live",
            "pipeline": {"modality": "auto" if combined else "each"},
            "model": {"name": "test model", "simulated": True},
            "heads": {"emotion": list(CLASSES)},
            "coordinates": {"emotion": {"negative": [-1, 0.3], "neutral": [0, 0], "positive": [1, 0.3]}},
            "modalities": ["eeg", "eye"],
            "voices": ["eeg", "eye"],
            "streams": {
                "eeg": _said(f"{name}-cap", "EEG", EEG_LABELS, eeg_rate_hz, "microvolts", self.session_id),
                "eye": _said(f"{name}-eye", "Gaze", EYE_LABELS, 120.0, "normalised", self.session_id),
            },
            **changes,
        }
        description = SessionDescription.model_validate(self.session)
        self._status = StatusSink(None, description)
        self._outlet = OutletSink(None, description)
        self._status.open()
        self._outlet.open()
        self._sent = {"eeg": 0, "eye": 0}

    def report(self, **changes: Any) -> None:
        """Push a status report, of a sound session where nothing else is said."""
        values = {
            "state": "ok",
            "elapsed_s": 1.0,
            "modality": None,
            "problems": [],
            "streams": [self.stream("eeg"), self.stream("eye")],
            "recording": None,
            "latest": [],
            "ended": "",
            "commands": False,
            "markers": [],
            **changes,
        }
        self._status.take(StatusReport(pylsl.local_clock(), time.time(), values))

    def stream(self, modality: str, **changes: Any) -> dict[str, Any]:
        """A stream's entry of a status report."""
        said = self.session["streams"][modality]
        return {
            "modality": modality,
            "name": said["name"],
            "state": "ok",
            "rate_hz": said["rate_hz"],
            "measured_hz": said["rate_hz"],
            "samples": 1000,
            "lost": 0,
            "age_s": 0.01,
            "problem": "",
            "bad_channels": {},
            "clock_offset_s": 0.0,
            "baseline": {"state": "complete", "seconds_left": 0.0},
            **changes,
        }

    def estimate(self, probabilities: Any = (0.1, 0.2, 0.7), modality: str = "eeg", **changes: Any) -> None:
        """Push an estimate; without probabilities the reason why there is none."""
        now_s = pylsl.local_clock()
        values = np.asarray(probabilities if probabilities is not None else [np.nan] * 3, dtype=np.float64)
        fields: dict[str, Any] = {
            "modality": modality,
            "head": "emotion",
            "first_index": 0,
            "last_index": 1,
            "start_s": now_s - 5,
            "end_s": now_s,
            "status": Status.OK if probabilities is not None else Status.BAD_SIGNAL,
            "reason": "",
            "probabilities": values,
            "confidence": float(values.max()),
            "stamps": Stamps(last_sample_s=now_s - 0.006, published_s=now_s),
            **changes,
        }
        self._outlet.take(Estimate(**fields))

    def send(self, modality: str, seconds: float) -> None:
        """Push raw samples that end now."""
        outlet, labels = (self.eeg, EEG_LABELS) if modality == "eeg" else (self.eye, EYE_LABELS)
        rate_hz = self.session["streams"][modality]["rate_hz"]
        n = round(seconds * rate_hz)
        first, self._sent[modality] = self._sent[modality], self._sent[modality] + n
        t = (first + np.arange(n))[:, None] / rate_hz
        values = 30 * np.sin(2 * np.pi * (8 + np.arange(len(labels))) * t)
        outlet.push_chunk(values.astype(np.float32), pylsl.local_clock())

    def announce(self) -> None:
        """Enter the session in this user's private folder, as one of its own; nobody takes its commands."""
        if not rendezvous.has_entry(self.session_id):
            rendezvous.write_entry(rendezvous.make_folder(), self.session_id, rendezvous.Entry(1, b"token"))

    def close(self) -> None:
        """Withdraw everything."""
        (rendezvous.folder_path() / f"{self.session_id}.json").unlink(missing_ok=True)
        self._status.close()
        self._outlet.close()
        self.eeg = self.eye = None


def _outlet(
    name: str, kind: str, labels: tuple[str, ...], rate_hz: float, unit: str, session_id: str
) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo(name, kind, len(labels), rate_hz, "float32", f"{session_id}-{kind}")
    info.set_channel_labels(list(labels))
    info.set_channel_units([unit] * len(labels))
    return pylsl.StreamOutlet(info)


def _said(
    name: str, kind: str, labels: tuple[str, ...], rate_hz: float, unit: str, session_id: str
) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "source_id": f"{session_id}-{kind}",
        "rate_hz": rate_hz,
        "labels": list(labels),
        "units": [unit] * len(labels),
    }
