"""One signal as files of every type, in any unit of a voltage and any number format that the type has."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo

Samples = NDArray[np.float64]  # (n, channels), microvolts
PER_MICROVOLT = {"nV": 1e3, "µV": 1.0, "mV": 1e-3, "V": 1e-6}
FIF_FORMATS = ("single", "double", "short")
BRAINVISION_FORMATS = {"IEEE_FLOAT_32": np.dtype("<f4"), "INT_16": np.dtype("<i2")}
XDF_FORMATS = ("float32", "double64", "int16", "int32")


def write_xdf(
    path: Path, values_uv: Samples, labels: tuple[str, ...], rate_hz: float, unit: str, number: str
) -> float:
    """A stream as our recorder writes it; XDF knows no scale, so whole numbers are whole units.

    Like the others, it returns the step of the numbers in microvolts, 0.0 where they are floating-point.
    """
    values = values_uv * PER_MICROVOLT[unit]
    info = StreamInfo(
        "cap", "EEG", rate_hz=rate_hz, labels=labels, units=(unit,) * len(labels), channel_format=number
    )
    kind = np.dtype({"float32": np.float32, "double64": np.float64}.get(number, number))
    recorder = Recorder(path, lambda: 0.0)
    recorder.start()
    stream = recorder.add_stream(info)
    times = 1000 + np.arange(len(values)) / rate_hz
    held = (np.rint(values) if kind.kind == "i" else values).astype(kind)
    recorder.samples(stream, Chunk.of(times, held))
    recorder.close()
    return 1.0 / PER_MICROVOLT[unit] if kind.kind == "i" else 0.0


def write_edf(
    path: Path, values_uv: Samples, labels: tuple[str, ...], rate_hz: float, unit: str, number: str
) -> float:
    """EDF (int16) or BDF (int24), scaled so that the range of the signal is that of the numbers."""
    n_bytes, count = (3, len(labels)) if number == "int24" else (2, len(labels))
    most = 2 ** (8 * n_bytes - 1) - 1
    limit = float(f"{np.abs(values_uv).max() * PER_MICROVOLT[unit] * 1.1:.2g}")  # 8 characters
    step = limit / most

    def column(texts: list[object], width: int) -> bytes:
        # the micro sign is one byte: EDF has no UTF-8
        return b"".join(str(text).encode("latin-1").ljust(width) for text in texts)

    records = len(values_uv) // int(rate_hz)
    version = b"\xffBIOSEMI" if n_bytes == 3 else column([0], 8)
    head = version + column(["X", "X"], 80) + b"01.01.1110.00.00" + column([256 * (count + 1)], 8)
    head += column(["24BIT" if n_bytes == 3 else ""], 44) + column([records, 1], 8) + column([count], 4)
    head += column([f"EEG {label}" for label in labels], 16) + column([""] * count, 80)
    head += column([unit] * count, 8)
    for value in (f"{-limit!r}", f"{limit!r}", -most, most):
        assert len(str(value)) <= 8
        head += column([value] * count, 8)
    head += column([""] * count, 80) + column([int(rate_hz)] * count, 8) + column([""] * count, 32)
    counts = np.rint(values_uv[: records * int(rate_hz)] * PER_MICROVOLT[unit] / step).astype("<i4")
    body = counts.reshape(records, int(rate_hz), count).transpose(0, 2, 1)
    path.write_bytes(head + np.ascontiguousarray(body).view(np.uint8).reshape(-1, 4)[:, :n_bytes].tobytes())
    return step / PER_MICROVOLT[unit]


def write_fif(
    path: Path, values_uv: Samples, labels: tuple[str, ...], rate_hz: float, unit: str, number: str
) -> float:
    """A FIF file as mne writes it: volts. Whole numbers are cut off, not rounded: the step counts twice."""
    del unit
    step_uv = float(np.abs(values_uv).max()) / 32_000 if number == "short" else 0.0
    raw = mne.io.RawArray(
        values_uv.T * 1e-6, mne.create_info(list(labels), rate_hz, "eeg"), verbose="error"
    )
    for channel in raw.info["chs"] if step_uv else ():
        channel["cal"] = step_uv * 1e-6
    raw.save(path, fmt=number, overwrite=True, verbose="error")
    return 2 * step_uv


def write_brainvision(
    path: Path, values_uv: Samples, labels: tuple[str, ...], rate_hz: float, unit: str, number: str
) -> float:
    """Header and samples; whole numbers have a resolution."""
    kind = BRAINVISION_FORMATS[number]
    values = values_uv * PER_MICROVOLT[unit]
    step = float(f"{np.abs(values).max() * 1.1 / 32767:.3g}") if kind.kind == "i" else 1.0
    counts = np.rint(values / step) if kind.kind == "i" else values
    counts.astype(kind).tofile(path.with_suffix(".eeg"))
    channels = "".join(f"Ch{place}={label},,{step!r},{unit}\n" for place, label in enumerate(labels, 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(labels)}\nSamplingInterval={1e6 / rate_hz!r}\n\n"
        f"[Binary Infos]\nBinaryFormat={number}\n\n[Channel Infos]\n{channels}",
        encoding="utf-8",
    )
    return step / PER_MICROVOLT[unit] if kind.kind == "i" else 0.0
