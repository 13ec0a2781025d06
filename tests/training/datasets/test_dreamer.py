"""DREAMER: made-up files in its layout."""

import numpy as np
import pytest
from support.raw_files import cell, dreamer_person, read_all, samples_of, write_dreamer

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.dreamer import CHANNELS, N_TRIALS, read_dreamer


def test_each_trial_is_a_baseline_and_a_clip(tmp_path):
    write_dreamer(tmp_path)
    sessions, problems = read_all(read_dreamer, tmp_path)
    assert problems == []
    assert list(sessions) == [("1", "1"), ("2", "1")]
    segments = sessions["2", "1"]
    assert len(segments) == 2 * N_TRIALS
    for trial in (0, 5, 17):
        baseline, clip = segments[2 * trial : 2 * trial + 2]
        assert baseline.trials == ()
        (span,) = clip.trials
        assert (span.name, span.start_s, span.stop_s) == (str(trial + 1), 0.0, 2.0)
        scores = [1 + (trial + shift) % 5 for shift in range(3)]
        assert span.labels == {
            head: int(score > 3)
            for head, score in zip(("valence", "arousal", "dominance"), scores, strict=True)
        }
        for segment, base, seconds in ((baseline, 2000, 3), (clip, 2500, 2)):
            for modality, rate_hz in (("eeg", 128), ("ecg", 256)):
                times, found = samples_of(segment, modality)
                np.testing.assert_array_equal(times, np.arange(seconds * rate_hz) / rate_hz)
                expected = base + 20 * trial + np.arange(found.shape[1]) + (times // 1.0)[:, None] / 4
                np.testing.assert_array_equal(found, expected)
    info = segments[0].streams["eeg"].info
    assert (info.labels, info.rate_hz, set(info.units)) == (CHANNELS["eeg"], 128.0, {"microvolts"})
    assert segments[0].streams["ecg"].info.type == "ECG"


def test_the_file_itself_will_do_and_the_threshold_is_a_setting(tmp_path):
    path = write_dreamer(tmp_path)
    for threshold, high in ((3.0, 6), (2.0, 10), (4.5, 3)):
        segments = next(read_dreamer(path, lambda _: None, threshold))
        labels = [span.labels["valence"] for segment in segments for span in segment.trials]
        assert sum(labels) == high


def test_what_is_wrong_is_reported_and_the_rest_is_read(tmp_path):
    odd, scoreless, eegless = dreamer_person(), dreamer_person(), dreamer_person()
    odd["EEG"]["stimuli"][3, 0] = np.zeros((256, 13))
    odd["EEG"]["baseline"][4, 0] = np.zeros((0, 0))
    odd["ECG"]["stimuli"][5, 0] = np.zeros((5 * 256, 2))
    odd["ScoreArousal"][6, 0] = 6
    odd["EEG"]["stimuli"][7, 0], odd["ECG"]["stimuli"][7, 0] = np.array(["text"]), np.zeros(1)
    scoreless["ScoreDominance"] = np.ones((17, 1))
    del eegless["EEG"]
    write_dreamer(tmp_path, [odd, scoreless, eegless, np.zeros(3), dreamer_person(5)])
    sessions, problems = read_all(read_dreamer, tmp_path)
    assert [subject for subject, _ in sessions] == ["1", "3", "5"]
    spans = {span.name: segment for segment in sessions["1", "1"] for span in segment.trials}
    assert set(spans) == {str(n) for n in range(1, 19)} - {"7", "8"}
    assert set(spans["4"].streams) == {"ecg"}
    assert all(set(segment.streams) == {"ecg"} for segment in sessions["3", "1"])
    first = [(problem.trial, problem.text) for problem in problems if problem.subject == 1]
    assert first[0] == (4, "eeg, stimuli: shape (256, 13), expected (samples, 14)")
    assert first[1][0] == 5
    assert first[2] == (6, "stimuli: lengths of eeg and ecg differ: 2.0 s, 5.0 s")
    assert first[3] == (7, "arousal rated 6, expected between 1 and 5")
    assert [number for number, _ in first[4:]] == [8, 8]
    assert [problem.text for problem in problems if problem.subject == 2] == [
        "ScoreDominance: 17 ratings, expected 18"
    ]
    assert {problem.text for problem in problems if problem.subject == 3} == {
        f"eeg, {part}: no field 'EEG'" for part in ("baseline", "stimuli")
    }
    assert [problem.text for problem in problems if problem.subject == 4] == ["no field 'ScoreValence'"]
    assert not [problem for problem in problems if problem.subject == 5]


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        ({"EEG_SamplingRate": 256}, "eeg sampled at"),
        ({"EEG_Electrodes": cell(["AF3", "F7"]).T}, "electrodes are AF3, F7, expected"),
        ({"EEG_Electrodes": 3}, "expected a row or column of cells"),
        ({"Data": np.zeros((1, 23))}, "expected a row or column of cells"),
        ({"Data": cell([dreamer_person()] * 24).T}, "24 people, expected between 1 and 23"),
    ],
)
def test_a_file_of_another_make_is_refused(tmp_path, replaced, expected):
    write_dreamer(tmp_path, [], **replaced)
    with pytest.raises(RecordingError, match=expected):
        list(read_dreamer(tmp_path, lambda _: None))


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="ROOT is the folder that holds DREAMER"):
        list(read_dreamer(tmp_path, lambda _: None))
    (tmp_path / "DREAMER.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingError, match="not a readable MATLAB file"):
        list(read_dreamer(tmp_path, lambda _: None))
