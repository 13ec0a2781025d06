"""Brain, Body, and Behaviour: made-up files in its layout, and the real ones where they are."""

import gzip
import shutil

import numpy as np
import pytest
from support.event_files import event_file, write_events

from bci_m2s.errors import RecordingError
from bci_m2s.training.dataset_check import check_dataset
from bci_m2s.training.datasets.brain_body_behaviour import BRAIN_BODY_BEHAVIOUR, read_brain_body_behaviour
from bci_m2s.training.datasets.event_steps import EYE_NAMES, HEART_NAMES


def read(root):
    problems = []
    trials = list(read_brain_body_behaviour(root, "events", problems.append))
    return {(trial.subject, trial.session, trial.trial): trial for trial in trials}, problems


def test_a_trial_is_a_clip_of_a_session_and_the_label_its_session(tmp_path):
    write_events(tmp_path, (1, 3))
    trials, problems = read(tmp_path)
    assert problems == []
    assert len(trials) == 20
    assert {key: trial.labels["attention"] for key, trial in trials.items()} == {
        key: key[1] - 1 for key in trials
    }
    first, second = trials[1, 1, 1].steps, trials[1, 2, 1].steps
    assert first["eye"].shape == (12, len(EYE_NAMES))
    rates = [steps["heart"][-1, HEART_NAMES.index("heart_rate_bpm")] for steps in (first, second)]
    assert rates == pytest.approx([60.0, 75.0])
    blinks = [steps["eye"][2, EYE_NAMES.index("blink_frequency")] for steps in (first, second)]
    assert blinks == pytest.approx([0.2, 0.4])
    assert first["eye"][2, EYE_NAMES.index("fixation_duration_mean")] == pytest.approx(0.4, abs=0.05)
    assert BRAIN_BODY_BEHAVIOUR.stimulus(2, 3) == "stim03"


def test_missing_recordings_and_files_are_said_and_the_rest_is_kept(tmp_path):
    write_events(tmp_path, (6,), clips=(1, 2, 3))
    for table in ("fixations", "saccades", "blinks", "rpeak_timestamps"):
        event_file(tmp_path, 6, 1, 2, table).unlink()
    event_file(tmp_path, 6, 1, 1, "blinks").unlink()
    event_file(tmp_path, 6, 2, 3, "rpeak_timestamps").write_bytes(b"nothing of the kind")
    trials, problems = read(tmp_path)
    assert sorted(trials) == [(6, 1, 1), (6, 1, 3), (6, 2, 1), (6, 2, 2), (6, 2, 3)]
    assert list(trials[6, 1, 1].steps) == ["heart"]
    assert list(trials[6, 2, 3].steps) == ["eye"]
    left_out = [str(problem) for problem in problems if problem.left_out]
    assert "sub-06_ses-01_task-stim01_desc-blinks.tsv.gz): no such file" in left_out[0]
    assert "desc-rpeak_timestamps.tsv.gz): cannot be read: Not a gzipped file" in left_out[1]
    noted = [problem[2:4] for problem in map(tuple_of, problems) if not problem[5]]
    assert noted == [(1, 2), (1, 4), (1, 5), (2, 4), (2, 5)]


def tuple_of(problem):
    return (*vars(problem).values(),)


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("blinks", "start_time\tend_time\n1\t2\n3\tx\n", ":3: end_time: got 'x', expected a number"),
        ("blinks", "start_time\tend_time\n1\t2\n3\n", ":3: got 1 cells, expected 2"),
        ("blinks", "start_time\tend_time\n3\t2\n", ":2: end_time: got 2, expected start_time (3) or later"),
        ("blinks", "start_time\tend_time\n3\tn/a\n", ":2: end_time: got nan, expected seconds up to 1800"),
        ("blinks", "start_time\n3\n", ":1: got the columns 'start_time', expected start_time, end_time"),
        ("rpeak_timestamps", "timestamp\n1e9\n", ":2: timestamp: got 1e+09, expected seconds up to 1800"),
        ("rpeak_timestamps", "", ":1: got the columns '', expected timestamp"),
    ],
)
def test_a_damaged_table_is_one_line_with_its_place(tmp_path, table, text, said):
    write_events(tmp_path, clips=(1,))
    event_file(tmp_path, 1, 2, 1, table).write_bytes(gzip.compress(text.encode()))
    trials, problems = read(tmp_path)
    (problem,) = [str(problem) for problem in problems if problem.left_out]
    assert f"desc-{table}.tsv.gz)" in problem
    assert said.lstrip(":") in problem
    assert list(trials[1, 2, 1].steps) == ["heart" if table == "blinks" else "eye"]


def test_a_folder_without_any_is_refused(tmp_path):
    with pytest.raises(
        RecordingError, match=r"no file as sub-01_ses-01_task-stim01_desc-fixations\.tsv\.gz"
    ):
        read(tmp_path)


def test_the_report_counts_what_a_copy_holds_and_says_what_is_confounded(tmp_path):
    write_events(tmp_path, (3,), clips=(1, 2))
    lines = check_dataset(tmp_path, "brain-body-behaviour")
    listed = "eye 2 of 5 trials, 20 steps, missing 3-5; heart 2 of 5 trials, 20 steps, missing 3-5"
    assert f"subject 3, session 1: {listed}" in lines
    assert "trials: 4 of 10 found, 4 complete (attentive 2, distracted 2)" in lines
    assert any(line.startswith("note: attentive is always session 1") for line in lines)
    assert lines[-1] == "problems: 0; notes: 6"


def test_the_real_recordings(shared_data, tmp_path):
    for path in (shared_data / "brain-body-behaviour").glob("sub-*_*"):
        if path.name[4:6] in ("06", "27"):  # some people, since reading all takes seconds
            shutil.copy(path, tmp_path)
    trials, problems = read(tmp_path)
    assert len(trials) == 15
    assert [str(problem)[-25:] for problem in problems] == ["no recording of this clip"] * 5
    rows = {
        name: np.concatenate([trial.steps[name] for trial in trials.values()]) for name in ("eye", "heart")
    }
    known = {name: ~np.isnan(values).any(axis=1) for name, values in rows.items()}
    assert known["eye"].mean() > 0.9
    assert known["heart"].mean() > 0.85
    rate = rows["heart"][known["heart"], 0]
    assert 45 < rate.min() < rate.max() < 130
    fixation_s = rows["eye"][known["eye"], EYE_NAMES.index("fixation_duration_mean")]
    assert 0.2 < np.median(fixation_s) < 0.6
