"""MNELAB opens what a session recorded: samples, units, date and markers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.client_environment import ClientEnvironment
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import EEG_INFO, RATE_HZ, eeg

from bci_m2s.types import Chunk

pytestmark = [pytest.mark.nightly, pytest.mark.live]

HERE = Path(__file__).parent
READERS = ("pybv", "pybvrf", "edfio")


@pytest.fixture(scope="module")
def mnelab(tmp_path_factory):
    """Without its Qt, of 700 MB, which is not for reading."""
    return ClientEnvironment(tmp_path_factory.mktemp("mnelab"), *READERS, bare=("mnelab",))


def test_it_opens_a_recorded_session(tmp_path, mnelab):
    times, samples = eeg(8.0)
    marks = [Chunk.of([1002.0], np.array([["trial/start"]], object))]
    path = record_session(tmp_path / "out", {"eeg": chunks_of(times, samples)}, marks)
    said = mnelab.run_json(HERE / "mnelab_reader.py", path, EEG_INFO.name, tmp_path / "samples.npy")
    assert tuple(said["labels"]) == EEG_INFO.labels
    assert said["rate_hz"] == pytest.approx(RATE_HZ)
    volts = np.load(tmp_path / "samples.npy")
    np.testing.assert_allclose(volts.T * 1e6, samples, rtol=1e-6)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(said["date"])) < timedelta(hours=1)
    assert [at_s for at_s, text in said["marks"] if text == "trial/start"] == [pytest.approx(2.0, abs=1e-3)]
