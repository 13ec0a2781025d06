"""One stream's raw samples to step features, and to due windows with standardised features.

What comes out depends on the samples and stamps alone, never on how they were chunked. Everything else
that has an effect (a baseline that begins, samples that were skipped, a stream that is refused) is a
*control*: it takes effect before a certain sample, and is told as an event with that sample's number, so
that a replay can do the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bci_m2s.contract import ModalityContract, WindowContract, channel_order, layout_order
from bci_m2s.features import EXTRACTORS
from bci_m2s.loading import load_class
from bci_m2s.normalise import NORMALISERS
from bci_m2s.quality import RateGuard, RateVerdict
from bci_m2s.smoothing import PhasedSmoother
from bci_m2s.types import Chunk, Event, Features, FloatArray, Status, Step, StreamInfo, Window
from bci_m2s.windows import Block, BlockCutter, WindowAssembler, WindowShape

LOSS_LIMIT = 1e7  # larger magnitudes are a device's loss code (1e8 is a common one), never a signal


class StepStage:
    """Raw samples of one modality to step features, block by block.

    Training uses this stage alone, so a model learns from exactly what it will be given.

    Parameters
    ----------
    spec : the modality's part of the contract
    shape : steps and hop
    info : the stream; its channels are picked and reordered by name
    gap_s : tolerance of the stamps, see ``BlockCutter``
    """

    def __init__(
        self, spec: ModalityContract, shape: WindowShape, info: StreamInfo, gap_s: float = 0.1
    ) -> None:
        self._order = channel_order(spec, info)
        extractor = load_class(EXTRACTORS, spec.feature.name)
        self.extractor = extractor(
            dict(spec.feature.params), tuple(spec.channels), info.rate_hz, shape.step_s, shape.hop_s
        )
        self._smoother = PhasedSmoother(
            spec.smoothing.name, dict(spec.smoothing.params), shape.blocks_per_step
        )
        self.cutter = BlockCutter(len(spec.channels), info.rate_hz, shape.hop_s, gap_s)

    def push(self, chunk: Chunk) -> Iterable[tuple[Block, Step | None]]:
        """Yield each completed block with the step that ends there (None while the first one fills)."""
        picked = replace(chunk, samples=chunk.samples[:, self._order])
        for block in self.cutter.push(picked):
            if block.number == 0:
                self.extractor.reset()
                self._smoother.reset()
            with np.errstate(invalid="ignore"):
                missing = ~(
                    np.abs(block.samples) <= LOSS_LIMIT
                )  # NaN compares false, so it counts as missing
            step = self.extractor.push(block.samples, missing)
            if step is not None:
                step = Step(self._smoother.push(step.values), step.problem)
            yield block, step


class ModalityStage:
    """One stream's samples to due windows with standardised features.

    Parameters
    ----------
    modality : name in the contract
    tensors : "scaler.mean" and "scaler.std" (F,) in the modality's layout, "baseline.std" (F,) in the
        extractor's order, from the model file
    wait_for_marker : the baseline begins when ``start_baseline`` is called, not with the stream
    """

    def __init__(
        self,
        modality: str,
        spec: ModalityContract,
        window: WindowContract,
        info: StreamInfo,
        tensors: Mapping[str, FloatArray],
        *,
        gap_s: float = 0.1,
        wait_for_marker: bool = False,
    ) -> None:
        shape = WindowShape(window.steps, window.step_s, window.hop_s)
        self.modality, self.info = modality, info
        self._steps = StepStage(spec, shape, info, gap_s)
        self._windows = WindowAssembler(modality, shape, self._steps.extractor.settle_s, spec.max_missing)
        self._mean, self._std = tensors["scaler.mean"], tensors["scaler.std"]
        self._layout = layout_order(spec)
        self.normaliser = NORMALISERS[spec.normaliser.name](
            tensors["baseline.std"], shape.step_s, shape.hop_s, **spec.normaliser.params
        )
        self._max_missing = spec.max_missing
        self._rate, self._rate_doubted = RateGuard(info.rate_hz, shape.hop_s), False
        self._collecting = not wait_for_marker
        self._blocks_per_step, self._blocks_to_skip = shape.blocks_per_step, 0
        self._was_ready = self.normaliser.seconds_left == 0.0
        self.feature_names: tuple[str, ...] = self._steps.extractor.names
        self.events: list[Event] = []  # noticed since the caller last emptied this list; unstamped
        self.samples = 0
        self.lost_samples = 0  # by the gaps' stamps and the nominal rate

    def push(self, chunk: Chunk) -> Iterable[Window]:
        """Yield every window that the chunk completes, in order."""
        self.samples += len(chunk)
        for block, step in self._steps.push(chunk):
            self._note_gaps(block)
            self._observe(step, block)
            verdict = self._judge_rate(block)
            yield self._standardise(self._windows.push(step, block), verdict)

    def _observe(self, step: Step | None, block: Block) -> None:
        if self._blocks_to_skip:
            self._blocks_to_skip -= 1
        elif step is not None and self._collecting and self._windows.usable(step, block):
            self.normaliser.observe(step.values)
            self._note_baseline(block)

    def break_segment(self) -> None:
        """Samples are missing before the next one, whatever its stamp says."""
        self._steps.cutter.break_segment()

    def start_baseline(self) -> None:
        """Begin a new baseline with the first step that lies wholly after now."""
        self.normaliser.restart()
        self._collecting, self._was_ready = True, False
        self._blocks_to_skip = self._blocks_per_step  # they hold samples from before
        self._say("baseline_started", self.samples, "baseline started", {})

    def adopt_baseline(self, mean: FloatArray, std: FloatArray) -> None:
        """Use statistics recorded earlier from the same person. mean, std : (F,)."""
        self.normaliser.adopt(mean, std)
        self._was_ready = True

    def _judge_rate(self, block: Block) -> RateVerdict:
        verdict = self._rate.push(block)
        if verdict.doubtful and not self._rate_doubted:
            self._say(
                "rate", block.last_index, verdict.describe(self.info.rate_hz), {"hz": verdict.effective_hz}
            )
        self._rate_doubted = verdict.doubtful
        return verdict

    def _standardise(self, window: Window, verdict: RateVerdict) -> Window:
        if window.features is None:
            return window
        if verdict.wrong:
            reason = verdict.describe(self.info.rate_hz)
            return replace(window, status=Status.MISMATCH, reason=reason, features=None)
        if not self._was_ready:
            return replace(window, status=Status.BASELINE, reason=self._baseline_reason(), features=None)
        with np.errstate(invalid="ignore"):
            values = self.normaliser.apply(window.features.values)
            if self._layout is not None:
                values = values[:, self._layout]
            values = (values - self._mean) / self._std
        unknown = np.isnan(values)
        if unknown.mean(axis=1).max() > self._max_missing:
            reason = "too many features were bad during the baseline"
            return replace(window, status=Status.BAD_SIGNAL, reason=reason, features=None)
        filled = np.where(unknown, 0.0, values)  # 0 is the training mean
        return replace(window, features=Features(self.modality, filled))

    def _baseline_reason(self) -> str:
        if not self._collecting:
            return "baseline waits for its marker"
        return f"baseline, {math.ceil(self.normaliser.seconds_left)} s left"

    def _note_baseline(self, block: Block) -> None:
        if not self._was_ready and self.normaliser.seconds_left == 0.0:
            self._was_ready = True
            self._say("baseline_complete", block.last_index, "baseline complete", {})

    def _note_gaps(self, block: Block) -> None:
        for gap in self._steps.cutter.gaps:
            fields = {"after_s": gap.after_s, "step_s": gap.step_s, "lost_samples": gap.lost}
            self.lost_samples += gap.lost
            self._say("gap", block.first_index, gap.describe(), fields)
        self._steps.cutter.gaps.clear()

    def _say(self, kind: str, at_sample: int, message: str, fields: dict[str, Any]) -> None:
        fields = {"modality": self.modality, "at_sample": at_sample, **fields}
        self.events.append(Event(kind, f"{self.modality}: {message}", math.nan, math.nan, fields))
