"""One recording session: EEG, eye tracking and skin conductance of one person, with markers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator import skin
from bci_m2s.simulator.eeg import Electroencephalogram
from bci_m2s.simulator.eye import LABELS, UNITS, EyeTracker
from bci_m2s.simulator.gaze import Eyes
from bci_m2s.simulator.markers import (
    REST_START,
    REST_STOP,
    STREAM_NAME,
    MarkedTrial,
)
from bci_m2s.simulator.montage import electrodes
from bci_m2s.simulator.noise import Float32Array, Seeds
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.simulator.skin import SkinConductance
from bci_m2s.simulator.state import Schedule
from bci_m2s.types import MARKER_TYPE, TRIAL_START, TRIAL_STOP, StreamInfo


class SimulatedSession:
    """Raw EEG, gaze, pupil and skin conductance of one subject in one session, at any time of it.

    subject : which person of the population, from 0; session : which visit, from 0
    schedule : what makes its trials; those of ``PresentedSchedule`` are shown by somebody

    Samples are numbered from 0; sample i is taken i / rate seconds after the session began. Asking
    twice, in other pieces or in another order gives the same bits. Raises ConfigurationError for a
    montage that is not known and for negative numbers.

    Attributes
    ----------
    schedule : trials, and valence and arousal at any time
    eyes : where they look, and when they blink
    cortex : the brain behind the EEG
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        subject: int = 0,
        session: int = 0,
        schedule: type[Schedule] = Schedule,
    ) -> None:
        for name, number in (("subject", subject), ("session", session)):
            if number < 0:
                raise ConfigurationError(f"simulator: {name}: got {number}, expected 0 or more")
        self.settings = settings
        labels, positions = electrodes(settings.montage)
        seeds = Seeds(settings.seed, subject, session)
        self.schedule = schedule(settings, seeds)
        self.eyes = Eyes(self.schedule, seeds)
        self._eeg = Electroencephalogram(self.schedule, self.eyes, seeds, positions, settings.eeg_rate_hz)
        self.cortex = self._eeg.cortex
        self._tracker = EyeTracker(self.schedule, self.eyes, seeds, settings.eye_rate_hz)
        self._skin = SkinConductance(self.schedule, seeds, settings.skin_rate_hz)
        origin = f"{settings.seed}-{subject}-{session}"
        self.eeg_info = StreamInfo(
            name="Simulated EEG",
            type="EEG",
            source_id=f"bci_m2s-simulated-eeg-{origin}",
            rate_hz=settings.eeg_rate_hz,
            labels=labels,
            units=("microvolts",) * len(labels),
        )
        self.eye_info = StreamInfo(
            name="Simulated eye tracker",
            type="Gaze",
            source_id=f"bci_m2s-simulated-eye-{origin}",
            rate_hz=settings.eye_rate_hz,
            labels=LABELS,
            units=UNITS,
        )
        self.skin_info = StreamInfo(
            name="Simulated skin conductance",
            type="GSR",
            source_id=f"bci_m2s-simulated-skin-{origin}",
            rate_hz=settings.skin_rate_hz,
            labels=skin.LABELS,
            units=skin.UNITS,
        )
        self.marker_info = StreamInfo(
            name=STREAM_NAME,
            type=MARKER_TYPE,
            source_id=f"bci_m2s-simulated-markers-{origin}",
            labels=("marker",),
            units=("",),
            channel_format="string",
        )

    @property
    def trials(self) -> list[MarkedTrial]:
        """All trials. Raises ValueError for an endless session; ``schedule.trial`` has its trials."""
        if not self.settings.n_trials:
            raise ValueError("an endless session has no last trial")
        return [self.schedule.trial(index) for index in range(self.settings.n_trials)]

    def eeg(self, start: int, stop: int) -> Float32Array:
        """Return EEG samples start to stop - 1, fewer at the session's end: (n, channels), µV."""
        stop = self._clipped(stop, self.settings.eeg_rate_hz)
        return _read(self._eeg.make_block, self._eeg.block, start, stop, self.eeg_info.n_channels)

    def eye(self, start: int, stop: int) -> Float32Array:
        """Return eye samples start to stop - 1, fewer at the session's end: (n, 5).

        Columns: gaze x and y (screen units), pupil left and right (mm), confidence; NaN on loss.
        """
        stop = self._clipped(stop, self.settings.eye_rate_hz)
        return _read(self._tracker.make_block, self._tracker.block, start, stop, len(LABELS))

    def skin(self, start: int, stop: int) -> Float32Array:
        """Return skin samples start to stop - 1, fewer at the session's end: (n, 1), µS."""
        stop = self._clipped(stop, self.settings.skin_rate_hz)
        return _read(self._skin.make_block, self._skin.block, start, stop, 1)

    @property
    def n_markers(self) -> float:
        """Number of markers; infinite when endless."""
        return 2 * ((self.settings.n_trials or math.inf) + (self.settings.rest_s > 0.0))

    def marker(self, index: int) -> tuple[float, str]:
        """Return time (s) and text of marker `index` from 0. Raises IndexError past the last one.

        Texts are "rest/start", "rest/stop", "trial/start/LABEL" and "trial/stop/LABEL".
        """
        if index < 0:
            raise IndexError(f"marker {index}")
        if self.settings.rest_s > 0.0:
            if index < 2:
                return (0.0, REST_START) if index == 0 else (self.settings.rest_s, REST_STOP)
            index -= 2
        trial = self.schedule.trial(index // 2)
        if index % 2 == 0:
            return trial.start_s, TRIAL_START + trial.label
        return trial.stop_s, TRIAL_STOP + trial.label

    def _clipped(self, stop: int, rate_hz: float) -> int:
        return (
            stop
            if math.isinf(self.settings.duration_s)
            else min(stop, math.floor(self.settings.duration_s * rate_hz))
        )


def _read(
    make_block: Callable[[int], Float32Array], block: int, start: int, stop: int, n_channels: int
) -> Float32Array:
    """Put the wanted samples of consecutive blocks together: (n, channels)."""
    if start < 0:
        raise IndexError(f"sample {start}")
    out = np.empty((max(0, stop - start), n_channels), dtype=np.float32)
    at = start
    while at < stop:
        index, first = divmod(at, block)
        piece = make_block(index)[first : first + stop - at]
        out[at - start : at - start + len(piece)] = piece
        at += len(piece)
    return out
