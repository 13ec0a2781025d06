"""Sessions of step features: the form in which training uses every data set.

A session is one person's recording, row after row. Raw segments go through the code that runs live;
features that a data set's owners distribute are used as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.model.contract import Contract, ModalityContract, WindowContract
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.signal.quality import RateGuard
from bci_m2s.signal.windows import WindowAssembler
from bci_m2s.training.datasets.layout import DistributedTrial, RawSegment, RawStream, Trial
from bci_m2s.training.drift.pairs import pairs_of
from bci_m2s.types import BoolArray, FloatArray

SEGMENT_GAP_S = 1000.0  # between the time axes of two segments, so that no window spans both
SMALLEST_SPREAD = 1e-3
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class SessionFeatures:
    """One session of one person.

    end_s : (n,) when each row's step ends; every row is one hop later, or a segment begins
    values : modality → (n, F) float32, before normalisation, NaN where unknown
    usable : modality → (n,) bool
    amplitudes : modality → (segments, C, 2), usual range of each channel's amplitude (``signal.plausible``)
    problems : modality → the most frequent reason why a step lacks values; none where no step does
    never_used : modality → channels of which no sample could be used, by label, and why
    couplings : modality → (n, K) float32, how channels go together; none of features that cannot tell
    """

    subject: str
    session: str
    end_s: FloatArray
    values: dict[str, Rows]
    usable: dict[str, BoolArray]
    trials: tuple[Trial, ...]
    amplitudes: dict[str, FloatArray] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    never_used: dict[str, dict[str, str]] = field(default_factory=dict)
    couplings: dict[str, Rows] = field(default_factory=dict)

    def key(self, trial: Trial) -> str:
        """Name of a trial, unique over all people and sessions."""
        return f"{self.subject}/{self.session}/{trial.name}"

    def inside(self, trial: Trial) -> BoolArray:
        """Rows (n,) whose step ends in a trial."""
        return (self.end_s > trial.start_s + 1e-6) & (self.end_s <= trial.stop_s + 1e-6)


def from_raw(segments: Sequence[RawSegment], contract: Contract) -> SessionFeatures:
    """Run the segments of a session through the live feature path.

    Rows follow the first modality of the contract that a segment has; the other modalities' steps are
    those that end nearest, at most half a hop away.

    Raises
    ------
    RecordingError
        The session has no segments, or none is long enough for a step.
    ContractError
        A stream does not fit its modality.
    """
    parts: list[SessionFeatures] = []
    begin_s = 0.0
    for segment in segments:
        part = _of_segment(segment, contract)
        if len(part.end_s):
            shift_s = begin_s - part.end_s[0]
            trials = tuple(
                replace(trial, start_s=trial.start_s + shift_s, stop_s=trial.stop_s + shift_s)
                for trial in part.trials
            )
            parts.append(replace(part, end_s=part.end_s + shift_s, trials=trials))
            begin_s = float(parts[-1].end_s[-1]) + SEGMENT_GAP_S
    if not parts:
        who = f"{segments[0].subject}, session {segments[0].session}" if segments else "a session"
        raise RecordingError(f"{who}: no segment is long enough for a step")
    return _joined(parts)


def _joined(parts: Sequence[SessionFeatures]) -> SessionFeatures:
    """Parts of one session, one after the other."""
    first = parts[0]
    return SessionFeatures(
        first.subject,
        first.session,
        np.concatenate([part.end_s for part in parts]),
        {name: np.concatenate([part.values[name] for part in parts]) for name in first.values},
        {name: np.concatenate([part.usable[name] for part in parts]) for name in first.usable},
        tuple(trial for part in parts for trial in part.trials),
        {
            name: np.concatenate([part.amplitudes[name] for part in parts if name in part.amplitudes])
            for name in {name: None for part in parts for name in part.amplitudes}
        },
        {name: text for name in first.usable if (text := _worst(parts, name).problems.get(name))},
        {name: in_all([part.never_used.get(name, {}) for part in parts]) for name in first.never_used},
        {
            name: np.concatenate([part.couplings[name] for part in parts])
            for name in first.couplings
            if all(name in part.couplings for part in parts)
        },
    )


def in_all(found: Sequence[dict[str, str]]) -> dict[str, str]:
    """The entries of the first whose names all others have too."""
    return {name: why for name, why in found[0].items() if all(name in other for other in found)}


def _worst(parts: Sequence[SessionFeatures], modality: str) -> SessionFeatures:
    """The part with the most steps that are not usable."""
    return max(parts, key=lambda part: np.count_nonzero(~part.usable[modality]))


def _of_segment(segment: RawSegment, contract: Contract) -> SessionFeatures:
    """One segment on its own clock."""
    window = contract.window
    steps = {
        name: stream_steps(segment.streams[name], spec, window)
        for name, spec in contract.modalities.items()
        if name in segment.streams
    }
    end_s = next((found.end_s for found in steps.values() if len(found.end_s)), np.empty(0))
    values: dict[str, Rows] = {}
    usable: dict[str, BoolArray] = {}
    couplings: dict[str, Rows] = {}
    for name, spec in contract.modalities.items():
        rows = np.full((len(end_s), spec.feature.n_features), np.nan, dtype=np.float32)
        good = np.zeros(len(end_s), dtype=bool)
        if name in steps and len(steps[name].end_s) and len(end_s):
            found = steps[name]
            nearest = _nearest(found.end_s, end_s)
            close = np.abs(found.end_s[nearest] - end_s) <= window.hop_s / 2 + 1e-6
            rows[close], good[close] = found.values[nearest[close]], found.usable[nearest[close]]
            if found.coupling is not None:
                couplings[name] = np.full((len(end_s), found.coupling.shape[1]), np.nan, np.float32)
                couplings[name][close] = found.coupling[nearest[close]]
        values[name], usable[name] = rows, good
    amplitudes = {name: found.amplitudes[None] for name, found in steps.items()}
    return SessionFeatures(
        segment.subject,
        segment.session,
        end_s,
        values,
        usable,
        segment.trials,
        amplitudes,
        {name: found.problem for name, found in steps.items() if found.problem},
        {name: found.never_used for name, found in steps.items()},
        couplings,
    )


def _nearest(times: FloatArray, wanted: FloatArray) -> NDArray[np.intp]:
    """Index of the time nearest to each wanted one. times : ascending, at least one."""
    right = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=np.intp)
    left = right - 1
    return np.where(wanted - times[left] <= times[right] - wanted, left, right)


class StreamSteps(NamedTuple):
    """Every step of a stream.

    end_s : (n,) when it ends; values : (n, F), NaN where unknown; usable : (n,)
    amplitudes : (C, 2), the usual range of each channel's amplitude: percentiles 1 and 99 of its good hops
    problem : the most frequent reason why a step lacks values, "" where none does
    never_used : channels of which no sample could be used, by label, and why
    coupling : (n, K), how channels go together, NaN where unknown; None where the feature cannot tell
    """

    end_s: FloatArray
    values: Rows
    usable: BoolArray
    amplitudes: FloatArray
    problem: str
    never_used: dict[str, str]
    coupling: Rows | None = None


def stream_steps(stream: RawStream, spec: ModalityContract, window: WindowContract) -> StreamSteps:
    """Every step of a stream as in a live session."""
    stage = StepStage(spec, window, stream.info, stream.facts, pairs=pairs_of(spec))
    shape = (window.steps, window.blocks_per_step, window.hop_s)
    assembler = WindowAssembler("", *shape, stage.extractor.settle_s, spec.max_missing)
    rate = RateGuard(stream.info.rate_hz, window.hop_s)
    ends, values, usable, amplitudes, coupling = [], [], [], [], []
    problems = Counter[str]()
    for chunk in stream.chunks():
        for block, step in stage.push(chunk):
            amplitudes.append(stage.amplitude(block))
            verdict = rate.push(block)
            if step is not None and verdict.wrong:  # a live session gives no estimate either
                text = verdict.describe(stream.info.rate_hz)
                step = replace(step, values=np.full_like(step.values, np.nan), problem=text)
            if step is not None:
                ends.append(block.end_s)
                values.append(step.values.astype(np.float32))
                if step.coupling is not None:
                    coupling.append(step.coupling.astype(np.float32))
                usable.append(assembler.usable(step, block))
                problems[step.problem] += bool(step.problem)
    rows = np.array(values, dtype=np.float32).reshape(len(values), spec.feature.n_features)
    seen = np.array(amplitudes).reshape(-1, len(spec.channels))
    ranges = np.stack([known(partial(np.nanpercentile, q=q), seen) for q in (1, 99)], axis=-1)
    problem = max(problems, key=problems.__getitem__, default="")
    good = np.array(usable, dtype=bool)
    together = np.array(coupling) if coupling and len(coupling) == len(values) else None
    return StreamSteps(np.array(ends), rows, good, ranges, problem, stage.never_used, together)


def from_steps(
    trials: Iterable[DistributedTrial], step_s: float, modalities: dict[str, int]
) -> list[SessionFeatures]:
    """Sessions of distributed features, one row per step; trials of a session must be consecutive.

    modalities : name → F; those that a trial lacks are NaN there
    """
    sessions = []
    for _, group in groupby(trials, key=lambda trial: (trial.subject, trial.session)):
        parts: list[SessionFeatures] = []
        for trial in group:
            begin_s = parts[-1].trials[0].stop_s if parts else 0.0
            parts.append(_of_steps(trial, begin_s, step_s, modalities))
        sessions.append(_joined(parts))
    return sessions


def _of_steps(
    trial: DistributedTrial, begin_s: float, step_s: float, modalities: dict[str, int]
) -> SessionFeatures:
    n = len(next(iter(trial.steps.values())))
    values = {
        name: trial.steps.get(name, np.full((n, n_features), np.nan)).astype(np.float32)
        for name, n_features in modalities.items()
    }
    return SessionFeatures(
        str(trial.subject),
        str(trial.session),
        begin_s + step_s * np.arange(1.0, n + 1),
        values,
        {name: np.asarray(~np.isnan(rows).all(axis=1)) for name, rows in values.items()},
        (Trial(str(trial.trial), begin_s, begin_s + n * step_s, trial.labels),),
    )


def with_distributed(
    session: SessionFeatures, trials: Iterable[DistributedTrial], modality: str, step_s: float, hop_s: float
) -> SessionFeatures:
    """A session of raw signals, completed by the distributed steps of another modality.

    A row takes the step that ends nearest to it in the same trial, at most half a hop away; rows between
    two steps stay unknown. For data sets that distribute raw EEG but only features of the eyes.

    Parameters
    ----------
    trials : of this person and session, with the same names
    step_s : length of a distributed step; the first begins with its trial
    """
    rows = {str(trial.trial): trial.steps[modality] for trial in trials if modality in trial.steps}
    values, usable = session.values[modality].copy(), session.usable[modality].copy()
    for trial in session.trials:
        if trial.name not in rows:
            continue
        inside = np.flatnonzero(
            (session.end_s > trial.start_s + 1e-6) & (session.end_s <= trial.stop_s + hop_s / 2)
        )
        position = (session.end_s[inside] - trial.start_s) / step_s - 1  # in steps of the trial
        step = np.round(position).astype(np.intp)
        known = (np.abs(position - step) * step_s <= hop_s / 2 + 1e-6) & (step >= 0)
        known &= step < len(rows[trial.name])
        values[inside[known]] = rows[trial.name][step[known]].astype(np.float32)
        usable[inside[known]] = ~np.isnan(values[inside[known]]).all(axis=1)
    return replace(
        session,
        values={**session.values, modality: values},
        usable={**session.usable, modality: usable},
    )


def typical_spread(sessions: Sequence[SessionFeatures], modality: str, keys: Collection[str]) -> FloatArray:
    """Spread (F,) of a person's own features at rest: root of the mean variance before the first trial.

    Where nothing was recorded before the first trial, the rows of the trials in `keys` are used.
    """
    variances = []
    for session in sessions:
        first_s = min((trial.start_s for trial in session.trials), default=np.inf)
        usable = session.usable[modality]
        rest = usable & (session.end_s < first_s)
        if rest.sum() <= 2:
            trials = [session.inside(trial) for trial in session.trials if session.key(trial) in keys]
            rest = usable & np.any(trials, axis=0)
        rows = session.values[modality][rest].astype(np.float64)
        if len(rows) > 1:
            variances.append(known(np.nanvar, rows))
    if not variances:
        n_features = sessions[0].values[modality].shape[1] if sessions else 0
        return np.ones(n_features)
    spread = np.sqrt(known(np.nanmean, np.array(variances)))
    return np.maximum(np.nan_to_num(spread, nan=1.0), SMALLEST_SPREAD)


def known(statistic: Callable[..., FloatArray], rows: FloatArray) -> FloatArray:
    """A NaN-ignoring statistic over rows; NaN, without a warning, where a column is all NaN."""
    if not len(rows):
        return np.full(rows.shape[1], np.nan)
    empty = np.isnan(rows).all(axis=0)
    result = statistic(np.where(empty, 0.0, rows), axis=0)
    return np.where(empty, np.nan, result)


def normalised(
    session: SessionFeatures,
    modality: str,
    spec: ModalityContract,
    window: WindowContract,
    spread: FloatArray,
) -> Rows:
    """The session's rows (n, F) as the live normaliser makes them; NaN until it is ready."""
    values, usable = session.values[modality].astype(np.float64), session.usable[modality]
    normaliser = NORMALISERS[spec.normaliser.name](
        spread, window.step_s, window.hop_s, **spec.normaliser.params
    )
    if spec.normaliser.name == "training":
        return session.values[modality]
    out = np.full(values.shape, np.nan, dtype=np.float32)
    for row in range(len(values)):
        if normaliser.settled:
            out[row:] = normaliser.apply(values[row:])
            break
        if usable[row]:
            normaliser.observe(values[row])
        if normaliser.seconds_left == 0.0:
            out[row] = normaliser.apply(values[row : row + 1])[0]
    return out
