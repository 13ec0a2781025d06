"""Step features of recorded sessions, made by the code that runs live, and windows cut from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.contract import ModalityContract, WindowContract
from bci_m2s.normalise import NORMALISERS
from bci_m2s.pipeline import StepStage
from bci_m2s.types import Chunk, FloatArray, StreamInfo
from bci_m2s.windows import WindowAssembler, WindowShape


@dataclass(frozen=True)
class LabelledSpan:
    """A trial: everything from `start_s` to `stop_s` belongs to class `label` (index)."""

    start_s: float
    stop_s: float
    label: int


@dataclass(frozen=True)
class SessionSteps:
    """Steps of one session of one person, one row a hop.

    values : (n, F) float32, before normalisation; end_s : (n,), usable : (n,) bool
    """

    person: int
    session: int
    values: NDArray[np.float32]
    end_s: FloatArray
    usable: NDArray[np.bool_]
    trials: tuple[LabelledSpan, ...]


@dataclass(frozen=True)
class Windows:
    """features : (n, T, F) float32; labels, persons, trials : (n,), trials numbered over all sessions."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    persons: NDArray[np.int64]
    trials: NDArray[np.int64]

    def of_persons(self, persons: NDArray[np.int64]) -> Windows:
        """The windows of some people."""
        mask = np.isin(self.persons, persons)
        return Windows(self.features[mask], self.labels[mask], self.persons[mask], self.trials[mask])


def session_steps(
    chunks: Iterable[Chunk],
    info: StreamInfo,
    spec: ModalityContract,
    window: WindowContract,
    person: int,
    session: int,
    trials: Sequence[LabelledSpan],
) -> SessionSteps:
    """Run one session's samples through the live feature path."""
    shape = WindowShape(window.steps, window.step_s, window.hop_s)
    stage = StepStage(spec, shape, info)
    judge = WindowAssembler("", shape, stage.extractor.settle_s, spec.max_missing)
    values, ends, usable = [], [], []
    for chunk in chunks:
        for block, step in stage.push(chunk):
            if step is not None:
                values.append(step.values.astype(np.float32))
                ends.append(block.end_s)
                usable.append(judge.usable(step, block))
    return SessionSteps(person, session, np.array(values), np.array(ends), np.array(usable), tuple(trials))


def rest_spread(sessions: Sequence[SessionSteps]) -> FloatArray:
    """Typical spread (F,) of a person's own features before the first trial: root mean variance."""
    variances = []
    for one in sessions:
        first_s = min(trial.start_s for trial in one.trials)
        rest = one.values[one.usable & (one.end_s < first_s)].astype(np.float64)
        variances.append(np.nanvar(rest, axis=0))
    return np.maximum(np.sqrt(np.nanmean(variances, axis=0)), 1e-3)


def normalised(
    session: SessionSteps, spec: ModalityContract, window: WindowContract, spread: FloatArray
) -> NDArray[np.float32]:
    """The session's steps (n, F) as the live normaliser makes them; NaN rows until it is ready."""
    normaliser = NORMALISERS[spec.normaliser.name](
        spread, window.step_s, window.hop_s, **spec.normaliser.params
    )
    out = np.full(session.values.shape, np.nan, dtype=np.float32)
    for row, (values, usable) in enumerate(
        zip(session.values.astype(np.float64), session.usable, strict=True)
    ):
        if usable:
            normaliser.observe(values)
        if normaliser.seconds_left == 0.0:
            out[row] = normaliser.apply(values[None])[0]
    return out


def cut_windows(
    sessions: Sequence[SessionSteps],
    steps: Sequence[NDArray[np.float32]],
    window: WindowContract,
    max_missing: float,
    every: int,
) -> Windows:
    """Windows of T steps end to end, wholly inside a trial, one every `every` hops.

    A window with a step that is unusable or misses more than `max_missing` of its features is left
    out; what is missing otherwise stays NaN, for the scaler to fill.
    """
    per_step = round(window.step_s / window.hop_s)
    reach = (window.steps - 1) * per_step
    features, labels, persons, numbers = [], [], [], []
    number = 0
    for session, values in zip(sessions, steps, strict=True):
        good = session.usable & (np.isnan(values).mean(axis=1) <= max_missing)
        for trial in session.trials:
            inside = (session.end_s <= trial.stop_s) & (
                session.end_s - window.steps * window.step_s >= trial.start_s
            )
            for row in np.flatnonzero(inside)[::every]:
                rows = np.arange(row - reach, row + 1, per_step)
                if good[rows].all():
                    features.append(values[rows])
                    labels.append(trial.label)
                    persons.append(session.person)
                    numbers.append(number)
            number += 1
    return Windows(np.array(features), np.array(labels), np.array(persons), np.array(numbers))
