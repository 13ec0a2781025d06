"""``evaluate --on``: the models of a run, or a ready one, on all people of another training file."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from support.model_files import small_tensors
from support.own_recordings import write_recordings
from support.small_pairs import corpus, training_settings
from support.training_files import training_values, without_pictures
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import ConfigurationError, TrainingError, UsageError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.training.check import second_set
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.check.ready_model import ReadyModel
from bci_m2s.training.check.second_set import Second, check_second
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.second_set import SecondSet, relabelled
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.run import evaluating, finetuning, judging

QUICK = {"epochs": 2, "batch": 32, "learning_rates": [1e-2], "weight_decays": [1e-4], "start": "random"}
REVERSED = {"emotion": {"classes": ["positive", "negative"]}}
FOLDS = {"kind": "subject-folds", "folds": 2, "validation_subjects": 1}


def other_people(number=2):
    """People of the same kind as those of ``corpus()``, called as two of them, classes in other order."""
    people = corpus(people=8 + number)[8:]
    return [
        replace(
            one,
            subject=str(name),
            trials=tuple(replace(t, labels={"emotion": 1 - t.labels["emotion"]}) for t in one.trials),
        )
        for name, one in enumerate(people, 1)
    ]


def evaluated(folder, monkeypatch, theirs):
    """What evaluate prints with `theirs` as the test, and its results."""
    controls = ("majority", "linear", "cca", "permuted")
    changes = {"finetune": QUICK | {"oracle": True}, "controls": controls, "permutations": 2}
    settings = training_settings(split=FOLDS, **changes)
    sessions = corpus()
    splits = make_splits(sessions, settings.split, "emotion")
    console = Console(file=io.StringIO(), width=300)
    names, device = Names.of(sessions), torch.device("cpu")
    experiment = Experiment(Path("own.yaml"), settings, folder, sessions, names, splits, device, console)
    second = Second(Path("other.yaml"), training_settings(heads=REVERSED))
    read = relabelled(theirs, second.settings.contract, settings.contract)
    for module in (finetuning, evaluating):
        monkeypatch.setattr(module, "open_experiment", lambda *_, **__: experiment)
    monkeypatch.setattr(evaluating, "load_second", lambda *_: SecondSet(second.path, second.settings, read))
    checked = Checked(Path("own.yaml"), settings, Listing(DATASETS["simulated"], []), splits, [])
    with without_pictures():
        finetuning.run_finetune(checked, folder, console, None, False)
        evaluating.run_evaluate(checked, folder, console, on=second)
    return console.file.getvalue(), json.loads((folder / "on-other" / "results.json").read_text())


def test_everybody_of_the_other_data_tests_and_classes_go_by_name(tmp_path, monkeypatch):
    printed, found = evaluated(tmp_path, monkeypatch, other_people())
    assert not (tmp_path / "results.json").exists()  # the run's own are left alone
    assert "Tested on other data: all people of other.yaml (simulated)" in printed
    assert "Trained and validated on simulated: 8 people: 1, 2, 3, 4, 5, 6, 7, 8." in printed
    assert "People: 2 splits, in each 3 people train, 1 validates, 2 test." in printed
    assert "Tested: 2 of 2 people: 1, 2." in printed
    assert "People of these names trained too: 1, 2" in printed
    assert "judged by the models of all 2 splits" in printed
    assert "Oracle" not in printed
    rows = {(one["method"], one["direction"]): one for one in found["summaries"]}
    assert rows["linear", "eeg → eeg"]["mean"] > 0.9  # 1 less it, if the numbers of classes counted
    assert rows["cca", "eeg → eye"]["mean"] > 0.9
    assert {one["method"] for one in found["summaries"]} == {
        "pretrained",
        "majority",
        "linear",
        "cca",
        "permuted",
    }
    assert all(one["people"] == 2 and one["oracle"] is None for one in rows.values())
    assert sum(rows["linear", "eeg → eeg"]["support"]) == 2 * 2 * 6 * 5  # splits, people, trials, windows


def test_a_signal_that_trained_is_refused_whatever_its_name(tmp_path, monkeypatch):
    copied = [replace(one, subject="new") for one in corpus()[:1]]
    with pytest.raises(TrainingError, match=r"other\.yaml: data: got trial new/1/\d, whose signal trains"):
        evaluated(tmp_path, monkeypatch, copied)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A training file with the recordings of two people."""
    folder = tmp_path_factory.mktemp("lab")
    write_recordings(folder / "first", ("P001", "P002"))
    written(folder / "lab.yaml", data={"format": "recordings", "root": "first"})
    return folder


def written(path, contract=None, **changes):
    values = training_values(**changes)
    values["contract"].update(contract or {})
    path.write_text(yaml.safe_dump(values))
    return path


def changed(modality, **fields):
    """Modalities of the file with fields of one replaced."""
    modalities = training_values()["contract"]["modalities"]
    return {"modalities": modalities | {modality: modalities[modality] | fields}}


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (
            {"heads": {"emotion": {"classes": ["calm", "positive"]}}},
            "contract.heads.emotion.classes: got calm, positive, expected those of a.yaml: negative, pos",
        ),
        ({"heads": {"mood": {"classes": ["a", "b"]}}}, "contract.heads: got mood, expected emotion"),
        (
            {"window": {"steps": 4, "step_s": 1.0, "hop_s": 0.5}},
            "contract.window.steps: got 4, expected 3 as in a.yaml",
        ),
        (
            changed("eeg", channels=["TP9", "AF7", "AF8", "Fpz"]),
            "contract.modalities.eeg.channels: got .*Fpz",
        ),
        (
            changed("eeg", normaliser={"name": "baseline", "params": {"duration_s": 9.0}}),
            r"contract.modalities.eeg.normaliser.params.duration_s: got 9.0, expected 5.0",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_file_key_got_and_expected(lab, tmp_path, contract, message):
    ours = Contract.model_validate(training_values()["contract"])
    path = written(tmp_path / "b.yaml", contract, data={"format": "recordings", "root": str(lab / "first")})
    with pytest.raises(ConfigurationError, match=rf"b\.yaml:\d+: {message}"):
        check_second(path, ours, "a.yaml")


def physiology(**columns):
    return {"name": "physiology", "n_features": 7, "params": {"columns": columns}}


@pytest.mark.parametrize(
    ("skin", "message"),
    [
        ({"units": ["nS", "degC"]}, "skin.units.gsr: got 'nS', expected 'uS' as in a.yaml"),
        (
            {"feature": physiology(gsr="EDA")},
            "skin.units.temperature: got nothing, expected 'degC' as in a.yaml",
        ),
    ],
)
def test_what_named_columns_measure_has_to_be_the_same(skin, message):
    """A thousandth of the unit would be a thousand times the feature."""

    def contract(**changes):
        spec = {
            "stream_type": "Peripheral",
            "rate_min_hz": 4,
            "rate_max_hz": 4.5,
            "channels": ["EDA", "TEMP"],
            "units": ["uS", "degC"],
            "feature": physiology(gsr="EDA", temperature="TEMP"),
            "normaliser": {"name": "baseline", "params": {"duration_s": 5.0}},
            "network": {"name": "m2s-sequence"},
        }
        return Contract.model_validate(
            training_values()["contract"] | {"modalities": {"skin": spec | changes}}
        )

    renamed = contract(channels=["SKIN", "TEMP"], feature=physiology(gsr="SKIN", temperature="TEMP"))
    assert second_set._judged(contract(), renamed, "a.yaml", some=False)
    with pytest.raises(ConfigurationError, match=message):
        second_set._judged(contract(), contract(**skin), "a.yaml", some=False)


def test_screens_rates_splits_and_trackers_may_differ(lab, tmp_path):
    ours = Contract.model_validate(training_values()["contract"])
    eye = training_values()["contract"]["modalities"]["eye"]["feature"]
    params = eye["params"] | {"degrees_per_unit_x": 20.0}
    path = written(
        tmp_path / "b.yaml",
        changed("eye", feature=eye | {"params": params}, rate_min_hz=50.0),
        data={"format": "recordings", "root": str(lab / "first")},
        split={"kind": "subjects", "test_subjects": 50},
    )
    second = check_second(path, ours, "a.yaml")
    assert second.settings.contract.modalities["eye"].feature.params["degrees_per_unit_x"] == 20.0


def said(*words):
    with without_pictures():
        result = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    if result.exception is not None:
        raise result.exception
    return " ".join(result.output.split())


def model(folder, *names):
    """A model file of some modalities, whose record names its people."""
    values = training_values()["contract"]
    values["modalities"] = {name: values["modalities"][name] for name in names}
    values["training"] = {
        "data": "recordings",
        "people": {"train": 4, "validation": 1, "test": 2},
        "subjects": {"train": ["P001"], "validation": ["X"], "test": []},
    }
    contract = Contract.model_validate(values)
    path = folder / f"{'-'.join(names)}.safetensors"
    save_model(path, contract, small_tensors(contract), overwrite=True)
    return path


def test_a_ready_model_is_judged_in_every_direction_that_it_can(lab, tmp_path):
    run = ("--on", lab / "lab.yaml", "--run", tmp_path)
    text = said(model(tmp_path, "eeg", "eye"), *run)
    assert "Model: tiny-live, trained on recordings, of whose people 4 trained and 1 validated" in text
    assert "2 people (P001, P002), 8 trials" in text
    assert "note: people of these names trained the model: P001" in text
    for direction in ("eeg → eeg: chance", "eye → eye: chance", "both → both: chance"):
        assert direction in text
    found = json.loads((tmp_path / "on-lab" / "results.json").read_text())
    (summary,) = (one for one in found["summaries"] if one["direction"] == "eeg → eeg")
    assert (summary["people"], summary["seeds"]) == (2, 1)
    assert 0 <= summary["low"] <= summary["mean"] <= summary["high"] <= 1
    assert "| eeg-eye | both → both |" in (tmp_path / "on-lab" / "results.md").read_text()
    text = said(model(tmp_path, "eeg"), *run)
    assert "eeg → eeg: chance" in text
    assert "eye" not in text.partition("Model:")[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("M", "--on", "M"), "--on: got the model file .*, expected a training file"),
        (("M", "--on", "L", "--model", "M"), "--on: got --model or --data too"),
        (("M", "--on", "L", "--beside", "."), "--beside: got a model file"),
        (("none.safetensors", "--on", "L"), "none.safetensors: no such file"),
        (("M",), r"got a model file, .* --on TRAINING.yaml"),
    ],
)
def test_what_cannot_be_judged_is_said_in_a_line(lab, tmp_path, words, message):
    given = {"M": model(tmp_path, "eeg", "eye"), "L": lab / "lab.yaml"}
    with pytest.raises((ConfigurationError, UsageError), match=message):
        said(*(given.get(word, word) for word in words))


def test_trials_of_new_people_and_other_data_do_not_go_together(lab, tmp_path):
    labels = {"people": 0, "new_person_trials": 1}
    finetune = training_values()["finetune"] | {"select": "last"}
    own = written(tmp_path / "own.yaml", labels=labels, finetune=finetune)
    with pytest.raises(ConfigurationError, match=r"labels\.new_person_trials: got 1, expected 0 with --on"):
        said(own, "--on", lab / "lab.yaml")


def test_simulated_people_are_known_by_their_seed():
    values = training_values()
    record = {"data": "simulated", "simulator": {"seed": 0, "train": ["1", "2"], "validation": ["3"]}}
    contract = Contract.model_validate(values["contract"] | {"training": record})
    left_out = {}
    for seed in (0, 5):
        settings = training_settings(data={"format": "simulated", "simulator": {"seed": seed}})
        settings = settings.model_copy(update={"contract": contract})
        ready = ReadyModel(Path("f.yaml"), Path("m.safetensors"), settings, is_other=True)
        left_out[seed] = judging._strangers(ready, corpus(people=4))[1]
    assert left_out == {0: ["1", "2", "3"], 5: []}
