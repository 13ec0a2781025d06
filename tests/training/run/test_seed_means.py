"""evaluate with five seeds: their mean is a row, of the method and of rivals that depend on the seed."""

import io
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from support.small_pairs import corpus, training_settings
from support.training_files import without_pictures

from bci_m2s.model.predictor import load_model
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.experiment import Experiment
from bci_m2s.training.results.metrics import figures
from bci_m2s.training.run import evaluating, finetuning

QUICK = {"epochs": 1, "batch": 32, "learning_rates": [1e-3], "weight_decays": [1e-4], "start": "random"}
SPLIT = {"kind": "subjects", "test_subjects": 3, "validation_subjects": 1, "validation_by_seed": True}


def test_the_mean_of_five_seeds_is_that_of_their_models(tmp_path, monkeypatch):
    controls = ("cca",)
    settings = training_settings(split=SPLIT, finetune=QUICK, controls=controls, seeds=5)
    sessions = corpus(per_session=2, effect=0.4)
    splits = make_splits(sessions, settings.split, "emotion")
    console = Console(file=io.StringIO(), width=300)
    names, device = Names.of(sessions), torch.device("cpu")
    made = Experiment(Path("m.yaml"), settings, tmp_path, sessions, names, splits, device, console)
    for module in (finetuning, evaluating):
        monkeypatch.setattr(module, "open_experiment", lambda *_, **__: made)
    checked = Checked(Path("m.yaml"), settings, Listing(DATASETS["simulated"], []), splits, [])
    with without_pictures():
        finetuning.run_finetune(checked, tmp_path, console, None, False)
        evaluating.run_evaluate(checked, tmp_path, console)
    units = list(made.units())
    validating = [next(iter(data.split.validation)).split("/")[0] for data, _, _ in units]
    assert len(set(validating)) == 5  # of the five who do not test
    assert len({data.split.test for data, _, _ in units}) == 1
    chances = []
    for data, _, folder in units:
        test = data.parts["test"].having(["eye"], "emotion")
        model = load_model(folder / "crossed.safetensors", threads=None)
        chances.append(model.predict_proba("eye", test.features["eye"]))
    guesses = np.mean(chances, axis=0).argmax(axis=1)
    expected = figures(test.labels["emotion"], guesses, test.subjects, 2)["by_subject"]
    rows = {
        (one["method"], one["direction"]): one
        for one in json.loads((tmp_path / "results.json").read_text())["summaries"]
    }
    mean = rows["pretrained, mean of 5 seeds", "eeg → eye"]
    assert mean["by_person"] == {names.subjects[person]: value for person, value in expected.items()}
    assert mean["seeds"] == 1
    assert rows["pretrained", "eeg → eye"]["seeds"] == 5
    assert rows["cca", "eeg → eye"]["seeds"] == 5  # its training people differ too
    assert ("cca, mean of 5 seeds", "both → both") in rows
    printed = console.file.getvalue()
    assert "other people validate with each seed" in printed
    assert "There is one group: its intervals are over people alone." in printed
    assert "pretrained, mean of 5 seeds less its rivals" in printed
