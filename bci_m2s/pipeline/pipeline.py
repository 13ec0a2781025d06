"""Chunks in, estimates out. No threads, no clock of its own, no files.

Live sessions, replays and evaluations all run this code. What comes out depends on the samples, their
stamps and the controls alone (see ``modality``); the only times that it reads are the stage stamps of an
estimate, from the clock that it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.errors import CommandError
from bci_m2s.pipeline.due import Due, judge
from bci_m2s.pipeline.failover import Chooser
from bci_m2s.pipeline.modality import ModalityStage, StageState
from bci_m2s.sources import Source
from bci_m2s.sources.replay import merge
from bci_m2s.types import (
    LONGEST_MARKER,
    Chunk,
    Emit,
    Estimate,
    Event,
    FloatArray,
    Stamps,
    Status,
    Window,
    no_listener,
)

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor


class Pipeline:
    """All modalities of a session and the model that judges their windows. One thread uses it.

    Parameters
    ----------
    stages : one for each modality in use, with the same `emit`
    predictor : the model
    clock : local clock in seconds, for the stage stamps only
    baseline_marker : the marker text that begins a new baseline; "" for none
    chooser : makes one line of estimates from those of all modalities, with the same `emit`; None leaves
        them side by side
    emit : gets every event the moment it is noticed; its clocks are NaN, since nothing here reads one

    Attributes
    ----------
    heads : class names of each head
    hop_s : how often an estimate comes, s
    skipped : by modality, how many due windows were not judged
    judgeable, judgeable_skipped : windows with features, of all modalities; of these, how many were skipped
    on_judged : gets each valid window that was judged, the answers of all heads and the local time of its
        last sample; must return at once. None, as in every replay, for nobody
    """

    def __init__(
        self,
        stages: Mapping[str, ModalityStage],
        predictor: Predictor,
        clock: Callable[[], float] = time.monotonic,
        baseline_marker: str = "",
        chooser: Chooser | None = None,
        emit: Emit = no_listener,
    ) -> None:
        self._stages, self._chooser = dict(stages), chooser
        self.heads, self.hop_s = predictor.contract.class_names, predictor.contract.window.hop_s
        self._predictor, self._clock, self._baseline_marker = predictor, clock, baseline_marker
        self._emit = emit
        self.skipped = dict.fromkeys(stages, 0)
        self.judgeable = self.judgeable_skipped = 0
        self.on_judged: Callable[[Window, Mapping[str, FloatArray], float], None] | None = None

    # ---- what it is and how it stands; any thread ----

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self._predictor.device)

    @property
    def chosen(self) -> str | None:
        """What estimates come from now, "" when nothing is usable; None where nothing is chosen."""
        return self._chooser.current if self._chooser else None

    @property
    def feature_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the features by modality, in the extractor's order."""
        return {name: stage.feature_names for name, stage in self._stages.items()}

    def channels(self, modality: str) -> tuple[str, ...]:
        """Labels in the stream of the channels that a modality's features are made of."""
        return self._stages[modality].channels

    def state(self, modality: str) -> StageState:
        """How the processing of one stream stands."""
        return self._stages[modality].state

    def missing_n(self, modality: str) -> int:
        """Samples of a stream until anything can be due, at least 1."""
        return self._stages[modality].missing_n

    @property
    def notes(self) -> list[str]:
        """What is worth a line for people, of every stream so far."""
        return [note for stage in self._stages.values() for note in stage.notes]

    @property
    def never_used(self) -> list[str]:
        """Of each modality that has some: channels of which no sample was used so far."""
        return [said for stage in self._stages.values() if (said := stage.never_used)]

    # ---- samples ----

    def push(
        self, modality: str, chunk: Chunk, clock_offset_s: float = math.nan, newest_only: bool = False
    ) -> list[Estimate]:
        """Take the next samples of a stream, return the estimates that they complete.

        Each due window gives one estimate per head.

        Parameters
        ----------
        clock_offset_s : of the sender, added to a stamp for local time; NaN while unknown
        newest_only : inference fell behind, so the network judges the last due window alone; the others
            are counted in ``skipped``. Which windows are judged then depends on speed; what a judged
            window gets does not.
        """
        due = self.collect(modality, chunk, clock_offset_s, newest_only)
        judge(due)
        return self.complete(due)

    def collect(
        self, modality: str, chunk: Chunk, clock_offset_s: float = math.nan, newest_only: bool = False
    ) -> list[Due]:
        """The first part of ``push``: take the next samples, return the windows that are due.

        Whoever calls this has them judged, with those of other pipelines if there are any, and completes
        them in their order before the next samples of any stream.
        """
        due = self._stages[modality].push(chunk)
        self.judgeable += sum(window.features is not None for window in due)
        if newest_only:
            self.skipped[modality] += max(0, len(due) - 1)
            self.judgeable_skipped += sum(window.features is not None for window in due[:-1])
            due = due[-1:]
        return [Due(window, self._predictor, self._clock(), clock_offset_s) for window in due]

    def complete(self, dues: Sequence[Due]) -> list[Estimate]:
        """The last part of ``push``: the estimates of windows that were judged. Raises their problem."""
        made: list[Estimate] = []
        for due in dues:
            if due.problem is not None:
                raise due.problem
            made += self._chosen(self._estimates(due), due.window.received_s)
        return made

    def no_estimates(self, modality: str, status: Status, reason: str) -> list[Estimate]:
        """One answer per head for a modality that has no window to judge, a stale stream for instance."""
        last, never = self.state(modality).samples - 1, math.nan
        window = Window(modality, last, last, never, never, never, status, reason)
        return self._chosen(self._estimates(Due(window, self._predictor, never, never)), never)

    def sort_by_time(self) -> None:
        """For recorded signals: see ``Chooser.sort_by_time``. Nothing where nothing is chosen."""
        if self._chooser is not None:
            self._chooser.sort_by_time()

    def judge_in_passes(self) -> None:
        """For recorded signals: see ``Predictor.judge_in_passes``."""
        self._predictor.judge_in_passes()

    def finish(self) -> list[Estimate]:
        """What is due when nothing more comes; nothing unless estimates are sorted by time."""
        return self._chooser.finish() if self._chooser is not None else []

    # ---- controls ----

    def skip(self, modality: str, samples: int) -> None:
        """The next samples of a stream are never pushed; a new segment begins behind them."""
        self._stages[modality].skip(samples)

    def refuse(self, modality: str, reason: str) -> None:
        """Give no estimates of a stream from now on, whatever its samples are; "" lifts it."""
        self._stages[modality].refuse(reason)

    def control(self, modality: str, kind: str, fields: Mapping[str, Any]) -> None:
        """Do again what a recorded event of ``CONTROLS`` says. Raises KeyError, TypeError, ValueError."""
        self._stages[modality].control(kind, fields)

    def take_marker(self, stamp_s: float, text: str, origin: str = "") -> None:
        """Take a text marker; the baseline's marker begins a new baseline with the next block.

        origin : who gave it, the marker stream's name for instance
        """
        fields = {"marker_s": stamp_s, "origin": origin}
        self._emit(Event("marker", text[:LONGEST_MARKER], fields=fields))
        if self._baseline_marker and text == self._baseline_marker:
            for stage in self._stages.values():
                stage.start_baseline()
        else:
            for stage in self._stages.values():
                stage.note_marker(text)

    # ---- the person's baseline ----

    def start_baseline(self) -> str:
        """Begin a new baseline now, in every modality that has one; returns a sentence about it.

        Raises
        ------
        CommandError
            No modality of this model has a baseline of a person.
        """
        stages = self._with_baseline()
        before = {stage.modality: stage.state for stage in stages}
        for stage in stages:
            stage.start_baseline()
        begun = [name for name, state in before.items() if state.baseline == "collecting"]
        said = f"{', '.join(before)}: baseline started"
        if begun:
            left_s = max(before[name].baseline_left_s for name in begun)
            whose = f" of {', '.join(begun)}" if len(begun) < len(before) else ""
            said += f" again: what was collected{whose} is dropped, with {left_s:.0f} s to go"
        return said

    def end_baseline(self) -> str:
        """Let what was collected so far be the baseline; returns a sentence about it.

        Raises
        ------
        CommandError
            No modality has a baseline, or all refuse: nothing is being collected, or not enough is.
        """
        refusals: list[str] = []
        done: list[str] = []
        for stage in self._with_baseline():
            problem = stage.end_baseline()
            (refusals if problem else done).append(f"{stage.modality}: {problem or 'baseline ended'}")
        if not done:
            raise CommandError("; ".join(refusals))
        return "; ".join(done + refusals)

    def _with_baseline(self) -> list[ModalityStage]:
        without = {name: stage.normaliser.no_baseline for name, stage in self._stages.items()}
        if all(without.values()):
            why = "; ".join(f"{name}: {words}" for name, words in without.items())
            raise CommandError(f"this model has no baseline to start or end: {why}")
        return [stage for name, stage in self._stages.items() if not without[name]]

    def baselines(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Mean and standard deviation, (F,) each, by modality; without those that have none yet."""
        statistics = {name: stage.normaliser.statistics() for name, stage in self._stages.items()}
        return {name: pair for name, pair in statistics.items() if pair is not None}

    def adopt_baseline(self, modality: str, mean: FloatArray, std: FloatArray) -> None:
        """Use statistics recorded earlier from the same person. mean, std : (F,)."""
        self._stages[modality].adopt_baseline(mean, std)

    def take_over(self, before: Pipeline) -> None:
        """Go on with the person's baseline of a pipeline that ran before on the same streams."""
        for name, stage in self._stages.items():
            stage.take_over(before._stages[name])

    # ---- parts ----

    def _chosen(self, estimates: list[Estimate], received_s: float) -> list[Estimate]:
        if self._chooser is None:
            return estimates
        # live it is the arrival that counts, for stamps may lie; in a recording there are only stamps
        at_s = estimates[0].stamps.last_sample_s if self._chooser.sorted else received_s
        return self._chooser.push(estimates, self._clock() if math.isnan(at_s) else at_s)

    def _estimates(self, due: Due) -> list[Estimate]:
        """One estimate for each head, of a window that was judged."""
        window = due.window
        stamps = Stamps(
            last_sample_s=window.end_s + due.clock_offset_s,
            received_s=window.received_s,
            features_s=due.features_s,
            inferred_s=self._clock() if due.answers else math.nan,
        )
        if self.on_judged is not None and due.answers:
            self.on_judged(window, due.answers, stamps.last_sample_s)
        return [self._estimate(window, head, due.answers.get(head), stamps) for head in self.heads]

    def _estimate(self, window: Window, head: str, answer: FloatArray | None, stamps: Stamps) -> Estimate:
        """answer : (1, classes), or None when the window is not valid."""
        probabilities = np.full(len(self.heads[head]), math.nan) if answer is None else answer[0]
        confidence = float(probabilities.max())
        return Estimate(
            modality=window.modality,
            head=head,
            first_index=window.first_index,
            last_index=window.last_index,
            start_s=window.start_s,
            end_s=window.end_s,
            status=window.status,
            reason=window.reason,
            probabilities=probabilities,
            confidence=confidence,
            stamps=stamps,
            unknown=confidence < self._unknown_below(window.modality, head),  # false for NaN
            trace=window.trace,
            filled=window.filled,
            drift=window.drift,
        )

    def _unknown_below(self, modality: str, head: str) -> float:
        calibration = self._predictor.contract.modalities[modality].calibration.get(head)
        return calibration.unknown_below if calibration is not None else 0.0


def run_offline(
    pipeline: Pipeline, sources: Mapping[str, Source], markers: Sequence[Source] = ()
) -> Iterator[Estimate]:
    """Feed finite, opened sources through a pipeline in the order of their stamps.

    Yields estimates in the order in which a live session would have made them. Events go where the
    pipeline emits them: those of a chunk before its estimates.
    """
    pipeline.sort_by_time()
    pipeline.judge_in_passes()
    marks = {f" markers {number}": source for number, source in enumerate(markers)}  # no modality's name
    for key, chunk in merge(dict(sources) | marks):
        if key in marks:
            shared = chunk.times + marks[key].clock_offset_s(0.0)  # streams may have clocks of their own
            for shared_s, row in zip(shared.tolist(), chunk.samples, strict=True):
                pipeline.take_marker(shared_s, str(row[0]), marks[key].info.name)
        else:
            yield from pipeline.push(key, chunk, sources[key].clock_offset_s(0.0))
    yield from pipeline.finish()
