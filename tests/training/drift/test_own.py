"""The view of one person: from recorded sessions, whatever their baselines were."""

from pathlib import Path

import numpy as np
import pytest
from support.model_files import small_tensors
from support.small_sessions import EEG_INFO, contract, eeg, pipeline

from bci_m2s.pipeline.recorded_windows import RecordedRun, StreamRun
from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.training.drift import block
from bci_m2s.training.drift.block import FittedDrift
from bci_m2s.training.drift.own import own_drift
from bci_m2s.types import Chunk, Status

F = 20
LOOSE = {"whole": 1e6, "channel": 1e6}
DRIFT = {"views": {"course": LOOSE}, "smoothing_s": 2.0, "share": 0.02}
SPEC = contract(drift=DRIFT)
ARRAYS = {
    f"eeg.drift.course.{name}": np.full(F, value)
    for name, value in (("mean", 0), ("scale", 1), ("usual", 1))
}
TENSORS = small_tensors(SPEC) | {name: array.astype(float) for name, array in ARRAYS.items()}
TENSORS["eeg.drift.course.precision"] = np.eye(F, dtype=np.float32)
SPANS = [(1007.0, 1014.0), (1014.0, 1020.0)]


def session(seed: int) -> RecordedRun:
    times, samples = eeg(20, seed)
    samples = samples * np.float32(1 + 0.05 * seed)
    stream = RecordedStream(EEG_INFO, times, lambda start, stop: samples[start:stop])
    ended = (
        600,
        "baseline_ended",
        {"at_sample": 600},
    )  # there is no such baseline when features are measured
    run = StreamRun(stream, controls=[ended])
    return RecordedRun(Path(f"s{seed}.xdf"), "P1", {"eeg": run}, [], float(times[-1]))


@pytest.fixture(scope="module")
def own() -> FittedDrift:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "FEWEST_OWN_SESSIONS", 3)  # or this would take long
        made = own_drift([session(seed) for seed in range(3)], [SPANS] * 3, "eeg", SPEC, TENSORS)
    assert isinstance(made, FittedDrift)
    return made


def test_features_as_measured_and_what_was_there_stays(own):
    assert set(own.block.views) == {"course", "own"}
    assert own.block.own_sessions == 3
    assert own.arrays["drift.course.usual"] is TENSORS["eeg.drift.course.usual"]
    beta = own.arrays["drift.own.mean"].reshape(4, 5)[
        :, 3
    ]  # 14–31 Hz of white noise of 10.5 µV, ½ ln(2πe σ²)
    expected = 0.5 * np.log(2 * np.pi * np.e * 10.5**2 * 17 / 128)
    np.testing.assert_allclose(beta, expected, atol=0.1)


def test_this_person_is_at_home_and_another_signal_is_not(own):
    spec = contract(drift=own.block.model_dump())
    tensors = TENSORS | {f"eeg.{name}": array for name, array in own.arrays.items()}
    times, samples = eeg(14, seed=9)
    statuses = []
    for gain in (1.05, 3.0):
        made = pipeline(spec=spec, tensors=tensors)
        statuses.append(made.push("eeg", Chunk.of(times, samples * np.float32(gain)))[-1].status)
    assert statuses == [Status.OK, Status.DRIFT]


def test_one_sitting_is_too_few():
    made = own_drift([session(0)], [SPANS], "eeg", SPEC, TENSORS)
    assert made == "got 1 session of this person, expected at least 19"
    assert (
        own_drift([session(0)], [SPANS], "eeg", contract(), TENSORS)
        == "the base model has no limit of drift"
    )
