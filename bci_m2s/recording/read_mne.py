"""EDF(+), BDF(+), FIF and BrainVision files as streams, read through mne.

- Channels are grouped by kind (``STREAM_TYPES``), so that a stream has one meaning; its name is the file's.
- EDF labels such as "EEG Fp1" follow EDF+ (Kemp and Olivan 2003, doi 10.1016/S1388-2457(03)00123-8):
  kind, space, sensor. The kind decides the stream, the sensor ("Fp1") is the label.
- Voltages come in microvolts, as float32: exact for BioSemi's 24 bits. Others keep mne's unit.
- Stamps are seconds from the first sample. Annotations become a marker stream (a duration is not kept),
  and so does each trigger channel: the number that it changes to, as text, zeros left out.
- EDF and BDF channels of a lower rate are raised to the highest by mne; a warning says so.
"""

from __future__ import annotations

import gzip
import struct
import warnings as python_warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording import BAD_GAP
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.text import printable
from bci_m2s.types import MARKER_TYPE, FloatArray, StreamInfo

Reader = Callable[[int, int], NDArray[np.float32]]
EDF = (".edf", ".bdf")
PIECE_S = 10.0
TRIGGER = "stim"
STREAM_TYPES = {  # mne's kind of channel: type of the stream; every other kind is "Misc"
    "eeg": "EEG",
    "ecg": "ECG",
    "eog": "EOG",
    "emg": "EMG",
    "ecog": "iEEG",
    "seeg": "iEEG",
    "dbs": "iEEG",
    "mag": "MEG",
    "grad": "MEG",
    "ref_meg": "MEG",
    "eyegaze": "Gaze",
    "pupil": "Gaze",
}
UNITS = {  # FIF's unit codes: name and factor
    107: ("microvolts", 1e6),
    112: ("tesla", 1.0),
    201: ("tesla/m", 1.0),
    114: ("celsius", 1.0),
    110: ("siemens", 1.0),
    7: ("radian", 1.0),
    210: ("pixel", 1.0),
}
BIOSEMI_TRIGGERS = 0xFFFF  # of 24 status bits the upper 8 are the amplifier's own (biosemi.com/faq)
FIF_DIRECTORY = 102  # kind of the tag that lists all others
FIF_STRUCTURES = 30  # types from here on are read one structure after the other


def open_mne(path: Path) -> Any:
    """Return mne's Raw of a file, not loaded; warnings are mne's. Raises RecordingError when it cannot."""
    import mne

    is_edf = path.suffix.lower() in EDF
    if not is_edf and path.suffix.lower() != ".vhdr":
        _refuse_bad_fif(path)
    try:
        options = {"infer_types": True} if is_edf else {}
        return mne.io.read_raw(path, preload=False, verbose="warning", **options)
    except Exception as problem:  # mne raises nearly every type on damaged files
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None


def read_raw(path: Path) -> Recording:
    """Open a file that mne can read. Raises RecordingError when mne cannot."""
    stem = path.name[: -len(".fif.gz")] if path.name.lower().endswith(".fif.gz") else path.stem
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        raw = open_mne(path)
        try:
            streams = raw_streams(raw, stem)
        except Exception as problem:  # its samples may be damaged where its header was not
            raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    messages = [printable(Warning(warning.message), 300) for warning in caught if _concerns_file(warning)]
    notes = list(dict.fromkeys(messages))
    if path.suffix.lower() in EDF:
        notes += _rate_notes(path, float(raw.info["sfreq"]))
    if not streams:
        raise RecordingError(f"{path}: holds no channel")
    return Recording(path, tuple(streams), notes)


def raw_streams(raw: Any, name: str) -> list[RecordedStream]:
    """The channels of mne's Raw by kind, its trigger channels and its annotations. `name` : of the streams.

    Samples inside an annotation ``BAD_gap`` are left out: a gap that was bridged becomes one again.
    """
    streams = _signals(raw, name)
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    streams += [_trigger_events(raw, name, channel) for channel, kind in kinds if kind == TRIGGER]
    marks = raw.annotations
    marks = marks[marks.description != BAD_GAP] if len(marks) else marks
    if len(marks):
        onsets = marks.onset - raw.first_time  # mne counts from before the first sample
        streams.append(_markers(f"{name} annotations", onsets, marks.description))
    return streams


def _kept(raw: Any) -> NDArray[np.intp]:
    """Places of the samples that lie in no gap."""
    kept = np.ones(raw.n_times, bool)
    rate_hz = float(raw.info["sfreq"])
    for mark in raw.annotations:
        if mark["description"] == BAD_GAP:
            start = round((mark["onset"] - raw.first_time) * rate_hz)
            kept[max(0, start) : max(0, start + round(mark["duration"] * rate_hz))] = False
    return np.flatnonzero(kept)


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


def _signals(raw: Any, stem: str) -> list[RecordedStream]:
    groups: dict[str, list[int]] = {}
    for index, kind in enumerate(raw.get_channel_types()):
        if kind != TRIGGER:
            groups.setdefault(STREAM_TYPES.get(kind, "Misc"), []).append(index)
    rate_hz, lock = float(raw.info["sfreq"]), Lock()
    kept = _kept(raw)
    times: FloatArray = kept / rate_hz
    streams = []
    for stream_type, picks in groups.items():
        units = [UNITS.get(int(raw.info["chs"][pick]["unit"]), ("", 1.0)) for pick in picks]
        info = StreamInfo(
            name=stem,
            type=stream_type,
            rate_hz=rate_hz,
            labels=tuple(raw.ch_names[pick] for pick in picks),
            units=tuple(name for name, _ in units),
        )
        read = _piecewise(raw, picks, np.array([factor for _, factor in units]), lock)
        if len(kept) < raw.n_times:
            read = _without_gaps(read, kept)
        streams.append(RecordedStream(info, times, read))
    return streams


def _piecewise(raw: Any, picks: list[int], factors: FloatArray, lock: Lock) -> Reader:
    """Return a reader that keeps the last piece; pieces of one file are read one at a time."""
    piece = round(PIECE_S * float(raw.info["sfreq"])) or 1
    kept_from, kept = 0, np.empty((0, len(picks)), np.float32)

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


def _trigger_events(raw: Any, stem: str, name: str) -> RecordedStream:
    """Find where a trigger channel changes to something other than 0."""
    piece = round(PIECE_S * float(raw.info["sfreq"])) or 1
    indices: list[NDArray[np.int64]] = []
    texts: list[str] = []
    before: np.int64 | None = None
    for start in range(0, raw.n_times, piece):
        values = np.rint(raw.get_data(picks=[name], start=start, stop=min(start + piece, raw.n_times))[0])
        codes = values.astype(np.int64)
        if str(raw.filenames[0]).lower().endswith(".bdf"):
            codes &= BIOSEMI_TRIGGERS
        previous = np.concatenate([codes[:1] if before is None else [before], codes[:-1]])
        changed = np.flatnonzero((codes != previous) & (codes != 0))
        indices.append(changed + start)
        texts.extend(str(code) for code in codes[changed])
        before = codes[-1]
    at = np.concatenate(indices) / float(raw.info["sfreq"])
    return _markers(f"{stem} {name}", at, texts)


def _markers(name: str, times: FloatArray, texts: Any) -> RecordedStream:
    order = np.argsort(times, kind="stable")
    samples = np.array([str(texts[index]) for index in order], dtype=object)[:, None]
    samples.setflags(write=False)
    info = StreamInfo(name, MARKER_TYPE, labels=("marker",), units=("",), channel_format="string")
    return RecordedStream(info, np.asarray(times)[order], lambda start, stop: samples[start:stop])


def _refuse_bad_fif(path: Path) -> None:
    """Refuse a FIF on which mne would never end: whose chain of tags leads back into itself, or whose
    structures claim more bytes than there are.

    A tag begins with four big-endian numbers: kind, type, size of its data and position of the next tag
    (0: right behind the data, -1: none).
    """
    seen: set[int] = set()
    at = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            while at >= 0 and at not in seen:
                seen.add(at)
                file.seek(at)
                head = file.read(16)
                if len(head) < 16:
                    return
                kind, _, size, following = struct.unpack(">4i", head)
                _refuse_bad_tag(path, file, at, head)
                if kind == FIF_DIRECTORY:
                    file.seek(at + 16)
                    entries = file.read(size)  # the file may end before
                    entries = entries[: len(entries) // 16 * 16]
                    for position in np.frombuffer(entries, ">i4").reshape(-1, 4)[:, 3]:
                        file.seek(max(0, int(position)))
                        _refuse_bad_tag(path, file, max(0, int(position)), file.read(16))
                at = following or at + 16 + size
    except (EOFError, zlib.error, OSError) as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    if at >= 0:
        raise RecordingError(f"{path}: cannot be read: its chain of tags returns to byte {at}")


def _refuse_bad_tag(path: Path, file: Any, at: int, head: bytes) -> None:
    if len(head) < 16:
        return
    _, data_type, size, _ = struct.unpack(">4i", head)
    beyond = False
    if size > 0 and data_type & 0xFFFF >= FIF_STRUCTURES:  # plain numbers end where the file does
        file.seek(at + 16 + size - 1)
        beyond = not file.read(1)
    if size < 0 or beyond:
        raise RecordingError(f"{path}: cannot be read: the tag at byte {at} has {size} bytes")


def _rate_notes(path: Path, rate_hz: float) -> list[str]:
    """Read the EDF header for channels of different rates, which mne would raise without a word."""
    try:
        with path.open("rb") as file:
            count = int(file.read(256)[252:])
            fields = file.read(count * 256)
        labels = [fields[16 * k : 16 * (k + 1)].decode("latin-1").strip() for k in range(count)]
        begin = 216 * count  # label 16, transducer 80, unit 8, four limits of 8, prefilter 80
        per_record = [int(fields[begin + 8 * k : begin + 8 * (k + 1)]) for k in range(count)]
    except ValueError:
        return ["the header's numbers of samples cannot be read; channels may have different rates"]
    rates = {label: n for label, n in zip(labels, per_record, strict=True) if "Annotations" not in label}
    slower = [label for label, n in rates.items() if n < max(rates.values())]
    if not slower:
        return []
    return [f"channels of a lower rate were raised to {rate_hz:g} Hz by interpolation: {', '.join(slower)}"]
