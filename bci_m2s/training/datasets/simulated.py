"""Sessions of the simulator as raw segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.training.datasets.layout import DataSet, OnProblem, RawSegment, RawStream, Trial
from bci_m2s.training.datasets.raw import CHUNK_S
from bci_m2s.types import Chunk

if TYPE_CHECKING:
    from bci_m2s.model.contract import Contract
    from bci_m2s.training.settings import DataSettings


@dataclass(frozen=True)
class SimulatedChunks:
    """Chunks of one stream of a simulated session, the same at each reading."""

    settings: SimulatorSettings
    person: int
    session: int
    modality: str

    def __call__(self) -> Iterator[Chunk]:
        """Yield them from the first sample."""
        simulated = SimulatedSession(self.settings, self.person, self.session)
        read, info = simulated.eye, simulated.eye_info
        if self.modality == "eeg":
            read, info = simulated.eeg, simulated.eeg_info
        total, size = int(simulated.duration_s * info.rate_hz), int(CHUNK_S * info.rate_hz)
        for start in range(0, total, size):
            samples = read(start, min(start + size, total))
            yield Chunk.of((start + np.arange(len(samples))) / info.rate_hz, samples)


def simulated_segments(settings: SimulatorSettings, person: int, session: int) -> list[RawSegment]:
    """One simulated session as one segment: rest, then trials; modalities "eeg" and "eye", head "emotion".

    Parameters
    ----------
    person, session : which, from 0; their names are these numbers

    Raises
    ------
    ConfigurationError
        The session is endless, or `person` or `session` negative.
    """
    if not settings.n_trials:
        raise ConfigurationError("simulator: n_trials: got none, expected at least 1 for training")
    simulated = SimulatedSession(settings, person, session)
    streams = {
        modality: RawStream(info, SimulatedChunks(settings, person, session, modality))
        for modality, info in (("eeg", simulated.eeg_info), ("eye", simulated.eye_info))
    }
    trials = tuple(
        Trial(str(number), trial.start_s, trial.stop_s, {"emotion": settings.classes.index(trial.label)})
        for number, trial in enumerate(simulated.trials, 1)
    )
    return [RawSegment(str(person), str(session), streams, trials)]


def _read_settings(
    data: DataSettings, contract: Contract, _on_problem: OnProblem
) -> Iterator[list[RawSegment]]:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.simulator.items()
    }
    settings = SimulatorSettings(**values, classes=contract.heads[contract.first_head].classes)
    for person in range(data.persons):
        for session in range(data.sessions):
            yield simulated_segments(settings, person, session)


SIMULATED = DataSet(
    name="simulated",
    heads={"emotion": SimulatorSettings().classes},
    subjects=(),
    read_settings=_read_settings,
    needs_root=False,
)
