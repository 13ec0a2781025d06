"""Own recordings: XDF files with markers, matched to a model."""

import os
from types import MappingProxyType

import numpy as np
import pytest
from support.model_files import contract_fields
from support.raw_files import read_all, samples_of, xdf

from bci_m2s.errors import ConfigurationError, RecordingError
from bci_m2s.model.contract import Contract
from bci_m2s.recording.trials import GuidedTrial, begin_text
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.markers import MarkerSettings
from bci_m2s.training.datasets.recordings import find_recordings

EEG_LABELS = ("AF8", "TP9", "AUX", "AF7", "TP10")
EYE_LABELS = ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence")
EYE_UNITS = ("normalized", "normalized", "mm", "mm", "")
MARKS = [
    (101.0, "rest/start"),
    (102.0, "trial/start/neutral"),
    (104.0, "trial/stop/neutral"),
    (105.0, "trial/start/positive"),
]


def contract():
    return Contract.model_validate(contract_fields())


def eeg(seconds=8, rate_hz=256, labels=EEG_LABELS, unit="uV", name="cap", start_s=100.0):
    n = seconds * rate_hz
    values = np.arange(n)[:, None] % 200 + 1000.0 * np.arange(len(labels))
    return name, "EEG", rate_hz, labels, [unit] * len(labels), start_s + np.arange(n) / rate_hz, values


def eye(seconds=8, start_s=100.0):
    n = seconds * 60
    return "tracker", "Gaze", 60, EYE_LABELS, EYE_UNITS, start_s + np.arange(n) / 60, np.full((n, 5), 0.5)


def write(path, *streams, markers=MARKS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(xdf(streams, markers, **options))


def read(root, markers=None, facts=MappingProxyType({})):
    return read_all(find_recordings(root, contract(), markers, facts).read_raw, root)


def test_a_sender_of_another_clock_can_be_stamped_by_when_its_samples_came(tmp_path):
    """Here nothing says when they came, which refuses the file; `test_read_xdf` has one that does."""
    write(tmp_path / "a.xdf", eeg(start_s=1.7e9))
    _, problems = read(tmp_path)
    assert any("are they of one clock?" in str(problem) for problem in problems)
    sessions, problems = read(tmp_path, MarkerSettings(stamps="arrival"))
    assert sessions == {}
    assert any("stamps: got 'arrival', but the file does not show" in str(problem) for problem in problems)


def test_streams_are_matched_and_trials_cut(tmp_path):
    write(tmp_path / "sub-P001" / "ses-S002" / "eeg" / "sub-P001_ses-S002_task-x_eeg.xdf", eeg(), eye())
    sessions, problems = read(tmp_path)
    assert problems == []
    (segment,) = sessions["P001", "S002"]
    assert set(segment.streams) == {"eeg", "eye"}
    times, samples = samples_of(segment, "eeg")
    np.testing.assert_array_equal(times, eeg()[5])
    np.testing.assert_array_equal(samples, eeg()[6])
    assert segment.streams["eeg"].info.labels == EEG_LABELS  # reordered where they are used
    assert [(trial.name, trial.start_s, trial.labels) for trial in segment.trials] == [
        ("1", 102.0, {"emotion": 1}),
        ("2", 105.0, {"emotion": 2}),
    ]
    assert segment.trials[0].stop_s == 104.0
    assert segment.trials[1].stop_s == pytest.approx(108.0, abs=0.02)  # the last sample


def test_what_a_training_file_states_of_a_stream_is_as_in_a_pipeline(tmp_path):
    labels = [f"EXG {label}!" for label in EEG_LABELS]
    write(tmp_path / "a.xdf", eeg(labels=labels, unit="", rate_hz=256))
    sessions, problems = read(tmp_path)
    assert sessions == {}
    assert "`rename` translates" in str(problems[0])
    facts = {"eeg": StreamFacts(rename={"EXG *!": "*"}, unit="nV", gap_s=0.3)}
    sessions, problems = read(tmp_path, facts=facts)
    stream = sessions["a", "1"][0].streams["eeg"]
    assert stream.info.labels == EEG_LABELS
    assert set(stream.info.units) == {"nV"}
    assert stream.facts.gap_s == 0.3
    assert any("nanovolts are converted to" in str(problem) for problem in problems)
    _, problems = read(tmp_path, facts={"eeg": StreamFacts(rename={"Cz": "TP9"})})
    assert any("rename: the stream has no channel 'Cz'" in str(problem) for problem in problems)


def test_all_times_are_on_one_clock(tmp_path):
    write(tmp_path / "a.xdf", eeg(start_s=5000.0), eye(start_s=5000.0), offset_s=-4900.0)
    sessions, problems = read(tmp_path)
    (problem,) = problems
    assert problem.text == "no clock offsets were recorded for 'marks'; its stamps are taken as they stand"
    (segment,) = sessions["a", "1"]
    for modality in ("eeg", "eye"):
        times = samples_of(segment, modality)[0]
        assert times[0] == pytest.approx(100.0)
        assert np.ptp(np.diff(times)) < 1e-9  # spacing stays as recorded
    assert segment.trials[0].start_s == 102.0


def test_files_of_one_session_are_its_segments_and_trials_count_on(tmp_path):
    for run in (2, 1):
        write(tmp_path / f"sub-A_ses-1_run-{run}.xdf", eeg(), eye())
    write(tmp_path / "other.xdf", eeg(), eye())
    sessions, _ = read(tmp_path)
    assert list(sessions) == [("A", "1"), ("other", "1")]
    names = [[span.name for span in segment.trials] for segment in sessions["A", "1"]]
    assert names == [["1", "2"], ["3", "4"]]
    assert [s.streams["eeg"].chunks.path.name for s in sessions["A", "1"]] == [
        "sub-A_ses-1_run-1.xdf",
        "sub-A_ses-1_run-2.xdf",
    ]


def test_what_does_not_fit_is_reported_and_the_rest_is_read(tmp_path):
    write(tmp_path / "1.xdf", eeg(), eye(), markers=[*MARKS, (107.0, "trial/start/angry")])
    write(tmp_path / "2.xdf", eeg(labels=EEG_LABELS[:3]), eye())
    write(tmp_path / "3.xdf", eeg(unit="furlongs"))
    write(tmp_path / "4.xdf", eeg(), eeg(name="twin"), eye())
    write(tmp_path / "5.xdf", eeg(rate_hz=64), markers=[])
    write(tmp_path / "6.xdf", eeg(), markers=[])
    (tmp_path / "7.xdf").write_bytes(b"XDF:")
    write(tmp_path / "8.xdf", eeg(), eye(), markers=[(500.0, "trial/start/neutral")])
    sessions, problems = read(tmp_path)
    assert {key[0]: sorted(segments[0].streams) for key, segments in sessions.items()} == {
        "1": ["eeg", "eye"],
        "2": ["eye"],
        "4": ["eye"],
        "6": ["eeg"],
        "8": ["eeg", "eye"],
    }
    assert [span.name for span in sessions["1", "1"][0].trials] == ["1", "2"]
    assert sessions["8", "1"][0].trials == ()
    texts = {}
    for problem in problems:
        texts.setdefault(problem.subject, []).append((problem.left_out, problem.trial, problem.text))
    (angry,) = texts["1"]
    assert angry[:2] == (True, 3)
    assert angry[2].startswith("label 'angry' is not a class of emotion")
    assert "TP10" in texts["2"][0][2]
    assert "units" in texts["3"][0][2]
    assert texts["3"][-1] == (True, 0, "no stream of it can be used")
    assert texts["4"] == [(True, 0, "eeg: 2 streams fit: 'cap', 'twin'")]
    assert "rate_hz" in texts["5"][0][2]
    assert [row[0] for row in texts["6"]] == [False, False]
    assert "no stream of type 'Gaze'" in texts["6"][0][2]
    assert "no marker begins a trial" in texts["6"][1][2]
    assert "holds no stream" in texts["7"][0][2]
    assert texts["8"][-1] == (True, 1, "ends where it begins")


def test_the_head_must_be_the_models(tmp_path):
    write(tmp_path / "1.xdf", eeg(), eye())
    with pytest.raises(
        ConfigurationError, match=r"markers\.head: 'emotoin' is not a head .*nearest: 'emotion'"
    ):
        read(tmp_path, MarkerSettings(head="emotoin"))
    with pytest.raises(RecordingError, match="no such folder"):
        read(tmp_path / "nowhere")


def test_recordings_as_they_are(tmp_path):
    write(
        tmp_path / "1.xdf",
        eeg(),
        eeg(name="twin", unit="V"),
        eye(),
        markers=[*MARKS, (107.0, "trial/start/angry")],
    )
    data = find_recordings(tmp_path, markers=MarkerSettings(head="mood"))
    assert data.heads == {"mood": ("angry", "neutral", "positive")}
    sessions, problems = read_all(data.read_raw, tmp_path)
    assert problems == []
    (segment,) = sessions["1", "1"]
    assert list(segment.streams) == ["eeg", "eeg-2", "gaze"]
    assert [span.labels["mood"] for span in segment.trials] == [1, 2, 0]
    of_copy = DATASETS["recordings"].of_copy(tmp_path, None, None)
    assert read_all(of_copy.read_raw, tmp_path)[0].keys() == sessions.keys()


def test_trials_of_a_guided_session_that_do_not_count_are_left_out(tmp_path):
    def trial(at_s, number, attempt=1):
        begun = begin_text(GuidedTrial(number, attempt, "neutral"))
        return [(at_s, begun), (at_s, "trial/start/neutral"), (at_s + 1.0, "trial/stop/neutral")]

    marks = [(100.5, "session/start/mine"), *trial(101.0, 1), (102.1, "trial/exclude/1/coughed")]
    write(tmp_path / "a.xdf", eeg(), eye(), markers=[*marks, *trial(103.0, 2), *trial(105.0, 3)])
    sessions, problems = read(tmp_path)
    assert [trial.start_s for trial in sessions["a", "1"][0].trials] == [103.0, 105.0]
    assert "1 of 3 trials of the guided session do not count (coughed: 1)" in str(problems[0])


def test_a_file_that_is_gone_names_itself(tmp_path):
    write(tmp_path / "1.xdf", eeg(), eye())
    (segments,) = find_recordings(tmp_path, contract()).read_raw(tmp_path, lambda _: None)
    path = tmp_path / "1.xdf"
    path.unlink()
    with pytest.raises(RecordingError, match=r"1\.xdf: cannot be read"):
        samples_of(segments[0], "eeg")
    path.write_bytes(b"XDF:")
    os.utime(path, ns=(1, 1))
    with pytest.raises(RecordingError, match=r"1\.xdf: holds no stream"):
        samples_of(segments[0], "eeg")


def test_the_real_recordings_of_a_headset(shared_data):
    data = find_recordings(shared_data / "muse")
    sessions, problems = read_all(data.read_raw, shared_data / "muse")
    assert list(sessions) == [
        (person, "S001") for person in ("P001", "P002", "P003", "P023", "P031", "P032", "P050")
    ]
    assert all("eeg" in segments[0].streams for segments in sessions.values())
    assert not any(problem.left_out for problem in problems)
