"""EDF(+), BDF(+), FIF and BrainVision files as streams, read through mne.

- Channels are grouped by kind (``STREAM_TYPES``), so that a stream has one meaning; its name is the file's.
- EDF labels such as "EEG Fp1" follow EDF+ (Kemp and Olivan 2003, doi 10.1016/S1388-2457(03)00123-8):
  kind, space, sensor. The kind decides the stream, the sensor ("Fp1") is the label.
- Voltages come in microvolts, as float32: exact for BioSemi's 24 bits. Others keep mne's unit.
- What stands beside a file as BIDS has it counts (``bids``): kind and state of channels, reference, events.
- Stamps are seconds from the first sample, pauses included (``file_pauses``). Annotations become a marker
  stream with durations, and so does each trigger channel: the number that it changes to, as text, zeros
  left out. Where a table of events stands beside the file, its rows are the markers instead. What the file
  calls bad is missing.
- EDF and BDF channels of a lower rate are raised to the highest by mne; a warning says so.
"""

from __future__ import annotations

import math
import warnings as python_warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.bids.channels import Sidecars, by_name, find_sidecars, unit_beside
from bci_m2s.recording.bids.events import Events, find_events
from bci_m2s.recording.edf_header import EdfHeader, read_edf_header
from bci_m2s.recording.fif_check import refuse_bad_fif
from bci_m2s.recording.file_pauses import (
    CUT,
    FileTimes,
    Span,
    bad_spans,
    brainvision_channels,
    find_pauses,
    kept_samples,
    without_channel,
)
from bci_m2s.recording.file_settings import FileSettings, find_zone
from bci_m2s.recording.mne_channels import EDF, channel_types, channel_units
from bci_m2s.recording.mne_markers import annotate_bad, event_markers, markers
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.recording.triggers import PIECE_S, TRIGGER, find_triggers
from bci_m2s.signal.reference import AVERAGE, reference_of_labels
from bci_m2s.text import printable
from bci_m2s.types import FloatArray, StreamInfo

Notes = list[str] | None
Reader = Callable[[int, int], NDArray[np.float32]]
COMMENT = "Comment/"  # mne's prefix of BrainVision's markers of this kind


def open_mne(path: Path) -> Any:
    """Return mne's Raw of a file, not loaded; warnings are mne's. Raises RecordingError when it cannot."""
    import mne

    is_edf = path.suffix.lower() in EDF
    if not is_edf and path.suffix.lower() != ".vhdr":
        refuse_bad_fif(path)
    try:
        options = {"infer_types": True} if is_edf else {}
        with python_warnings.catch_warnings():
            if (header := edf_header(path, [])) and header.is_discontinuous:  # mne knows of no pause
                python_warnings.filterwarnings("ignore", "Omitted .* annotation")
            raw = mne.io.read_raw(path, preload=False, verbose="warning", **options)
    except Exception as problem:  # mne raises nearly every type on damaged files
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    if header is not None and len(header.signals) == len(raw.ch_names):
        scaleless = [header.scaleless[place] for place in header.signals]
        raw.info["bads"] += [name for name, is_bad in zip(raw.ch_names, scaleless, strict=True) if is_bad]
    if path.suffix.lower() == ".vhdr":  # a comment's text is a marker as it was sent; "Comment/" is mne's
        texts = {str(text) for text in raw.annotations.description}
        raw.set_annotations(brainvision_channels(raw, path), verbose="error")
        raw.annotations.rename({text: _as_sent(text) for text in texts})
    return raw


def _as_sent(text: str) -> str:
    return text[len(COMMENT) :] if text.startswith(COMMENT) and text != COMMENT else text


def read_raw(path: Path, settings: FileSettings | None = None) -> Recording:
    """Open a file that mne can read. Raises RecordingError when mne cannot."""
    stem = path.name[: -len(".fif.gz")] if path.name.lower().endswith(".fif.gz") else path.stem
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        raw = open_mne(path)
        try:
            header = edf_header(path, notes := list[str]())
            beside = find_sidecars(path, notes)
            events = find_events(path, notes)
            streams = raw_streams(raw, stem, path, header, notes, beside, events)
        except Exception as problem:  # its samples may be damaged where its header was not
            raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    messages = [printable(Warning(warning.message), 300) for warning in caught if _concerns_file(warning)]
    notes = [*dict.fromkeys(messages), *notes]
    if not streams:
        raise RecordingError(f"{path}: holds no channel")
    unix_s = _unix_s(raw, path, (settings or FileSettings()).timezone)
    return Recording(path, tuple(streams), notes, line_hz=beside.line_hz, unix_s=unix_s)


def _unix_s(raw: Any, path: Path, timezone: str) -> float:
    """Unix time of the first sample; NaN where the file has no date, or one of a place that nobody states.

    FIF has UTC; EDF, BDF and BrainVision have the time of the place, which mne takes for UTC.
    """
    begun = raw.info["meas_date"]
    if begun is None:
        return math.nan
    if not path.name.lower().endswith((".fif", ".fif.gz")):
        if not timezone:
            return math.nan
        begun = begun.replace(tzinfo=find_zone(timezone))
    return float(begun.timestamp()) + float(raw.first_time)


def raw_streams(
    raw: Any,
    name: str,
    path: Path | None = None,
    header: EdfHeader | None = None,
    notes: Notes = None,
    beside: Sidecars | None = None,
    events: Events | None = None,
) -> list[RecordedStream]:
    """The channels of mne's Raw by kind, its trigger channels and its annotations.

    Samples that were never recorded (``file_pauses.CUT``) are left out, pauses are in the stamps, and
    what the file calls bad (``info["bads"]``, annotations that begin with "BAD") is missing.

    Parameters
    ----------
    raw : of mne
    name : of the streams
    path, header : of the file; what it alone says of pauses and units is not known without
    notes : takes what a reader of the file should know
    beside, events : what stands beside the file; with events, its annotations and triggers are no markers
    """
    notes = [] if notes is None else notes
    if raw.info["bads"]:
        notes.append(f"called bad by the file, so missing: {', '.join(raw.info['bads'])}")
    beside = beside or Sidecars()
    units = channel_units(raw, path, header, unit_notes := list[str]())
    types = channel_types(raw, path, beside, unit_notes)
    units = [
        unit_beside(*unit, by_name(beside.units, channel))
        for unit, channel in zip(units, raw.ch_names, strict=True)
    ]
    triggers = find_triggers(raw)
    if events is not None:
        annotate_bad(raw, events)
    times = FileTimes(float(raw.info["sfreq"]), find_pauses(raw, path, header, triggers))
    notes += times.notes + unit_notes
    is_cut = path is not None and header is not None and header.is_discontinuous
    bad = bad_spans(raw, discontinuous_annotations(raw, path, times) if path and is_cut else None)
    streams = _signals(raw, name, times, units, types, beside, bad)
    onsets, texts, durations = annotations_of(raw, path, header, times)
    if events is not None:
        own = len(texts) + sum(len(found.at) for found in triggers.values())
        if own:
            notes.append(f"markers are those of {events.path.name}; the file's own {own} are not used")
        return [*streams, event_markers(f"{name} events", events)]
    for channel, found in triggers.items():
        streams.append(markers(f"{name} {channel}", times.at(found.at), found.texts))
    if len(texts):
        streams.append(markers(f"{name} annotations", onsets, texts, durations))
    return streams


def annotations_of(
    raw: Any, path: Path | None, header: EdfHeader | None, times: FileTimes
) -> tuple[FloatArray, NDArray[Any], FloatArray]:
    """Onset, s from the first sample, text and duration, s, of the file's annotations, gaps left out."""
    if header is not None and header.is_discontinuous:  # mne's Raw drops what lies behind the pauses
        import mne

        marks = mne.read_annotations(path)
        onsets = marks.onset
    else:  # mne counts from before the first sample
        marks, rate_hz = raw.annotations, float(raw.info["sfreq"])
        onsets = times.at((marks.onset - raw.first_time) * rate_hz)
    plain = [_as_sent(without_channel(str(text), raw.ch_names)) for text in marks.description]
    texts = np.array(plain, object)
    wanted = [index for index, text in enumerate(texts) if text not in CUT]
    return onsets[wanted], texts[wanted], marks.duration[wanted]


def discontinuous_annotations(raw: Any, path: Path, times: FileTimes) -> Any:
    """All annotations of an EDF+D file on its Raw's axis; mne drops those that lie behind a pause."""
    import mne

    marks = mne.read_annotations(path)
    begin_s = times.without_pauses(marks.onset) + raw.first_time
    end_s = times.without_pauses(marks.onset + marks.duration) + raw.first_time
    texts = [without_channel(str(text), raw.ch_names) for text in marks.description]
    named = [
        [text.partition("@@")[2]] if words != text else []
        for text, words in zip(marks.description, texts, strict=True)
    ]
    return mne.Annotations(begin_s, end_s - begin_s, texts, ch_names=named)


def edf_header(path: Path, notes: list[str]) -> EdfHeader | None:
    """Header of an EDF or BDF file; what is odd about it becomes a note."""
    if path.suffix.lower() not in EDF:
        return None
    try:
        header = read_edf_header(path)
    except (ValueError, OSError):
        notes.append("the header's numbers of samples cannot be read; channels may have different rates")
        return None
    scaleless = [header.labels[index] for index in header.signals if header.scaleless[index]]
    if scaleless:
        notes.append(f"the least and the largest value are equal, so missing: {', '.join(scaleless)}")
    if header.slower:
        rate_hz = max(header.samples[index] for index in header.signals) / (header.record_s or 1.0)
        slower = ", ".join(header.slower)
        notes.append(f"channels of a lower rate were raised to {rate_hz:g} Hz by interpolation: {slower}")
    return header


def _concerns_file(caught: python_warnings.WarningMessage) -> bool:
    """Whether a warning is about the file: not about a library's future, nor mne's naming convention."""
    about_code = (
        DeprecationWarning,
        PendingDeprecationWarning,
        FutureWarning,
        ImportWarning,
        ResourceWarning,
    )
    return not issubclass(caught.category, about_code) and "MNE naming" not in str(caught.message)


def _signals(
    raw: Any,
    stem: str,
    file_times: FileTimes,
    units: list[tuple[str, float]],
    types: list[str],
    beside: Sidecars,
    bad: list[Span],
) -> list[RecordedStream]:
    groups: dict[str, list[int]] = {}
    for index, (kind, stream_type) in enumerate(zip(raw.get_channel_types(), types, strict=True)):
        if kind != TRIGGER:
            groups.setdefault(stream_type, []).append(index)
    rate_hz, lock = float(raw.info["sfreq"]), Lock()
    kept = kept_samples(raw)
    times: FloatArray = file_times.at(kept)
    streams = []
    for stream_type, picks in groups.items():
        info = StreamInfo(
            name=stem,
            type=stream_type,
            rate_hz=rate_hz,
            labels=tuple(raw.ch_names[pick] for pick in picks),
            units=tuple(units[pick][0] for pick in picks),
            reference=(_reference(raw, picks) or beside.reference) if stream_type == "EEG" else "",
        )
        factors = np.array([units[pick][1] for pick in picks])
        factors[[raw.ch_names[pick] in raw.info["bads"] for pick in picks]] = math.nan
        read = _piecewise(raw, picks, factors, bad, lock)
        if len(kept) < raw.n_times:
            read = _without_gaps(read, kept)
        streams.append(RecordedStream(info, times, read))
    return streams


def _reference(raw: Any, picks: list[int]) -> str:
    """What the file says that its EEG is referred to; "" for nothing."""
    projected = any(
        "average" in projector["desc"].casefold() and projector["active"] for projector in raw.info["projs"]
    )
    return AVERAGE if projected else reference_of_labels([raw.ch_names[pick] for pick in picks])


def _piecewise(raw: Any, picks: list[int], factors: FloatArray, bad: list[Span], lock: Lock) -> Reader:
    """Return a reader that keeps the last piece; pieces of one file are read one at a time."""
    piece = round(PIECE_S * float(raw.info["sfreq"])) or 1
    kept_from, kept = 0, np.empty((0, len(picks)), np.float32)
    columns = [(span, [raw.ch_names[pick] in span.channels for pick in picks]) for span in bad]

    def read(start: int, stop: int) -> NDArray[np.float32]:
        nonlocal kept_from, kept
        with lock:
            if start < stop and (start < kept_from or stop > kept_from + len(kept)):
                until = min(max(stop, start + piece), raw.n_times)
                try:
                    values = raw.get_data(picks=picks, start=start, stop=until, verbose="error")
                except Exception as problem:  # the file changed or breaks off since it was opened
                    raise RecordingError(f"{raw.filenames[0]}: {printable(problem, 300)}") from None
                if np.iscomplexobj(values):
                    raise RecordingError(
                        f"{raw.filenames[0]}: holds complex numbers, which are not samples"
                    )
                with np.errstate(over="ignore"):  # beyond float32 is no signal: infinite, so missing
                    kept = np.ascontiguousarray((values * factors[:, None]).T, dtype=np.float32)
                for span, concerned in columns:
                    kept[max(0, span.first - start) : max(0, span.stop - start), concerned] = np.nan
                kept.setflags(write=False)
                kept_from = start
            return kept[start - kept_from : stop - kept_from] if start < stop else kept[:0]

    return read


def _without_gaps(read: Reader, kept: NDArray[np.intp]) -> Reader:
    """A reader that counts only the samples that are kept, and reads what lies between with them."""

    def read_kept(start: int, stop: int) -> NDArray[np.float32]:
        if start >= stop:
            return read(0, 0)
        first = int(kept[start])
        return read(first, int(kept[stop - 1]) + 1)[kept[start:stop] - first]

    return read_kept
