"""The report on a copy of a data set."""

import os
import pickle
import re

import numpy as np
import pytest
from support.dataset_files import save_mat, seed_v_trials, write_seed, write_seed_iv, write_seed_v
from support.model_files import small_contract
from support.raw_files import raw_clips, write_dreamer, write_eegmat, xdf

from bci_m2s.errors import ConfigurationError, RecordingError, UsageError
from bci_m2s.training.dataset_check import check_dataset, print_dataset_check
from bci_m2s.training.datasets import DATASETS, find_dataset, seed_layout
from bci_m2s.training.settings import DataSettings


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


def test_a_raw_report_tells_streams_trials_and_labels(tmp_path):
    write_eegmat(tmp_path, 0)
    write_eegmat(tmp_path, 3)
    (tmp_path / "Subject03_1.edf").unlink()
    lines = check_dataset(tmp_path, "eegmat")
    assert lines[1:4] == [
        "subject 0, session 1: eeg 19 channels (Fp1, Fp2, F3, F4, F7, F8, T3, T4, ...), 100 Hz, 27.0 s; "
        "ecg 1 channel (ECG), 100 Hz, 27.0 s",
        "    trial rest: 3.0 s, load rest",
        "    trial arithmetic: 3.0 s, load arithmetic",
    ]
    assert lines[4] == "subject 3: nothing found"
    assert lines[5].startswith("  subject 3, session 1")
    assert "Subject03_1.edf): no such file (rest)" in lines[5]
    assert lines[-5:-2] == [
        "subjects 1-2, 4-35: nothing found",
        "people: 1 of 36; sessions: 1; trials: 2",
        "load: rest 1, arithmetic 1",
    ]
    assert lines[-2].startswith("note: rest always comes first")
    assert lines[-1] == "problems: 1; notes: 0"


def test_each_head_is_counted(tmp_path):
    write_dreamer(tmp_path)
    lines = check_dataset(tmp_path, "dreamer")
    assert "    trial 5: 2.0 s, valence high, arousal low, dominance low" in lines
    assert lines[-5:] == [
        "people: 2 of 23; sessions: 2; trials: 36",
        "valence: low 24, high 12",
        "arousal: low 22, high 14",
        "dominance: low 20, high 16",
        "problems: 0; notes: 0",
    ]


def test_raw_signals_are_asked_for_by_that_word(tmp_path):
    save_mat(tmp_path / "eeg_raw_data" / "1" / "4_20150508.mat", raw_clips("ab", 24))
    path = tmp_path / "eeg_raw_data" / "1" / "5_20150508.mat"
    save_mat(path, raw_clips("ab", 24))
    path.write_bytes(path.read_bytes()[:-100])
    save_mat(tmp_path / "eeg_raw_data" / "2" / "5_20150508.mat", raw_clips("ab", 24, seconds=1))
    lines = check_dataset(tmp_path, "seed-iv", "raw")
    assert sum(line.startswith("    trial") for line in lines) == 48
    assert any("5_20150508.mat): not a readable MATLAB file" in line for line in lines)
    assert "people: 2 of 15; sessions: 2; trials: 48" in lines
    with pytest.raises(RecordingError, match="eeg_feature_smooth"):
        check_dataset(tmp_path, "seed-iv")
    with pytest.raises(UsageError, match="eegmat has no feature 'de'"):
        check_dataset(tmp_path, "eegmat", "de")


def test_samples_that_cannot_be_read_are_a_line(tmp_path, monkeypatch):
    def broken(_path, variable):
        raise RecordingError(f"{variable}: broke off")

    save_mat(tmp_path / "eeg_raw_data" / "1" / "4_20150508.mat", raw_clips("ab", 24))
    monkeypatch.setattr(seed_layout, "_samples", broken)
    lines = check_dataset(tmp_path, "seed-iv", "raw")
    assert lines[1] == "subject 4, session 1: nothing readable"
    assert sum("eeg: ab_eeg" in line and "broke off" in line for line in lines) == 24


def recording(path, markers, seconds=4):
    stamps = 100 + np.arange(seconds * 256) / 256
    labels = ("TP9", "AF7", "AF8", "TP10")
    eeg = ("cap", "EEG", 256, labels, ["uV"] * 4, stamps, np.ones((len(stamps), 4)))
    eye_labels = ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence")
    units = ("normalized", "normalized", "mm", "mm", "")
    eye = ("eyes", "Gaze", 128, eye_labels, units, stamps[: seconds * 64 : 2], np.ones((seconds * 32, 5)))
    path.write_bytes(xdf([eeg, eye], markers))


def test_what_cannot_be_in_the_stated_unit_is_a_problem(tmp_path):
    """Two channels in volts that are called microvolts, a flat one, and one of no unit."""
    stamps = 100 + np.arange(4 * 256) / 256
    values = 1e-5 * np.where(np.arange(1024)[:, None] % 8 < 4, 1.0, -1.0) * [1.0, 1.0, 1e6, 0.0, 1.0]
    labels, units = ("TP9", "AF7", "AF8", "TP10", "AUX"), ["uV"] * 4 + [""]
    eeg = ("cap", "EEG", 256, labels, units, stamps, values)
    gaze = (
        "eyes",
        "Gaze",
        128,
        ("gaze_x", "gaze_y"),
        ["normalized"] * 2,
        stamps[::2],
        960 + values[::2, :2],
    )
    (tmp_path / "sub-A_ses-2.xdf").write_bytes(xdf([eeg, gaze], [(100.5, "trial/start/neutral")]))
    lines = check_dataset(tmp_path, "recordings")
    found = [line.split(": ", 1)[1] for line in lines if "amplitude" in line]
    assert found == [
        "eeg: TP9, AF7: amplitude 0.00001 µV; would be 10 µV if the sender sends volts",
        "gaze: gaze_x, gaze_y: amplitude 1000 normalized cannot be",
    ]
    (line,) = [line for line in lines if "throughout" in line]
    assert line.endswith("): eeg: TP10: missing throughout (flat)")
    assert lines[-1] == "problems: 2; notes: 1"


def test_own_recordings(tmp_path, capsys):
    marks = [
        (100.5, "trial/start/neutral"),
        (103.5, "trial/stop/neutral"),
        (103.6, "trial/start/\x1b[31mred"),
    ]
    recording(tmp_path / "sub-A_ses-2.xdf", marks)
    lines = check_dataset(tmp_path, "recordings")
    assert lines[1].startswith(
        "subject A, session 2: eeg 4 channels (TP9, AF7, AF8, TP10), 256 Hz, 4.0 s; gaze 5"
    )
    assert lines[2] == (
        "    sub-A_ses-2.xdf: EEG 4, Gaze 5; markers 'trial/start/neutral' 1, 'trial/stop/neutral' 1, "
        "'trial/start/\\x1b[31mred' 1"
    )
    assert lines[3] == "    trial 1: 3.0 s, emotion neutral, gaze has 0.5 s of it"
    assert lines[-2:] == ["emotion: \x1b[31mred 1, neutral 1", "problems: 1; notes: 1"]
    assert any("eeg: TP9, AF7, AF8, TP10: missing throughout (flat)" in line for line in lines)
    (problem,) = [line for line in lines if "gaze has no sample in it" in line]
    assert "trial 2" in problem
    print_dataset_check(tmp_path, "recordings")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].needs_root])
def test_every_format_refuses_a_folder_that_holds_nothing(tmp_path, name):
    with pytest.raises(RecordingError, match=re.escape(str(tmp_path))):
        check_dataset(tmp_path, name)


def test_what_is_made_has_no_copy_to_check(tmp_path):
    with pytest.raises(UsageError, match="'simulated' is made, not read"):
        check_dataset(tmp_path, "simulated")


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_says_what_it_is_and_gives_sessions_as_a_training_file_asks(name, tmp_path):
    """Also of an installed package."""
    data_set, feature = find_dataset(name)
    assert feature in data_set.features
    assert data_set.heads or data_set.of_copy is not None
    assert all(len(names) > 1 for names in data_set.heads.values())
    assert (data_set.read is None) == (not data_set.step_s)
    settings = DataSettings(format=name, root=tmp_path, persons=1, simulator={"n_trials": 2})
    if not data_set.needs_root:
        (segment, *_rest) = next(data_set.sessions(settings, small_contract(), print))
        assert {*segment.trials[0].labels} <= {*data_set.heads}
        assert len(next(iter(segment.streams.values())).chunks().__next__()) > 0
    else:
        with pytest.raises((RecordingError, ConfigurationError)):
            list(data_set.sessions(settings, small_contract(), print))
