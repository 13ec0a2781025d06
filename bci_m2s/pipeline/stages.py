"""One stream's raw samples to step features, and to due windows with standardised features.

What comes out depends on the samples and stamps alone, never on how they were chunked. Everything else
that has an effect (a baseline that begins, samples that were skipped, a stream that is refused) is a
*control*: it takes effect before a certain sample, and is told as an event with that sample's number, so
that a replay can do the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bci_m2s.features import EXTRACTORS, NamesCauses
from bci_m2s.model.model_file import ModalityContract, WindowContract, channel_order, layout_order
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.signal.quality import STATES, ChannelQuality, RateGuard, RateVerdict
from bci_m2s.signal.smoothing import PhasedSmoother
from bci_m2s.signal.windows import (
    GAP_S,
    Block,
    BlockCutter,
    WindowAssembler,
    WindowShape,
    describe_gaps,
    describe_repairs,
)
from bci_m2s.types import Chunk, Event, Features, FloatArray, Status, Step, StreamInfo, Trace, Window


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
        self, spec: ModalityContract, shape: WindowShape, info: StreamInfo, gap_s: float = GAP_S
    ) -> None:
        self._order = channel_order(spec, info)
        extractor = EXTRACTORS[spec.feature.name]
        self.extractor = extractor(
            dict(spec.feature.params), tuple(spec.channels), info.rate_hz, shape.step_s, shape.hop_s
        )
        self._smoother = PhasedSmoother(
            spec.smoothing.name, dict(spec.smoothing.params), shape.blocks_per_step
        )
        self.cutter = BlockCutter(len(spec.channels), info.rate_hz, shape.hop_s, gap_s)
        checks = spec.quality.model_dump()
        self.quality = ChannelQuality(spec.channels, spec.units, shape.hop_s, **checks)
        self._blocks_per_step = shape.blocks_per_step
        # DE names bad channels one by one and has to know what to call them; others give one sentence.
        self._names_causes = isinstance(self.extractor, NamesCauses)
        if isinstance(self.extractor, NamesCauses):
            self.extractor.causes = self.quality.causes

    @property
    def bad_channels(self) -> dict[str, str]:
        """State of each channel that is not good now, by label: lost, flat, railed, noisy."""
        states = self.quality.states  # replaced as a whole, so this copy stays consistent
        bad = np.flatnonzero(states).tolist()
        return {self.quality.labels[place]: STATES[states[place]] for place in bad}

    @property
    def quality_events(self) -> list[tuple[str, dict[str, Any]]]:
        """Message and fields of each change of a channel; to be emptied by the caller."""
        return self.quality.events

    def push(self, chunk: Chunk) -> Iterable[tuple[Block, Step | None]]:
        """Yield each completed block with the step that ends there (None while the first one fills)."""
        picked = replace(chunk, samples=chunk.samples[:, self._order])
        for block in self.cutter.push(picked):
            if block.number == 0:
                self.extractor.reset()
                self._smoother.reset()
                self.quality.reset()
            step = self.extractor.push(block.samples, self.quality.push(block))
            if step is not None:
                step = replace(
                    step, values=self._smoother.push(step.values), problem=self._explained(step.problem)
                )
            yield block, step

    def _explained(self, problem: str) -> str:
        """The extractor's problem, with the channels that were masked in the step if it cannot tell."""
        if not problem or self._names_causes:
            return problem
        hidden = self.quality.hidden(self._blocks_per_step)
        return f"{problem} ({hidden})" if hidden else problem


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
        gap_s: float = GAP_S,
        wait_for_marker: bool = False,
    ) -> None:
        shape = WindowShape(window.steps, window.step_s, window.hop_s)
        self.modality, self.info, self.hop_s = modality, info, shape.hop_s
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
        self.refusal = ""  # why no estimate can be trusted now, whatever the samples are
        self.samples = 0  # of the stream so far, skipped ones included
        self.placed = 0  # of these, up to the newest block: the others wait, or have no usable stamps
        self.lost_samples = 0  # by the gaps' stamps and the nominal rate

    def push(self, chunk: Chunk) -> Iterable[Window]:
        """Yield every window that the chunk completes, in order."""
        self.samples += len(chunk)
        for block, step in self._steps.push(chunk):
            self.placed = block.last_index + 1
            self._note_news(block.last_index)
            self._observe(step, block)
            verdict = self._judge_rate(block)
            window = self._standardise(self._windows.push(step, block), verdict)
            yield replace(window, trace=_trace(block, step, window.features))
        self._note_news(self.samples)  # a gap that no block has followed yet

    def _observe(self, step: Step | None, block: Block) -> None:
        if self._blocks_to_skip:
            self._blocks_to_skip -= 1
        elif step is None or self.refusal:
            return
        elif self._collecting and self._windows.usable(step, block):
            self.normaliser.observe(step.values)
            self._note_baseline(block)

    @property
    def bad_channels(self) -> dict[str, str]:
        """State of each channel that is not good now, by label: lost, flat, railed, noisy. Any thread."""
        return self._steps.bad_channels

    @property
    def baseline(self) -> tuple[str, float]:
        """State of the person's baseline and seconds of usable signal that are left. Any thread.

        "none": the model has none; "waiting" for its marker; "collecting"; "complete".
        """
        if self.normaliser.no_baseline:
            return "none", 0.0
        if self._was_ready:
            return "complete", 0.0
        return "collecting" if self._collecting else "waiting", self.normaliser.seconds_left

    # ---- controls: each is told as an event of its own name, with the sample that it comes before ----

    def control(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Do again what an event of ``CONTROLS`` tells of. Raises KeyError, TypeError, ValueError."""
        if kind == "baseline_adopted":
            self.adopt_baseline(_from_json(fields["mean"]), _from_json(fields["std"]))
        elif kind == "baseline_started":
            self.start_baseline()
        elif kind == "baseline_ended":
            if problem := self.end_baseline():
                raise ValueError(problem)
        elif kind == "samples_skipped":
            self.skip(int(fields["samples"]))
        else:
            self.refuse(str(fields["reason"]))

    def skip(self, samples: int) -> None:
        """The next samples of the stream never reach this stage; a new segment begins behind them."""
        if samples < 0:
            raise ValueError(f"samples: got {samples}, expected 0 or more")
        self._say("samples_skipped", self.samples, f"{samples} samples skipped", {"samples": samples})
        self._steps.cutter.skip(samples)
        self.samples += samples
        self.placed = self.samples

    def refuse(self, reason: str) -> None:
        """Give no estimates from now on, whatever the samples are; "" lifts it."""
        if reason != self.refusal:
            message = f"refused: {reason}" if reason else "accepted again"
            self.refusal = reason
            self._say("refused", self.samples, message, {"reason": reason})

    def start_baseline(self) -> None:
        """Begin a new baseline with the first step that lies wholly after now."""
        self.normaliser.restart()
        self._collecting, self._was_ready = True, False
        self._blocks_to_skip = self._blocks_per_step  # they hold samples from before
        self._say("baseline_started", self.samples, "baseline started", {})

    def end_baseline(self) -> str:
        """Use what was collected so far; return why that cannot be, "" when it is done."""
        if self._was_ready or not self._collecting:
            return "baseline: complete already" if self._was_ready else "baseline: waits for its marker"
        left_s = self.normaliser.seconds_left
        problem = self.normaliser.finish()
        if problem:
            return f"baseline: {problem}"
        self._was_ready = True
        message = f"baseline ended, {math.ceil(left_s)} s before its time"
        self._say("baseline_ended", self.samples, message, {"seconds_left": left_s})
        return ""

    def adopt_baseline(self, mean: FloatArray, std: FloatArray) -> None:
        """Use statistics recorded earlier from the same person. mean, std : (F,)."""
        self.normaliser.adopt(mean, std)
        self._was_ready = True
        fields = {"mean": _to_json(mean), "std": _to_json(std)}
        self._say("baseline_adopted", self.samples, "baseline of an earlier session", fields)

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
        if self.refusal:
            return replace(window, status=Status.MISMATCH, reason=self.refusal, features=None)
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
        with np.errstate(over="ignore"):  # what the network's float32 cannot hold is unknown too
            unknown = ~np.isfinite(values.astype(np.float32))
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

    def _note_news(self, last_index: int) -> None:
        """Tell of gaps, repaired stamps and channels; a stream that breaks all the time is told in sum."""
        cutter = self._steps.cutter
        if cutter.gaps:
            message, fields = describe_gaps(cutter.gaps)
            self.lost_samples += fields["lost_samples"]
            self._say("gap", fields["at_sample"], message, fields)
            cutter.gaps.clear()
        if cutter.repairs:
            self._say("stamps_repaired", cutter.repairs[0][0], *describe_repairs(cutter.repairs))
            cutter.repairs.clear()
        for message, fields in self._steps.quality_events:
            self._say("quality", last_index, message, fields)
        self._steps.quality_events.clear()

    def _say(self, kind: str, at_sample: int, message: str, fields: dict[str, Any]) -> None:
        fields = {"modality": self.modality, "at_sample": at_sample, **fields}
        self.events.append(Event(kind, f"{self.modality}: {message}", math.nan, math.nan, fields))


CONTROLS = ("baseline_adopted", "baseline_started", "baseline_ended", "samples_skipped", "refused")


def _trace(block: Block, step: Step | None, features: Features | None) -> Trace:
    return Trace(
        zlib.crc32(block.samples.data),
        0 if step is None else step.filters_crc,
        0 if features is None else zlib.crc32(np.ascontiguousarray(features.values).data),
    )


def _to_json(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _from_json(values: Any) -> FloatArray:
    return np.array([math.nan if value is None else float(value) for value in values])
