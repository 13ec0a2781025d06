"""Guided sessions with a simulated person and a Muse, faster than real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bci_m2s.recording.guided import guided_markers
from bci_m2s.recording.recorded import open_recording
from bci_m2s.session.protocol.conductor import Conductor

PROTOCOL: dict[str, Any] = {
    "pipeline": "pipeline.yaml",
    "simulated": {"montage": "muse", "eeg_rate_hz": 256.0, "subject": 5},
    "check": {"good_for_s": 1.0},
    "baseline": {"duration_s": 10.0},
    "trials": {
        "duration_s": 8.0,
        "countdown_s": 0.5,
        "rest_s": 1.0,
        "seed": 1,
        "repeats": 2,
        "items": [{"label": label, "text": label} for label in ("negative", "neutral", "positive")],
    },
    "ratings": [
        {"scale": "valence"},
        {"scale": "emotion", "kind": "choice", "choices": ["negative", "neutral", "positive"]},
    ],
    "breaks": {"duration_s": 1.0},
    "live": {"duration_s": 3.0},
    "report": False,
    "fast_speed": 20.0,
}
PIPELINE = {"model": "muse-4ch", "streams": {"eeg": {"type": "EEG"}}, "outlet": {"enabled": False}}


def write_protocol(folder: Path, **changes: Any) -> Path:
    """The protocol above, changed in some keys, with its pipeline beside it."""
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
    path = folder / "quick.yaml"
    path.write_text(yaml.safe_dump({**PROTOCOL, **changes}), encoding="utf-8")
    return path


def scripted(script: Callable[[Conductor], None]) -> Callable[[Conductor], Conductor]:
    """What ``Conductor.__enter__`` is replaced by, so that `script` plays the experimenter beside it."""
    enter = Conductor.__enter__

    def entered(conductor: Conductor) -> Conductor:
        threading.Thread(target=script, args=(conductor,), daemon=True).start()
        return enter(conductor)

    return entered


def recorded_markers(recording: Path) -> list[tuple[float, str]]:
    """The markers of a guided session, in their order."""
    return guided_markers(open_recording(recording))
