"""finetune and evaluate where labels are left out: every method has the same few, and it is said."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from support.small_pairs import corpus, training_settings
from support.training_files import without_pictures

from bci_m2s.errors import ConfigurationError, TrainingError
from bci_m2s.model.model_file import read_contract
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.check.training_file import Checked, check_live_use
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.run import evaluating, finetuning

FEW = {"epochs": 2, "batch": 32, "learning_rates": [1e-2], "select": "last", "start": "random"}
CROSSED = {"eeg → eye", "eye → eeg"}
WITHIN = {"eeg → eeg", "eye → eye"}


def finished(folder, monkeypatch, **labels):
    """A training file, and what finetune and evaluate print of it."""
    controls = ("majority", "linear", "cca", "pseudo")
    settings = training_settings(labels=labels, finetune=FEW, controls=controls, seeds=[0, 1])
    sessions = corpus()
    splits = make_splits(sessions, settings.split, "emotion")
    console = Console(file=io.StringIO(), width=300)
    names, device = Names.of(sessions), torch.device("cpu")
    experiment = Experiment(Path("few.yaml"), settings, folder, sessions, names, splits, device, console)
    for module in (finetuning, evaluating):
        monkeypatch.setattr(module, "open_experiment", lambda *_, **__: experiment)
    checked = Checked(Path("few.yaml"), settings, Listing(DATASETS["simulated"], []), splits, [])
    with without_pictures():
        finetuning.run_finetune(checked, folder, console, None, False)
        evaluating.run_evaluate(checked, folder, console)
    return checked, console.file.getvalue()


def test_a_person_without_a_trial_to_spare_is_a_fold_left_out(tmp_path):
    sessions = corpus(people=4)
    sessions[0] = replace(sessions[0], trials=sessions[0].trials[:2])
    split = {"kind": "subject-folds", "folds": 0, "validation_subjects": 1}
    labels = {"people": 0, "new_person_trials": 1}
    settings = training_settings(labels=labels, finetune=FEW, split=split)
    console = Console(file=io.StringIO(), width=300)
    splits = make_splits(sessions, settings.split, "emotion")
    made = Experiment(
        Path("n.yaml"),
        settings,
        tmp_path,
        sessions,
        Names.of(sessions),
        splits,
        torch.device("cpu"),
        console,
    )
    tested = {data.names.subjects[i] for data, _, _ in made.units() for i in data.parts["test"].subjects}
    assert tested == {session.subject for session in sessions[1:]}
    made.say_notes()
    (note,) = console.file.getvalue().splitlines()
    assert note.startswith("note: left out: labels.new_person_trials: got 1, expected fewer")
    assert re.search(r"\(in fold-\d of 4 splits\)$", note)
    nobody = settings.model_copy(
        update={"labels": settings.labels.model_copy(update={"new_person_trials": 3})}
    )
    with pytest.raises(TrainingError, match="got 3, expected fewer than the trials"):
        list(replace(made, settings=nobody).units())


def directions(folder):
    """Of each method, each with the number of seeds."""
    summaries = json.loads((folder / "results.json").read_text())["summaries"]
    found = {}
    for one in summaries:
        found.setdefault(one["method"], {})[one["direction"]] = one["seeds"]
    return found


def test_labels_of_few_people(tmp_path, monkeypatch):
    checked, printed = finished(tmp_path, monkeypatch, people=2)
    assert "--out" not in printed
    assert "nan" not in printed
    assert printed.count("probabilities are not calibrated") == 1
    contract = read_contract(tmp_path / "all" / "seed-0" / "model.safetensors")
    labelled = contract.training["labelled"]
    assert len(labelled) == 2
    assert f"labels of {', '.join(labelled)}" in printed
    for spec in contract.modalities.values():
        calibration = spec.calibration["emotion"]
        assert (calibration.temperature, calibration.unknown_below, calibration.windows) == (1.0, 0.0, 0)
    assert "Labels: 2 training people keep labels" in printed
    assert "2 people train with labels, 0 validate, 2 test" in printed
    found = directions(tmp_path)
    # another seed has other people's labels, so what draws nothing else is repeated too
    assert {seeds for row in found.values() for seeds in row.values()} == {2}
    assert found["linear"].keys() == WITHIN | {"both → both"}
    with pytest.raises(
        ConfigurationError, match="labels: got labels that are left out, expected none with"
    ):
        check_live_use(checked, tmp_path / "live.safetensors")


def test_labels_without_pairs(tmp_path, monkeypatch):
    _, printed = finished(tmp_path, monkeypatch, unpaired=True)
    assert "half of the training people" in printed
    found = directions(tmp_path)
    assert found["linear"].keys() == WITHIN  # nobody has labels of both at once
    assert found["cca"].keys() == WITHIN | CROSSED
    assert found["pseudo"].keys() == CROSSED
    assert found["pretrained"].keys() == WITHIN | CROSSED | {"both → both"}
