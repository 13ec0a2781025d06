"""Band power: in the right unit, of samples that can be used, on the scalp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.handover.marks import Mark
from bci_m2s.handover.power import power_of
from bci_m2s.handover.signal_figures import scalp_figure
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.review.facts import RecordingStream, recording_facts
from bci_m2s.types import FloatArray, StreamInfo

LABELS = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
RATE_HZ, SECONDS, NOISE_UV = 250.0, 40, 10.0


def eeg(times: FloatArray, samples: np.ndarray, labels: tuple[str, ...] = LABELS) -> RecordingStream:
    info = StreamInfo("cap", "EEG", rate_hz=RATE_HZ, labels=labels, units=("uV",) * len(labels))
    stream = RecordedStream(info, times, lambda start, stop: samples[start:stop])
    (found,) = recording_facts(Recording(Path("x.xdf"), (stream,))).streams
    return found


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(scale=NOISE_UV, size=(int(SECONDS * RATE_HZ), len(LABELS)))


def test_white_noise_has_the_density_of_its_variance(noise: np.ndarray) -> None:
    power = power_of(eeg(np.arange(len(noise)) / RATE_HZ, noise), [], SEED_BANDS_HZ)
    assert power is not None
    assert len(power.starts_s) == SECONDS / 2
    expected_db = 10 * np.log10(NOISE_UV**2 / (RATE_HZ / 2))
    found = power.mean_db(np.ones(len(power.starts_s), bool))
    np.testing.assert_allclose(found[:, list(SEED_BANDS_HZ).index("gamma")], expected_db, atol=0.6)
    spectrum_db = 10 * np.log10(power.spectrum[:, 10:-10].mean(axis=1))
    np.testing.assert_allclose(spectrum_db, expected_db, atol=0.2)


def test_bad_spans_and_gaps_do_not_count(noise: np.ndarray) -> None:
    times = np.arange(len(noise)) / RATE_HZ
    later = times >= 20
    noise[later, 0] *= 100
    noise[3, 1] = np.nan
    bad = [Mark(20.0, 20.0, "bad", "BAD_noisy", "Fp1")]
    power = power_of(eeg(np.where(later, times + 5.0, times), noise), bad, SEED_BANDS_HZ)
    assert power is not None
    usable = np.isfinite(power.power[:, :, 2])
    # a window that touches the bad span, or the second before it, does not count for that channel
    assert usable[:, 0].tolist() == [start < 17 or start > 40 for start in power.starts_s]
    assert not usable[0, 1]
    assert usable[1:, 2].all()
    clean = power.mean_db(np.array([start < 17 for start in power.starts_s]))
    np.testing.assert_allclose(clean[0], clean[2], atol=2.0)
    nothing = power.mean_db(np.zeros(len(power.starts_s), bool))
    assert np.isnan(nothing).all()


def test_a_map_needs_positions(noise: np.ndarray) -> None:
    noise[:, 8:] += 30 * np.sin(2 * np.pi * 10 * np.arange(len(noise)) / RATE_HZ)[:, None]
    stream = eeg(np.arange(len(noise)) / RATE_HZ, noise)
    bands = {name: SEED_BANDS_HZ[name] for name in ("alpha", "beta")}
    power = power_of(stream, [], bands)
    assert power is not None
    values = power.mean_db(np.ones(len(power.starts_s), bool))
    assert values[8:, 0].min() > values[:8, 0].max() + 5
    figure = scalp_figure(stream, power, {"whole session": values})
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes[:2]] == ["alpha\n8–14 Hz", "beta\n14–31 Hz"]
    unknown = eeg(stream.times, noise, tuple(f"ch{n}" for n in range(len(LABELS))))
    assert scalp_figure(unknown, power, {"whole session": values}) is None


def test_too_short_for_a_window() -> None:
    assert power_of(eeg(np.arange(100) / RATE_HZ, np.zeros((100, 10))), [], SEED_BANDS_HZ) is None
