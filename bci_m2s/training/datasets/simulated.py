"""Sessions of the simulator, through the live feature path."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bci_m2s.contract import ModalityContract, WindowContract
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.training.steps import LabelledSpan, SessionSteps, session_steps
from bci_m2s.types import Chunk

CHUNK_S = 10.0


def simulated_steps(
    settings: SimulatorSettings,
    person: int,
    session: int,
    modality: str,
    spec: ModalityContract,
    window: WindowContract,
) -> SessionSteps:
    """One simulated session; modality "eeg" or "eye"."""
    made = SimulatedSession(settings, person, session)
    info = made.eeg_info if modality == "eeg" else made.eye_info
    trials = [
        LabelledSpan(trial.start_s, trial.stop_s, settings.classes.index(trial.label))
        for trial in made.trials
    ]
    return session_steps(_chunks(made, modality, info.rate_hz), info, spec, window, person, session, trials)


def _chunks(made: SimulatedSession, modality: str, rate_hz: float) -> Iterator[Chunk]:
    read = made.eeg if modality == "eeg" else made.eye
    total, size = int(made.duration_s * rate_hz), int(CHUNK_S * rate_hz)
    for start in range(0, total, size):
        samples = read(start, min(start + size, total))
        yield Chunk.of((start + np.arange(len(samples))) / rate_hz, samples)
