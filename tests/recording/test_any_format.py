"""The same signal in another unit, number format or file type gives the same features and estimates."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import signal_files
from support.signal_files import PER_MICROVOLT, Samples
from support.small_sessions import contract

from bci_m2s.pipeline.steps import StepStage
from bci_m2s.recording.recorded import open_recording
from bci_m2s.session.notebook import run_offline
from bci_m2s.types import Chunk, StreamInfo

CONTRACT = contract()
SPEC, WINDOW = CONTRACT.modalities["eeg"], CONTRACT.window
RATE_HZ, SECONDS = 128, 3
WRITERS = {
    "xdf": signal_files.write_xdf,
    "edf": signal_files.write_edf,
    "bdf": signal_files.write_edf,
    "fif": signal_files.write_fif,
    "vhdr": signal_files.write_brainvision,
}
NUMBERS = {
    "xdf": signal_files.XDF_FORMATS,
    "edf": ("int16",),
    "bdf": ("int24",),
    "fif": signal_files.FIF_FORMATS,
    "vhdr": tuple(signal_files.BRAINVISION_FORMATS),
}
# Whole numbers without a scale cannot hold these.
TOO_COARSE = {("int16", "mV"), ("int16", "V"), ("int32", "mV"), ("int32", "V")}
WAYS = [
    (kind, number, unit)
    for kind, numbers in NUMBERS.items()
    for number in numbers
    for unit in (("V",) if kind == "fif" else PER_MICROVOLT)
    if kind != "xdf" or (number, unit) not in TOO_COARSE
]


@st.composite
def signals(draw: st.DrawFn) -> Samples:
    """Whole microvolts, which every float holds exactly; small enough for int16 of nanovolts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    loud = draw(st.floats(2.0, 6.0))
    return np.rint(rng.normal(0.0, loud, (RATE_HZ * SECONDS, len(SPEC.channels))).clip(-32, 32))


def features(info: StreamInfo, times: Samples, samples: NDArray[np.generic]) -> NDArray[np.float64]:
    stage = StepStage(SPEC, WINDOW, info)
    return np.array([step.values for _, step in stage.push(Chunk.of(times, samples)) if step is not None])


def features_of(values_uv: Samples) -> NDArray[np.float64]:
    """Without any file: double precision, microvolts."""
    units = ("microvolts",) * len(SPEC.channels)
    info = StreamInfo("memory", "EEG", rate_hz=RATE_HZ, labels=SPEC.channels, units=units)
    return features(info, np.arange(len(values_uv)) / RATE_HZ, values_uv)


@pytest.mark.parametrize(("kind", "number", "unit"), WAYS)
@given(values_uv=signals())
@settings(max_examples=2)
def test_no_feature_knows_how_the_signal_was_written(
    kind: str, number: str, unit: str, values_uv: Samples
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"any_raw.{kind}"
        step_uv = WRITERS[kind](path, values_uv, SPEC.channels, RATE_HZ, unit, number)
        recording = open_recording(path)
        (stream,) = [one for one in recording.streams if not one.is_text]
        assert recording.warnings == []
        found = features(stream.info, stream.times, stream.read(0, stream.n_samples))
    expected = features_of(values_uv)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    if unit == "µV" and (step_uv in (0.0, 1.0)):
        np.testing.assert_array_equal(found, expected)
    elif step_uv == 0.0:
        np.testing.assert_allclose(found, expected, atol=2e-6)  # float32 of volts
    else:  # rounding adds white noise of step / √12, thrice which is more than any band of white noise has
        worst = 3 * step_uv / np.sqrt(12) / values_uv.std(axis=0).min()
        np.testing.assert_allclose(found, expected, atol=np.log1p(worst) + 2e-6)


ANSWERED = [  # how it is written, and how much an answer may differ
    ("xdf", "int16", "µV", 0.0),
    ("vhdr", "IEEE_FLOAT_32", "µV", 0.0),
    ("xdf", "double64", "V", 1e-6),
    ("xdf", "float32", "mV", 1e-6),
    ("fif", "single", "V", 1e-6),
    ("bdf", "int24", "nV", 1e-5),
    ("edf", "int16", "mV", 1e-3),
]


def answers(path: Path, way: tuple[str, str, str], values_uv: Samples) -> list[dict[str, Any]]:
    """Estimates of muse-4ch from the signal, written in this way."""
    kind, number, unit = way
    file = path / f"{kind}-{number}-{unit}_raw.{kind}"
    WRITERS[kind](file, values_uv, SPEC.channels, 256.0, unit, number)
    return run_offline("muse-4ch", file)


def test_no_estimate_knows_how_the_signal_was_written(tmp_path: Path) -> None:
    values_uv = np.rint(np.random.default_rng(0).normal(0.0, 15.0, (256 * 14, len(SPEC.channels))))
    expected = answers(tmp_path, ("xdf", "float32", "µV"), values_uv)
    assert sum(row["status"] == "ok" for row in expected) > 10
    for *way, differ in ANSWERED:
        found = answers(tmp_path, tuple(way), values_uv)
        assert [row["status"] for row in found] == [row["status"] for row in expected], way
        for name in ("confidence", "p_negative", "p_neutral", "p_positive"):
            numbers = [[row[name] for row in rows] for rows in (found, expected)]
            np.testing.assert_allclose(*numbers, rtol=0, atol=differ, err_msg=str(way))
