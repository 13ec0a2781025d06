"""A recording as MNE's Raw: one stream, with markers, gaps and events as annotations.

Streams of an XDF file have clocks and rates of their own, a Raw has one rate: so a Raw holds one stream.
The markers and events of all streams come with it, placed on its time axis by the clock that they share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import StreamError, nearest
from bci_m2s.lsl.formats import EVENTS_TYPE
from bci_m2s.recording import BAD_GAP
from bci_m2s.recording.e4_files import leading_file
from bci_m2s.recording.raw_axis import place, time_axis
from bci_m2s.recording.recorded import READERS, RecordedStream, Recording, file_kind, open_recording
from bci_m2s.signal.units import factor_between, find_unit
from bci_m2s.types import FloatArray, StreamInfo

if TYPE_CHECKING:
    import mne

MONTAGES = ("colin27_1005", "standard_1005")
KINDS = {  # type of a stream, without case: MNE's type of its channels; any other is "misc"
    "eeg": "eeg",
    "ecg": "ecg",
    "ekg": "ecg",
    "eog": "eog",
    "emg": "emg",
    "gsr": "gsr",
    "eda": "gsr",
    "respiration": "resp",
}
FIFF_VOLT = 107  # FIF's code of the unit
VOLTAGES = ("eeg", "ecg", "eog", "emg")


def read_raw(path: Path, stream: str = "", unit: str = "microvolts") -> tuple[mne.io.BaseRaw, list[str]]:
    """One stream of a recording's file, and what is to be said of it; see ``OpenedRecording.to_mne``."""
    if "read_mne" not in READERS[file_kind(leading_file(path) or path)]:
        recording = open_recording(path)
        raw, text = stream_as_raw(recording, _choose(recording, stream), unit)
        return raw, [*recording.warnings, *([text] if text else [])]
    from bci_m2s.recording.read_mne import open_mne

    raw = open_mne(path)
    _mend_volts(raw, path, unit)
    _annotate_pauses(raw, path)
    if stream:
        raise StreamError(f"{path}: stream: got {stream!r}; its file has one Raw")
    _place_electrodes(raw)
    return raw, []


def _mend_volts(raw: Any, path: Path, unit: str) -> None:
    """Bring to volts what mne takes for volts since it does not know the unit's name; it is loaded then."""
    from bci_m2s.recording.mne_channels import channel_units
    from bci_m2s.recording.read_mne import edf_header

    scales = {}
    for index, (name, factor) in enumerate(channel_units(raw, path, edf_header(path, []), [])):
        if int(raw.info["chs"][index]["unit"]) != FIFF_VOLT:
            continue
        scale = (factor_between(unit, "V") or 1.0) if not name else factor * 1e-6
        if abs(scale - 1) > 1e-9:
            scales[index] = scale
    if not scales:
        return
    raw.load_data(verbose="error")
    for index, scale in scales.items():
        raw.apply_function(lambda values, scale=scale: values * scale, picks=[index], verbose="error")


def _annotate_pauses(raw: Any, path: Path) -> None:
    """Mark each pause of a file in its Raw as MNE does where two are joined: ``BAD boundary``."""
    from bci_m2s.recording.file_pauses import FileTimes, find_pauses
    from bci_m2s.recording.read_mne import discontinuous_annotations, edf_header
    from bci_m2s.recording.triggers import find_triggers

    header = edf_header(path, [])
    times = FileTimes(float(raw.info["sfreq"]), find_pauses(raw, path, header, find_triggers(raw)))
    if header is not None and header.is_discontinuous:  # mne has dropped what lies behind the pauses
        raw.set_annotations(discontinuous_annotations(raw, path, times), verbose="error")
    if "bad boundary" not in {text.casefold() for text in raw.annotations.description}:
        raw.annotations.append(times.starts_s + raw.first_time, 0.0, "BAD boundary")


def _choose(recording: Recording, wanted: str) -> RecordedStream:
    """The stream of this name or type; without one the EEG, or the only stream that can be a Raw."""
    sampled = [stream for stream in recording.streams if stream.info.rate_hz and not stream.is_text]
    named = [stream for stream in sampled if wanted == stream.info.name]
    typed = [stream for stream in sampled if stream.info.type.casefold() == (wanted.casefold() or "eeg")]
    fitting = named or typed or ([] if wanted else sampled)
    if len(fitting) > 1:
        fitting = [stream for stream in fitting if stream.n_samples] or fitting
    if len(fitting) == 1 and fitting[0].n_samples:
        return fitting[0]
    if len(fitting) > 1:
        problem = f"{len(fitting)} streams fit; name one"
    elif fitting:
        problem = f"stream {fitting[0].info.name!r} is empty"
    else:
        problem = (
            f"no stream {wanted!r} with a sampling rate" if wanted else "no stream with a sampling rate"
        )
    names = [stream.info.name for stream in sampled]
    raise StreamError(f"{recording.path}: {problem}{nearest(wanted, names)}")


def stream_as_raw(
    recording: Recording, stream: RecordedStream, unit: str = "microvolts"
) -> tuple[mne.io.BaseRaw, str]:
    """One stream of a recording that is open, as ``open_recording`` makes it, and what is to be said of it.

    stream : with a sampling rate and at least one sample; unit : of voltages where nothing says any
    """
    import mne

    times, rate_hz, said = time_axis(stream)
    info = stream.info
    index, first, missing = place(times, rate_hz)
    _, factors = _kinds(info, unit)
    samples = stream.read(0, stream.n_samples)
    data = np.empty((info.n_channels, int(index[-1]) + 1))
    for channel, factor in enumerate(factors):  # one after the other: a copy of all takes as much again
        with np.errstate(invalid="ignore"):  # of a damaged chunk: NaN that signal
            data[channel, index] = samples[:, channel].astype(np.float64) * factor
    for at, count in zip(first, missing, strict=True):  # a straight line, so that filters do not ring
        if count:
            stop = at + count
            share = np.arange(1, count + 1) / (count + 1)
            left, right = data[:, at - 1, None], data[:, stop, None]
            data[:, at:stop] = left + (right - left) * share
    raw = mne.io.RawArray(data, mne_info(info, rate_hz, unit), verbose="error")
    marks = list(_marks(recording, times, index))
    onsets = [*first / rate_hz, *(at / rate_hz for at, _, _ in marks)]
    lasting = [*np.maximum(missing, 1) / rate_hz, *(lasts_s for _, _, lasts_s in marks)]
    texts = [*(BAD_GAP for _ in first), *(text for _, text, _ in marks)]
    raw.set_annotations(mne.Annotations(onsets, lasting, texts), verbose="error")
    return raw, said


def mne_info(info: StreamInfo, rate_hz: float, unit: str = "microvolts") -> mne.Info:
    """Names, types and positions of a stream's channels, as ``read_raw`` makes them."""
    import mne

    made = mne.create_info(_names(info), rate_hz, _kinds(info, unit)[0])
    _place_electrodes(made)
    return made


def _kinds(info: StreamInfo, unit: str) -> tuple[list[str], FloatArray]:
    """MNE's type of each channel, and the factor that brings it to MNE's unit."""
    made = [
        _kind(info.type.casefold(), label.casefold(), stated, unit)
        for label, stated in zip(info.labels, info.units, strict=True)
    ]
    return [kind for kind, _ in made], np.array([factor for _, factor in made])


def _kind(stream_type: str, label: str, stated: str, unit: str) -> tuple[str, float]:
    """MNE's type of one channel, and the factor to MNE's unit. `stated` may be ""."""
    if stream_type == "gaze":
        kind = "pupil" if "pupil" in label else "eyegaze" if "gaze" in label else "misc"
        known = find_unit(stated)
        return kind, known.factor if known is not None and known.base in ("m", "rad") else 1.0
    kind = KINDS.get(stream_type, "misc")
    if kind not in VOLTAGES:
        return kind, 1.0
    known = find_unit(stated or unit)
    if known is None or not known.is_voltage:
        return "misc", 1.0  # a counter, say, among the electrodes
    return kind, known.factor


def _names(info: StreamInfo) -> list[str]:
    """Labels of the channels, made different from each other as MNE asks."""
    names: list[str] = []
    for number, label in enumerate(info.labels, 1):
        name = label or str(number)
        names.append(name if name not in names else f"{name}-{number}")
    return names


def _place_electrodes(raw: Any) -> None:
    """Give EEG channels with a known name the position of that electrode, where none has one."""
    import mne

    channels = mne.channels
    # mne 1.13 renamed the montage
    name = next(name for name in MONTAGES if name in channels.get_builtin_montages())
    montage = channels.make_standard_montage(name)
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    # Of two that differ in case the exact or the first one gets the position: mne would refuse both.
    meant: dict[str, str] = {}
    for channel in (channel for channel, kind in kinds if kind == "eeg"):
        if channel in montage.ch_names:
            meant[channel.casefold()] = channel
        meant.setdefault(channel.casefold(), channel)
    renamed = {label: meant[label.casefold()] for label in montage.ch_names if label.casefold() in meant}
    if raw.get_montage() is None and renamed:
        montage.rename_channels(renamed)
        raw.set_montage(montage, on_missing="ignore", verbose="error")


def _marks(
    recording: Recording, times: FloatArray, index: NDArray[np.intp]
) -> Iterator[tuple[float, str, float]]:
    """Place on the grid, text and length, s, of each marker and event of all streams within `times`."""
    rising = np.maximum.accumulate(times)
    step_s = (rising[-1] - rising[0]) / max(1, len(rising) - 1)
    ours = [stream for stream in recording.streams if stream.info.type == EVENTS_TYPE]
    for stream in [*recording.markers, *ours]:
        shared = stream.times + stream.offsets_s()
        inside = (shared >= rising[0] - step_s) & (shared <= rising[-1] + step_s)
        rows = stream.read(0, stream.n_samples)
        lasts_s = np.zeros(len(rows)) if stream.durations_s is None else np.nan_to_num(stream.durations_s)
        for row in np.flatnonzero(inside):
            text = ", ".join(map(str, rows[row]))
            if stream.info.type == EVENTS_TYPE:
                text = _event(text)
            if text:
                yield float(np.interp(shared[row], rising, index)), text, max(0.0, float(lasts_s[row]))


def _event(line: str) -> str:
    """An event of a session as text; "" for what annotations hold anyway: markers, gaps, the session."""
    try:
        event = json.loads(line)
        kind, message = str(event["kind"]), str(event.get("message", ""))
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return "" if kind in ("session", "marker", "gap") else f"{kind}: {message}"
