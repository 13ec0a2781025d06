"""Sessions of the simulator as raw segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.training.datasets.layout import DataSet, OnProblem, RawSegment, RawStream, Trial
from bci_m2s.training.datasets.raw import RegularChunks, Samples

if TYPE_CHECKING:
    from bci_m2s.model.contract import Contract
    from bci_m2s.training.settings import DataSettings


def _samples(settings: SimulatorSettings, person: int, session: int, modality: str) -> Samples:
    """All samples of one stream of a simulated session, the same at each call."""
    simulated = SimulatedSession(settings, person, session)
    read, rate_hz = {
        "eeg": (simulated.eeg, settings.eeg_rate_hz),
        "eye": (simulated.eye, settings.eye_rate_hz),
        "skin": (simulated.skin, settings.skin_rate_hz),
    }[modality]
    return read(0, int(settings.duration_s * rate_hz))


def simulated_segments(settings: SimulatorSettings, person: int, session: int) -> list[RawSegment]:
    """One simulated session as one segment: rest, then trials; head "emotion".

    Its modalities are "eeg", "eye" and "skin".

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
        modality: RawStream(
            info, RegularChunks(partial(_samples, settings, person, session, modality), info.rate_hz)
        )
        for modality, info in (
            ("eeg", simulated.eeg_info),
            ("eye", simulated.eye_info),
            ("skin", simulated.skin_info),
        )
    }
    trials = tuple(
        Trial(str(number), trial.start_s, trial.stop_s, {"emotion": settings.classes.index(trial.label)})
        for number, trial in enumerate(simulated.trials, 1)
    )
    spans_s = dict.fromkeys(streams, (0.0, settings.duration_s))
    return [RawSegment(str(person), str(session), streams, trials, spans_s)]


def _read_settings(
    data: DataSettings, contract: Contract, _on_problem: OnProblem
) -> Iterator[list[RawSegment]]:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.simulator.items()
    }
    known = [field.name for field in fields(SimulatorSettings) if field.name != "classes"]
    for key in values:
        if key not in known:
            raise ConfigurationError(f"data.simulator.{key}: unknown key{nearest(key, known)}")
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
