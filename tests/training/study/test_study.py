"""A study of a few tiny cells: run, stopped, gone on with, refused, and put in tables."""

import csv
import errno
import io
import json
from dataclasses import replace
from functools import partial

import pytest
import yaml
from rich.console import Console
from support.small_pairs import corpus
from support.training_files import training_values

from bci_m2s.errors import BciM2sError, ConfigurationError, OutputError, UsageError
from bci_m2s.files.one_process import held
from bci_m2s.files.shipped import folder
from bci_m2s.training.check.training_file import check_training
from bci_m2s.training.results import statistics
from bci_m2s.training.run.evaluating import run_evaluate
from bci_m2s.training.run.finetuning import run_finetune
from bci_m2s.training.run.pretraining import run_pretrain
from bci_m2s.training.study import cell as cells
from bci_m2s.training.study import command, features
from bci_m2s.training.study.command import run_study
from bci_m2s.training.study.executors import run_locally
from bci_m2s.training.study.settings import folder_name, load_study

METHODS = {
    "M2S": {"changes": {"pretrain": {"epochs": 1}}},
    "random encoder": {"method": "random"},
    "linear": {"method": "linear"},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes a study of distributed features, which are given: nothing is computed."""
    values = training_values(controls=["linear"])
    for name, n in (("eeg", 8), ("eye", 9)):
        values["contract"]["modalities"][name]["feature"] = {"name": "distributed", "n_features": n}
        values["contract"]["modalities"][name]["normaliser"] = {"name": "training"}
    values["contract"]["window"] = {"steps": 4, "step_s": 1.0, "hop_s": 1.0}
    values["split"] = {"kind": "subject-folds", "folds": 2, "validation_subjects": 1}
    values["finetune"] |= {"epochs": 1, "oracle": False}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    sessions = corpus({"eeg": 8, "eye": 9}, people=6, per_session=4)
    monkeypatch.setattr(features, "load_sessions", lambda *_: sessions)
    monkeypatch.setattr(statistics.bootstrap, "__defaults__", (0, 100))  # draws

    def written(**changes):
        path = tmp_path / "study.yaml"
        usual = {
            "title": "Tiny",
            "data": {"tiny": {"training": "tiny.yaml"}},
            "methods": METHODS,
            "seeds": 2,
        }
        path.write_text(yaml.safe_dump(usual | changes, sort_keys=False))
        return path

    return written


def run(path, out, **options):
    """Status, and what is printed."""
    console = Console(file=io.StringIO(), width=300)
    here = partial(run_locally, workers=1)
    status = run_study(path, out, console, here, **{"resume": False} | options)
    return status, console.file.getvalue()


def rows(out):
    with (out / "cells.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_is_run_once_and_is_in_the_tables(study, tmp_path):
    out = tmp_path / "out"
    status, printed = run(study(), out)
    assert status == 0, printed
    # two folds × (two seeds of what draws, one of what does not)
    assert "3 training files, 10 cells" in printed
    found = rows(out)
    counts = {
        name: {(row["seed"], row["split"]) for row in found if row["method"] == name} for name in METHODS
    }
    assert {name: len(cells) for name, cells in counts.items()} == {
        "M2S": 4,
        "random encoder": 4,
        "linear": 2,
    }
    assert {row["trained_on"] for row in found if row["method"] == "M2S"} == {"eeg", "eye", "both"}
    assert all(0 <= float(row["balanced_accuracy"]) <= 1 and int(row["windows"]) > 0 for row in found)
    table = (out / "tables.md").read_text()
    assert "# Tiny" in table
    assert "## tiny, as in the file" in table
    assert "M2S less its rivals" in table
    assert "Not complete" not in table
    assert "- Tested: 6 people." in table
    assert "| method | eeg → eeg | kappa | eye → eye | kappa | eeg → eye | kappa | eye → eeg |" in table
    assert all(0 <= float(row["calibration_error"]) <= 1 for row in found if row["method"] != "linear")
    page = (out / "report.html").read_text()
    headings = [page.index(f"<h3>{heading}</h3>") for heading in ("Calibration", "Learning curves")]
    assert (
        page.index("<p>[Balanced accuracy of every person")
        < headings[0]
        < headings[1]
        < page.index("Claims of the paper</h2>")
    )
    assert "- 2 parts test in turn, of one: 2 people train, 1 validates, 3 test." in table


def test_a_cell_is_what_the_commands_give_by_hand(study, tmp_path):
    """The same training file through pretrain, finetune and evaluate."""
    out = tmp_path / "out"
    run(study(methods={"M2S": METHODS["M2S"]}, seeds=1), out)
    checked = check_training(out / "tiny" / "as-in-the-file" / "m2s" / "training.yaml")
    checked = replace(checked, sessions=features.load_sessions(), pictures=False)
    quiet = Console(quiet=True)
    run_pretrain(checked, tmp_path / "hand", quiet, "cpu", False)
    run_finetune(checked, tmp_path / "hand", quiet, None, False)
    run_evaluate(checked, tmp_path / "hand", quiet)
    by_hand = json.loads((tmp_path / "hand" / "results.json").read_text())["results"]
    wanted = {(one["split"], one["trained_on"], one["tested_on"]): one["figures"] for one in by_hand}
    found = {}
    for path in out.rglob("cell.json"):
        for one in json.loads(path.read_text())["results"]:
            found[one["split"], one["trained_on"], one["tested_on"]] = one["figures"]
    assert found == wanted


def test_a_stopped_study_goes_on_with_what_is_missing(study, tmp_path, monkeypatch):
    methods = {name: METHODS[name] for name in ("random encoder", "linear")}
    out, path, ran = tmp_path / "out", study(methods=methods), []
    original = cells.Cell.run

    def stopped(cell):
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(cell.name)
        return original(cell)

    monkeypatch.setattr(cells.Cell, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(path, out)
    assert len(list(out.rglob("cell.json"))) == 3
    with pytest.raises(OutputError, match="already holds a study; continue it with --resume"):
        run(path, out)
    monkeypatch.setattr(cells.Cell, "run", original)
    status, printed = run(path, out, resume=True)
    assert status == 0
    assert "3 of 6 were done before" in printed
    whole = rows(out)
    status, printed = run(path, tmp_path / "again")
    assert status == 0
    for one, other in zip(whole, rows(tmp_path / "again"), strict=True):
        # all but the seconds
        assert {key: one[key] for key in one if not key.endswith("_s")} == {
            key: other[key] for key in other if not key.endswith("_s")
        }
    status, printed = run(study(methods=methods, seeds=3), out, resume=True)
    assert "6 of 8 were done before" in printed


def test_a_study_that_runs_is_not_run_beside_itself(study, tmp_path):
    out = tmp_path / "out"
    path = study(methods={"linear": {"method": "linear"}})
    out.mkdir()
    with held(out, "a study is running"), pytest.raises(UsageError, match="a study is running, in another"):
        run(path, out)
    assert run(path, out)[0] == 0


def test_a_cell_that_another_process_runs_is_left_to_it(study, tmp_path):
    """As a worker of a cluster does, whose study was stopped and gone on with."""
    out = tmp_path / "out"
    path = study(methods={"linear": {"method": "linear"}}, seeds=1)
    theirs = out / "tiny" / "as-in-the-file" / "linear" / "seed-0" / "fold-1"
    theirs.mkdir(parents=True)
    with held(theirs, "a cell is running"):
        status, printed = run(path, out)
    assert status == 1
    assert "fold-1: this cell is running, in another process; --resume looks again" in printed
    assert [one.parent.name for one in out.rglob("cell.json")] == ["fold-2"]
    assert run(path, out, resume=True)[0] == 0


def test_cells_without_a_figure_are_named_with_the_reason(study, tmp_path, monkeypatch):
    original = cells.run_evaluate

    def nobody(checked, folder, console):
        original(checked, folder, console)
        if checked.only == "fold-1":
            nobody_tested = "Did not test, without a window that can be used: ann, bob."
            lines = ["Tested: 0 of 2 people: .", nobody_tested]
            empty = {"results": [], "protocol": {"emotion": lines}}
            (folder / "results.json").write_text(json.dumps(empty))

    monkeypatch.setattr(cells, "run_evaluate", nobody)
    out = tmp_path / "out"
    status, printed = run(study(methods={"linear": {"method": "linear"}}, seeds=1), out)
    words = "tiny, as in the file, linear: no figure of fold-1. Did not test, without a window"
    assert status == 0
    assert words in printed
    assert words in (out / "report.html").read_text()
    table = (out / "tables.md").read_text()
    assert words in table
    assert "- Tested: 3 people." in table
    assert "- Did not test, without a window that can be used: ann, bob." in table


NOBODY = {"kind": "named", "test": ["nobody"], "validation": ["none"]}


@pytest.mark.parametrize("name", ["tiny", "seed-iv"])  # data, whose folder is not that of a seed
def test_a_study_that_a_mistake_has_stopped_is_started_again_with_it_mended(study, tmp_path, name):
    out, methods = tmp_path / "out", {"linear": {"method": "linear"}}
    wrong = {"linear": {"method": "linear", "changes": {"split": NOBODY}}}
    data = {name: {"training": "tiny.yaml"}}
    for _ in range(2):
        with pytest.raises(BciM2sError, match="nobody"):
            run(study(data=data, methods=wrong), out)
    assert run(study(data=data, methods=methods), out)[0] == 0
    with pytest.raises(OutputError, match="already holds a study"):
        run(study(data=data, methods=methods), out)


def test_a_folder_that_cannot_be_made_is_named(study, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match=f"{out}: cannot be used as output folder: "):
            run(study(), out)


def test_a_full_disk_ends_a_cell_in_one_line(study, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cells, "make_private_folder", full)
    out = tmp_path / "out"
    status, printed = run(study(methods={"linear": {"method": "linear"}}, seeds=1), out)
    assert status == 1
    assert "linear, fold-2, seed 0: " in printed
    assert ": cannot be written: No space left on device" in printed


def test_a_folder_of_another_study_is_refused(study, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no study here"):
        run(study(), out, resume=True)
    run(study(methods={"linear": {"method": "linear"}}), out)
    with pytest.raises(UsageError, match="methods: the study was begun with other values"):
        run(study(), out, resume=True)


def test_cells_of_a_training_file_that_was_changed_since_are_not_taken_for_its_own(study, tmp_path):
    out, path = tmp_path / "out", study(methods={"linear": {"method": "linear"}})
    run(path, out)
    values = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    values["windows"] = {"every_hops": 3}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UsageError, match="windows: its cells were run with other values"):
        run(path, out, resume=True)


def test_a_study_goes_on_from_another_checkout_and_with_data_that_moved(study, tmp_path, monkeypatch):
    """A cell is done, another one has begun; then study, training file and data lie elsewhere."""
    methods = {"random encoder": {"method": "random"}}
    out, path, evaluated = tmp_path / "out", study(methods=methods, seeds=1), []
    original, sessions = cells.run_evaluate, features.load_sessions()
    values = yaml.safe_load((tmp_path / "tiny.yaml").read_text())

    def begin_here():
        """Where the training file lies, and its data."""
        values["data"]["root"] = str(path.parent)
        (path.parent / "tiny.yaml").write_text(yaml.safe_dump(values))

    def stopped(checked, folder, console):
        if evaluated:
            raise KeyboardInterrupt
        evaluated.append(folder)
        original(checked, folder, console)

    begin_here()
    monkeypatch.setattr(cells, "run_evaluate", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(path, out)
    monkeypatch.setattr(cells, "run_evaluate", original)
    features._read.clear()
    path = tmp_path / "other" / "study.yaml"
    path.parent.mkdir()
    begin_here()
    text = (tmp_path / "study.yaml").read_text()
    path.write_text(text.replace("tiny.yaml", "../other/tiny.yaml"))
    monkeypatch.setattr(features, "load_sessions", lambda *_: sessions[:5])
    with pytest.raises(UsageError, match="made of other people or trials"):
        run(path, out, resume=True)
    monkeypatch.setattr(features, "load_sessions", lambda *_: sessions)
    features._read.clear()
    status, printed = run(path, out, resume=True)
    assert status == 0, printed
    assert "1 of 2 were done before" in printed


def test_a_fault_in_one_cell_leaves_the_others(study, tmp_path, monkeypatch):
    original = cells.run_evaluate

    def faulty(checked, folder, console):
        if folder.parent.name == "seed-1":
            raise ValueError("a fault")
        original(checked, folder, console)

    monkeypatch.setattr(cells, "run_evaluate", faulty)
    status, printed = run(study(methods={"random encoder": {"method": "random"}}), tmp_path / "out")
    assert status == 1
    assert "left out: tiny, as in the file, random encoder, fold-1, seed 1: ValueError: a fault" in printed
    assert "**Not complete**: 2 of 4 cells." in (tmp_path / "out" / "tables.md").read_text()


def test_grid_and_protocols_make_tables_of_their_own(study, tmp_path):
    out = tmp_path / "out"
    protocols = {"folds": {}, "one split": {"split": {"kind": "subjects", "test_subjects": 2}}}
    path = study(
        methods={"linear": {"method": "linear"}},
        protocols=protocols,
        grid={"windows.every_hops": [1, 2], "finetune.epochs": [1]},
    )
    status, printed = run(path, out)
    assert status == 0, printed
    assert "4 training files, 6 cells" in printed
    table = (out / "tables.md").read_text()
    for protocol in protocols:
        for hops in (1, 2):
            assert f"## tiny, {protocol}, windows.every_hops {hops}, finetune.epochs 1" in table
    windows = {row["grid"]: int(row["windows"]) for row in rows(out)}
    assert (
        windows["windows.every_hops=1; finetune.epochs=1"]
        > windows["windows.every_hops=2; finetune.epochs=1"]
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": {"x": {"method": "liner"}}}, r"study\.yaml:\d+: .*got 'liner', expected a method"),
        ({"data": {"tiny": {"training": "no.yaml"}}}, r"data\.tiny\.training: .*no\.yaml: no such file"),
        ({"methods": {"x": {"changes": {"pretrain": {"epoch": 3}}}}}, "x: pretrain.epoch: unknown key"),
        ({"methods": {"a b": {}, "A-B": {}}}, "got 'A-B', expected .* unlike 'a b'"),
        ({"methods": {"mine (approximate)": {}}}, "expected a name without what tables add"),
        ({"grid": {"contract.window.step": [1]}}, r"contract\.window\.step: unknown key"),
        ({"methods": {"x": {"changes": {"finetune": {"method": "random"}}}}}, r"got finetune\.method"),
        ({"protocols": {"x": {"seeds": [7]}}}, r"protocols\.x.*: got seeds, expected seeds in its place"),
        ({"grid": {"finetune.method": ["random", "supervised"]}}, r"grid.*: got finetune\.method"),
        ({"methods": {"x": {"changes": {"finetune": 1}}}}, r"methods\.x\.changes: got finetune"),
        ({"grid": {"finetune.learning_rates": [[0.1], [0.2]]}}, r"got '\[0\.1\]', expected numbers"),
        ({"grid": {"split.seed": [1, -1]}}, r"split\.seed -1: in the same folder as .*split\.seed 1"),
        ({"protocols": {"x": {"split": {"seed": -1}}}}, r"split\.seed: got -1"),
        ({"grid": {"pretrain.predictions": [1, 1.0]}}, r"ons 1\.0: the same settings as .*predictions 1$"),
        ({"grid": {"finetune.linear": [True, 1]}}, r"linear 1: the same settings as .*linear True$"),
        ({"methods": {"α": {}}}, "got 'α', expected a name with a letter from a to z or a digit"),
        ({"methods": {"a\nb": {}}}, r"got 'a\\nb', expected one line of printable signs"),
        ({"methods": {"mine (Approximate) ": {}}}, "expected a name without what tables add"),
        ({"methods": {"x" * 101: {}}}, "expected at most 100 letters"),
        ({"grid": {f"pretrain.{key}": [*range(100)] for key in "abc"}}, "got 3000000, .* at most 10000"),
        ({"seeds": 0}, r"seeds: got 0, expected"),
        ({"metods": {}}, "metods: unknown key; nearest: 'methods'"),
    ],
)  # fmt: skip
def test_mistakes_are_said_before_the_first_cell(study, tmp_path, changes, words):
    with pytest.raises(ConfigurationError, match=words) as told:
        run(study(**changes), tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.rglob("cell.json"))


def test_a_method_that_cannot_take_the_pair_is_said_before_the_first_cell(study, tmp_path):
    values = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    values["contract"]["modalities"]["eye"]["feature"]["n_features"] = 5
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    words = "VigilanceNet: eye has 5 features, and it takes 7"
    with pytest.raises(ConfigurationError, match=words):
        run(study(methods={"VigilanceNet": {"method": "vigilancenet"}}), tmp_path / "out")


def test_a_damaged_result_is_named(study, tmp_path):
    out = tmp_path / "out"
    path = study(methods={"linear": {"method": "linear"}})
    run(path, out)
    broken = next(out.rglob("cell.json"))
    broken.write_text(broken.read_text()[:50])
    with pytest.raises(UsageError, match=r"cell\.json: cannot be read"):
        run(path, out, resume=True)


def test_a_worker_of_another_version_or_without_the_folder_says_so(tmp_path):
    cell = cells.Cell("x", tmp_path / "no.yaml", tmp_path, tmp_path / "run", 0, "all")
    assert cell.run() == f"this worker does not see {tmp_path / 'no.yaml'}: it needs the same folders"
    other = replace(cell, version="0.0.1")
    assert other.run().startswith("this worker has bci_m2s ")
    assert not (tmp_path / "run").exists()


def test_a_worker_without_the_features_says_so_and_needs_no_data(study, tmp_path, monkeypatch):
    planned = []
    monkeypatch.setattr(command, "run_jobs", lambda jobs, *_: planned.extend(jobs) or [])
    run(study(methods={"linear": {"method": "linear"}}), tmp_path / "out")
    monkeypatch.setattr(features, "load_sessions", None)  # as where the data set lies on another machine
    features._read.clear()
    assert planned[0].run() == ""
    (kept,) = (tmp_path / "out" / "features" / "tiny").glob("sessions-*")
    kept.unlink()
    features._read.clear()
    assert planned[1].run() == f"this worker does not see {kept}: it needs the same folders"
    assert [cell.is_done() for cell in planned] == [True, False]


def test_people_whose_names_make_one_folder_have_cells_of_their_own(study, tmp_path, monkeypatch):
    names = {"1": "é", "2": "è", "3": "A", "4": "a"}
    found = [replace(one, subject=names.get(one.subject, one.subject)) for one in features.load_sessions()]
    monkeypatch.setattr(features, "load_sessions", lambda *_: found)
    monkeypatch.setattr(command, "check_training", lambda *_: None)
    planned = []
    path = study(
        methods={"linear": {"method": "linear"}},
        protocols={"within": {"split": {"kind": "trials", "train_trials": 3, "validation_trials": 1}}},
    )
    run_study(
        path,
        tmp_path / "out",
        Console(quiet=True),
        lambda jobs: planned.extend(jobs) or iter(()),
        resume=False,
    )
    assert len({cell.folder for cell in planned}) == len(planned) == len(found)


def test_folders_have_plain_names():
    assert folder_name("CLIP + M2M CPC") == "clip-m2m-cpc"
    assert folder_name("../x") == "x"


def test_the_shipped_studies_are_read():
    paths = sorted((folder("pipelines") / "studies").glob("*.yaml"))
    assert paths
    for path in paths:
        assert load_study(path).methods


def test_the_plan_goes_seed_by_seed(study, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "run_jobs", lambda jobs, *_: seen.extend(jobs) or [])
    run(study(), tmp_path / "out")
    assert [cell.seed for cell in seen] == sorted(cell.seed for cell in seen)
