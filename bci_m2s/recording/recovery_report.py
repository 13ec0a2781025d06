"""The report of a recovery: plain data, and lines for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST_LINES = 20  # damaged places in the lines of a report


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged place: its number from 1, bytes from `start` to `stop` - 1, and the problem."""

    number: int
    start: int
    stop: int
    problem: str


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Missing samples of a stream: the stamps around them (s, the sender's clock) and the damaged places.

    before_s, after_s : NaN where nothing was kept on that side
    first_place, last_place : numbers of the places of damage in between
    """

    first_place: int
    last_place: int
    before_s: float
    after_s: float


@dataclass(slots=True)
class RecoveredStream:
    """One stream: the samples kept and lost.

    first_s, last_s : stamps of the first and last sample kept, s; NaN when none is
    lost_s : time without samples across the damage, s, without losses at the end
    unsure : samples without stamps of their own after damage: theirs may be too early
    footer_samples : number of samples in the stream's footer, -1 when it has none; None: no footer
    open_end : damage follows the last sample, so that more may be lost than is known
    """

    number: int
    name: str
    rate_hz: float
    chunks: int = 0
    samples: int = 0
    first_s: float = math.nan
    last_s: float = math.nan
    lost_s: float = 0.0
    unsure: int = 0
    footer_samples: int | None = None
    open_end: bool = False
    n_gaps: int = 0
    gaps: list[StreamGap] = field(default_factory=list)
    places_seen: int = 0
    unsure_now: bool = False

    @property
    def lost_samples(self) -> int | None:
        """Samples lost: exact with a footer, else from the rate and ``lost_s``; None: not known."""
        if self.footer_samples is not None and self.footer_samples >= 0:
            return max(0, self.footer_samples - self.samples)
        if not self.n_gaps:
            return 0
        if self.open_end or not self.rate_hz or any(math.isnan(gap.before_s) for gap in self.gaps):
            return None
        return round(self.lost_s * self.rate_hz)

    def words(self) -> str:
        """One line about the stream."""
        kept = f"stream {self.number} {self.name!r}: {self.samples} samples kept"
        lost = self.lost_samples
        if lost is None:
            what = "how many are lost is not known"
        elif not lost:
            what = "none lost"
        else:
            seconds = lost / self.rate_hz if self.rate_hz else math.nan
            what = f"{lost} lost" + (f" ({seconds:.3f} s)" if self.rate_hz else "")
        if lost is None and self.lost_s:
            what += f", {self.lost_s:.3f} s of them before its last sample"
        if self.open_end and lost is None and not math.isnan(self.last_s):
            what += f"; nothing is left after {self.last_s:.3f} s"
        if self.unsure:
            what += f"; {self.unsure} after damage have no stamps of their own and may seem too early"
        return f"{kept}, {what}"


@dataclass(slots=True)
class RecoveryReport:
    """The state of a recording, and the copy.

    out : the copy; None when the recording is whole and none was made
    places : the first damaged places; `n_places` counts all
    chunks_lost : the least number; several chunks without known ends count as one
    headless : chunks lost because their header is missing, by stream id
    unknown_chunks : chunks of a kind that XDF 1.0 does not know, kept
    beyond : what the session's log beside the file says of the time after its end
    with_sums : a side file of checksums was used
    """

    path: Path
    out: Path | None
    size_bytes: int
    with_sums: bool
    lost_bytes: int = 0
    chunks_kept: int = 0
    chunks_lost: int = 0
    streams: list[RecoveredStream] = field(default_factory=list)
    places: list[Damage] = field(default_factory=list)
    n_places: int = 0
    headless: dict[int, int] = field(default_factory=dict)
    unknown_chunks: int = 0
    beyond: list[str] = field(default_factory=list)

    @property
    def has_no_end(self) -> bool:
        """Whether a footer is missing: the file does not say how much came after."""
        return any(stream.footer_samples is None for stream in self.streams)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, so that no copy was made."""
        return self.out is None

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        checked = "structure and checksums" if self.with_sums else "structure"
        if self.is_whole:
            yield f"{self.path}: is whole ({self.chunks_kept} chunks, {checked}); nothing to recover"
        elif not self.n_places:
            what = (
                "footers are missing"
                if self.has_no_end
                else "footers state other numbers of samples than there are"
            )
            yield f"{self.path}: not damaged, but {what}; {self.chunks_kept} chunks kept"
        else:
            where = "1 place" if self.n_places == 1 else f"{self.n_places} places"
            yield (
                f"{self.path}: damaged at {where}; {self.lost_bytes} of {self.size_bytes} bytes are lost, "
                f"{self.chunks_kept} chunks kept, {self.chunks_lost} or more lost (by {checked})"
            )
        for stream in self.streams:
            yield f"  {stream.words()}"
        for number, count in sorted(self.headless.items()):
            yield f"  stream {number}: {count} chunks are lost because its header is missing"
        for damage in self.places[:MOST_LINES]:
            yield f"  {damage.problem}{self._when(damage)}"
        if self.n_places > MOST_LINES:
            yield f"  ... and {self.n_places - MOST_LINES} more places of damage"
        if self.has_no_end:
            yield "  writing was broken off: what came after the last samples is not in the file"
            yield from (f"  {line}" for line in self.beyond)
        if self.unknown_chunks:
            yield f"  {self.unknown_chunks} chunks of a kind that XDF 1.0 does not know were kept"
        if self.out is not None:
            yield f"copy: {self.out}"

    def _when(self, damage: Damage) -> str:
        """The stamps around a damaged place, for the streams that lost something there."""
        streams = []
        for stream in self.streams:
            for gap in stream.gaps:
                if gap.first_place <= damage.number <= gap.last_place:
                    streams.append(f"{stream.name!r} {_between(gap)}")
        more = f" and {len(streams) - 3} more streams" if len(streams) > 3 else ""
        return f" ({'; '.join(streams[:3])}{more})" if streams else ""


def _between(gap: StreamGap) -> str:
    if math.isnan(gap.before_s):
        return "from its beginning" if math.isnan(gap.after_s) else f"before {gap.after_s:.3f} s"
    if math.isnan(gap.after_s):
        return f"after {gap.before_s:.3f} s"
    return f"between {gap.before_s:.3f} s and {gap.after_s:.3f} s"
