"""A guided session in one small XDF file: EEG with a gap, two eyes, skin, trials with ratings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bci_m2s.recording.trials import GuidedTrial, begin_text, end_text, rating_text
from bci_m2s.types import FloatArray
from support.raw_files import xdf

EEG_LABELS = ("TP9", "AF7", "AF8", "TP10")
EYE_LABELS = ("left_x", "left_y", "left_pupil", "right_x", "right_y", "right_pupil")
EEG_HZ, EYE_HZ, SKIN_HZ = 128.0, 60.0, 32.0
OFFSET_S = 50.0  # from the senders' clock to that of the markers
START_S = 1000.0  # first EEG sample, on the clock of the markers
EYE_LATER_S = 0.3
GAP_S = (10.0, 13.0)  # from the first EEG sample
SECONDS = 24.0


@dataclass(frozen=True)
class Written:
    """The file, and what is in it: senders' stamps (n,) s, samples (n, channels) float32."""

    path: Path
    eeg_s: FloatArray
    eeg: np.ndarray
    eye_s: FloatArray
    eye: np.ndarray
    markers: list[tuple[float, str]]


def trial_markers() -> list[tuple[float, str]]:
    """Two trials with ratings; the first was excluded and shown again. Times from the first EEG sample."""
    shown = [(2.0, GuidedTrial(1, 1, "calm", item="a.mp4")), (6.0, GuidedTrial(1, 2, "calm", item="a.mp4"))]
    shown.append((15.0, GuidedTrial(2, 1, "happy", item="b <i>.mp4", block=2)))
    marks = [(0.5, "session/start/film task")]
    for start_s, trial in shown:
        marks += [(start_s - 0.2, begin_text(trial)), (start_s, f"trial/start/{trial.label}")]
        marks.append((start_s + 3.0, f"trial/stop/{trial.label}"))
        marks.append((start_s + 3.1, end_text(trial.number, trial.attempt, ["late onset"], 0.004)))
        marks.append((start_s + 3.3, rating_text(trial.number, "valence", "7")))
    marks.append((18.5, rating_text(2, "how was it?", "fine\tthanks")))
    return [*marks, (20.0, "break/start"), (23.0, "session/stop")]


def write_guided(folder: Path, eeg: bool = True, eye: bool = True, guided: bool = True) -> Written:
    """Write ``session.xdf`` in a folder; the streams that are named."""
    rng = np.random.default_rng(3)
    sent_s = START_S - OFFSET_S
    eeg_s = np.arange(int(SECONDS * EEG_HZ)) / EEG_HZ
    eeg_s = sent_s + eeg_s[(eeg_s < GAP_S[0]) | (eeg_s >= GAP_S[1])]
    samples = rng.normal(scale=20, size=(len(eeg_s), 4)).astype(np.float32)
    eye_s = sent_s + EYE_LATER_S + np.arange(int(20 * EYE_HZ)) / EYE_HZ
    gaze = rng.uniform(size=(len(eye_s), 6)).astype(np.float32)
    gaze[120:150, :3] = np.nan  # the left eye is closed
    skin_s = sent_s + np.arange(int(20 * SKIN_HZ)) / SKIN_HZ
    skin = rng.uniform(2, 3, size=(len(skin_s), 1)).astype(np.float32)
    streams = []
    if eeg:
        streams.append(("cap", "EEG", EEG_HZ, EEG_LABELS, ("microvolts",) * 4, eeg_s, samples))
    if eye:
        units = ("normalized", "normalized", "mm") * 2
        streams.append(("tracker", "Gaze", EYE_HZ, EYE_LABELS, units, eye_s, gaze))
    streams.append(("band", "GSR", SKIN_HZ, ("EDA",), ("microsiemens",), skin_s, skin))
    marks = trial_markers() if guided else [(2.0, "stim/on"), (4.0, "stim/off")]
    marks = [(START_S + time_s, text) for time_s, text in marks]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "session.xdf").write_bytes(xdf(streams, marks, OFFSET_S))
    return Written(folder / "session.xdf", eeg_s, samples, eye_s, gaze, marks)
