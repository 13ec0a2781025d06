"""When each sample of an EDF, BDF, FIF or BrainVision file was recorded: where it was paused, how long.

A file numbers its samples without a hole; its pauses stand elsewhere, for each format in its own way: the
onsets of EDF+D data records, BrainVision's "New Segment" markers with their dates, BioSemi's status bit
16, and the annotations of MNE (``BAD_ACQ_SKIP``, ``BAD boundary``, ``EDGE boundary``), EEGLAB
(``boundary``) and this package (``BAD_gap``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.recording import BAD_GAP
from bci_m2s.recording.edf_header import EdfHeader, record_onsets
from bci_m2s.recording.triggers import Triggers

UNKNOWN_PAUSE_S = 1.0  # for a pause whose length the file does not say: a new segment begins in any case
LONGEST_PAUSE_S = 30 * 86_400.0  # a longer one is a wrong date
CUT = (BAD_GAP, "BAD_ACQ_SKIP")  # what lies inside was never recorded
SEAMS = ("boundary", "bad boundary", "edge boundary")
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
    pauses = [*_seams(raw), *((sample, math.nan) for sample in restarts)]
    if path is not None and path.suffix.lower() == ".vhdr":
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
    named = re.search(r"^MarkerFile=(.+)$", path.read_text("utf-8", "replace"), re.MULTILINE)
    if named is None:
        return
    file = path.parent / named[1].strip().replace("$b", path.stem)
    if not file.is_file():
        return
    text = file.read_text("utf-8", "replace")
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


def _moment(date: str) -> datetime | None:
    try:
        return datetime.strptime(date, "%Y%m%d%H%M%S%f")
    except ValueError:
        return None


def _seams(raw: Any) -> Iterator[Pause]:
    """Places at which annotations say that two recordings were joined."""
    for first, _, text in _spans(raw):
        if text.casefold() in SEAMS:
            yield first, math.nan


def kept_samples(raw: Any) -> NDArray[np.intp]:
    """Numbers of the samples that were recorded: not those with which a gap was filled."""
    kept = np.ones(raw.n_times, bool)
    for first, stop, text in _spans(raw):
        if text in CUT:
            kept[first:stop] = False
    return np.flatnonzero(kept)


def bad_samples(raw: Any) -> NDArray[np.bool_] | None:
    """Which samples, (n,), a "BAD" annotation of the file's own excludes; None for none of them."""
    bad = np.zeros(raw.n_times, bool)
    for first, stop, text in _spans(raw):
        if text.casefold().startswith("bad") and text not in CUT:
            bad[first:stop] = True
    return bad if bad.any() else None


def _spans(raw: Any) -> Iterator[tuple[int, int, str]]:
    """First sample, the one behind the last, and text of each annotation."""
    rate_hz = float(raw.info["sfreq"])
    for mark in raw.annotations:
        first = round((mark["onset"] - raw.first_time) * rate_hz)
        yield max(0, first), max(0, first + round(mark["duration"] * rate_hz)), str(mark["description"])
