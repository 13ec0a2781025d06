"""What a study will cost, by the cells of one that is done."""

import io

import pytest
import yaml
from rich.console import Console
from support.training_files import training_values

from bci_m2s.errors import UsageError
from bci_m2s.training.experiment import write_config, write_json
from bci_m2s.training.study.estimate import print_cost
from bci_m2s.training.training_file import load_training

CPU_S = {"pretrain": 30.0, "finetune": 10.0, "evaluate": 2.0}


@pytest.fixture
def done(tmp_path):
    """A folder with a finished cell of M2S: 3 epochs, then 4 of classifiers; 3 people train."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(training_values(controls=[])))
    folder = tmp_path / "done" / "tiny" / "seed-0" / "all"
    write_config(folder, load_training(tmp_path / "tiny.yaml"))
    write_json(folder / "cell.json", {"results": [], "protocol": {}, "cpu_s": CPU_S})
    return tmp_path / "done"


def told(done, *options, **changes):
    """The lines that are printed of a study."""
    values = {"title": "T", "data": {"tiny": {"training": "tiny.yaml"}}, "methods": {"M2S": {}}, "seeds": 2}
    path = done.parent / "study.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    console = Console(file=io.StringIO(), width=200)
    print_cost(path, done, *(options or (None,)), console)
    return console.file.getvalue().splitlines()


def test_the_same_cells_take_the_same(done):
    lines = told(done)
    assert lines[0].startswith("2 cells; seconds are of one core, by 1 cell in ")
    assert "  M2S: 2 cells × 42.0 s = 84 s" in lines
    assert lines[-4:-1] == ["1 worker: 84 s", "10 workers: 42 s", "100 workers: 42 s"]
    assert lines[-1] == "The longest cell: 42 s. A Dask scheduler: 0 s in all."


def test_seconds_go_with_epochs_and_windows(done):
    more = {"M2S": {"changes": {"pretrain": {"epochs": 6}, "finetune": {"epochs": 12}}}}
    assert "  M2S: 2 cells × 92.0 s = 3 min" in told(done, methods=more)  # 2 × 30 + 3 × 10 + 2
    twice = {"tiny": {"training": "tiny.yaml", "changes": {"data": {"persons": 8}}}}
    assert "  M2S: 2 cells × 84.0 s = 3 min" in told(done, data=twice)  # 6 people train
    fewer = {"tiny": {"training": "tiny.yaml", "changes": {"data": {"subjects": ["0", "1", "2", "3"]}}}}
    assert "  M2S: 2 cells × 28.0 s = 56 s" in told(done, data=fewer)  # 2 people train
    folds = {"folds": {"split": {"kind": "subject-folds", "folds": 5}}}
    assert "  M2S: 10 cells × 42.0 s = 7 min" in told(done, protocols=folds)
    lines = told(done, methods={"random encoder": {"method": "random"}, "linear": {"method": "linear"}})
    assert "  linear: 1 cell × 34.5 s = 34 s; not measured: the mean of all methods" in lines


@pytest.mark.parametrize(
    ("method", "changes", "seconds"),
    [
        ("pretrained", {"finetune": {"learning_rates": [0.1, 0.01]}}, 30 + 2 * 10 + 2),
        ("pairwise", {"pretrain": {"epochs": 9}, "finetune": {"epochs": 40}}, 3 * 12),
        ("maet", {"pretrain": {"epochs": 9}, "finetune": {"epochs": 8}}, 2 * 12),
        ("maet", {"finetune": {"oracle": False}}, 6),  # which is learnt by itself
        ("eco-fet", {"pretrain": {"epochs": 10}}, 2 * 12),  # 3 + 4 at first
        ("bdae", {"pretrain": {"epochs": 9}, "finetune": {"epochs": 8}}, 12),  # 200, whatever the file says
    ],
)
def test_each_method_takes_the_epochs_that_it_goes_through(done, method, changes, seconds):
    folder = next(done.rglob("config.yaml")).parent
    begun = yaml.safe_load((folder / "config.yaml").read_text())
    begun["finetune"]["method"] = method
    (folder / "config.yaml").write_text(yaml.safe_dump(begun))
    took = CPU_S if method == "pretrained" else {"pretrain": 0.0, "evaluate": 12.0}
    write_json(folder / "cell.json", {"results": [], "protocol": {}, "cpu_s": took})
    lines = told(done, methods={"row": {"method": method, "changes": changes}}, seeds=1)
    assert any(line.startswith(f"  row: 1 cell × {seconds:.1f} s = ") for line in lines), lines


def test_data_that_are_not_here_are_counted_as_published(done):
    values = training_values(controls=[])
    values["contract"]["heads"] = {"emotion": {"classes": ["negative", "neutral", "positive"]}}
    for name, n in (("eeg", 310), ("eye", 33)):
        values["contract"]["modalities"][name]["feature"] = {"name": "distributed", "n_features": n}
        values["contract"]["modalities"][name]["normaliser"] = {"name": "training"}
    values["contract"]["window"] = {"steps": 3, "step_s": 4.0, "hop_s": 4.0}
    values["data"] = {"format": "seed", "root": str(done / "absent")}
    values["split"] = {"kind": "subject-folds", "folds": 5, "validation_subjects": 3}
    (done.parent / "seed.yaml").write_text(yaml.safe_dump(values))
    data = {"seed": {"training": "seed.yaml"}}
    with pytest.raises(UsageError, match="--cost: seed: its files alone tell windows; add --windows"):
        told(done, data=data)
    lines = told(done, 15_000, data=data)
    assert lines[0].startswith("10 cells")


@pytest.mark.parametrize(("name", "cells"), [("deap", 2 * 32 * 4), ("dreamer", 2 * 23 * 3)])
def test_people_whose_ratings_decide_are_counted_as_published_too(done, name, cells):
    lines = told(done, 50_000, data={name: {"training": name}})
    assert lines[0].startswith(f"{cells} cells")


def test_a_folder_without_cells_is_refused(done):
    with pytest.raises(UsageError, match=r"--cost: .*: no cell of a study is done here"):
        told(done.parent / "tiny.yaml")
