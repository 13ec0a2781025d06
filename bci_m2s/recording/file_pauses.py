"""When each sample of an EDF, BDF, FIF or BrainVision file was recorded: where it was paused, how long.

A file numbers its samples without a hole; its pauses stand elsewhere, for each format in its own way: the
onsets of EDF+D data records, BrainVision's "New Segment" markers with their dates, BioSemi's status bit
16, and the annotations of MNE (``BAD_ACQ_SKIP``, ``BAD boundary``, ``EDGE boundary``), EEGLAB
(``boundary``) and this package (``BAD_gap``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.recording import BAD_GAP
from bci_m2s.recording.edf_header import EdfHeader, record_onsets
from bci_m2s.recording.triggers import Triggers

UNKNOWN_PAUSE_S = 1.0  # for a pause whose length the file does not say: a new segment begins in any case
LONGEST_PAUSE_S = 30 * 86_400.0  # a longer one is a wrong date
CUT = (BAD_GAP, "BAD_ACQ_SKIP")  # what lies inside was never recorded
SEAMS = ("boundary", "bad boundary", "edge boundary")


class Span(NamedTuple):
    """An annotation: its first sample and the one behind its last, its text, the channels concerned."""

    first: int
    stop: int
    text: str
    channels: frozenset[str]


SEGMENT = "New Segment/"  # how mne names BrainVision's

Pause = tuple[int, float]  # number of the sample that follows it, and its length in s; NaN when not known


class FileTimes:
    """Seconds from a file's first sample, pauses included.

    Parameters
    ----------
    rate_hz : sampling rate
    pauses : in any order; those of unknown length last ``UNKNOWN_PAUSE_S``

    Attributes
    ----------
    notes : what a reader of the file should know
    starts_s : each pause's end on the file's own axis, without pauses, s
    """

    def __init__(self, rate_hz: float, pauses: Sequence[Pause]) -> None:
        lengths: dict[int, float] = {}
        for sample, length_s in pauses:  # where two name one pause, the one that knows its length counts
            if sample > 0 and not lengths.get(sample, math.nan) > 0:
                lengths[sample] = length_s
        lengths = {sample: lengths[sample] for sample in sorted(lengths)}
        known = [UNKNOWN_PAUSE_S if math.isnan(length) else length for length in lengths.values()]
        self._rate_hz = rate_hz
        self._starts = np.array(list(lengths), dtype=np.intp)
        self._shift_s = np.concatenate([[0.0], np.cumsum(known)])
        self.starts_s = self._starts / rate_hz
        taken = f"it is not known for how long: taken as {UNKNOWN_PAUSE_S:g} s"
        self.notes = [
            f"paused at {self.at(sample - 1):.1f} s, {taken}"
            for sample, length_s in lengths.items()
            if math.isnan(length_s)
        ]

    def at(self, samples: Any) -> Any:
        """Time of sample numbers, which need not be whole."""
        segments = np.searchsorted(self._starts, samples, side="right")
        return np.asarray(samples) / self._rate_hz + self._shift_s[segments]

    def without_pauses(self, times_s: Any) -> Any:
        """Times (n,) on the file's own axis, on which a pause takes no time; of one inside it, its end."""
        times_s = np.asarray(times_s)
        segments = np.searchsorted(self.starts_s + self._shift_s[1:], times_s, side="right")
        ends_s = np.append(self.starts_s, np.inf)
        return np.minimum(times_s - self._shift_s[segments], ends_s[segments])


def find_pauses(
    raw: Any, path: Path | None, header: EdfHeader | None, triggers: Mapping[str, Triggers]
) -> list[Pause]:
    """Every pause that a file names. Raises ValueError where an EDF+D file does not say when it was paused.

    Parameters
    ----------
    raw : of mne
    path, header : of its file; without them what the format alone says is not known
    triggers : of its trigger channels, by name
    """
    rate_hz = float(raw.info["sfreq"])
    restarts = [int(sample) for found in triggers.values() for sample in found.restarts]
    is_brainvision = path is not None and path.suffix.lower() == ".vhdr"
    pauses = [*_seams(raw, not is_brainvision), *((sample, math.nan) for sample in restarts)]
    if path is not None and is_brainvision:
        pauses += _brainvision_pauses(path, rate_hz)
    if path is not None and header is not None and header.is_discontinuous:
        pauses += _edf_pauses(path, header, rate_hz)
    return pauses


def _edf_pauses(path: Path, header: EdfHeader, rate_hz: float) -> Iterator[Pause]:
    onsets_s = record_onsets(path, header)
    per_record = round(header.record_s * rate_hz)
    for record, step_s in enumerate(np.diff(onsets_s).tolist(), 1):
        if step_s - header.record_s > 0.5 / rate_hz:
            yield record * per_record, step_s - header.record_s


def _brainvision_pauses(path: Path, rate_hz: float) -> Iterator[Pause]:
    """Pauses before the "New Segment" markers of a BrainVision recording, by their dates. path : .vhdr"""
    if (text := _marker_text(path)) is None:
        return
    found = re.findall(r"(?m)^Mk\d+=New Segment,[^,]*,(\d+),[^,]*,[^,\s]*(?:,(\d{20}))?", text)
    before: tuple[int, datetime | None] | None = None
    for position, date in found:
        sample, moment = int(position) - 1, _moment(date)
        if before is not None and sample > before[0]:
            length_s = math.nan
            if moment is not None and before[1] is not None:
                length_s = (moment - before[1]).total_seconds() - (sample - before[0]) / rate_hz
                if not -2 / rate_hz < length_s < LONGEST_PAUSE_S:
                    length_s = math.nan
            if math.isnan(length_s) or length_s > 2 / rate_hz:
                yield sample, length_s
        before = sample, moment


def _marker_text(path: Path) -> str | None:
    """Contents of a BrainVision recording's marker file; None where there is none. path : .vhdr"""
    named = re.search(r"^MarkerFile=(.+)$", path.read_text("utf-8", "replace"), re.MULTILINE)
    file = path.parent / named[1].strip().replace("$b", path.stem) if named is not None else None
    return file.read_text("utf-8", "replace") if file is not None and file.is_file() else None


def _moment(date: str) -> datetime | None:
    try:
        return datetime.strptime(date, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None


def _seams(raw: Any, is_undated: bool) -> Iterator[Pause]:
    """Places at which annotations say that two recordings were joined.

    is_undated : it is not known how long before BrainVision's segments nothing was recorded
    """
    for span in _spans(raw, raw.annotations):
        if span.text.casefold() in SEAMS or (is_undated and span.text.startswith(SEGMENT)):
            yield span.first, math.nan


def kept_samples(raw: Any) -> NDArray[np.intp]:
    """Numbers of the samples that were recorded: not those with which a gap was filled."""
    kept = np.ones(raw.n_times, bool)
    for span in _spans(raw, raw.annotations):
        if span.text in CUT:
            kept[span.first : span.stop] = False
    return np.flatnonzero(kept)


def bad_spans(raw: Any, annotations: Any = None) -> list[Span]:
    """Spans that a "BAD" annotation of the file's own excludes, in all channels or in those that it names.

    annotations : of mne, on the file's own axis; None for the Raw's
    """
    found = _spans(raw, raw.annotations if annotations is None else annotations)
    return [span for span in found if span.text.casefold().startswith("bad") and span.text not in CUT]


def _spans(raw: Any, annotations: Any) -> Iterator[Span]:
    rate_hz, known = float(raw.info["sfreq"]), set(raw.ch_names)
    for mark in annotations:
        first = round((mark["onset"] - raw.first_time) * rate_hz)
        stop = first + round(mark["duration"] * rate_hz)
        # of channels that the file does not have nobody knows what they are called here
        channels = known.intersection(mark.get("ch_names") or ()) or known
        yield Span(max(0, first), max(0, stop), str(mark["description"]), frozenset(channels))


def without_channel(text: str, channels: Collection[str]) -> str:
    """Text of an EDF+ annotation, without the channel that it concerns: "text@@Cz"."""
    words, _, channel = text.partition("@@")
    return words if channel in channels else text


def brainvision_channels(raw: Any, path: Path) -> Any:
    """The Raw's annotations, with the channel to which a "Bad Interval" of a BrainVision file is confined.

    path : .vhdr. mne leaves the channel out.
    """
    rate_hz, marks = float(raw.info["sfreq"]), raw.annotations.copy()
    if (text := _marker_text(path)) is None:
        return marks
    found = re.findall(r"(?m)^Mk\d+=(Bad Interval),([^,]*),(\d+),(\d+),([1-9]\d*)", text)
    for kind, words, position, size, channel in found:
        if int(channel) > len(raw.ch_names):
            continue
        begin_s, length_s = (int(position) - 1) / rate_hz, int(size) / rate_hz
        for index, mark in enumerate(marks):
            is_it = mark["description"] == f"{kind}/{words}" and not mark.get("ch_names")
            near = abs(mark["onset"] - begin_s) < 0.5 / rate_hz
            if is_it and near and abs(mark["duration"] - length_s) < 0.5 / rate_hz:
                marks.ch_names[index] = (raw.ch_names[int(channel) - 1],)
                break
    return marks
