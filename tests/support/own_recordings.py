"""A folder of XDF files as a lab would have it: simulated people with a cap, an eye tracker and markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from support.raw_files import xdf

PEOPLE = ("P001", "P002", "P003")
SMALL: dict[str, Any] = {
    "montage": "muse",
    "eeg_rate_hz": 128.0,
    "eye_rate_hz": 60.0,
    "classes": ("negative", "positive"),
    "rest_s": 12.0,
    "trial_s": 8.0,
    "pause_s": 1.0,
    "n_trials": 4,
    "order": "balanced",
    "effect": 3.0,
}


def write_recordings(root: Path, people: Sequence[str] = PEOPLE, first: int = 0, **changes: Any) -> Path:
    """One session of each person, in the folders that BIDS would have. first : of the simulated people."""
    settings = SimulatorSettings(**{**SMALL, **changes})
    for number, person in enumerate(people, first):
        session = SimulatedSession(settings, number, 0)
        streams = []
        for info, samples in ((session.eeg_info, session.eeg), (session.eye_info, session.eye)):
            values = samples(0, int(settings.duration_s * info.rate_hz))
            stamps = np.arange(len(values)) / info.rate_hz
            streams.append((info.name, info.type, info.rate_hz, info.labels, info.units, stamps, values))
        marks = []
        for trial in session.trials:
            marks.append((trial.start_s, f"trial/start/{trial.label}"))
            marks.append((trial.stop_s, f"trial/stop/{trial.label}"))
        path = root / f"sub-{person}" / "ses-S001" / "session.xdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(xdf(streams, marks))
    return root
