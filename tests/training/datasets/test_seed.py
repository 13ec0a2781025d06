"""SEED, SEED-IV and SEED-V: layouts, order of features, labels, where trials are cut."""

import numpy as np
import pytest
from scipy import io
from support.dataset_files import marked, save_mat, seed_v_trials, write_seed, write_seed_iv, write_seed_v

from bci_m2s.errors import RecordingError, UsageError
from bci_m2s.training.datasets import DATASETS, find_dataset
from bci_m2s.training.datasets.seed import SEED_LABELS, SEED_SECONDS
from bci_m2s.training.datasets.seed_iv import SEED_IV_FIRST_STEPS
from bci_m2s.training.datasets.seed_layout import band_dict_eeg, looks_band_major, mat_eeg, mat_eye
from bci_m2s.training.formats import matlab
from bci_m2s.training.formats.matlab import read_mat

DISTRIBUTED = {name: data for name, data in DATASETS.items() if data.read is not None and data.subjects}


def load_trials(root, name, feature=""):
    """Every trial of a data set; the first problem that leaves data out is raised."""
    data, chosen = find_dataset(name, feature)
    assert data.read is not None

    def stop(problem):
        if problem.left_out:
            raise RecordingError(str(problem))

    return list(data.read(root, chosen, stop))


def read(root, name, feature=""):
    """Trials by (subject, session, trial), and what was reported."""
    data, chosen = find_dataset(name, feature)
    problems = []
    trials = {(t.subject, t.session, t.trial): t for t in data.read(root, chosen, problems.append)}
    return trials, problems


def texts_of(problems):
    return [str(problem) for problem in problems]


@pytest.mark.parametrize("data", DISTRIBUTED.values(), ids=list(DISTRIBUTED))
def test_tables_are_whole(data):
    for labels in data.labels:
        assert set(labels) == set(range(len(data.heads["emotion"])))
        counts = np.bincount(labels)
        assert counts.min() == counts.max()  # every clip set is balanced
    assert 0 < data.train_trials < len(data.labels[0])
    assert set(data.with_eye) <= set(data.subjects)


def test_row_counts_are_those_published():
    four = [seconds // 4 for seconds in SEED_SECONDS]
    assert (sum(SEED_SECONDS[:9]), sum(SEED_SECONDS[9:])) == (2010, 1384)
    assert (sum(four[:9]), sum(four[9:])) == (499, 343)
    assert sum(SEED_IV_FIRST_STEPS) == 851


def test_eeg_is_channel_major_whatever_the_layout():
    values = marked(62, 7, 5)
    from_mat = mat_eeg(values)
    bands = dict(zip(("delta", "theta", "alpha", "beta", "gamma"), values.transpose(2, 1, 0), strict=True))
    np.testing.assert_array_equal(from_mat, band_dict_eeg(bands))
    for channel, step, band in ((0, 0, 0), (0, 3, 4), (61, 6, 2), (17, 2, 1)):
        assert from_mat[step, channel * 5 + band] == band * 100_000 + channel * 1_000 + step
    assert not looks_band_major(from_mat)
    assert looks_band_major(from_mat.reshape(7, 62, 5).transpose(0, 2, 1).reshape(7, 310))


def test_one_step_and_order_of_memory_do_not_matter():
    assert mat_eeg(marked(62, 1, 5)).shape == (1, 310)
    fortran = np.asfortranarray(marked(62, 3, 5))
    np.testing.assert_array_equal(mat_eeg(fortran), mat_eeg(marked(62, 3, 5)))


@pytest.mark.parametrize("shape", [(5, 3, 62), (62, 5), (61, 3, 5), (62, 3, 4), (62, 0, 5)])
def test_wrong_eeg_shapes_are_refused(shape):
    with pytest.raises(RecordingError, match=r"expected \(62, steps, 5\)"):
        mat_eeg(np.zeros(shape))


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(RecordingError, match="infinite"):
        mat_eye(np.full((31, 2), np.inf))
    with pytest.raises(RecordingError, match="array of numbers"):
        mat_eye(np.full((31, 2), "a"))
    with pytest.raises(RecordingError, match="array of numbers"):
        mat_eeg([[1.0], [1.0, 2.0]])
    with pytest.raises(RecordingError, match=r"\(2, 33\), expected \(steps, 31\)"):
        mat_eye(np.zeros((33, 2)))


def test_seed_iv_reads_every_trial(tmp_path):
    write_seed_iv(tmp_path, subject=7)
    trials, problems = read(tmp_path, "seed-iv")
    assert problems == []
    assert len(trials) == 72
    first = trials[7, 1, 3]
    assert first.labels["emotion"] == 3
    assert first.steps["eeg"].shape == (SEED_IV_FIRST_STEPS[2], 310)
    assert first.steps["eye"].shape == (SEED_IV_FIRST_STEPS[2], 31)
    assert first.steps["eeg"].dtype == np.float64
    assert first.steps["eeg"][5, 11 * 5 + 2] == 200_000 + 11_000 + 5 + 3
    assert first.steps["eye"][5, 11] == 11_000 + 5
    assert [trials[7, 2, n].labels["emotion"] for n in range(1, 6)] == [2, 1, 3, 0, 0]
    assert [trials[7, 3, n].labels["emotion"] for n in range(20, 25)] == [0, 2, 0, 1, 0]
    negative = load_trials(tmp_path, "seed-iv", "psd_LDS")
    assert negative[2].steps["eeg"][5, 57] == -first.steps["eeg"][5, 57]


def test_seed_iv_reports_each_fault_and_reads_on(tmp_path):
    write_seed_iv(tmp_path, sessions=(2,))
    write_seed_iv(tmp_path, subject=2, sessions=(2,))
    eeg = {f"de_LDS{n}": marked(62, n % 3 + 1, 5) for n in range(1, 25)}
    del eeg["de_LDS4"]
    eeg["de_LDS5"] = marked(5, 3, 62)
    eeg["de_LDS6"] = marked(62, 9, 5)
    eeg["de_LDS7"][0, 0, 0] = np.nan
    save_mat(tmp_path / "eeg_feature_smooth" / "2" / "1_20150915.mat", eeg)
    trials, problems = read(tmp_path, "seed-iv")
    assert {key[2] for key in trials if key[0] == 1} == set(range(1, 25)) - {6}
    assert sum(key[0] == 2 for key in trials) == 24
    assert "eeg" not in trials[1, 2, 4].steps
    assert "eeg" not in trials[1, 2, 5].steps
    lines = texts_of(problems)
    assert len(lines) == 4
    assert "session 2, trial 4 (2/1_20150915.mat): no variable 'de_LDS4'" in lines[0]
    assert "trial 5" in lines[1]
    assert "(5, 3, 62), expected (62, steps, 5)" in lines[1]
    assert "trial 6" in lines[2]
    assert "eeg 9, eye 1" in lines[2]
    assert "missing (NaN)" in lines[3]
    assert [problem.left_out for problem in problems] == [True, True, True, False]
    with pytest.raises(RecordingError, match="de_LDS4"):
        load_trials(tmp_path, "seed-iv")


def test_seed_iv_notes_a_first_session_cut_elsewhere(tmp_path):
    write_seed_iv(tmp_path, sessions=(1,))
    (tmp_path / "eeg_feature_smooth" / "1" / "1_20150915.mat").unlink()
    (tmp_path / "eye_feature_smooth" / "1" / "1_20150915.mat").unlink()
    write_seed_iv(tmp_path, sessions=(2,))
    for folder in ("eeg_feature_smooth", "eye_feature_smooth"):
        (tmp_path / folder / "2" / "1_20150915.mat").rename(tmp_path / folder / "1" / "1_20150915.mat")
    trials, problems = read(tmp_path, "seed-iv")
    assert len(trials) == len(problems) == 24
    assert "got 2 steps, expected 42" in texts_of(problems)[0]
    assert len(load_trials(tmp_path, "seed-iv")) == 24  # worth knowing, no reason to stop


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.98])
def test_a_truncated_mat_file_costs_only_itself(tmp_path, share):
    write_seed_iv(tmp_path, sessions=(2, 3))
    path = tmp_path / "eeg_feature_smooth" / "2" / "1_20150915.mat"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    trials, problems = read(tmp_path, "seed-iv")
    assert all(set(trials[1, 3, n].steps) == {"eeg", "eye"} for n in range(1, 25))
    assert all("eye" in trials[1, 2, n].steps for n in range(1, 25))
    lost = {n for n in range(1, 25) if "eeg" not in trials[1, 2, n].steps}
    assert len(lost) >= 1
    if len(lost) == 24:
        assert "not a readable MATLAB file" in str(problems[0])
    else:  # cut inside a variable that nobody asked for
        assert {problem.trial for problem in problems} == lost


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_cut_anywhere_never_gives_other_values(tmp_path, compressed):
    path = tmp_path / "a.mat"
    held = {name: np.arange(30.0).reshape(5, 6) + place for place, name in enumerate("abc")}
    io.savemat(path, held, do_compression=compressed)
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            found = read_mat(path, "abc")
        except RecordingError:
            refused += 1
            continue
        for name, values in found.items():
            if name in held:
                np.testing.assert_array_equal(values, held[name])
    assert refused > len(whole) / 7 / 2


def test_mat_files_of_version_7_3_and_of_huge_arrays_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    path.write_bytes(header.ljust(600, b"\0"))
    with pytest.raises(RecordingError, match="save it again with -v7"):
        read_mat(path, "a")
    io.savemat(path, {"a": np.zeros(100)})
    monkeypatch.setattr(matlab, "MAX_BYTES", 799)
    with pytest.raises(RecordingError, match="larger than 799 bytes"):
        read_mat(path, "a")


def test_seed_iv_files_that_do_not_belong(tmp_path):
    write_seed_iv(tmp_path, subject=16, sessions=(2,))
    write_seed_iv(tmp_path, subject=3, sessions=(2,))
    folder = tmp_path / "eeg_feature_smooth" / "2"
    (folder / "3_20150916.mat").write_bytes((folder / "3_20150915.mat").read_bytes())
    (folder / "notes.mat").write_bytes(b"")
    trials, problems = read(tmp_path, "seed-iv")
    assert {key[0] for key in trials} == {3}
    assert sorted(problem.text for problem in problems) == [
        "a second file of this session, beside 3_20150915.mat",
        "subject 16 is not one of seed-iv",
    ]


def test_seed_v_reads_every_trial(tmp_path):
    write_seed_v(tmp_path, subject=16)
    trials, problems = read(tmp_path, "seed-v")
    assert problems == []
    assert len(trials) == 45
    assert [trials[16, 1, n].labels["emotion"] for n in range(1, 8)] == [4, 1, 3, 2, 0, 4, 1]
    for session in (2, 3):
        assert [trials[16, session, n].labels["emotion"] for n in range(9, 16)] == [2, 1, 3, 4, 1, 2, 0]
    one = trials[16, 2, 3]  # key 17
    assert one.steps["eeg"].shape == (2, 310)
    assert one.steps["eeg"][1, 20 * 5 + 3] == 300_000 + 20_000 + 1 + 17
    assert one.steps["eye"][1, 32] == 32_001


def test_seed_v_reports_each_fault_and_reads_on(tmp_path):
    eeg, eye, labels = seed_v_trials()
    del eeg[3]
    eeg[4] = eeg[4].T
    eeg[5] = eeg[5].reshape(-1, 62, 5).transpose(0, 2, 1).reshape(-1, 310)
    labels[6] = (labels[6] + 1) % 5
    del labels[7]
    write_seed_v(tmp_path, eeg=eeg, eye=eye, labels=labels)
    trials, problems = read(tmp_path, "seed-v")
    assert len(trials) == 43
    lines = "\n".join(texts_of(problems))
    assert "trial 4 (EEG_DE_features/1_123.npz): no key 3 in data" in lines
    assert "trial 5 (EEG_DE_features/1_123.npz): eeg: shape (310, 1)" in lines
    assert lines.count("labels are 2, expected 1") == 2  # in the file of each modality
    assert lines.count("no key 7 in label") == 2
    notes = [problem for problem in problems if not problem.left_out]
    assert [(note.trial, note.text) for note in notes] == [
        (6, "eeg: columns look band-major, expected channel-major")
    ]


@pytest.mark.parametrize("held", [[1, 2], "text", {"other": 1}])
def test_seed_v_files_of_another_make(tmp_path, held):
    write_seed_v(tmp_path, subject=2)
    write_seed_v(tmp_path, subject=1, eeg=held)
    trials, problems = read(tmp_path, "seed-v")
    assert sum(key[0] == 2 for key in trials) == 45
    assert all(set(trials[key].steps) == {"eye"} for key in trials if key[0] == 1)
    assert {problem.subject for problem in problems} == {1}


@pytest.mark.parametrize("step_s", [1, 4])
def test_seed_cuts_a_session_into_its_clips(tmp_path, step_s):
    write_seed(tmp_path / "Chinese", subject=2, session=3, step_s=step_s)
    trials, problems = read(tmp_path, "seed", f"{step_s}s")
    assert problems == []
    assert [trials[2, 3, n].labels["emotion"] for n in range(1, 16)] == list(SEED_LABELS)
    start = 0
    for number, seconds in enumerate(SEED_SECONDS, 1):
        steps = trials[2, 3, number].steps
        assert len(steps["eeg"]) == len(steps["eye"]) == seconds // step_s
        assert steps["eeg"][0, 7 * 5 + 4] == 400_000 + 7_000 + start
        assert steps["eye"][0, 7] == 7_000 + start
        start += seconds // step_s


def test_seed_subjects_without_eye_data_have_eeg_alone(tmp_path):
    write_seed(tmp_path, subject=6, with_eye=False)
    trials, problems = read(tmp_path, "seed")
    assert problems == []
    assert all(set(trial.steps) == {"eeg"} for trial in trials.values())


def test_seed_labels_must_be_those_of_the_clips(tmp_path):
    write_seed(tmp_path, subject=1, labels=SEED_LABELS[::-1])
    write_seed(tmp_path, subject=2)
    (tmp_path / "04-Eye-tracking-feature" / "eye_tracking_feature" / "2_1").unlink()
    trials, problems = read(tmp_path, "seed")
    assert set(trials[1, 1, 1].steps) == {"eye"}
    assert set(trials[2, 1, 1].steps) == {"eeg"}
    assert ["labels are not those" in problems[0].text, "No such file" in problems[1].text] == [True, True]


def test_a_wrong_folder_or_name_says_what_was_expected(tmp_path):
    with pytest.raises(RecordingError, match="no folder 'eeg_feature_smooth'"):
        load_trials(tmp_path, "seed-iv")
    (tmp_path / "EEG_DE_features").mkdir()
    assert load_trials(tmp_path, "seed-v") == []
    with pytest.raises(UsageError, match="nearest: 'seed-iv'"):
        load_trials(tmp_path, "seed_iv")
    with pytest.raises(UsageError, match="nearest: 'psd_LDS'"):
        load_trials(tmp_path, "seed-iv", "psd_lds")
