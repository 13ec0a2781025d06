"""Chunks in, estimates out. No threads, no clock of its own, no files.

Live sessions, replays and evaluations all run this code. What comes out depends on the samples, their
stamps and the controls alone (see ``stages``); the only times that it reads are the stage stamps of an
estimate, from the clock that it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from bci_m2s.errors import CommandError
from bci_m2s.model.predictor import Predictor
from bci_m2s.pipeline.failover import Chooser
from bci_m2s.pipeline.stages import ModalityStage
from bci_m2s.types import LONGEST_MARKER, Chunk, Estimate, Event, FloatArray, Stamps, Status, Window


class Pipeline:
    """All modalities of a session and the model that judges their windows.

    Parameters
    ----------
    stages : one for each modality in use
    predictor : the model
    clock : local clock in seconds, for the stage stamps only
    baseline_marker : the marker text that begins a new baseline; "" for none
    chooser : makes one line of estimates from those of all modalities; None leaves them side by side

    Attributes
    ----------
    judged : told of each valid window that was judged, with the answers of all heads and the local time of
        its last sample; must return at once. None, as in every replay, for nobody
    """

    def __init__(
        self,
        stages: Mapping[str, ModalityStage],
        predictor: Predictor,
        clock: Callable[[], float] = time.monotonic,
        baseline_marker: str = "",
        chooser: Chooser | None = None,
    ) -> None:
        self.stages, self.chooser = dict(stages), chooser
        self.heads, self.hop_s = predictor.contract.class_names, predictor.contract.window.hop_s
        self._predictor, self._clock, self._baseline_marker = predictor, clock, baseline_marker
        self._events: list[Event] = []
        self.clock_offset_s = dict.fromkeys(self.stages, math.nan)  # sender to local; set by the engine
        self.skipped = dict.fromkeys(self.stages, 0)
        self.judged: Callable[[Window, Mapping[str, FloatArray], float], None] | None = None

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self._predictor.device)

    @property
    def chosen(self) -> str | None:
        """What estimates come from now, "" when nothing is usable; None where nothing is chosen."""
        return self.chooser.current if self.chooser else None

    def push(self, modality: str, chunk: Chunk, newest_only: bool = False) -> list[Estimate]:
        """Take the next samples of a stream, return the estimates that they complete.

        Each due window gives one estimate for every head.

        With `newest_only` (inference fell behind) the network judges the last due window alone; the
        others are counted in ``skipped``. Which windows are judged then depends on speed; what a
        judged window gets does not.
        """
        due = self.stages[modality].push(chunk)
        if newest_only:
            windows = list(due)
            self.skipped[modality] += max(0, len(windows) - 1)
            due = windows[-1:]
        made: list[Estimate] = []
        for window in due:
            made += self._chosen(self._judge(window, self._clock()), window)
        return made

    def no_estimates(self, modality: str, status: Status, reason: str) -> list[Estimate]:
        """One answer a head for a modality that has no window to judge, a stale stream for instance."""
        last, never = self.stages[modality].samples - 1, math.nan
        window = Window(modality, last, last, never, never, never, status, reason)
        return self._chosen(self._judge(window, never), window)

    def _chosen(self, estimates: list[Estimate], window: Window) -> list[Estimate]:
        if self.chooser is None:
            return estimates
        # live it is the arrival that counts, for stamps may lie; in a recording there are only stamps
        at_s = window.received_s
        if self.chooser.sorted:
            at_s = window.end_s + self.clock_offset_s[window.modality]
        return self.chooser.push(estimates, self._clock() if math.isnan(at_s) else at_s)

    def take_marker(self, stamp_s: float, text: str, origin: str = "") -> None:
        """Take a text marker; the baseline's marker begins a new baseline with the next block.

        origin : who gave it, the marker stream's name for instance
        """
        fields = {"marker_s": stamp_s, "origin": origin}
        self._events.append(Event("marker", text[:LONGEST_MARKER], math.nan, math.nan, fields))
        if self._baseline_marker and text == self._baseline_marker:
            for stage in self.stages.values():
                stage.start_baseline()

    def start_baseline(self) -> str:
        """Begin a new baseline now, in every modality that has one; says so.

        Raises
        ------
        CommandError
            No modality of this model has a baseline of a person.
        """
        stages = self._with_baseline()
        for stage in stages:
            stage.start_baseline()
        return f"{', '.join(stage.modality for stage in stages)}: baseline started"

    def end_baseline(self) -> str:
        """Let what was collected so far be the baseline; says what was done.

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
        without = {name: stage.normaliser.no_baseline for name, stage in self.stages.items()}
        if all(without.values()):
            why = "; ".join(f"{name}: {words}" for name, words in without.items())
            raise CommandError(f"this model has no baseline to start or end: {why}")
        return [stage for name, stage in self.stages.items() if not without[name]]

    def events(self) -> list[Event]:
        """What was noticed since the last call; the clocks of these events are still NaN."""
        found = self._events
        self._events = []
        for stage in self.stages.values():
            found += stage.events
            stage.events = []
        return found + (self.chooser.events() if self.chooser else [])

    def _judge(self, window: Window, features_s: float) -> list[Estimate]:
        """One estimate for each head, all from one pass of the network."""
        answers: Mapping[str, FloatArray] = {}
        inferred_s = math.nan
        if window.features is not None:
            answers = self._predictor.predict_all(window.modality, window.features.values[None])
            inferred_s = self._clock()
        stamps = Stamps(
            last_sample_s=window.end_s + self.clock_offset_s[window.modality],
            received_s=window.received_s,
            features_s=features_s,
            inferred_s=inferred_s,
        )
        if self.judged is not None and answers:
            self.judged(window, answers, stamps.last_sample_s)
        return [self._estimate(window, head, answers.get(head), stamps) for head in self.heads]

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
        )

    def _unknown_below(self, modality: str, head: str) -> float:
        calibration = self._predictor.contract.modalities[modality].calibration.get(head)
        return calibration.unknown_below if calibration is not None else 0.0
