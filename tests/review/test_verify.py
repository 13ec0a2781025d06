"""Recorded sessions replay bit for bit, and a difference is found at the stage where it begins."""

import time

import numpy as np
import pytest
from support.model_files import small_tensors
from support.nightly import tries
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import EEG_INFO, ScriptedSource, contract, eeg, eye, pipeline

from bci_m2s.errors import CommandError, RecordingError, UsageError
from bci_m2s.features.de import DifferentialEntropy
from bci_m2s.model.model_file import save_model
from bci_m2s.model.predictor import Predictor
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.review import recorded as recorded_session
from bci_m2s.review.facts import recording_facts
from bci_m2s.review.verify import verify
from bci_m2s.session.setup import build
from bci_m2s.signal.filters import FilterBank
from bci_m2s.types import Chunk


def eeg_chunks(seconds=14, **options):
    return chunks_of(*eeg(seconds, **options))


def test_every_estimate_comes_back_whatever_the_chunks(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(16), "eye": chunks_of(*eye(16), size=7)})
    for seed in range(tries(2, 3)):
        result = verify(path, seed=seed)
        assert result.first is None
        assert result.tolerance == 0.0
        assert result.equal == {"eeg": 64, "eye": 64}
        assert result.made > 30
        assert result.unrecorded == 0
        assert result.notes == []


@pytest.mark.parametrize("unknown_below", [0.0, 1.0])
def test_a_threshold_of_the_pipeline_replaces_the_models(tmp_path, unknown_below):
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(14)}, unknown_below=unknown_below)
    (answers,) = recording_facts(open_recording(path)).answers
    assert answers.made.sum() > 20
    assert answers.unknown[answers.made].mean() == unknown_below
    assert verify(path).first is None


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
    chunks = {"eeg": eeg_chunks(18), "eye": chunks_of(*eye(18), size=9)}
    path = record_session(tmp_path / "s", chunks, modality=mode)
    result = verify(path)
    assert result.first is None
    assert result.made > 40
    assert all(name in ("eeg", "eye", "eeg+eye") for name in result.equal)


def test_an_adopted_baseline_is_part_of_the_recording(tmp_path, monkeypatch):
    plain = build.make_pipeline

    def with_baseline(*arguments):
        pipeline = plain(*arguments)
        mean = np.linspace(1, 4, len(pipeline.feature_names["eeg"]))
        mean[3] = np.nan
        pipeline.adopt_baseline("eeg", mean, np.full(len(mean), 0.5))
        return pipeline

    monkeypatch.setattr(build, "make_pipeline", with_baseline)
    path = record_session(tmp_path / "s", {"eeg": eeg_chunks(12)})
    monkeypatch.undo()
    result = verify(path)
    assert result.first is None
    assert result.made > 15


HALTING = {}  # the newest, by stream type


class Halting(ScriptedSource):
    """Delivers up to ``limit`` samples and waits there until it is raised."""

    def __init__(self, info, chunks):
        super().__init__(info, chunks)
        self.limit = 0
        HALTING[info.type] = self

    def pull(self, timeout_s):
        if self._chunks and self.delivered + len(self._chunks[0]) > self.limit:
            time.sleep(min(timeout_s, 0.005))
            return Chunk.empty(self.info.n_channels)
        return super().pull(timeout_s)


def play_until(engine, n_samples):
    """Deliver so many samples and wait until the pipeline has seen them."""
    source = HALTING["EEG"]
    source.limit = n_samples
    limit = time.monotonic() + 120.0
    while engine._inference.judge.state("eeg").samples < n_samples:
        assert time.monotonic() < limit
        time.sleep(0.002)


def commanded(engine):
    """A baseline is ended early, begun anew, ended too early (refused), ended early again."""
    play_until(engine, 7000)  # in the middle of a block, and of a chunk's grid
    engine.end_baseline()
    play_until(engine, 8550)
    engine.mark("pause\x1b")
    engine.start_baseline()
    play_until(engine, 9100)
    with pytest.raises(CommandError, match="it goes on"):
        engine.end_baseline()
    play_until(engine, 12850)
    engine.end_baseline()
    HALTING["EEG"].limit = 10**9


LONG = {"normaliser": {"name": "baseline", "params": {"duration_s": 60.0}}}


def test_baselines_that_the_operator_began_and_ended_come_back(tmp_path, monkeypatch):
    chunks = {"eeg": eeg_chunks(58)}
    path = record_session(tmp_path / "s", chunks, source_of=Halting, during=commanded, eeg=LONG)
    for seed in range(tries(1, 2)):
        result = verify(path, seed=seed)
        assert result.first is None
        assert result.equal == {"eeg": 232}
        assert result.unrecorded == 0
    assert result.made > 40  # behind both ends, not between
    facts = recording_facts(open_recording(path))
    logged = [(event.kind, event.fields.get("at_sample")) for event in facts.events]
    kinds = ("baseline_started", "baseline_ended", "command_refused", "marker")
    assert [one for one in logged if one[0] in kinds] == [
        ("baseline_ended", 7000),
        ("marker", None),
        ("baseline_started", 8550),
        ("command_refused", None),
        ("baseline_ended", 12850),
    ]
    assert [text for _, text in facts.markers] == ["pause?"]
    (marker,) = [event for event in facts.events if event.kind == "marker"]
    assert marker.fields["origin"] == "operator"
    # and it is these events that bring them back
    fewer = tuple(kind for kind in recorded_session.CONTROLS if kind != "baseline_ended")
    monkeypatch.setattr(recorded_session, "CONTROLS", fewer)
    assert verify(path).first is not None


def test_a_recorded_end_of_a_baseline_that_cannot_be_is_refused(tmp_path, monkeypatch):
    def ended(engine):
        play_until(engine, 7650)
        engine.end_baseline()
        HALTING["EEG"].limit = 10**9

    chunks = {"eeg": eeg_chunks(34)}
    path = record_session(tmp_path / "s", chunks, source_of=Halting, during=ended, eeg=LONG)
    plain = recorded_session._control

    def early(*arguments):
        modality, (_, kind, line) = plain(*arguments)
        return modality, (1000, kind, line)

    monkeypatch.setattr(recorded_session, "_control", early)
    with pytest.raises(
        RecordingError, match=r"eeg: event 'baseline_ended' before sample 1000: .*at least 10"
    ):
        verify(path)


@pytest.mark.parametrize(
    "options", [{}, {"wait_for_marker": True}, {"eeg": {"normaliser": {"name": "training"}}}]
)
def test_a_stage_refuses_to_end_what_is_no_baseline(options):
    with pytest.raises(ValueError, match="baseline: "):
        pipeline(**options).control("eeg", "baseline_ended", {})


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
    plain = FilterBank.apply

    def shifted(self, samples):
        return plain(self, samples) * (1 + 1e-12)

    monkeypatch.setattr(FilterBank, "apply", shifted)
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
