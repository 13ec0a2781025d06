"""A training file's mistakes are said in one line before a feature is computed, by every command alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console
from support.own_recordings import write_recordings
from support.training_files import training_values
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import BciM2sError
from bci_m2s.training.check import training_file
from bci_m2s.training.check.training_file import check_training, data_line, describe
from bci_m2s.training.data import load, sessions
from bci_m2s.training.datasets import DATASETS, recordings

EEG, EYE = "contract.modalities.eeg.", "contract.modalities.eye."
BASELINE = "normaliser.params.duration_s"
# What is changed (dotted key, value), and what is said of it.
BANDS_HZ = {"a": [1, 4], "b": [4, 8], "c": [8, 14], "d": [14, 31], "e": [31, 70]}
HEADS = "contract.heads.emotion.classes"
MISTAKES = [
    ("splt", {}, "splt: unknown key; nearest: 'split'"),
    ("seeds", [], "seeds: got [], expected at least 1"),
    ("pair", ["eeg", "ecg"], "pair.1: got 'ecg', expected a modality of the contract"),
    ("data.root", "nowhere", "data.root: ", "nowhere: no such folder"),
    ("data.root", "empty", "data.root: ", "empty: no recording"),
    ("data.format", "recording", "data.format: format 'recording' is unknown; nearest: 'recordings'"),
    ("data.subjects", ["P01"], "data.subjects: got 'P01', expected a person of the data; nearest: 'P001'"),
    (EEG + "feature.n_features", 19, "contract.modalities.eeg.feature.n_features: got 19, expected 20"),
    (
        EEG + "feature.name",
        "dee",
        "contract.modalities.eeg.feature.name: got 'dee', expected a known name; nearest: 'de'",
    ),
    (EEG + "feature.params", {"bands_hz": BANDS_HZ}, "eeg.feature.params.bands_hz: got 31–70 Hz at 128 Hz"),
    (EEG + "network.name", "m2s", "eeg.network.name: got 'm2s', expected a known network; valid: m2s-"),
    (
        EEG + "network.params",
        {"dept": 1},
        "eeg.network.params.dept: got 'dept', expected a setting of this network",
    ),
    (EEG + "channels", ["TP9", "AF7", "AF8", "TP100"], "channels: got no 'TP100'", "nearest: 'TP10'"),
    (EEG + "units", ["uV", "uV", "uV", "mm"], "units: got 'microvolts' for 'TP10', expected 'mm' or what"),
    (EEG + "rate_min_hz", 200.0, "rate_hz: got 128, expected a regular rate from 200 to 1024 Hz"),
    (
        EYE + "stream_type",
        "Gazes",
        "eye: no recording has a stream",
        "'Gazes' with samples; nearest: 'Gaze'",
    ),
    (
        "contract.heads.emotion.classes",
        ["negative", "neutral", "positive"],
        "got 'neutral', which no trial",
    ),
    (
        "contract.heads.emotion.classes",
        ["good", "bad"],
        "got good, bad, expected the labels of trials: neg",
    ),
    ("data.markers.start", "begin/(?P<label>.+)", "which matches no marker; there are 'trial/start/"),
    ("data.markers.stop", "trial/end/.+", "data.markers.stop: got 'trial/end/.+', which matches no marker"),
    ("data.markers.start", "trial/start/(", "data.markers.start: got 'trial/start/('"),
    (
        EEG + BASELINE,
        600.0,
        "duration_s: got 600, expected less: the baseline leaves no window",
    ),
    ("split.folds", 5, "split.folds: got 5, expected between 2 and 3 people"),
    ("split.validation_subjects", 2, "split.validation_subjects: got 2, expected fewer than the 2 people"),
    (
        "split",
        {"kind": "subjects", "test_subjects": 2, "validation_subjects": 2},
        "split: got 2 people that test and 2 that validate, expected together fewer than the 3 people",
    ),
    (
        "split",
        {"kind": "named", "test": ["P03"], "validation": ["P001"]},
        "split.test: got 'P03', expected a person or PERSON/SESSION of the data; nearest: 'P003'",
    ),
]
FOLDS = {"kind": "subject-folds", "folds": 3, "validation_subjects": 1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with the recordings of three people, and an empty one."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "empty").mkdir()
    write_recordings(folder / "recordings")
    return folder


@pytest.fixture(autouse=True)
def _no_feature_is_computed(monkeypatch):
    def computed(*_arguments):
        pytest.fail("a feature was computed")

    monkeypatch.setattr(sessions, "stream_steps", computed)
    monkeypatch.setattr(load, "from_raw", computed)


def write(lab, place="", value=None):
    values = training_values(data={"format": "recordings", "root": "recordings"}, split=FOLDS)
    inner = values
    *parents, last = place.split(".")
    for key in parents:
        inner = inner.setdefault(key, {})
    if place:
        inner[last] = value
    path = lab / "my-training.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(("place", "value", "words"), [(m[0], m[1], m[2:]) for m in MISTAKES])
def test_a_mistake_is_one_line_that_names_file_and_key(lab, place, value, words):
    path = write(lab, place, value)
    with pytest.raises(BciM2sError) as caught:
        check_training(path)
    said = str(caught.value)
    assert said.startswith(f"{path}:")
    assert "\n" not in said
    for piece in words:
        assert piece in said


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [(EEG + "network.name", "m2s", "name: m2s"), (EYE + "network.params", {"dept": 1}, "dept: 1")],
)
def test_the_line_is_that_of_the_modality(lab, place, value, line):
    path = write(lab, place, value)
    with pytest.raises(BciM2sError) as caught:
        check_training(path)
    number = int(str(caught.value).removeprefix(f"{path}:").split(":")[0])
    lines = path.read_text().splitlines()
    assert line in lines[number - 1]
    assert "network" in "".join(lines[number - 4 : number])


@pytest.mark.parametrize("text", ["contract: [", "a: &b 1", "- one"])
def test_what_is_no_yaml_of_ours_is_said(lab, text):
    path = lab / "broken.yaml"
    path.write_text(text)
    with pytest.raises(BciM2sError, match=r"broken\.yaml.*(not valid YAML|not allowed|a mapping)"):
        check_training(path)


def test_a_pipeline_is_called_one(lab):
    path = lab / "pipeline.yaml"
    path.write_text("model: my.safetensors\nstreams: {eeg: {type: EEG}}\n")
    for command in ("pretrain", "finetune", "evaluate"):
        said = refused(command, path)
        assert f"{path}: this is a pipeline, expected a training file" in said
    path = write(lab)
    assert f"{path}: this is a training file, expected a pipeline" in refused("run", path)


def refused(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, BciM2sError)
    return str(result.exception)


def test_too_many_folds_are_said_before_a_file_is_opened(lab, monkeypatch):
    monkeypatch.setattr(recordings, "skim_recording", lambda _path: pytest.fail("a file was opened"))
    with pytest.raises(BciM2sError, match=r"split\.folds: got 5"):
        check_training(write(lab, "split.folds", 5))


@pytest.mark.parametrize("command", ["check", "pretrain", "finetune", "evaluate"])
def test_every_command_says_the_same(lab, command):
    path = write(lab, "split.folds", 5)
    assert "split.folds: got 5, expected between 2 and 3 people" in refused(command, path)


def test_a_file_without_mistakes_is_described(lab):
    path = write(lab)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == f"{path}: training file for the model 'tiny-live'"
    assert "eeg: 4 channels, de, 20 features per step" in lines
    assert "eye: 5 channels, eye, 33 features per step" in lines
    assert "trained on: eeg, eye" in lines
    assert any(
        "3 people, 3 sessions, 12 trials (emotion: negative 6, positive 6)" in line for line in lines
    )
    assert any(
        line.startswith("split: subject-folds, people: train 1, validation 1, test 1") for line in lines
    )
    assert lines[-1] == f"{path}: ok. Next: bci-m2s pretrain {path}"


def test_a_folder_that_is_not_there_names_the_one_most_like_it(lab):
    checked = check_training(write(lab, "data.root", "recordngs"), may_lack_data=True)
    assert data_line(checked).endswith("recordngs yet; no such folder; nearest: 'recordings'")


def test_trials_that_a_baseline_reaches_into_are_named(lab):
    checked = check_training(write(lab, EEG + BASELINE, 25.0))
    (note,) = [line for line, is_remark in describe(checked) if is_remark]
    assert note == "note: P001, P002, P003: the baseline of 25 s reaches into trials 1, 2 (eeg)"


def test_it_names_the_trials_that_lose_their_first_window(lab, monkeypatch, tmp_path):
    """Held against the features themselves."""
    monkeypatch.undo()
    for duration_s in (9.0, 20.0):
        checked = check_training(write(lab, EYE + BASELINE, duration_s))
        contract = checked.settings.contract
        one = checked.settings.data.model_copy(update={"subjects": ("P001",)})
        alone = checked.settings.model_copy(update={"data": one})
        (session,) = load.load_sessions(alone, tmp_path, Console(quiet=True))
        spread = np.ones(33)
        rows = sessions.normalised(session, "eye", contract.modalities["eye"], contract.window, spread)
        ready_s = session.end_s[np.flatnonzero(~np.isnan(rows).all(axis=1))[0]]
        late = [trial.name for trial in session.trials if trial.start_s + 1.0 < ready_s - 0.5]
        (note,) = checked.notes
        assert f"reaches into trial{'s' if len(late) > 1 else ''} {', '.join(late)} (eye)" in note


def test_the_number_of_features_may_be_left_out(lab):
    values = training_values(data={"format": "recordings", "root": "recordings"}, split=FOLDS)
    for spec in values["contract"]["modalities"].values():
        del spec["feature"]["n_features"]
    path = lab / "shorter.yaml"
    path.write_text(yaml.safe_dump(values))
    assert check_training(path).settings == check_training(write(lab)).settings


def test_a_mistake_is_said_before_torch_and_the_filters_are_loaded(lab):
    """In a process of its own; what is not loaded takes most of the time of a command."""
    path = write(lab, "split.folds", 5)
    code = (
        "import sys; from bci_m2s.commands.cli import main\n"
        f"sys.argv = ['bci-m2s', 'pretrain', {str(path)!r}]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print([name for name in ('torch', 'scipy.signal', 'mne', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=lab
    )
    assert done.stdout.splitlines() == [f"looking at {path} and its data", "2", "[]"]
    assert done.stderr.splitlines() == [
        f"error: {path}:{line_of(path, 'folds:')}: split.folds: got 5, expected between 2 and 3 people"
    ]
    assert not (lab / "runs").exists()


def line_of(path: Path, text: str) -> int:
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_data_of_published_sets_have_their_classes(lab, monkeypatch):
    values = training_values(data={"format": "eegmat", "root": "recordings"}, split=FOLDS)
    values["contract"]["heads"] = {"load": {"classes": ["arithmetic", "rest"]}}
    path = lab / "eegmat.yaml"
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setattr(
        training_file, "list_sessions", lambda _settings: training_file.Listing(DATASETS["eegmat"], [])
    )
    with pytest.raises(BciM2sError, match="expected those of eegmat in this order: rest, arithmetic"):
        check_training(path)


def test_a_split_without_enough_people_names_what_was_left_out(lab):
    root = lab / "two-damaged"
    write_recordings(root)
    for person in ("P002", "P003"):
        (root / f"sub-{person}" / "ses-S001" / "session.xdf").write_bytes(b"no XDF at all")
    with pytest.raises(BciM2sError) as caught:
        check_training(write(lab, "data.root", "two-damaged"))
    said = str(caught.value)
    assert "which needs 3 people, and there is 1 person" in said
    assert "; left out: " in said
    assert said.endswith("(in 2 of 3 recordings)")
    assert "\n" not in said
