"""DEAP: made-up files in its layout, as Python 2 wrote them."""

import os

import numpy as np
import pytest
from support.raw_files import deap_values, read_all, samples_of, write_deap

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets import deap
from bci_m2s.training.datasets.deap import read_deap


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy with one person in the size of the real files."""
    root = tmp_path_factory.mktemp("deap")
    write_deap(root / "data_preprocessed_python", subject=9)
    return root


@pytest.fixture
def short(monkeypatch):
    """Trials of 1 s, so that many files can be written."""
    monkeypatch.setattr(deap, "N_TRIALS", 3)
    monkeypatch.setattr(deap, "N_SAMPLES", 128)


def test_tables_are_those_of_the_owners():
    assert (len(deap.EEG), len(set(deap.EEG)), deap.N_CHANNELS, deap.N_SAMPLES) == (32, 32, 40, 8064)
    assert (deap.EEG[18], deap.EEG[31], list(deap.PERIPHERAL)[4]) == ("Fz", "O2", "GSR")


def test_each_trial_is_a_segment(copy):
    problems = []
    ((*segments,),) = read_deap(copy, problems.append)
    assert problems == []
    assert len(segments) == 40
    data, ratings = deap_values()
    for trial in (0, 17, 39):
        segment = segments[trial]
        assert (segment.subject, segment.session) == ("9", "1")
        (span,) = segment.trials
        assert (span.name, span.start_s, span.stop_s) == (str(trial + 1), 3.0, 63.0)
        assert span.labels == {
            head: int(ratings[trial, place] > 5)
            for place, head in enumerate(("valence", "arousal", "dominance", "liking"))
        }
        times, eeg = samples_of(segment, "eeg")
        np.testing.assert_array_equal(times, np.arange(8064) / 128)
        np.testing.assert_array_equal(eeg, data[trial, :32].T)
        np.testing.assert_array_equal(samples_of(segment, "peripheral")[1], data[trial, 32:].T)
    assert segments[0].streams["peripheral"].info.labels == tuple(deap.PERIPHERAL)


def test_the_folder_itself_will_do_and_the_threshold_is_a_setting(copy):
    for threshold in (2.0, 5.0, 8.5):
        ((*segments,),) = read_deap(copy / "data_preprocessed_python", lambda _: None, threshold)
        high = sum(segment.trials[0].labels["arousal"] for segment in segments)
        assert high == np.count_nonzero(deap_values()[1][:, 1] > threshold)


@pytest.mark.usefixtures("short")
def test_what_is_wrong_is_reported_and_the_rest_is_read(tmp_path):
    data, ratings = deap_values()
    bad = ratings.copy()
    bad[0, 2], bad[2, 3] = 0.5, np.nan
    spoilt = data.astype(np.float64)
    write_deap(tmp_path, 1, {"data": data, "labels": bad})
    write_deap(tmp_path, 2, {"data": data[:, :39], "labels": ratings})
    write_deap(tmp_path, 3, {"data": spoilt})
    write_deap(tmp_path, 4, ["no", "dict"])
    write_deap(tmp_path, 5, {"data": data, "labels": ratings})
    (tmp_path / "s06.dat").write_bytes(b"")
    sessions, problems = read_all(read_deap, tmp_path)
    assert [len(segments) for segments in sessions.values()] == [1, 3]
    assert [span.name for span in sessions["1", "1"][0].trials] == ["2"]
    lines = [str(problem) for problem in problems]
    assert "subject 1, session 1, trial 1" in lines[0]
    assert "dominance rated 0.5, expected between 1 and 9" in lines[0]
    assert "liking rated nan" in lines[1]
    assert "'data': shape (3, 39, 128), expected (3, 40, 128)" in lines[2]
    assert "'labels': missing" in lines[3]
    assert "subject 4" in lines[4]
    assert "not a readable pickle" in lines[5]
    assert len(lines) == 6


class Canary:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.usefixtures("short")
def test_a_malicious_file_never_runs(tmp_path):
    data, ratings = deap_values()
    write_deap(tmp_path, 1, {"data": data, "labels": ratings, "more": Canary(tmp_path / "canary")})
    sessions, (problem,) = read_all(read_deap, tmp_path)
    assert sessions == {}
    assert "refused" in problem.text
    assert "mkdir" in problem.text
    assert not (tmp_path / "canary").exists()


@pytest.mark.usefixtures("short")
def test_a_file_that_changes_is_read_again(tmp_path):
    data, ratings = deap_values()
    path = write_deap(tmp_path, 1)
    (segments,) = read_deap(tmp_path, lambda _: None)
    write_deap(tmp_path, 1, {"data": data + np.int8(1), "labels": ratings})
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(samples_of(segments[0], "eeg")[1], data[0, :32].T + 1.0)
    path.write_bytes(b"gone")
    os.utime(path, ns=(2, 2))
    with pytest.raises(RecordingError, match=r"s01\.dat"):
        samples_of(segments[0], "eeg")


def test_a_folder_without_any_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"no s01\.dat"):
        list(read_deap(tmp_path, lambda _: None))
