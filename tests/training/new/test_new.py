"""``bci-m2s new``: the files that it writes check, whatever they were made from."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.command_line import bci, refused

from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.session.setup.config import load_pipeline
from bci_m2s.simulator.devices import DEVICES
from bci_m2s.training.new.command import new_project
from bci_m2s.training.new.wishes import Wishes
from bci_m2s.training.training_file import load_training
from bci_m2s.types import StreamInfo

FILES = ("README.md", "pipeline.yaml", "protocol.py", "training.yaml")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Recordings of three simulated people."""
    root = tmp_path_factory.mktemp("lab") / "data"
    for subject in (1, 2, 3):
        options = ("--montage", "emotiv-5", "--rest", 12, "--trial", 3, "--classes", "calm,stressed")
        path = root / f"sub-P00{subject}" / "ses-S001" / "session.xdf"
        bci("simulate", "--subject", subject, *options, "--duration", 24, "--output", path)
    return root


def made(folder, *options):
    done = bci("new", folder, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == list(FILES)
    return load_training(folder / "training.yaml"), load_pipeline(folder / "pipeline.yaml"), done.stdout


def test_from_recordings_everything_is_found(recordings):
    training, pipeline, said = made(recordings.parent / "my-lab", "--from", recordings)
    contract = training.contract
    assert contract.name == "my-lab"
    assert contract.simulated
    assert contract.heads["emotion"].classes == ("calm", "stressed")
    assert contract.modalities["eeg"].channels == DEVICES["emotiv-5"].channels
    assert contract.modalities["eeg"].normaliser.params == {
        "duration_s": 5.0
    }  # the shortest: filters settle before it
    eye = contract.modalities["eye"].feature.params
    assert (eye["degrees_per_unit_x"], eye["degrees_per_unit_y"]) == (
        35.0,
        20.0,
    )  # as the simulator sees it
    assert training.pair == ("eeg", "eye")
    assert training.data.root == recordings
    assert training.split.kind == "subjects"
    assert (training.split.test_subjects, training.split.validation_subjects) == (1, 1)
    assert pipeline.model == "my-lab.safetensors"
    assert pipeline.modality == "auto"
    assert "looked at 3 recordings of 3 people" in said
    assert "5 s of rest (the recordings rest 12 s before the first trial)" in said
    assert (contract.window.steps, contract.window.step_s) == (2, 1.0)  # trials of 3 s hold no more
    assert training.pretrain.predictions == 1
    assert "window: 2 × 1 s (trials have 3 s; longer ones train better)" in said


def test_what_was_written_checks_with_recordings_and_before_there_is_one(recordings, tmp_path):
    made(tmp_path / "with", "--from", recordings)
    done = bci("check", tmp_path / "with" / "training.yaml")
    assert done.returncode == 0, done.stderr
    assert "3 people, 3 sessions" in done.stdout
    assert "reaches into" not in done.stdout
    readme = (tmp_path / "with" / "README.md").read_text("utf-8")
    assert "bci-m2s simulate --subject 1 --montage emotiv-5 --rest 15 --classes 'calm,stressed'" in readme
    assert "3 of 9 trials are shorter than 2.25 s" in done.stdout  # which the recordings' ends cut
    made(tmp_path / "without", "--montage", "openbci-8", "--eye", "pupil-core")
    done = bci("check", tmp_path / "without" / "training.yaml")
    assert done.returncode == 0, done.stderr
    assert f"no recording in {tmp_path / 'without' / 'data'} yet\n" in done.stdout
    assert "Next: bci-m2s record --output" in done.stdout
    assert "data: no such folder" in refused("pretrain", tmp_path / "without" / "training.yaml")
    assert "simulate" not in (tmp_path / "without" / "README.md").read_text(
        "utf-8"
    )  # there is no such tracker


def test_channels_without_names_get_those_of_the_device(tmp_path):
    path = tmp_path / "data" / "sub-1.xdf"
    bci("simulate", "--montage", "openbci-8", "--rest", 3, "--trial", 3, "--duration", 15, "--output", path)
    training, _, said = made(tmp_path / "ch", "--from", path)
    assert training.contract.modalities["eeg"].channels == tuple(f"ch{number}" for number in range(1, 9))
    assert "--montage DEVICE names them" in said
    training, pipeline, _ = made(tmp_path / "named", "--from", path, "--montage", "openbci-8")
    assert training.contract.modalities["eeg"].channels == DEVICES["openbci-8"].channels
    rename = dict(
        zip((f"ch{number}" for number in range(1, 9)), DEVICES["openbci-8"].channels, strict=True)
    )
    assert training.data.streams["eeg"].rename == pipeline.streams["eeg"].rename == rename
    assert training.data.root == tmp_path / "named" / "data"  # three trials of one person train nothing
    assert bci("check", tmp_path / "named" / "training.yaml").returncode == 0


def test_one_person_with_enough_trials_is_split_by_trials(tmp_path):
    path = tmp_path / "data" / "sub-1" / "session.xdf"
    options = ("--montage", "emotiv-5", "--classes", "calm,tense", "--rest", 15, "--trial", 7)
    bci("simulate", *options, "--duration", 87, "--output", path)
    training, _, said = made(tmp_path / "lab", "--from", path)
    assert training.split.kind == "trials"
    assert training.contract.modalities["eeg"].normaliser.params == {"duration_s": 7.0}
    assert training.data.root == tmp_path / "data"
    assert "1 recording of 1 person" in said
    done = bci("check", tmp_path / "lab" / "training.yaml")
    assert done.returncode == 0, done.stderr


def test_rates_that_senders_do_not_state_are_in_the_files(tmp_path):
    training, pipeline, _ = made(tmp_path / "tobii", "--montage", "muse", "--eye", "tobii")
    assert training.data.streams["eye"].rate_hz == pipeline.streams["eye"].rate_hz == "auto"
    training, pipeline, _ = made(tmp_path / "core", "--montage", "muse", "--eye", "pupil-core")
    assert training.data.streams["eye"].resample_hz == pipeline.streams["eye"].resample_hz == 120.0


def test_codes_stand_for_classes(tmp_path):
    training, _, _ = made(
        tmp_path / "lab", "--montage", "muse", "--eye", "tobii", "--classes", "1=calm,2=tense"
    )
    assert training.contract.heads["emotion"].classes == ("calm", "tense")
    assert training.data.markers.labels == {"1": "calm", "2": "tense"}
    assert "CODES = {'calm': '1', 'tense': '2'}" in (tmp_path / "lab" / "protocol.py").read_text()


def test_a_file_of_a_person_stands_for_all_people_and_any_other_is_an_example(recordings, tmp_path):
    one = recordings / "sub-P002" / "ses-S001" / "session.xdf"
    training, _, said = made(tmp_path / "all", "--from", one)
    assert "3 recordings of 3 people" in said
    assert training.data.root == recordings
    for name in ("a.xdf", "b.xdf"):
        shutil.copy(one, tmp_path / name)
    training, _, said = made(tmp_path / "one", "--from", tmp_path / "a.xdf")
    assert "taken as an example" in said
    assert training.data.root == tmp_path / "one" / "data"
    assert training.contract.modalities["eeg"].normaliser.params == {"duration_s": 60.0}


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_every_device_gets_files_that_load(tmp_path, name):
    training, _, said = made(tmp_path / "lab", "--montage", name, "--eye", "tobii", "--mains", 60)
    spec = training.contract.modalities["eeg"]
    assert spec.channels == DEVICES[name].channels
    assert spec.rate_min_hz <= DEVICES[name].rate_hz <= spec.rate_max_hz
    assert spec.feature.params["notch_hz"] == [60.0]
    assert "assumed; --classes" in said


def test_what_is_asked_for_is_in_the_files(tmp_path):
    options = (
        "--montage",
        "openbci-8",
        "--eye",
        "eyelink",
        "--channels",
        "fp1,O2",
        "--classes",
        "low,high",
    )
    more = ("--baseline", 20, "--screen", "60x34", "--distance", 70, "--pixels", "2560x1440", "--quick")
    training, _, _ = made(tmp_path / "lab", *options, *more)
    eeg, eye = training.contract.modalities["eeg"], training.contract.modalities["eye"]
    assert eeg.channels == ("Fp1", "O2")
    assert eeg.normaliser.params == eye.normaliser.params == {"duration_s": 20.0}
    assert eye.feature.params["degrees_per_unit_x"] == pytest.approx(46.397 / 2560, abs=1e-4)
    assert eye.feature.params["loss_values"] == [-32768.0]
    assert training.contract.heads["emotion"].classes == ("low", "high")
    assert training.seeds == (0,)


def test_the_protocol_sends_the_markers_of_the_training_file(tmp_path):
    folder = tmp_path / "lab"
    made(folder, "--montage", "muse", "--eye", "simulated", "--classes", "calm,stressed")
    script = (
        "import sys, types, runpy\n"
        "texts = []\n"
        "class Outlet:\n"
        "    def __init__(self, info): pass\n"
        "    def wait_for_consumers(self, s): return True\n"
        "    def push_sample(self, row): texts.append(row[0])\n"
        "pylsl = types.ModuleType('pylsl')\n"
        "pylsl.StreamInfo, pylsl.StreamOutlet = (lambda *a: None), Outlet\n"
        "sys.modules['pylsl'] = pylsl\n"
        "sys.argv = ['protocol.py', '--rest', '0', '--trial', '0', '--pause', '0', '--trials', '1']\n"
        "runpy.run_path('protocol.py', run_name='__main__')\n"
        "print(sorted(texts))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    expected = [f"trial/{what}/{label}" for what in ("start", "stop") for label in ("calm", "stressed")]
    assert done.stdout.splitlines()[-1] == str(["rest/start", "rest/stop", *expected])


def test_nothing_is_overwritten(tmp_path):
    made(tmp_path / "lab", "--montage", "muse", "--eye", "tobii")
    (tmp_path / "lab" / "training.yaml").unlink()
    before = {path.name: path.read_bytes() for path in (tmp_path / "lab").iterdir()}
    assert "exists already and is not overwritten" in refused("new", tmp_path / "lab", "--montage", "muse")
    assert {path.name: path.read_bytes() for path in (tmp_path / "lab").iterdir()} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--montage", "actichamp"), "nearest: 'actichamp-64'"),
        (("--montage", "muse", "--eye", "tobi"), "nearest: 'tobii'"),
        (("--montage", "muse", "--channels", "TP99"), "--channels: got 'TP99'"),
        (("--montage", "muse", "--eye", "tobii", "--screen", "53"), "--screen: got '53'"),
        (("--montage", "muse", "--eye", "tobii", "--degrees", "a,b"), "--degrees: got 'a,b'"),
        (("--montage", "muse", "--classes", "calm"), "expected at least two"),
        (
            (
                "--montage",
                "none",
            ),
            "no EEG, gaze or skin",
        ),
        (("--from", "nowhere.xdf"), "no such file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path, options, words):
    assert words in refused("new", tmp_path / "lab", *options)
    assert not (tmp_path / "lab").exists()


def test_a_recording_without_eyes_nor_markers_is_enough(tmp_path):
    info = StreamInfo(
        "LiveAmpSN-1",
        "EEG",
        rate_hz=250.0,
        labels=("Fp1", "Fp2", "ACC_X", "SampleCounter", "AUX_1", "STETriggerIn"),
        units=("microvolts", "microvolts", "milliGs", "", "microvolts", ""),
    )
    writer = XdfWriter(tmp_path / "one.xdf")
    stream = writer.add_stream(info)
    writer.samples(stream, np.arange(250) / 250.0, np.zeros((250, 6), np.float32))
    writer.close()
    done = bci("new", tmp_path / "lab", "--from", tmp_path / "one.xdf", "--eye", "none")
    text = (tmp_path / "lab" / "training.yaml").read_text() if done.returncode == 0 else done.stderr
    assert "channels: [Fp1, Fp2]" in text, done.stderr
    assert "not used: ACC_X (movement); SampleCounter (counter); AUX_1 (auxiliary input)" in done.stdout


def skin_tables(folder, labels=("calm", "tense")):
    for person in ("P01", "P02", "P03"):
        (folder / person).mkdir(parents=True)
        times = 1.7e9 + np.arange(520) / 4
        rows = (f"{time:.2f},{2 + np.sin(time / 9):.4f},33.1" for time in times)
        (folder / person / "skin.csv").write_text("time,EDA (uS),TEMP\n" + "\n".join(rows) + "\n")
        begins = enumerate(range(40, 120, 12))
        trials = (f"{1.7e9 + begin_s:.2f},{labels[index % 2]},10" for index, begin_s in begins)
        (folder / person / "markers.csv").write_text("time,marker,duration\n" + "\n".join(trials) + "\n")


def test_skin_conductance_alone_makes_files_that_pass_check(tmp_path):
    skin_tables(tmp_path / "data")
    done = bci("new", tmp_path / "watch", "--from", tmp_path / "data", "--yes")
    assert "baseline: 24 s of rest" in done.stdout, done.stderr
    checked = bci("check", tmp_path / "watch" / "training.yaml")
    assert "trained on: skin" in checked.stdout, checked.stderr
    assert "reaches into" not in checked.stdout + checked.stderr
    skin = load_training(tmp_path / "watch" / "training.yaml").contract.modalities["skin"]
    assert (skin.channels, skin.units) == (("EDA",), ("uS",))
    stream = load_pipeline(tmp_path / "watch" / "pipeline.yaml").streams["skin"]
    assert stream.type == skin.stream_type


def test_a_shipped_model_is_not_what_a_new_one_is_called(tmp_path):
    assert "name is that of a shipped model" in refused("new", tmp_path / "muse-4ch", "--montage", "muse")
    assert not (tmp_path / "muse-4ch").exists()


def test_montages_are_listed():
    said = bci("montages").stdout
    assert all(name in said for name in (*DEVICES, "tobii", "pupil-core"))
    assert os.linesep in said


def answered(folder, answers, monkeypatch, wishes):
    """What is said where somebody answers these one after the other."""
    given = iter(answers)
    monkeypatch.setattr("builtins.input", lambda _prompt="": next(given))
    console = Console(file=io.StringIO(), width=200)
    new_project(folder, replace(wishes, ask=True), console)
    assert next(given, "all used") == "all used"
    return load_training(folder / "training.yaml"), console.file.getvalue()


def test_somebody_at_a_terminal_is_asked_and_asked_again(tmp_path, monkeypatch):
    answers = ["AF3,T9", "T8,AF3", "50", "60x", "60x34", "70", "calm", "calm, tense", "-1", "30"]
    wishes = Wishes(montage="emotiv-5", eye="tobii")
    training, said = answered(tmp_path / "lab", answers, monkeypatch, wishes)
    eeg, eye = (training.contract.modalities[name] for name in ("eeg", "eye"))
    assert eeg.channels == ("T8", "AF3")
    assert eye.feature.params["degrees_per_unit_x"] == 46.4
    assert training.contract.heads["emotion"].classes == ("calm", "tense")
    assert eeg.normaliser.params == {"duration_s": 30.0}
    assert "note: --channels: got 'T9'" in said
    assert "note: --classes: got 'calm', expected at least two" in said


def test_of_several_streams_one_is_chosen_and_named_in_the_pipeline(tmp_path, monkeypatch):
    labels = {"Cap": ("Fp1", "Fp2", "Cz"), "Band": ("TP9", "TP10")}
    writer = XdfWriter(tmp_path / "two.xdf")
    for name, places in labels.items():
        units = ("microvolts",) * len(places)
        stream = writer.add_stream(StreamInfo(name, "EEG", rate_hz=250.0, labels=places, units=units))
        writer.samples(stream, np.arange(250) / 250.0, np.zeros((250, len(places)), np.float32))
    writer.close()
    answers = ["Bund", "Band", "all", "60", "low, high", ""]
    training, _ = answered(tmp_path / "lab", answers, monkeypatch, Wishes(source=tmp_path / "two.xdf"))
    assert training.contract.modalities["eeg"].channels == ("TP9", "TP10")
    assert training.contract.modalities["eeg"].feature.params["notch_hz"] == [60.0]
    assert load_pipeline(tmp_path / "lab" / "pipeline.yaml").streams["eeg"].name == "Band"
    said = bci("new", tmp_path / "other", "--from", tmp_path / "two.xdf").stdout
    assert "eeg from 'Cap', one of 2; --eeg NAME" in said
