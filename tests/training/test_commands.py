"""``pretrain``, ``finetune`` and ``evaluate`` from the command line, on a few simulated people."""

import csv
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import yaml
from joblib import parallel_config
from rich.console import Console
from support.rights import assert_rights
from support.small_sessions import pipeline
from support.training_files import SIMULATOR, training_values, without_pictures
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import ConfigurationError, ModelError, OutputError, UsageError
from bci_m2s.files.tensor_file import read_tensors
from bci_m2s.model.model_file import load_model_file, read_contract
from bci_m2s.model.predictor import load_model
from bci_m2s.session.setup.build import check_feature
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.training.check.training_file import check_training
from bci_m2s.training.data import load
from bci_m2s.training.datasets.simulated import simulated_segments
from bci_m2s.training.experiment import open_experiment
from bci_m2s.training.methods import pretrain as pretraining
from bci_m2s.training.methods.checkpoint import read_progress
from bci_m2s.training.results import report
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.types import Status

UNTRAINED = {"pretrain": {"epochs": 0}}  # where only what follows matters
DIRECTIONS = ["eeg → eeg", "eye → eeg", "eye → eye", "eeg → eye", "both → both"]


def write(path, **changes):
    path.write_text(yaml.safe_dump(training_values(**changes)))
    return path


def call(*words):
    """Run a command; its output, or its exception."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def drawn_once(monkeypatch):
    """Draw curves of each kind for the first seed and modality; the others are files without a picture."""
    draw = report._draw

    def draw_first(path, *what):
        if any(path.parent.parent.glob(f"*/{path.stem.split('-')[0]}*.png")):
            path.touch(mode=0o600)
        else:
            draw(path, *what)

    monkeypatch.setattr(report, "_draw", draw_first)


class Finished:
    """A whole run: folder, training file, what was printed, and the model file for live use."""

    def __init__(self, folder):
        self.config = write(folder / "tiny.yaml")
        self.run, self.out = folder / "run", folder / "tiny-live.safetensors"
        where = (self.config, "--run", self.run)
        self.printed = {
            "pretrain": call("pretrain", *where, "--device", "cpu"),
            "finetune": call("finetune", *where, "--out", self.out),
            "evaluate": call("evaluate", *where),
        }

    def session(self, person):
        """Its features, as they are kept."""
        (path,) = (self.run / "features").glob(f"*/{person}-0.npz")
        return load.read_features(path)

    def features_to(self, run):
        """Spare another run of the same data the features."""
        shutil.copytree(self.run / "features", run / "features")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        drawn_once(monkeypatch)
        return Finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture(autouse=True)
def _without_pictures():
    """Those of the finished run are looked at; another one draws none."""
    with without_pictures():
        yield


def test_the_run_folder_says_what_was_done(finished):
    run = finished.run
    assert (
        yaml.safe_load((run / "config.yaml").read_text())["pretrain"]["club_inner_steps"] == 3
    )  # filled in
    about = json.loads((run / "run.json").read_text())
    assert about["config"] == "tiny.yaml"
    assert about["seeds"] == [0, 1]
    assert about["people"] == ["0", "1", "2", "3", "4"]
    assert about["trials"] == 20
    assert {"bci_m2s", "python", "torch", "numpy", "scipy"} <= about["versions"].keys()
    parts = about["splits"]["all"]
    assert [len(parts[part]) for part in ("train", "validation", "test")] == [12, 4, 4]
    assert {path.name for path in run.iterdir()} == {
        "all",
        "config.yaml",
        "confusion-emotion.png",
        "live-model.json",
        "features",
        "results.json",
        "results.md",
        "run.json",
    }
    for seed in (0, 1):
        assert {path.name for path in (run / "all" / f"seed-{seed}").iterdir()} == {
            "crossed.safetensors",
            "finetune-eeg.csv",
            "finetune-eeg.png",
            "finetune-eye.csv",
            "finetune-eye.png",
            "finetune.json",
            "model.safetensors",
            "pretrain.csv",
            "pretrain.json",
            "pretrain.png",
            "pretrain.safetensors",
        }


def test_a_run_is_its_owners_but_for_the_models_that_are_handed_on(finished):
    assert_rights(finished.run)
    assert_rights(finished.run / "all" / "seed-0")
    if os.name == "posix":
        made = (finished.run / "all" / "seed-0" / "model.safetensors").stat().st_mode
        assert made & 0o777 == finished.config.stat().st_mode & 0o777  # as the umask has it


def test_curves_are_a_table_and_a_picture(finished):
    unit = finished.run / "all" / "seed-0"
    with (unit / "pretrain.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3]
    losses = {"total", "contrastive", "cpc", "reconstruction", "club_a", "club_b", "validation_contrastive"}
    assert losses <= rows[0].keys()
    assert all(np.isfinite(float(row[name])) for row in rows for name in losses)
    last = json.loads((unit / "pretrain.json").read_text())
    assert last["last"]["contrastive"] == float(rows[-1]["contrastive"])
    assert last["identity"]["eeg"]["chance"] == pytest.approx(1 / 3)
    for name in ("pretrain.png", "finetune-eeg.png"):
        assert (unit / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (unit / name).stat().st_size > 5000


def test_evaluation_gives_all_directions_and_controls_with_protocol_and_support(finished):
    results = json.loads((finished.run / "results.json").read_text())
    methods = {}
    for row in results["summaries"]:
        methods.setdefault(row["method"], []).append(row["direction"])
        seeds = 1 if row["method"] == "linear" else 2  # the linear model draws nothing
        trainings = seeds * max(1, row["permutations"])
        assert sum(map(sum, row["confusion"])) == trainings * sum(row["support"])
        assert row["seeds"] == seeds
        assert 0 <= row["mean"] <= 1
    assert methods["pretrained"] == DIRECTIONS
    assert set(methods) == {"pretrained", "linear", "random", "supervised", "permuted"}
    assert sorted(methods["random"]) == sorted(methods["permuted"]) == sorted(DIRECTIONS)
    assert set(methods["supervised"]) == set(methods["linear"]) == {"eeg → eeg", "eye → eye", "both → both"}
    assert len(results["results"]) == 2 * (5 + 5 + 3) + 3 + 2 * 3 * 5  # three permutations
    for text in ((finished.run / "results.md").read_text(), " ".join(finished.printed["evaluate"].split())):
        for piece in (
            "1 validates, 1 tests",
            "Seeds: 0, 1",
            "validation trials",
            "chance 0.50",
            "selected on them",
        ):
            assert piece in text
    table = (finished.run / "results.md").read_text()
    assert "| pretrained | eye → eeg | " in table
    assert "Test windows of eeg: negative " in table
    assert "confusion" in finished.printed["evaluate"]


def test_the_oracle_is_never_below_what_validation_chose(finished):
    results = json.loads((finished.run / "results.json").read_text())
    seen = 0
    for row in results["results"]:
        if row["method"] == "pretrained" and row["tested_on"] != "both":
            assert row["oracle"] >= np.mean(list(row["figures"]["by_subject"].values()))
            seen += 1
        else:
            assert row["oracle"] is None
    assert seen == 8


def test_the_model_file_is_what_live_use_needs(finished):
    contract, tensors = load_model_file(finished.out)
    assert contract.name == "tiny-live"
    for modality in ("eeg", "eye"):
        check_feature(finished.out, contract, modality)
        assert contract.modalities[modality].calibration["emotion"].trials == 4
    low, high = contract.modalities["eeg"].amplitude["uV"]
    assert 0 < low < 2  # a thirtieth of what is usual
    assert 300 < high < 30_000
    record = contract.training
    chosen = int(record["chosen_seed"].split(",")[0])
    scores = []
    for seed in (0, 1):
        choices = json.loads((finished.run / "all" / f"seed-{seed}" / "finetune.json").read_text())
        scores.append(sum(choice["validation_balanced_accuracy"] for choice in choices.values()))
    assert scores[chosen] == max(scores)
    assert record["seed"] == chosen
    assert record["people"] == {"train": 3, "validation": 1, "test": 1}
    assert record["command"].endswith("bci-m2s finetune tiny.yaml --out tiny-live.safetensors")
    assert record["finetune"]["oracle"] is True
    assert record["pretrain"]["epochs"] == 3
    assert any("Split: by person" in line for line in record["protocol"])
    _, kept = load_model_file(finished.run / "all" / f"seed-{chosen}" / "model.safetensors")
    assert all(np.array_equal(array, kept[name]) for name, array in tensors.items())


def test_the_live_pipeline_gives_what_evaluation_judged(finished):
    """The test person's raw streams through the pipeline: the same windows, the same probabilities."""
    contract, tensors = load_model_file(finished.out)
    experiment = open_experiment(
        check_training(finished.config), finished.run, Console(quiet=True), device="cpu"
    )
    data, _, _ = next(experiment.units())
    test = data.parts["test"]
    (person,) = {key.split("/")[0] for key in data.split.test}
    session = next(each for each in experiment.sessions if each.subject == person)
    simulator = SimulatorSettings(**SIMULATOR, classes=("negative", "positive"))
    (segment,) = simulated_segments(simulator, int(person), 0)
    offset = segment.trials[0].start_s - session.trials[0].start_s
    model = load_model(finished.out, "cpu", None)
    for modality in ("eeg", "eye"):
        stream = segment.streams[modality]
        live_pipeline = pipeline({modality: stream.info}, spec=contract, tensors=tensors)
        live = [
            estimate
            for chunk in stream.chunks()
            for estimate in live_pipeline.push(modality, chunk)
            if estimate.status is Status.OK
        ]
        live_ends = np.array([estimate.end_s for estimate in live])
        windows = test.having([modality])
        assert len(windows) >= 20
        expected = model.predict_proba(modality, windows.features[modality])
        ends = session.end_s[windows.starts + 4] + offset  # three steps of two hops each
        for end_s, chances in zip(ends, expected, strict=True):
            nearest = int(np.abs(live_ends - end_s).argmin())
            assert abs(live_ends[nearest] - end_s) < 0.02  # last samples of 128 and 60 a second
            np.testing.assert_allclose(live[nearest].probabilities, chances, atol=1e-5)


def test_interrupted_and_resumed_gives_the_same_weights_and_models_and_says_how(
    finished, tmp_path, monkeypatch
):
    run = tmp_path / "again"
    finished.features_to(run)
    honest, calls = pretraining._Run._step, 0

    def stop(*arguments):
        nonlocal calls
        calls += 1
        if calls == 3 * 3 + 5:  # three batches an epoch: in the second epoch of the second seed
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(pretraining._Run, "_step", stop)
    result = CliRunner().invoke(
        app, ["pretrain", str(finished.config), "--run", str(run), "--device", "cpu"]
    )
    assert result.exit_code != 0
    printed = "".join(result.output.split())
    assert f"pretrain{finished.config}--run{run}--resume".replace(" ", "") in printed
    assert "Stopped.Thelastcompleteepochiskept" in printed
    assert read_progress(run / "all" / "seed-0" / "pretrain.safetensors").epoch == 3
    assert read_progress(run / "all" / "seed-1" / "pretrain.safetensors").epoch == 1
    monkeypatch.setattr(pretraining._Run, "_step", honest)
    with pytest.raises(ModelError, match=r"stopped after epoch 1 of 3; continue with pretrain --resume"):
        call("finetune", finished.config, "--run", run)
    call("pretrain", finished.config, "--run", run, "--device", "cpu", "--resume")
    for seed in (0, 1):
        _, whole = read_tensors(finished.run / "all" / f"seed-{seed}" / "pretrain.safetensors")
        _, parts = read_tensors(run / "all" / f"seed-{seed}" / "pretrain.safetensors")
        assert whole.keys() == parts.keys()
        assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    with (run / "all" / "seed-1" / "pretrain.csv").open() as file:
        assert len(file.readlines()) == 4
    call("finetune", finished.config, "--run", run)  # and what is made of them
    for name in ("model.safetensors", "crossed.safetensors"):
        again, first = (folder / "all" / "seed-1" / name for folder in (run, finished.run))
        assert again.read_bytes() == first.read_bytes()


def test_nothing_is_overwritten_unasked(finished):
    before = (finished.run / "all" / "seed-0" / "pretrain.safetensors").read_bytes()
    with pytest.raises(
        OutputError, match="already holds a run; continue it with --resume, or name another"
    ):
        call("pretrain", finished.config, "--run", finished.run)
    assert (finished.run / "all" / "seed-0" / "pretrain.safetensors").read_bytes() == before
    model = finished.out.read_bytes()
    with pytest.raises(OutputError, match=r"tiny-live\.safetensors: exists; .*without --overwrite"):
        call("finetune", finished.config, "--run", finished.run, "--out", finished.out)
    assert finished.out.read_bytes() == model


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.nightly)])
def test_features_computed_side_by_side_are_the_same(finished, tmp_path, monkeypatch, backend):
    monkeypatch.setattr(load, "WORTH_WORKERS_S", -1.0)  # from the second session on
    fewer = TrainingSettings.model_validate(
        training_values(data=training_values()["data"] | {"persons": 3})
    )
    with parallel_config(backend=backend):
        sessions = load.load_sessions(fewer, tmp_path, Console(quiet=True))
    assert [session.subject for session in sessions] == ["0", "1", "2"]
    for session in sessions:
        same(session, finished.session(int(session.subject)))
    assert len(list(tmp_path.glob("*/*.npz"))) == 3


def test_a_session_and_its_contract_can_be_sent_to_another_process(finished):
    simulator = SimulatorSettings(**SIMULATOR, classes=("negative", "positive"))
    sent = (simulated_segments(simulator, 0, 0), read_contract(finished.out))
    same(load.from_raw(*pickle.loads(pickle.dumps(sent))), finished.session(0))


def same(session, other):
    assert (session.subject, session.session, session.trials) == (
        other.subject,
        other.session,
        other.trials,
    )
    for name in ("eeg", "eye"):
        np.testing.assert_array_equal(session.values[name], other.values[name])
        np.testing.assert_array_equal(session.usable[name], other.usable[name])


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("pretrain", {"epochs": 5}),
        ("data", {"format": "simulated", "persons": 6, "simulator": SIMULATOR}),
        ("split", {"kind": "subjects", "test_subjects": 2, "validation_subjects": 1}),
        ("windows", {"every_hops": 3}),
    ],
)
@pytest.mark.parametrize("command", [("pretrain", "--resume"), ("finetune",), ("evaluate",)])
def test_a_run_is_bound_to_its_settings(finished, tmp_path, section, changes, command):
    other = write(tmp_path / "tiny.yaml", **{section: changes})
    name, *flags = command
    with pytest.raises(UsageError, match=rf"config\.yaml: {section}: the run was made with other values"):
        call(name, other, "--run", finished.run, *flags)


def test_evaluate_wants_the_classifiers_that_the_file_describes(finished, tmp_path):
    other = write(tmp_path / "tiny.yaml", finetune=training_values()["finetune"] | {"epochs": 5})
    with pytest.raises(UsageError, match="finetune: made with other values; run bci-m2s finetune"):
        call("evaluate", other, "--run", finished.run)


def test_steps_out_of_order_say_what_to_run_first(finished, tmp_path):
    with pytest.raises(UsageError, match="no run here; start one with bci-m2s pretrain"):
        call("finetune", finished.config, "--run", tmp_path / "none")
    with pytest.raises(UsageError, match="no run here"):
        call("pretrain", finished.config, "--run", tmp_path / "none", "--resume")
    run = tmp_path / "begun"
    shutil.copytree(finished.run, run, ignore=shutil.ignore_patterns("crossed.safetensors"))
    with pytest.raises(UsageError, match=r"crossed\.safetensors: missing; run bci-m2s finetune"):
        call("evaluate", finished.config, "--run", run)


def test_a_file_that_turns_out_wrong_leaves_no_run_behind(tmp_path):
    data = {"format": "seed-iv", "root": "nowhere"}
    config, run = write(tmp_path / "wrong.yaml", data=data), tmp_path / "run"
    with pytest.raises(ConfigurationError, match="nowhere: no such folder"):
        call("pretrain", config, "--run", run)
    with pytest.raises(ConfigurationError, match="nowhere"):  # not: already holds a run
        call("pretrain", config, "--run", run)
    assert not (run / "config.yaml").exists()


def test_a_model_that_cannot_run_live_is_not_written(finished, tmp_path):
    config, run = (
        write(
            tmp_path / "own.yaml", windows={"every_hops": 2, "own_session": True}, seeds=[0], **UNTRAINED
        ),
        tmp_path / "run",
    )
    finished.features_to(run)
    call("pretrain", config, "--run", run, "--device", "cpu")
    with pytest.raises(ConfigurationError, match=r"windows\.own_session: .* cannot run live"):
        call("finetune", config, "--run", run, "--out", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


@pytest.fixture(scope="module")
def folds(finished, tmp_path_factory):
    """A run of two folds and two seeds, pre-trained, and the words of finetune with --out."""
    folder = tmp_path_factory.mktemp("folds")
    split = {"kind": "subject-folds", "folds": 2, "validation_subjects": 1}
    short = {"pretrain": training_values()["pretrain"] | {"epochs": 1}}
    config, run, out = (
        write(folder / "folds.yaml", split=split, **short),
        folder / "run",
        folder / "all.safetensors",
    )
    finished.features_to(run)
    with without_pictures():
        call("pretrain", config, "--run", run, "--device", "cpu")
        said = call("finetune", config, "--run", run, "--out", out, "--device", "cpu")
    return config, run, out, " ".join(said.split())


def test_folds_make_one_model_of_everybody_with_the_settings_that_they_chose(folds):
    _, run, out, said = folds
    record = load_model_file(out)[0].training
    assert record["people"] == {"train": 5, "validation": 0, "test": 0}
    assert record["trials"] == {"train": 20, "validation": 0, "test": 0}
    assert record["made"].startswith(
        "trained on all 5 people with the settings that the folds chose (eeg: "
    )
    assert record["made"] in said
    choices = [json.loads(path.read_text()) for path in run.glob("fold-*/seed-*/finetune.json")]
    assert len(choices) == 4
    for name in ("eeg", "eye"):
        epochs = [choice[name]["epoch"] for choice in choices]
        assert record["chosen"][name]["epoch"] == round(np.median(epochs))
        assert record["chosen"][name]["validation_balanced_accuracy"] is None  # nobody was left for it
        temperatures = []
        for path in run.glob("fold-*/seed-*/model.safetensors"):
            temperatures.append(read_contract(path).modalities[name].calibration["emotion"].temperature)
        calibration = read_contract(out).modalities[name].calibration["emotion"]
        assert min(temperatures) <= calibration.temperature <= max(temperatures)
        assert calibration.trials == 16
    assert f"Next: bci-m2s evaluate {folds[0]}" in said
    assert f"model: {out}" in said


def test_a_model_of_everybody_goes_on_from_what_is_done(folds, tmp_path):
    config, run, out, _ = folds
    again = call("finetune", config, "--run", run, "--out", tmp_path / "b.safetensors", "--device", "cpu")
    assert again.count("fine-tuned before, with the same settings") == 4
    _, first = load_model_file(out)
    _, second = load_model_file(tmp_path / "b.safetensors")
    assert all(np.array_equal(array, second[name]) for name, array in first.items())


def test_pretrain_and_evaluate_say_what_comes_next(finished):
    said = {name: " ".join(text.split()) for name, text in finished.printed.items()}
    run = f"{finished.config} --run {finished.run}"
    assert f"Next: bci-m2s finetune {run} --out tiny-live.safetensors" in said["pretrain"]
    assert f"Next: bci-m2s evaluate {run}" in said["finetune"]
    assert (
        "trained on 3 people, epoch and settings chosen on 1 other, 1 kept for the test" in said["finetune"]
    )
    assert f"Results: {finished.run / 'results.md'}" in said["evaluate"]
    assert "if there is none" not in said["evaluate"]
    assert "To run it live" in said["evaluate"]  # the model that finetune wrote


def test_released_settings_run_from_end_to_end(finished, tmp_path):
    """Every released behaviour at once; only sizes are made small."""
    config = write(
        tmp_path / "released.yaml",
        preset="released-cross-subject",
        split={"kind": "subject-folds", "folds": 2, "validation_subjects": 1},
        windows={"every_hops": 1},
        pretrain={"epochs": 1, "batch": 30},
        finetune={"epochs": 1, "batch": 30, "learning_rates": [1e-3], "weight_decays": [1e-4]},
        controls=["random"],
        seeds=[0],
    )
    run = tmp_path / "run"
    finished.features_to(run)
    where = (config, "--run", run)
    call("pretrain", *where, "--device", "cpu")
    call("pretrain", *where, "--device", "cpu", "--resume")  # infinite limits are read back
    call("finetune", *where)
    printed = call("evaluate", *where)
    assert "preset released-cross-subject" in " ".join(printed.split())
    contract = read_contract(run / "fold-1" / "seed-0" / "model.safetensors")
    assert contract.training["pretrain"]["loss"]["max_logit_scale"] == "inf"
    assert contract.training["pretrain"]["layers_start"] == "copies"
