"""The report on a copy of a data set."""

import os
import pickle

import numpy as np
import pytest
from dataset_files import seed_v_trials, write_seed, write_seed_iv, write_seed_v

from bci_m2s.errors import RecordingError, UsageError
from bci_m2s.training.dataset_check import check_dataset, print_dataset_check


def test_a_report_counts_trials_steps_and_classes(tmp_path):
    write_seed_v(tmp_path, subject=3)
    lines = check_dataset(tmp_path, "seed-v")
    steps = [sum(key % 4 + 1 for key in range(first, first + 15)) for first in (0, 15, 30)]
    for session, count in enumerate(steps, 1):
        expected = f"eeg 15 of 15 trials, {count} steps; eye 15 of 15 trials, {count} steps"
        assert f"subject 3, session {session}: {expected}" in lines
    assert [line for line in lines if line.endswith("nothing found")] == [
        f"subject {subject}: nothing found" for subject in range(1, 17) if subject != 3
    ]
    shares = "disgust 9, fear 9, sad 9, neutral 9, happy 9"
    assert lines[-2:] == [f"trials: 45 of 720 found, 45 complete ({shares})", "problems: 0; notes: 0"]


def test_a_report_names_what_is_missing_and_malformed(tmp_path):
    write_seed_iv(tmp_path, subject=5, sessions=(1, 2))
    (tmp_path / "eye_feature_smooth" / "1" / "5_20150915.mat").unlink()
    (tmp_path / "eeg_feature_smooth" / "2" / "5_20150915.mat").write_bytes(b"nothing of the kind")
    lines = check_dataset(tmp_path, "seed-iv")
    start = lines.index("subject 5, session 1: eeg 24 of 24 trials, 851 steps; eye missing")
    assert lines[start + 1].startswith("subject 5, session 2: eeg missing; eye 24 of 24")
    assert lines[start + 2] == "subject 5, session 3: eeg missing; eye missing"
    assert lines[start + 3] == "  subject 5, session 1 (1/5_20150915.mat): no such file"
    assert "not a readable MATLAB file" in lines[start + 4]
    assert lines[-2].startswith("trials: 48 of 1080 found, 0 complete")
    assert lines[-1] == "problems: 2; notes: 0"


def test_missing_trials_are_listed_as_ranges(tmp_path):
    labels = {key: np.zeros(0) for key in (1, 2, 3, 6)}
    eeg, eye, good = seed_v_trials()
    write_seed_v(tmp_path, eeg=eeg, eye=eye, labels=good | labels)
    lines = check_dataset(tmp_path, "seed-v")
    assert any("eeg 11 of 15 trials" in line and "missing 2-4, 7" in line for line in lines)


def test_eye_data_are_not_asked_of_subjects_that_have_none(tmp_path):
    write_seed(tmp_path, subject=6, with_eye=False)
    lines = check_dataset(tmp_path, "seed")
    assert "subject 6, session 1: eeg 15 of 15 trials, 842 steps" in lines
    assert "15 complete" in lines[-2]


@pytest.mark.parametrize(
    "held", [None, 1, "a", [], [[1.0], [1.0, 2.0]], {}, {"a": 1}, np.zeros(0), np.zeros((2, 2, 2)), 1 << 80]
)
def test_whatever_a_trial_or_label_holds_the_report_goes_on(tmp_path, held):
    eeg, eye, labels = seed_v_trials()
    write_seed_v(tmp_path, eeg=eeg | {4: held}, eye=eye | {5: held}, labels=labels | {6: held})
    lines = check_dataset(tmp_path, "seed-v")
    assert lines[-2].startswith("trials: 44 of 720 found, 42 complete")
    assert lines[-1] == "problems: 4; notes: 0"


class Canary:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_malicious_file_is_one_line_and_never_runs(tmp_path):
    write_seed_v(tmp_path, subject=1)
    canary = tmp_path / "canary"
    path = tmp_path / "EEG_DE_features" / "1_123.npz"
    np.savez(path, data=pickle.dumps(Canary(canary)), label=pickle.dumps({}))
    lines = check_dataset(tmp_path, "seed-v")
    named = [line for line in lines if "refused" in line]
    assert len(named) == 1
    assert f"{os.mkdir.__module__}.mkdir" in named[0]
    assert not canary.exists()


def test_printed_lines_are_whole_and_taken_literally(tmp_path, capsys):
    root = tmp_path / "[red]copy"
    write_seed_v(root, subject=1)
    print_dataset_check(root, "seed-v")
    assert capsys.readouterr().out.splitlines() == check_dataset(root, "seed-v")


def test_a_folder_that_is_no_copy_and_an_unknown_format(tmp_path):
    with pytest.raises(RecordingError, match="EEG_DE_features"):
        check_dataset(tmp_path, "seed-v")
    with pytest.raises(UsageError, match="nearest: 'seed-v'"):
        check_dataset(tmp_path, "seed-x")
