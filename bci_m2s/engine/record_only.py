"""What judges streams that are only recorded: it finds the gaps and estimates nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bci_m2s.errors import CommandError
from bci_m2s.pipeline.due import Due
from bci_m2s.pipeline.modality import StageState, named
from bci_m2s.signal.blocks import GAP_S, BlockCutter
from bci_m2s.signal.breaks import BreakReport
from bci_m2s.types import Chunk, Emit, Estimate, Status, StreamInfo

SLOWEST_HZ = 1e-3  # a stream that is slower is as good as irregular


class RecordOnly:
    """Stands where a ``Pipeline`` would, without a model.

    Parameters
    ----------
    infos : streams by name; those without a rate have no gaps
    emit : gets gaps and repaired stamps
    """

    hop_s = 1.0
    chosen = None

    def __init__(self, infos: Mapping[str, StreamInfo], emit: Emit) -> None:
        self.heads: Mapping[str, tuple[str, ...]] = {}
        self.skipped: Mapping[str, int] = {}
        self.judgeable = self.judgeable_skipped = 0
        regular = {name: info.rate_hz for name, info in infos.items() if info.rate_hz >= SLOWEST_HZ}
        self._breaks = {name: BreakReport(named(name, emit), rate_hz) for name, rate_hz in regular.items()}
        # only stamps matter, but a cutter wants to cut: a second, or one sample of a slow stream
        self._cutters = {
            name: BlockCutter(1, rate_hz, max(1.0, 1 / rate_hz), GAP_S, breaks.gap, breaks.repair)
            for (name, rate_hz), breaks in zip(regular.items(), self._breaks.values(), strict=True)
        }

    def push(
        self, modality: str, chunk: Chunk, clock_offset_s: float = math.nan, newest_only: bool = False
    ) -> list[Estimate]:
        """As ``collect`` and ``complete``."""
        return self.complete(self.collect(modality, chunk, clock_offset_s, newest_only))

    def collect(
        self, modality: str, chunk: Chunk, clock_offset_s: float = math.nan, newest_only: bool = False
    ) -> list[Due]:
        """Look for gaps; nothing is ever due."""
        del clock_offset_s, newest_only
        if modality in self._cutters:
            stamps_alone = replace(chunk, samples=np.zeros((len(chunk), 1)))  # they may be text
            for _ in self._cutters[modality].push(stamps_alone):
                pass
            self._breaks[modality].report()
        return []

    def complete(self, dues: Sequence[Due]) -> list[Estimate]:
        """There are no estimates."""
        del dues
        return []

    def missing_n(self, modality: str) -> int:
        """Nothing is waited for."""
        del modality
        return 1

    def skip(self, modality: str, samples: int) -> None:
        """These samples were not looked at."""
        if modality in self._cutters:
            self._cutters[modality].skip(samples)

    def state(self, modality: str) -> StageState:
        """What is missing."""
        breaks = self._breaks.get(modality)
        return StageState(lost_samples=breaks.lost_samples if breaks is not None else 0)

    def no_estimates(self, modality: str, status: Status, reason: str) -> list[Estimate]:
        """None of none."""
        del modality, status, reason
        return []

    def refuse(self, modality: str, reason: str) -> None:
        """Whatever came is recorded, whoever sent it."""

    def take_marker(self, stamp_s: float, text: str, origin: str = "") -> None:
        """Markers are streams like any other."""

    def start_baseline(self) -> str:
        """Raises CommandError: there is none."""
        raise CommandError("nothing is estimated here: there is no baseline")

    def end_baseline(self) -> str:
        """Raises CommandError: there is none."""
        return self.start_baseline()
