"""Raw EEG of SEED and SEED-IV: made-up files in their layouts."""

import numpy as np
import pytest
from support.dataset_files import save_mat
from support.raw_files import raw_clips, read_all, samples_of

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.seed import SEED_LABELS
from bci_m2s.training.datasets.seed_iv import SEED_IV_LABELS
from bci_m2s.training.datasets.seed_layout import CHANNELS


def read(root, name):
    return read_all(DATASETS[name].read_raw, root)


def test_channels_are_the_62_in_their_order():
    assert len(CHANNELS) == len(set(CHANNELS)) == 62
    assert [CHANNELS[place] for place in (0, 9, 27, 57, 61)] == ["FP1", "FZ", "CZ", "CB1", "CB2"]


def test_seed_sessions_are_numbered_by_date(tmp_path):
    folder = tmp_path / "Preprocessed_EEG"
    for date, initials in (("20140413", "b"), ("20131027", "a"), ("20140611", "c")):
        save_mat(folder / f"1_{date}.mat", raw_clips(initials, 15, seconds=1))
    save_mat(folder / "label.mat", {"label": np.array([SEED_LABELS]) - 1})
    sessions, problems = read(tmp_path, "seed")
    assert problems == []
    assert list(sessions) == [("1", "1"), ("1", "2"), ("1", "3")]
    segments = sessions["1", "1"]
    assert segments[0].streams["eeg"].info.name == "1_20131027"
    assert [segment.trials[0].labels["emotion"] for segment in segments] == list(SEED_LABELS)
    times, eeg = samples_of(segments[6], "eeg")
    np.testing.assert_array_equal(times, np.arange(200) / 200)
    np.testing.assert_array_equal(eeg[10], 7000.0 + np.arange(62))
    assert (segments[6].trials[0].name, segments[6].trials[0].stop_s) == ("7", 1.0)


def test_seed_labels_of_another_order_are_refused(tmp_path):
    folder = tmp_path / "Preprocessed_EEG"
    save_mat(folder / "1_20131027.mat", raw_clips("a", 15, seconds=1))
    for held in ({"label": np.array([SEED_LABELS[::-1]]) - 1}, {"other": 1.0}):
        save_mat(folder / "label.mat", held)
        with pytest.raises(RecordingError, match=r"label\.mat: "):
            read(tmp_path, "seed")


def test_seed_iv_reads_each_session(tmp_path):
    for session in (1, 3):
        save_mat(tmp_path / "eeg_raw_data" / str(session) / "15_20150508.mat", raw_clips("zjd", 24))
    sessions, problems = read(tmp_path, "seed-iv")
    assert problems == []
    assert list(sessions) == [("15", "1"), ("15", "3")]
    for session in (1, 3):
        labels = [segment.trials[0].labels["emotion"] for segment in sessions["15", str(session)]]
        assert labels == list(SEED_IV_LABELS[session - 1])
    info = sessions["15", "3"][0].streams["eeg"].info
    assert (info.labels, info.rate_hz, set(info.units)) == (CHANNELS, 200.0, {"microvolts"})
    assert samples_of(sessions["15", "3"][23], "eeg")[1][399, 61] == 24_061.25


def test_what_is_wrong_is_reported_and_the_rest_is_read(tmp_path):
    folder = tmp_path / "eeg_raw_data" / "2"
    clips = raw_clips("ab", 24)
    del clips["ab_eeg3"]
    clips["ab_eeg4"] = clips["ab_eeg4"].T
    save_mat(folder / "1_20150508.mat", clips)
    save_mat(folder / "2_20150508.mat", raw_clips("ab", 24) | raw_clips("cd", 2))
    save_mat(folder / "3_20150508.mat", {"other": np.zeros(3)})
    (folder / "4_20150508.mat").write_bytes(b"nothing of the kind")
    save_mat(folder / "16_20150508.mat", raw_clips("ab", 24))
    sessions, problems = read(tmp_path, "seed-iv")
    assert list(sessions) == [("1", "2")]
    assert len(sessions["1", "2"]) == 22
    texts = {(problem.subject, problem.trial): problem.text for problem in problems}
    assert texts[1, 3] == "no variable '..._eeg3'"
    assert texts[1, 4] == "eeg: shape (400, 62), expected (62, samples)"
    assert texts[2, 0] == "clips of ab, cd, expected clips of one person"
    assert texts[3, 0] == "no variable '..._eeg1', expected clips of one person"
    assert "not a readable MATLAB file" in texts[4, 0]
    assert texts[16, 0] == "subject 16 is not one of seed-iv"
    assert len(problems) == 6


def test_damage_behind_the_header_names_file_and_clip_when_read(tmp_path):
    folder = tmp_path / "eeg_raw_data" / "1"
    save_mat(folder / "1_20150508.mat", raw_clips("ab", 24))
    (segments,) = DATASETS["seed-iv"].read_raw(tmp_path, lambda _: None)
    path = folder / "1_20150508.mat"
    path.write_bytes(path.read_bytes()[:-50_000])
    assert len(samples_of(segments[0], "eeg")[1]) == 400
    with pytest.raises(RecordingError, match=r"1_20150508\.mat: ab_eeg24: "):
        samples_of(segments[23], "eeg")


@pytest.mark.parametrize(("name", "needed"), [("seed", "Preprocessed_EEG"), ("seed-iv", "eeg_raw_data")])
def test_a_folder_of_another_kind_is_refused(tmp_path, name, needed):
    with pytest.raises(RecordingError, match=needed):
        read(tmp_path, name)
