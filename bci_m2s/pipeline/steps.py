"""Raw samples of one modality to step features: what training and live sessions have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bci_m2s.features import EXTRACTORS, Couples, NamesCauses
from bci_m2s.features.coupling import Coupling
from bci_m2s.model.channel_check import ABSENT, INTERPOLATE
from bci_m2s.model.contract import ModalityContract, WindowContract
from bci_m2s.model.stream_check import channel_factors, channel_order, reference_of, with_reference
from bci_m2s.signal.blocks import Block, BlockCutter
from bci_m2s.signal.breaks import BreakReport
from bci_m2s.signal.copies import Copies
from bci_m2s.signal.counter import STILL_S, SampleCounter, counter_columns
from bci_m2s.signal.interpolation import Interpolation
from bci_m2s.signal.plausible import amplitude_limits
from bci_m2s.signal.quality import FLAT, GOOD, STATES, ChannelQuality, loss_codes
from bci_m2s.signal.reference import NO_REFERENCE, Rereference
from bci_m2s.signal.resample import Resampler
from bci_m2s.signal.smoothing import PhasedSmoother
from bci_m2s.simulator.montage import known_positions
from bci_m2s.sources.facts import NOTHING_STATED, StreamFacts
from bci_m2s.text import printable
from bci_m2s.types import BoolArray, Chunk, Emit, Event, FloatArray, Step, StreamInfo, no_listener


class StepStage:
    """Raw samples of one modality to step features, block by block.

    Training uses this stage alone, so a model learns from exactly what it will be given.

    Parameters
    ----------
    spec : the modality's part of the contract
    window : steps and hop
    info : the stream; its channels are picked and reordered by name
    facts : what a file states of the stream; what is in `info` counts from there
    emit : gets gaps, repaired stamps and changes of channels, as soon as a block shows them
    pairs : (P, 2) channels whose coupling is measured with each step, where the feature can; None for none
    """

    def __init__(
        self,
        spec: ModalityContract,
        window: WindowContract,
        info: StreamInfo,
        facts: StreamFacts = NOTHING_STATED,
        emit: Emit = no_listener,
        pairs: NDArray[np.intp] | None = None,
    ) -> None:
        self._n_channels, self._labels = len(spec.channels), info.labels
        reference = reference_of(spec, info)
        self._reference = None if reference is None else Rereference(self._n_channels, len(reference))
        spec = with_reference(spec, info, reference or [])
        self._order, self._factors = channel_order(spec, info), channel_factors(spec, info)
        in_order = np.array_equal(self._order, np.arange(len(self._order)))
        self._columns = slice(len(self._order)) if in_order else self._order  # a slice copies nothing
        counters = counter_columns(info.labels, self._order.tolist())
        self._still_n = round(STILL_S * info.rate_hz)
        self._counter = SampleCounter(self._still_n) if counters and not facts.resample_hz else None
        self._counter_column = counters[0] if counters else 0
        self._counter_name = printable(info.labels[self._counter_column].strip(), 40)
        self._counted_from = self._n = 0  # the counter's first sample in the stream; the next one
        self._counter_stood = False
        self._emit = emit
        extractor = EXTRACTORS[spec.feature.name]
        self.extractor = extractor(
            dict(spec.feature.params),
            tuple(spec.channels[: self._n_channels]),
            info.rate_hz,
            window.step_s,
            window.hop_s,
        )
        if pairs is not None and isinstance(self.extractor, Couples):
            self.extractor.coupling = Coupling(pairs)
        self._smoother = PhasedSmoother(
            spec.smoothing.name, dict(spec.smoothing.params), window.blocks_per_step
        )
        self._absent, self._absent_told = self._order == ABSENT, False
        self._stands_in = info.missing_channels
        self._interpolate(spec, info, facts)
        self._breaks = BreakReport(emit, info.rate_hz)
        self._cutter = BlockCutter(
            len(spec.channels),
            info.rate_hz,
            window.hop_s,
            facts.gap_s,
            self._breaks.gap,
            self._breaks.repair,
        )
        self._cut_n = 0
        self._resampler = Resampler(info.rate_hz, facts.gap_s) if facts.resample_hz else None
        self._codes = loss_codes(spec.quality.sentinels)
        self._limit = spec.quality.limit
        checks = spec.quality.model_dump()
        self._amplitudes = amplitude_limits(
            spec.stream_type, spec.channels, spec.units, spec.amplitude, self._factors
        )
        self.quality = ChannelQuality(
            spec.channels,
            spec.units,
            window.hop_s,
            **checks,
            amplitudes=self._amplitudes,
            factors=self._factors,
            absent=self._absent,
            emit=emit,
        )
        voltages = self._amplitudes.are_voltages
        self._copies = Copies(spec.channels, voltages, info.rate_hz)
        self._blocks_per_step = window.blocks_per_step
        # DE names bad channels one by one and has to know what to call them; others give one sentence.
        self._names_causes = isinstance(self.extractor, NamesCauses)
        if isinstance(self.extractor, NamesCauses):
            self.extractor.causes = self.quality.causes

    def _interpolate(self, spec: ModalityContract, info: StreamInfo, facts: StreamFacts) -> None:
        """Have the extractor fill channels, where the stream's file asks for it."""
        of_absent, of_bad = info.missing_channels == INTERPOLATE, facts.bad_channels == INTERPOLATE
        if not (of_bad or (of_absent and self._absent.any())) or not hasattr(
            self.extractor, "interpolation"
        ):
            return
        labels = spec.channels[: self._n_channels]
        absent = self._absent[: self._n_channels] & of_absent
        self.extractor.interpolation = Interpolation(
            labels, known_positions(labels), absent, of_bad, spec.max_missing
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Labels in the stream of the channels that features are made of."""
        places = self._order[: self._n_channels]
        return tuple(self._labels[place] for place in places[places != ABSENT].tolist())

    @property
    def bad_channels(self) -> dict[str, str]:
        """State of each channel that has not been good for a second, by label: lost, flat, railed, noisy,
        implausible. A blink is none.
        """
        states = self.quality.lasting  # replaced as a whole, so this copy stays consistent
        bad = np.flatnonzero((states != GOOD) & ~self._absent).tolist()
        return {self.quality.labels[channel]: STATES[states[channel]] for channel in bad}

    def amplitude(self, block: Block) -> FloatArray:
        """Amplitude of each channel in the block that was judged last, (C,); NaN where it is not good."""
        measured = self._amplitudes.measure(block.samples)
        return np.where(self.quality.states == GOOD, measured, np.nan)[: self._n_channels]

    @property
    def never_used(self) -> dict[str, str]:
        """Channels of which no sample was used since the beginning, by label, and why."""
        return self.quality.never_used

    @property
    def copies(self) -> tuple[str, ...]:
        """What shows that samples were copied rather than measured, in words."""
        return self._copies.notes

    @property
    def counter_problem(self) -> str:
        """What is wrong with the sender's counter of samples, "" for nothing."""
        words = f"the sender's counter {self._counter_name!r} stands still: it shows no losses"
        return words if self._counter_stood else ""

    @property
    def cut_n(self) -> int:
        """Samples so far as blocks count them: those of the grid, where a stream is put on one."""
        return self._cut_n

    @property
    def missing_n(self) -> int:
        """Samples of the stream until the next block is complete; 1 where only their stamps will tell."""
        return self._cutter.missing_n if self._resampler is None else 1

    @property
    def jitter(self) -> str:
        """That stamps break without a loss, and the way out; "" while nothing shows it."""
        return self._breaks.jitter

    @property
    def lost_samples(self) -> int:
        """Samples missing in the gaps so far, by the stamps and the nominal rate."""
        return self._breaks.lost_samples

    def skip(self, samples: int) -> None:
        """The next samples are never pushed; a new segment begins behind them."""
        self._cutter.skip(samples)
        self._cut_n += samples
        if self._resampler is not None:
            self._resampler.reset()
        self._n += samples
        if self._counter is not None:
            self._counter, self._counted_from = SampleCounter(self._still_n), self._n

    def push(self, chunk: Chunk) -> Iterator[tuple[Block, Step | None]]:
        """Yield each completed block with the step that ends there (None while the first one fills)."""
        samples = chunk.samples[:, self._columns]
        if self._resampler is not None:
            chunk = self._resampler.push(replace(chunk, samples=self._without_codes(samples), sent_s=None))
            samples = chunk.samples
        self._cut_n += len(chunk)
        if self._factors is not None:
            samples = samples * self._factors
        if self._absent.any():
            samples = samples.astype(np.float64)
            samples[:, self._absent] = np.nan
        for block in self._blocks(replace(chunk, samples=samples), chunk):
            self._tell_absent()
            self._breaks.report()
            if block.number == 0:
                self.extractor.reset()
                self._smoother.reset()
                self.quality.reset()
                if self._reference is not None:
                    self._reference.reset()
            missing = self.quality.push(block)
            self._copies.push(block.samples, self.quality.states == GOOD)
            step = self.extractor.push(*self._referred(block, missing))
            if step is not None:
                step = replace(
                    step, values=self._smoother.push(step.values), problem=self._explained(step.problem)
                )
            yield block, step
        self._breaks.report()  # a gap that no block has followed yet
        self._n += len(chunk)
        self._report_counter()

    def _tell_absent(self) -> None:
        """Say once what the stream lacks, and what stands for it."""
        if self._absent_told or not self._absent.any():
            return
        self._absent_told = True
        labels = [self.quality.labels[channel] for channel in np.flatnonzero(self._absent).tolist()]
        how = (
            "they are interpolated"
            if self._stands_in == INTERPOLATE
            else "the training mean stands for them"
        )
        words = f"{', '.join(labels)} are not sent; {how}"
        self._emit(
            Event("filled", words, fields={"at_sample": 0, "channels": labels, "by": self._stands_in})
        )

    def _report_counter(self) -> None:
        """Say once that the counter stands still."""
        still_at = None if self._counter is None else self._counter.still_at
        if still_at is not None and not self._counter_stood:
            self._counter_stood = True
            fields = {"at_sample": self._counted_from + still_at}
            self._emit(Event("counter", self.counter_problem, fields=fields))

    def _without_codes(self, samples: FloatArray) -> FloatArray:
        """Lost samples as NaN, before anything is computed from them."""
        samples = samples.astype(np.float64)
        with np.errstate(invalid="ignore"):
            lost = ~(np.abs(samples) <= self._limit)
        samples[lost | np.isin(samples, self._codes)] = np.nan
        return samples

    def _blocks(self, picked: Chunk, whole: Chunk) -> Iterator[Block]:
        """Blocks of the picked channels, with the losses that a counter of the whole chunk shows."""
        if self._counter is None:
            yield from self._cutter.push(picked)
            return
        start = 0
        for index, lost in self._counter.lost(whole.samples[:, self._counter_column]):
            yield from self._cutter.push(picked.part(start, index))
            self._cutter.lose(lost)
            start = index
        yield from self._cutter.push(picked.part(start))

    def _referred(self, block: Block, missing: BoolArray) -> tuple[FloatArray, BoolArray]:
        """The block against the contract's reference."""
        if self._reference is None:
            return block.samples, missing
        flat = self.quality.states == FLAT
        samples, missing, reference_lost = self._reference.apply(block.samples, missing, flat)
        for channel in range(self._n_channels):
            if flat[channel]:
                self.quality.causes[channel] = "flat"
            elif reference_lost and self.quality.states[channel] == GOOD:
                self.quality.causes[channel] = NO_REFERENCE
        return samples, missing

    def _explained(self, problem: str) -> str:
        """The extractor's problem, with the channels that were masked in the step if it cannot tell."""
        if not problem or self._names_causes:
            return problem
        hidden = self.quality.hidden(self._blocks_per_step)
        return f"{problem} ({hidden})" if hidden else problem
