"""A recording in BIDS' folders, with what stands beside it; values are whole microvolts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from support.raw_files import edf

LABELS = ("TP9", "AF7", "AF8", "TP10", "EMG chin", "GSR")
TYPES = ("EEG", "EEG", "EEG", "EEG", "EMG", "GSR")
RATE_HZ = 256
EVENTS = (  # onset, duration, trial_type, value, picture
    ("4.5", "1.5", "n/a", "7", "a.png"),
    ("1.25", "2", "stim/neutral", "1", "b.png"),
    ("6", "n/a", "stim/positive", "2", "c.png"),
)


def values(seconds: int = 8, rate_hz: int = RATE_HZ, count: int = len(LABELS)) -> NDArray[np.float64]:
    """(n, count) whole numbers that tell where they stand."""
    return (np.arange(seconds * rate_hz)[:, None] % 200) + 100.0 * np.arange(count)


def table(*rows: tuple[str, ...]) -> str:
    """Texts with tabs between."""
    return "".join("\t".join(row) + "\n" for row in rows)


def write_bids(
    root: Path,
    subject: str = "01",
    session: str = "01",
    run: str = "",
    events: tuple[tuple[str, ...], ...] = EVENTS,
    status: dict[str, str] | None = None,
    **described: object,
) -> Path:
    """The EDF of a run with events, channels and, for the whole data set, what it was made with."""
    folder = root / f"sub-{subject}" / f"ses-{session}" / "eeg"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    stem = f"sub-{subject}_ses-{session}_task-x" + (f"_run-{run}" if run else "")
    path = folder / f"{stem}_eeg.edf"
    path.write_bytes(edf([f"{label}" for label in LABELS], values(), RATE_HZ))
    (folder / f"{stem}_events.tsv").write_text(
        table(("onset", "duration", "trial_type", "value", "picture"), *events)
    )
    bad = status or {}
    rows = [(name, kind, "uV", bad.get(name, "good")) for name, kind in zip(LABELS, TYPES, strict=True)]
    (folder / f"{stem}_channels.tsv").write_text(table(("name", "type", "units", "status"), *rows))
    made = {"EEGReference": "Cz", "PowerLineFrequency": 60, "SamplingFrequency": RATE_HZ} | described
    (root / "task-x_eeg.json").write_text(json.dumps(made))
    return path
