"""A simulated person in a guided session: signals that follow the trials, and answers to the questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.errors import ConfigurationError, ContractError, StreamError
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.settings import PersonSettings, RatingSettings
from bci_m2s.session.setup.build import Plan
from bci_m2s.session.setup.connect import Connected, check
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.sources.timeline import Timeline

if TYPE_CHECKING:
    from bci_m2s.simulator.presented import PresentedSchedule

USUAL_CLASSES = ("negative", "neutral", "positive")
CHUNK_S = 0.04


class SimulatedPerson:
    """Someone who watches what is shown, feels it, and answers.

    Parameters
    ----------
    settings : who it is
    labels : classes of the trials
    clock : of the session
    """

    def __init__(self, settings: PersonSettings, labels: Sequence[str], clock: FastClock) -> None:
        self._settings, self._clock = settings, clock
        self._classes = tuple(dict.fromkeys(labels)) or USUAL_CLASSES
        self._timeline = Timeline(clock=clock)
        self._n_shown = 0
        self._schedule: PresentedSchedule | None = None

    def connect(self, plan: Plan) -> Connected:
        """Open its streams in place of those that a pipeline names.

        Raises ConfigurationError for a modality that is not simulated, StreamError where one does not fit.
        """
        from bci_m2s.simulator.presented import PresentedSchedule
        from bci_m2s.simulator.session import SimulatedSession
        from bci_m2s.sources.simulated import SimulatedSource

        own = self._settings
        simulator = SimulatorSettings(
            montage=own.montage,
            eeg_rate_hz=own.eeg_rate_hz,
            classes=self._classes,
            effect=own.effect,
            seed=own.seed,
        )
        person = SimulatedSession(simulator, own.subject, own.visit, PresentedSchedule)
        assert isinstance(person.schedule, PresentedSchedule)
        self._schedule = person.schedule
        sources = {}
        for modality in plan.settings.streams:
            source = SimulatedSource(
                simulator,
                modality,
                speed=1.0,
                chunk_s=CHUNK_S * self._clock.speed,
                timeline=self._timeline,
                sleep=self._clock.sleep,
                person=person,
            )
            source.open()
            check(plan, modality, source.info)
            sources[modality] = source
        return Connected(sources, (), self._clock)

    def check(self, plan: Plan, path: Path) -> None:
        """Raise ConfigurationError, with the protocol's path, where it has not what a pipeline needs."""
        try:
            self.connect(plan).close()
        except (ConfigurationError, ContractError, StreamError) as problem:
            raise ConfigurationError(f"{path}: simulated: {problem}") from None

    def watch(self, label: str) -> None:
        """A trial begins to be shown now."""
        if self._schedule is not None:
            self._schedule.begin(self._now_s(), label)
            self._n_shown += 1

    def look_away(self) -> None:
        """What was shown is over."""
        if self._schedule is not None:
            self._schedule.end(self._now_s())

    def answer(self, question: RatingSettings) -> str:
        """What it felt in the latest trial, on a scale."""
        if question.kind == "text":
            return "simulated"
        schedule = self._schedule
        if schedule is None or not self._n_shown:
            return ""
        valence, arousal = schedule.felt(self._n_shown - 1)
        if question.kind == "choice":
            label = schedule.trial(self._n_shown - 1).label
            known = [choice for choice in question.choices if choice.casefold() == label.casefold()]
            return (known or question.choices)[0]
        value = {"valence": valence, "arousal": arousal}.get(question.scale, 0.0)
        return str(int(np.clip(round(1 + (value + 1) / 2 * (question.points - 1)), 1, question.points)))

    def _now_s(self) -> float:
        return self._clock() - self._timeline.begin()
