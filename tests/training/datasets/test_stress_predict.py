"""Stress-Predict: made-up files in its layout, and the real ones where they are."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from support.raw_files import read_all, samples_of
from support.stress_files import write_stress_predict

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.training.data.sessions import stream_steps
from bci_m2s.training.datasets.layout import RawStream
from bci_m2s.training.datasets.stress_predict import read_stress_predict
from bci_m2s.training.training_file import load_training
from bci_m2s.types import Chunk


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("stress")
    write_stress_predict(root, quick=True)
    return root


def test_a_person_is_a_baseline_and_trials_that_lie_as_late_in_both_classes(copy):
    sessions, problems = read_all(read_stress_predict, copy)
    assert problems == []
    baseline, *trials = sessions["2", "1"]
    assert baseline.trials == ()
    assert baseline.spans_s == {"pulse": (0.0, 240.0), "skin": (0.0, 240.0)}
    found = [segment.trials[0] for segment in trials]
    names = "1.1 1.2 2.1 2.2 3.1 3.2 4.1 4.2 4.3 4.4 5.1 5.2 6.1 7.1"
    assert " ".join(trial.name for trial in found) == names
    labels = [int(trial.name[0]) % 2 == 0 for trial in found]
    assert [trial.labels["stress"] for trial in found] == labels
    seconds = [samples_of(segment, "skin")[1][0, 0] * 1000 for segment in (baseline, *trials)]
    # 9 s before the first stretch: baseline 60 to 300 s into it, trials from there on
    assert np.round(seconds[:4], 2).tolist() == [69.0, 309.0, 459.0, 609.0]
    middles = np.array(seconds[1:]) + [trial.stop_s / 2 for trial in found]
    lengths = np.array([trial.stop_s for trial in found])
    stress = np.array(labels)
    means = [np.average(middles[mask], weights=lengths[mask]) for mask in (stress, ~stress)]
    assert abs(means[0] - means[1]) < 60  # s, of a session of 50 minutes
    assert lengths.sum() == 300 + 380 + 280 + 640 + 300 + 130 + 150


def test_streams_are_those_of_the_watch(copy):
    (segments,) = read_stress_predict(copy, lambda _: None)
    pulse, skin = (segments[1].streams[name].info for name in ("pulse", "skin"))
    assert (pulse.type, pulse.rate_hz, pulse.labels) == ("PPG", 64.0, ("BVP",))
    assert (skin.type, skin.rate_hz, skin.labels) == ("Peripheral", 4.0, ("EDA", "TEMP"))
    assert skin.units == ("microsiemens", "celsius")
    sent = pickle.loads(pickle.dumps(segments))
    assert len(pickle.dumps(segments)) < 20_000  # what is sent is where the samples are
    np.testing.assert_array_equal(samples_of(sent[3], "pulse")[1], samples_of(segments[3], "pulse")[1])


def test_skin_at_4_hz_gives_the_same_steps_as_a_live_watch_that_sends_sample_by_sample(copy):
    file = Path(__file__).resolve().parents[3] / "pipelines" / "train" / "stress-predict.yaml"
    contract = load_training(file).contract
    (segments,) = read_stress_predict(copy, lambda _: None)
    read = stream_steps(segments[0].streams["skin"], contract.modalities["skin"], contract.window)
    watch = next(one for one in open_recording(copy / "S02_EDA.csv").streams if one.info.rate_hz == 4)
    first = 69 * 4
    samples = watch.read(first, first + 240 * 4)

    def one_by_one():
        for number, sample in enumerate(samples):
            yield Chunk.of(np.array([number / 4]), sample[None])

    live = stream_steps(RawStream(watch.info, one_by_one), contract.modalities["skin"], contract.window)
    assert read.values.tobytes() == live.values.tobytes()
    assert read.usable.sum() > 200
    values = read.values[read.usable][-1]
    assert values[1] == pytest.approx(0.001, rel=1e-3)  # slope of the conductance, microsiemens per s
    assert values[6] == pytest.approx(0.0001, rel=1e-2)  # of the temperature, degrees per s


def test_what_is_missing_or_damaged_costs_its_modality_or_person(tmp_path):
    write_stress_predict(tmp_path, (2, 3, 4, 5), (400, 60, 60, 60), quick=True)
    (tmp_path / "S02_BVP.csv").unlink()
    (tmp_path / "S03_TEMP.csv").unlink()
    (tmp_path / "S04_EDA.csv").write_text("1644227574.0\n4.0\n0.1\nnothing of the kind\n")
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    (tmp_path / "trials.csv").write_text("\n".join(line for line in lines if "S05" not in line))
    sessions, problems = read_all(read_stress_predict, tmp_path)
    assert {key[0]: sorted(found[0].streams) for key, found in sessions.items()} == {
        "2": ["skin"],
        "3": ["pulse"],
    }
    said = [str(problem) for problem in problems]
    assert "trials.csv): no line of S05; its files are left out" in said[0]
    assert "subject 2, session 1" in said[1]
    assert "S02_BVP.csv): no such file" in said[1]
    assert "pulse: no stream with BVP" in said[2]
    assert "S03_TEMP.csv): no such file" in said[3]
    assert "skin: no stream with EDA and TEMP at one rate from one time on" in said[4]
    assert "subject 4, session 1" in said[5]
    assert "EDA.csv: cannot be read" in said[5]
    assert len(said) == 6


@pytest.mark.parametrize(
    ("first", "said"),
    [("stress", "begins with stress, expected rest: no baseline"), ("rest", "begins with 40 s of rest")],
)
def test_without_a_baseline_a_person_is_left_out(tmp_path, first, said):
    write_stress_predict(tmp_path, (2,), (40, 60), quick=True)
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    (tmp_path / "trials.csv").write_text("\n".join(lines if first == "rest" else [lines[0], *lines[2:]]))
    sessions, problems = read_all(read_stress_predict, tmp_path)
    assert sessions == {}
    assert said in str(problems[0])
    assert "the person is left out" in str(problems[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person,start\n", "trials.csv:1: got 'person,start', expected person,start_unix_s"),
        ("S2,1,2,rest", "trials.csv:2: person: got 'S2', expected S and two digits"),
        ("S02,x,2,rest", "trials.csv:2: start_unix_s: got 'x', expected Unix time in seconds"),
        ("S02,1,nan,rest", "trials.csv:2: end_unix_s: got 'nan', expected Unix time in seconds"),
        ("S02,3,2,rest", "trials.csv:2: end_unix_s: got 2, expected more than start_unix_s"),
        ("S02,1,2,strss", "trials.csv:2: label: got 'strss', expected a class; nearest: 'stress'"),
        ("S02,1,2", "trials.csv:2: got 3 cells, expected 4"),
        ("S02,1,9,rest\nS02,5,12,stress", "S02: start_unix_s: got 5, expected at least 9"),
        ("", "holds no line of a person"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path, text, said):
    header = "" if text.startswith("person") else "person,start_unix_s,end_unix_s,label\n"
    (tmp_path / "trials.csv").write_text(header + text)
    with pytest.raises(RecordingError) as refused:
        list(read_stress_predict(tmp_path, lambda _: None))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_without_the_table_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"trials\.csv: no such file; ROOT is the folder"):
        list(read_stress_predict(tmp_path, lambda _: None))


def test_the_real_recordings(shared_data):
    problems = []
    sessions = list(read_stress_predict(shared_data / "stress-predict", problems.append))
    assert problems == []
    assert len(sessions) >= 17
    for baseline, *trials in sessions:
        assert baseline.spans_s == {"pulse": (0.0, 240.0), "skin": (0.0, 240.0)}
        assert {trial.trials[0].labels["stress"] for trial in trials} == {0, 1}
        assert sum(trial.spans_s["pulse"][1] for trial in trials) > 2000
