"""One modality of a live session: a stream's samples to due windows with standardised features.

What comes out depends on the samples and stamps alone, never on how they were chunked. Everything else
that has an effect (a baseline that begins, samples that were skipped, a stream that is refused) is a
*control*: it takes effect before a certain sample, and is logged as an event with that sample's number, so
that a replay can do the same.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bci_m2s.model.contract import ModalityContract, WindowContract
from bci_m2s.model.model_file import layout_order
from bci_m2s.pipeline.drift import DriftStage, coupling_names_of, references
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.blocks import GAP_S, Block
from bci_m2s.signal.drift import Drift, DriftWatch
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.signal.quality import RateGuard, RateVerdict, say_never_used
from bci_m2s.signal.windows import WindowAssembler
from bci_m2s.sources.facts import NOTHING_STATED, StreamFacts
from bci_m2s.text import quoted
from bci_m2s.types import (
    Chunk,
    Emit,
    Event,
    FloatArray,
    Status,
    Step,
    StreamInfo,
    Trace,
    Window,
    no_listener,
)

CONTROLS = ("baseline_adopted", "baseline_started", "baseline_ended", "samples_skipped", "refused")
MOST_NAMED = 4  # markers in a reason


@dataclass(frozen=True, slots=True)
class StageState:
    """One stream's processing at a moment.

    samples : of the stream so far, skipped ones included
    lost_samples : missing in the gaps, by the stamps and the nominal rate
    unplaced_s : how much more than a hop of signal waits, because it has no usable stamps; < 0: none
    bad_channels : state of each channel that has not been good for a second, by label: lost, flat, …
    on_grid : the stream is irregular and is put on a grid, whose rate is its nominal one
    baseline : of the person: none (the model has none), waiting (for its marker), collecting or complete
    baseline_left_s : seconds of usable signal that it still needs
    drift : of the newest window from the training; None where it is not measured
    """

    samples: int = 0
    lost_samples: int = 0
    unplaced_s: float = -math.inf
    bad_channels: Mapping[str, str] = field(default_factory=dict)
    baseline: str = "none"
    baseline_left_s: float = 0.0
    on_grid: bool = False
    drift: Drift | None = None


@dataclass(slots=True)
class _Progress:
    """What changes while a stage runs.

    samples : of the stream, skipped ones included
    placed : of those that blocks are cut from, up to the newest block
    collecting, ready : whether the baseline takes steps, and whether it is complete
    blocks_to_skip : of these the steps hold samples from before the baseline began
    refusal : why no estimate can be trusted now, whatever the samples are
    rate_doubted : whether the effective rate is doubtful now; rate_doubt : how it was the first time
    """

    collecting: bool
    ready: bool
    samples: int = 0
    placed: int = 0
    blocks_to_skip: int = 0
    refusal: str = ""
    rate_doubted: bool = False
    rate_doubt: str = ""


class ModalityStage:
    """One stream's samples to due windows with standardised features. One thread feeds it.

    Parameters
    ----------
    modality : name in the contract
    tensors : "scaler.mean" and "scaler.std" (F,) in the modality's layout, "baseline.std" (F,) in the
        extractor's order, from the model file
    facts : what a file states of the stream
    wait_for_marker : the baseline begins when ``start_baseline`` is called, not with the stream
    unknown_as : what stands for a feature that is unknown: 0.0, the training mean, as a network takes it
    on_drift : whether features beyond the model's limit give no estimate ("refuse"), one with a note
        ("note"), or are not looked for ("off")
    emit : gets what is noticed and every control; no clock is read here

    Attributes
    ----------
    on_measured : gets each valid window with its features as measured, whatever becomes of it; None for
        nobody
    """

    def __init__(
        self,
        modality: str,
        spec: ModalityContract,
        window: WindowContract,
        info: StreamInfo,
        tensors: Mapping[str, FloatArray],
        *,
        facts: StreamFacts = NOTHING_STATED,
        wait_for_marker: bool = False,
        unknown_as: float = 0.0,
        on_drift: str = "refuse",
        emit: Emit = no_listener,
    ) -> None:
        self.modality, self._info, self._window = modality, info, window
        self._emit, self._on_grid = named(modality, emit), facts.resample_hz > 0
        drift = spec.drift if on_drift != "off" else None
        pairs = tensors["drift.pairs"].astype(np.intp) if drift is not None and drift.pairs else None
        self._steps = StepStage(spec, window, info, facts, self._emit, pairs)
        shape = (window.steps, window.blocks_per_step, window.hop_s)
        settle_s = self._steps.extractor.settle_s
        self._windows = WindowAssembler(modality, *shape, settle_s, spec.max_missing)
        self._mean, self._std = tensors["scaler.mean"], tensors["scaler.std"]
        self._layout, self._max_missing = layout_order(spec), spec.max_missing
        self._unknown_as = unknown_as
        self.normaliser = NORMALISERS[spec.normaliser.name](
            tensors["baseline.std"], window.step_s, window.hop_s, **spec.normaliser.params
        )
        self._other_markers: deque[str] = deque(maxlen=MOST_NAMED)
        self._rate = RateGuard(info.rate_hz, window.hop_s, max(0.0, facts.gap_s - GAP_S))
        self.feature_names: tuple[str, ...] = self._steps.extractor.names
        self.channels = self._steps.channels
        self._drift: DriftStage | None = None
        if drift is not None:
            names = self.feature_names, spec.channels
            couplings = coupling_names_of(self._steps.extractor, spec.channels, pairs)
            made = references(drift, tensors)
            watch = DriftWatch(made, *names, drift.smoothing_s, window.hop_s, couplings, drift.wait_s)
            self._drift = DriftStage(modality, watch, window.hop_s, on_drift == "refuse", self._emit)
        self._now = _Progress(not wait_for_marker, self.normaliser.seconds_left == 0.0)
        self.on_measured: Callable[[Window], None] | None = None

    @property
    def state(self) -> StageState:
        """How things stand. Any thread."""
        now = self._now
        unplaced_s = (self._steps.cut_n - now.placed) / self._info.rate_hz - self._window.hop_s
        return StageState(
            now.samples,
            self._steps.lost_samples,
            unplaced_s,
            self._steps.bad_channels,
            *self._baseline_state(),
            on_grid=self._on_grid,
            drift=None if self._drift is None else self._drift.newest,
        )

    @property
    def missing_n(self) -> int:
        """Samples until anything can be due; see ``StepStage.missing_n``."""
        return self._steps.missing_n

    @property
    def notes(self) -> list[str]:
        """What is worth a line for people, of the stream so far. Any thread."""
        steps = self._steps
        drift = "" if self._drift is None else self._drift.note
        problems = [steps.counter_problem, self._now.rate_doubt, steps.jitter, *steps.copies, drift]
        return [f"{self.modality}: {problem}" for problem in problems if problem]

    @property
    def never_used(self) -> str:
        """Channels of which no sample was used so far, in words; "" for none. Any thread."""
        said = say_never_used(self._steps.never_used)
        return f"{self.modality}: {said}" if said else ""

    def push(self, chunk: Chunk) -> list[Window]:
        """Take the next samples; return every window that they complete, in order."""
        self._now.samples += len(chunk)
        windows = []
        for block, step in self._steps.push(chunk):
            self._now.placed = block.last_index + 1
            if self._drift is not None and block.number == 0:
                self._drift.reset(block.first_index, "a new segment begins")
            self._observe(step, block)
            verdict = self._judge_rate(block)
            window = self._standardise(self._windows.push(step, block), verdict)
            windows.append(replace(window, trace=_trace(block, step, window.features)))
        return windows

    def _observe(self, step: Step | None, block: Block) -> None:
        now = self._now
        if now.blocks_to_skip:
            now.blocks_to_skip -= 1
        elif step is not None and not now.refusal and now.collecting and self._windows.usable(step, block):
            self.normaliser.observe(step.values)
            if not now.ready and self.normaliser.seconds_left == 0.0:
                now.ready = True
                self._note("baseline_complete", block.last_index, "baseline complete")

    def _baseline_state(self) -> tuple[str, float]:
        if self.normaliser.no_baseline:
            return "none", 0.0
        if self._now.ready:
            return "complete", 0.0
        return "collecting" if self._now.collecting else "waiting", self.normaliser.seconds_left

    # ---- controls: each is logged as an event of its own name, with the sample that it comes before ----

    def control(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Do again what an event of ``CONTROLS`` tells of. Raises KeyError, TypeError, ValueError."""
        match kind:
            case "baseline_adopted":
                self.adopt_baseline(_from_json(fields["mean"]), _from_json(fields["std"]))
            case "baseline_started":
                self.start_baseline()
            case "baseline_ended":
                if problem := self.end_baseline():
                    raise ValueError(problem)
            case "samples_skipped":
                self.skip(int(fields["samples"]))
            case _:
                self.refuse(str(fields["reason"]))

    def skip(self, samples: int) -> None:
        """The next samples of the stream never reach this stage; a new segment begins behind them."""
        if samples < 0:
            raise ValueError(f"samples: got {samples}, expected 0 or more")
        self._note("samples_skipped", self._now.samples, f"{samples} samples skipped", samples=samples)
        self._steps.skip(samples)
        self._now.samples += samples
        self._now.placed = self._steps.cut_n

    def refuse(self, reason: str) -> None:
        """Give no estimates from now on, whatever the samples are; "" lifts it."""
        if reason != self._now.refusal:
            message = f"refused: {reason}" if reason else "accepted again"
            self._now.refusal = reason
            self._note("refused", self._now.samples, message, reason=reason)

    def start_baseline(self) -> None:
        """Begin a new baseline with the first step that lies wholly after now."""
        self.normaliser.restart()
        now = self._now
        now.collecting, now.ready = True, False
        now.blocks_to_skip = self._window.blocks_per_step  # they hold samples from before
        self._forget_drift()
        self._note("baseline_started", now.samples, "baseline started")

    def end_baseline(self) -> str:
        """Use what was collected so far; return why that cannot be, "" when it is done."""
        now = self._now
        if now.ready or not now.collecting:
            return "baseline: complete already" if now.ready else "baseline: waits for its marker"
        left_s = self.normaliser.seconds_left
        problem = self.normaliser.finish()
        if problem:
            return f"baseline: {problem}"
        now.ready = True
        message = f"baseline ended, {math.ceil(left_s)} s before its time"
        self._note("baseline_ended", now.samples, message, seconds_left=left_s)
        return ""

    def adopt_baseline(self, mean: FloatArray, std: FloatArray) -> None:
        """Use statistics recorded earlier from the same person. mean, std : (F,)."""
        self.normaliser.adopt(mean, std)
        self._now.ready = True
        self._forget_drift()
        fields = {"mean": _to_json(mean), "std": _to_json(std)}
        self._note("baseline_adopted", self._now.samples, "baseline of an earlier session", **fields)

    def take_over(self, before: ModalityStage) -> None:
        """Go on with the person's baseline of a stage that ran before, or with waiting for none."""
        statistics = before.normaliser.statistics()
        if statistics is not None:
            self.adopt_baseline(*statistics)
        elif (before.state.baseline, self.state.baseline) == ("collecting", "waiting"):
            self.start_baseline()  # its marker has come already

    # ---- parts ----

    def _judge_rate(self, block: Block) -> RateVerdict:
        verdict = self._rate.push(block)
        if verdict.doubtful and not self._now.rate_doubted:
            message = verdict.describe(self._info.rate_hz)
            self._note("rate", block.last_index, message, hz=verdict.effective_hz)
            self._now.rate_doubt = self._now.rate_doubt or message
        self._now.rate_doubted = verdict.doubtful
        return verdict

    def _standardise(self, window: Window, verdict: RateVerdict) -> Window:
        if window.features is None:
            return window
        if self._drift is not None:
            self._drift.measure(window, window.features, window.coupling)
        if self.on_measured is not None:
            self.on_measured(window)
        if self._now.refusal:
            return replace(window, status=Status.MISMATCH, reason=self._now.refusal, features=None)
        if verdict.wrong:
            reason = verdict.describe(self._info.rate_hz)
            return replace(window, status=Status.MISMATCH, reason=reason, features=None)
        if not self._now.ready:
            return replace(window, status=Status.BASELINE, reason=self._baseline_reason(), features=None)
        with np.errstate(invalid="ignore"):
            values = self.normaliser.apply(window.features)
            if self._layout is not None:
                values = values[:, self._layout]
            values = (values - self._mean) / self._std
        with np.errstate(over="ignore"):  # what the network's float32 cannot hold is unknown too
            unknown = ~np.isfinite(values.astype(np.float32))
        if unknown.any():
            if unknown.mean(axis=1).max() > self._max_missing:
                reason = "too many features were bad during the baseline"
                return replace(window, status=Status.BAD_SIGNAL, reason=reason, features=None)
            values = np.where(unknown, self._unknown_as, values)
        filled = replace(window, features=values)
        return filled if self._drift is None else self._drift.judged(filled)

    def _forget_drift(self) -> None:
        if self._drift is not None:
            self._drift.reset(self._now.samples, "another baseline")

    def _baseline_reason(self) -> str:
        if not self._now.collecting:
            came = ", ".join(quoted(text, 40) for text in self._other_markers)
            return "baseline waits for its marker" + (f"; others came: {came}" if came else "")
        return f"baseline, {math.ceil(self.normaliser.seconds_left)} s left"

    def note_marker(self, text: str) -> None:
        """Remember a marker that is not the baseline's, to be named while that one does not come."""
        if not self._now.collecting and text not in self._other_markers:
            self._other_markers.append(text)

    def _note(self, kind: str, at_sample: int, message: str, **fields: Any) -> None:
        self._emit(Event(kind, message, fields={"at_sample": at_sample, **fields}))


def named(modality: str, emit: Emit) -> Emit:
    """An ``Emit`` for the parts of a modality, which do not know what they are part of."""

    def emit_named(event: Event) -> None:
        fields = {"modality": modality, **event.fields}
        emit(replace(event, message=f"{modality}: {event.message}", fields=fields))

    return emit_named


def _trace(block: Block, step: Step | None, features: FloatArray | None) -> Trace:
    return Trace(
        zlib.crc32(block.samples.data),
        0 if step is None else step.filters_crc,
        0 if features is None else zlib.crc32(np.ascontiguousarray(features).data),
    )


def _to_json(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _from_json(values: Any) -> FloatArray:
    return np.array([math.nan if value is None else float(value) for value in values])
