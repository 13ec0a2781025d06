"""EEGMAT: made-up files in its layout, and the real ones where they are."""

import pickle

import numpy as np
import pytest
from support.raw_files import EEGMAT_LABELS, eegmat_values, read_all, samples_of, write_eegmat

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.eegmat import CHANNELS, read_eegmat


def test_a_person_is_baseline_then_rest_then_arithmetic_of_the_same_length(tmp_path):
    write_eegmat(tmp_path, subject=7)
    sessions, problems = read_all(read_eegmat, tmp_path)
    assert problems == []
    assert list(sessions) == [("7", "1")]
    baseline, rest, arithmetic = sessions["7", "1"]
    assert baseline.trials == ()
    for label, segment in enumerate((rest, arithmetic)):
        (span,) = segment.trials
        assert (span.start_s, span.stop_s, span.labels) == (0.0, 3.0, {"load": label})
    assert (rest.trials[0].name, arithmetic.trials[0].name) == ("rest", "arithmetic")
    values = {1: eegmat_values(24, 1), 2: eegmat_values(3, 2)}
    parts = ((baseline, values[1][:2100]), (rest, values[1][2100:]), (arithmetic, values[2]))
    for segment, expected in parts:
        eeg, ecg = segment.streams["eeg"].info, segment.streams["ecg"].info
        assert (eeg.type, eeg.rate_hz, eeg.labels) == ("EEG", 100.0, CHANNELS["eeg"])
        assert set(eeg.units) == {"microvolts"}
        assert (ecg.type, ecg.labels, ecg.units) == ("ECG", ("ECG",), ("microvolts",))
        times, found = samples_of(segment, "eeg")
        np.testing.assert_allclose(times, np.arange(len(expected)) / 100)
        np.testing.assert_allclose(found, expected[:, :19], atol=1e-3)
        np.testing.assert_allclose(samples_of(segment, "ecg")[1], expected[:, 20:], atol=1e-3)


def test_too_short_a_rest_leaves_no_baseline(tmp_path):
    write_eegmat(tmp_path, seconds=(22, 3))
    sessions, problems = read_all(read_eegmat, tmp_path)
    assert sessions == {}
    assert "leaves 19 s for the baseline, less than 20 s; the person is left out" in str(problems[0])


def test_channels_are_found_by_name(tmp_path):
    order = [*EEGMAT_LABELS[::-1]]
    write_eegmat(tmp_path, labels=order)
    sessions, problems = read_all(read_eegmat, tmp_path)
    assert problems == []
    values = eegmat_values(24, 1)[:2100]
    found = samples_of(sessions["0", "1"][0], "eeg")[1]
    np.testing.assert_allclose(found, values[:, 20 - np.arange(19)], atol=1e-3)


def test_a_missing_or_damaged_file_costs_only_its_person(tmp_path):
    for subject in range(5):
        write_eegmat(tmp_path, subject)
    (tmp_path / "Subject00_2.edf").unlink()
    (tmp_path / "Subject01_1.edf").write_bytes(b"nothing of the kind")
    write_eegmat(tmp_path, 2, labels=[label for label in EEGMAT_LABELS if "ECG" not in label])
    write_eegmat(tmp_path, 3, labels=[label for label in EEGMAT_LABELS if label != "EEG Pz"])
    sessions, problems = read_all(read_eegmat, tmp_path)
    assert list(sessions) == [("4", "1")]
    lines = [str(problem) for problem in problems if problem.left_out]
    assert "subject 0, session 1" in lines[0]
    assert "Subject00_2.edf): no such file (arithmetic); the person is left out" in lines[0]
    assert "subject 1" in lines[1]
    assert "ecg: no channel of type ECG" in lines[2]
    assert "eeg: no channel Pz" in lines[4]


def test_segments_can_be_sent_to_another_process(tmp_path):
    write_eegmat(tmp_path)
    (segments,) = read_eegmat(tmp_path, lambda _: None)
    sent = pickle.dumps(segments)
    assert len(sent) < 7000  # what is sent is where the samples are
    back = pickle.loads(sent)
    np.testing.assert_array_equal(samples_of(back[1], "eeg")[1], samples_of(segments[1], "eeg")[1])


def test_a_folder_without_any_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"no SubjectNN_1\.edf"):
        list(read_eegmat(tmp_path, lambda _: None))


def test_the_real_recordings(shared_data):
    root = shared_data / "eegmat"
    problems = []
    sessions = list(read_eegmat(root, problems.append))
    assert problems == []
    assert len(sessions) >= 18
    for baseline, rest, arithmetic in sessions:
        assert baseline.trials == ()
        assert rest.trials[0].stop_s == arithmetic.trials[0].stop_s == 62.0
    times, eeg = samples_of(sessions[0][0], "eeg")
    assert eeg.shape == (60_000, 19)
    assert times[-1] == pytest.approx(119.998)
    assert 5.0 < np.median(eeg.std(axis=0)) < 50.0  # microvolts
    assert samples_of(sessions[0][1], "ecg")[1].shape == (31_000, 1)
