"""Recorded sessions replay bit for bit, and a difference is found at the stage where it begins."""

import numpy as np
import pytest
from model_files import small_tensors
from recorded_sessions import chunks_of, record_session
from small_sessions import EEG_INFO, contract, eeg, eye

from bci_m2s import build
from bci_m2s.contract import save_model
from bci_m2s.errors import RecordingError, UsageError
from bci_m2s.features.de import DifferentialEntropy
from bci_m2s.filters import FilterBank
from bci_m2s.predictor import Predictor
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.types import Chunk
from bci_m2s.verify import verify


def eeg_chunks(seconds=14, **options):
    return chunks_of(*eeg(seconds, **options))


def test_every_estimate_comes_back_whatever_the_chunks(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(20), "eye": chunks_of(*eye(20), size=7)})
    for seed in range(3):
        result = verify(path, seed=seed)
        assert result.first is None
        assert result.tolerance == 0.0
        assert result.equal == {"eeg": 80, "eye": 80}
        assert result.made > 60
        assert result.unrecorded == 0
        assert result.notes == []


def test_gaps_nan_stamps_bad_channels_and_a_marked_baseline_come_back(tmp_path):
    times, samples = eeg(30)
    times[3000:] += 0.7
    times[3600:3620] = np.nan
    samples[5000:5300, 2] = np.nan
    marks = [Chunk.of([1006.0], np.array([["baseline/start"]], object))]
    path = record_session(tmp_path / "s", {"eeg": chunks_of(times, samples)}, marks)
    result = verify(path, seed=4)
    assert result.first is None
    assert result.equal == {"eeg": 119}  # the gap cuts a block short


@pytest.mark.parametrize("mode", ["auto", "fused"])
def test_one_line_of_two_modalities_comes_back(tmp_path, mode):
    chunks = {"eeg": eeg_chunks(24), "eye": chunks_of(*eye(24), size=9)}
    path = record_session(tmp_path / "s", chunks, modality=mode)
    result = verify(path)
    assert result.first is None
    assert result.made > 40
    assert all(name in ("eeg", "eye", "eeg+eye") for name in result.equal)


def test_an_adopted_baseline_is_part_of_the_recording(tmp_path, monkeypatch):
    plain = build.make_pipeline

    def with_baseline(*arguments):
        pipeline = plain(*arguments)
        stage = pipeline.stages["eeg"]
        mean = np.linspace(1, 4, len(stage.feature_names))
        mean[3] = np.nan
        stage.adopt_baseline(mean, np.full(len(mean), 0.5))
        return pipeline

    monkeypatch.setattr(build, "make_pipeline", with_baseline)
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(12)})
    monkeypatch.undo()
    result = verify(path)
    assert result.first is None
    assert result.made > 15


class Changed:
    """A recorder that hands on what it is given, one sample changed."""

    def __init__(self, recorder):
        self._recorder, self._seen = recorder, 0

    def __getattr__(self, name):
        return getattr(self._recorder, name)

    def samples(self, stream, chunk):
        if stream == 1:
            self._seen += 1
            if self._seen == 40:
                samples = chunk.samples.copy()
                samples[3, 2] += 1e-3
                chunk = Chunk(chunk.times, samples, chunk.received_s)
        return self._recorder.samples(stream, chunk)


def test_a_changed_sample_is_found(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks()}, recorder_of=Changed)
    first = verify(path).first
    assert first.stage == "samples"
    assert 39 * 50 <= first.last_sample < 39 * 50 + 50 + 64
    assert "differs from the samples on" in first.describe()


def test_other_filters_are_found(tmp_path, monkeypatch):
    plain = FilterBank.each

    def shifted(self, samples):
        return [band * (1 + 1e-12) for band in plain(self, samples)]

    monkeypatch.setattr(FilterBank, "each", shifted)
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks()})
    monkeypatch.undo()
    assert verify(path).first.stage == "filters"


def test_other_features_are_found(tmp_path, monkeypatch):
    plain = DifferentialEntropy._step

    def shifted(self):
        step = plain(self)
        step.values[0] += 1e-9 * len(self._recent[-1].second) * self._recent[-1].second[0, 0]
        return step

    monkeypatch.setattr(DifferentialEntropy, "_step", shifted)
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks()})
    monkeypatch.undo()
    assert verify(path).first.stage == "features"


def test_another_network_is_found(tmp_path, monkeypatch):
    plain = Predictor._run

    def scaled(self, modality, windows):
        return plain(self, modality, windows) * np.float32(1.001)

    monkeypatch.setattr(Predictor, "_run", scaled)
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks()})
    monkeypatch.undo()
    result = verify(path)
    assert result.first.stage == "network"
    assert 0 < result.largest < 0.01


def test_a_model_of_the_same_name_that_is_another_is_refused(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(10)})
    other = tmp_path / "other.safetensors"
    save_model(other, contract(), small_tensors(contract(), seed=5))
    with pytest.raises(UsageError, match=r"sha256: got .*, expected .*small\.safetensors"):
        verify(path, model=str(other))


def test_a_recording_without_estimates_is_refused(tmp_path):
    writer = XdfWriter(tmp_path / "raw.xdf")
    stream = writer.add_stream(EEG_INFO)
    times, samples = eeg(2)
    writer.samples(stream, times, samples)
    writer.close()
    with pytest.raises(RecordingError, match="holds no estimates of bci_m2s"):
        verify(tmp_path / "raw.xdf")
