"""Reports of studies whose cells a test states: tables, pictures, several studies as one."""

import csv
import json
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from support.results import of, result
from support.training_files import training_values
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import ConfigurationError, OutputError, UsageError
from bci_m2s.files.html_page import Page
from bci_m2s.training.page.studies import write_studies
from bci_m2s.training.results.metrics import reliability
from bci_m2s.training.results.statistics import bootstrap
from bci_m2s.training.settings import laid_over
from bci_m2s.training.study.groups import OfHead, groups_of, kind_of
from bci_m2s.training.study.joined import join, read_study, report_studies
from bci_m2s.training.study.sections.calibration import bins_of, error_rows
from bci_m2s.training.study.sections.curves import VALIDATION, curves_of, mean_curve
from bci_m2s.training.study.sections.grid import add_grid
from bci_m2s.training.study.sections.paper_table import paper_table
from bci_m2s.training.study.sections.protocols import side_by_side, table_of
from bci_m2s.training.study.settings import folder_name

DIRECTIONS = (("eeg", "eeg"), ("eye", "eye"), ("eye", "eeg"), ("eeg", "eye"))
APART, BOTH = "people apart", "people and clips apart"
SPLITS = {
    APART: {"kind": "subject-folds", "folds": 2},
    BOTH: {"kind": "subject-folds", "folds": 2, "stimuli": "apart"},
}
USUAL = {"M2S": "pretrained", "linear": "linear"}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "__defaults__", (0, 50))


@pytest.fixture
def made(tmp_path):
    """Writes the folder of a study with one head, as `study` leaves it; what its rows reach is stated."""

    def write(name, right, *, seeds=1, version="0.2.0", changes=None, old=False):
        """right : protocol → row → share that is right; changes : to every training file"""
        folder = tmp_path / name
        methods = dict.fromkeys(row for of_protocol in right.values() for row in of_protocol)
        study = {
            "title": name,
            "data": {"tiny": {"training": "tiny.yaml"}},
            "protocols": {protocol: {"split": SPLITS[protocol]} for protocol in right},
            "methods": {row: {"method": USUAL.get(row, "cca")} for row in methods},
            "seeds": seeds,
        }
        folder.mkdir()
        (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        for protocol, of_protocol in right.items():
            for row, share in of_protocol.items():
                values = training_values(controls=[], split=SPLITS[protocol], seeds=seeds)
                values["finetune"]["method"] = USUAL.get(row, "cca")
                where = folder / "tiny" / folder_name(protocol) / folder_name(row)
                where.mkdir(parents=True)
                (where / "training.yaml").write_text(yaml.safe_dump(laid_over(values, changes or {})))
                for seed in range(seeds if row == "M2S" else 1):
                    for fold, people in (("fold-1", "ab"), ("fold-2", "cd")):
                        cell(where / f"seed-{seed}" / fold, people, share, seed, version, old)
        return folder

    return write


def cell(folder, people, share, seed, version, old):
    """The results of one cell, a share of which is right: more of later people, less across signals."""
    results = []
    for trained_on, tested_on in DIRECTIONS:
        less = 0.0 if trained_on == tested_on else 0.1
        counts = {person: of(share - less + 0.02 * "abcd".index(person)) for person in people}
        one = replace(
            result(counts, folder.name, seed, "anything"), trained_on=trained_on, tested_on=tested_on
        )
        matrix = np.array(one.figures["confusion"])
        one.figures.update(balanced_accuracy=share, kappa=0.1, f1=0.2)
        if not old:
            labels = np.repeat([0, 1], matrix.sum(axis=1))
            guesses = np.concatenate([np.repeat([0, 1], row) for row in matrix])
            sure = np.where(guesses[:, None] == [0, 1], 0.9, 0.1)
            one.figures["reliability"] = reliability(sure, labels)
        results.append(asdict(replace(one, oracle=0.99 if trained_on == tested_on else None)))
    seconds = {"pretrain": 3.0, "finetune": 2.0, "evaluate": 1.0}
    kept = {"results": results, "protocol": {"emotion": ["Split: stated."]}, "cpu_s": seconds}
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(json.dumps(kept | {"versions": {"bci_m2s": version, "torch": "2"}}))


def groups(folder):
    found = read_study(folder)
    return groups_of(found.variants, found.found)


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_is_laid_out_as_the_papers(made, tmp_path):
    folder = made("a", {APART: {"M2S": 0.8, "linear": 0.7}}, seeds=2)
    (group,) = groups(folder)
    (of_head,) = group.heads
    table = paper_table(group, of_head)
    assert table.columns == [
        "method", "eeg → eeg", "kappa", "eye → eye", "kappa", "eeg → eye", "kappa", "eye → eeg", "kappa",
    ]  # fmt: skip
    spread = np.std([0.80, 0.82, 0.84, 0.86], ddof=1)
    assert table.rows[0][1] == f"0.830 ± {spread:.3f} (oracle 0.990)"
    assert table.rows[0][2] == f"0.660 ± {2 * spread:.3f}"
    assert table.rows[1][5].startswith("0.630 ±")
    assert table.best == {(0, column) for column in range(1, 9)}
    assert "| M2S | **0.830 ±" in "\n".join(table.markdown())
    report_studies([folder], tmp_path / "out", ["bci-m2s"])
    first, *_ = lines(tmp_path / "out" / "table.csv")
    assert (first["method"], first["trained_on"], first["balanced_accuracy"]) == ("M2S", "eeg", "0.8300")
    assert (first["oracle"], first["people"], first["seeds"], first["best"]) == ("0.9900", "4", "2", "1")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<b>0.830 ±" in page


def test_f1_stands_beside_accuracy_where_the_paper_has_it(made):
    folder = made("a", {APART: {"M2S": 0.8}}, changes={"data": {"format": "deap", "root": "."}})
    (group,) = groups(folder)
    assert paper_table(group, group.heads[0]).columns[2] == "F1"


def test_directions_are_own_then_across_then_together():
    names = ["eeg → eeg", "eeg → eye", "both → both", "bvp + eda → bvp + eda", "all → all"]
    assert [kind_of(name) for name in names] == [0, 1, 2, 2, 2]


def test_labels_of_both_stand_behind_those_of_each():
    names = ["both → eeg", "eye → eeg", "both → both", "eye → eye", "both → eye", "eeg → eeg", "eeg → eye"]
    summaries = [SimpleNamespace(method="M2S", direction=name) for name in names]
    expected = [
        "eye → eye",
        "eeg → eeg",
        "eye → eeg",
        "eeg → eye",
        "both → eeg",
        "both → eye",
        "both → both",
    ]
    assert OfHead("emotion", (), "M2S", {}, summaries, [], []).directions == expected


def test_protocols_stand_side_by_side_and_above_all_else(made, tmp_path):
    right = {APART: {"M2S": 0.8, "linear": 0.7}, BOTH: {"M2S": 0.6}}
    folder = made("a", right)
    (one,) = side_by_side(groups(folder))
    columns, rows = table_of(one)
    assert columns == ["method", "direction", APART, BOTH, f"{BOTH} less {APART}"]
    assert ["M2S", "eeg → eeg", "0.830", "0.630", "-0.200"] in rows
    assert ["linear", "eeg → eye", "0.630", "–", "–"] in rows
    report_studies([folder], tmp_path / "out", ["bci-m2s"])
    page = (tmp_path / "out" / "report.html").read_text()
    first, second, *_ = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert (first, second) == ("Protocols side by side", f"tiny, {APART}")
    assert f"## tiny: protocols side by side\n\n| method | direction | {APART} |" in (
        tmp_path / "out" / "tables.md"
    ).read_text(encoding="utf-8")
    assert side_by_side(groups(made("b", {APART: right[APART]}))) == []


def test_calibration_is_of_all_windows_and_missing_of_older_cells(made, tmp_path):
    (group,) = groups(made("a", {APART: {"M2S": 0.8, "linear": 0.9}}))
    rows = error_rows(bins_of(group.heads[0]), group.heads[0])
    assert rows[0][:3] == ["M2S", "0.070", "0.070"]  # 0.9 sure, 0.83 right
    folder = made("b", {APART: {"M2S": 0.8}}, old=True)
    assert bins_of(groups(folder)[0].heads[0]) == {}
    report_studies([folder], tmp_path / "out", ["bci-m2s"])
    assert "Calibration" not in (tmp_path / "out" / "report.html").read_text()
    assert {row["calibration_error"] for row in lines(tmp_path / "out" / "cells.csv")} == {""}


def keep_curves(folder):
    """Of the first protocol's M2S."""
    for number, fold in enumerate(("fold-1", "fold-2")):
        run = folder / "tiny" / "people-apart" / "m2s" / "seed-0" / fold / fold / "seed-0"
        run.mkdir(parents=True)
        text = f"epoch,total,validation_contrastive\n1,{number},2\n2,{number},1\n"
        (run / "pretrain.csv").write_text(text)
        (run / "finetune-eye.csv").write_text("epoch,loss,validation\n1,0.5,0.6\n")
        (run / "finetune-eeg.csv").write_text("epoch,loss,validation\n1,half,0.6\n")  # damaged: no curve


def test_curves_are_means_over_cells_as_long_as_each_lasts(made):
    one = mean_curve([np.array([1.0, 2.0, 3.0]), np.array([3.0, np.nan])])
    np.testing.assert_allclose(one.mean, [2.0, 2.0, 3.0])
    np.testing.assert_allclose(one.sd, [np.sqrt(2), 0.0, 0.0])
    folder = made("a", {APART: {"M2S": 0.8, "linear": 0.7}})
    keep_curves(folder)
    found = read_study(folder)
    (group,) = groups_of(found.variants, found.found)
    curves = curves_of(group, found.found)
    assert list(curves) == [
        "pre-training loss",
        VALIDATION,
        "classifier of eye: balanced accuracy on validation",
    ]
    assert [curve.tolist() for curve in curves["pre-training loss"]["M2S"]] == [[0, 0], [1, 1]]
    assert [curve.tolist() for curve in curves[VALIDATION]["M2S"]] == [[2, 1], [2, 1]]


def test_several_studies_become_one_report_of_each_cell_once(made, tmp_path):
    one = made("one", {APART: {"M2S": 0.8, "linear": 0.7}}, seeds=1)
    two = made("two", {APART: {"M2S": 0.6, "CCA": 0.75}, BOTH: {"M2S": 0.5}}, seeds=2, version="0.2.0")
    report_studies([one, two], tmp_path / "out", ["bci-m2s", "report"])
    found = lines(tmp_path / "out" / "cells.csv")
    cells = [
        (row["protocol"], row["method"], row["seed"], row["split"])
        for row in found
        if row["tested_on"] == row["trained_on"] == "eeg"
    ]
    assert len(set(cells)) == len(cells) == 2 * (2 + 1 + 1 + 2)
    (same,) = {
        row["balanced_accuracy"]
        for row in found
        if (row["method"], row["protocol"], row["seed"]) == ("M2S", APART, "0")
    }
    assert same == "0.8"  # the first study's
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<title>one + two</title>" in page
    assert "Made by: bci-m2s report" in page
    assert re.search(r"Versions: bci_m2s 0\.2\.0, .*torch 2, ", page)
    assert "Not complete" not in page
    table = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (M2S|linear|CCA) \| \*?\*?0\.\d+ ±", table, re.MULTILINE)[:3] == [
        "M2S",
        "linear",
        "CCA",
    ]
    with pytest.raises(OutputError, match="not empty"):
        report_studies([one, two], tmp_path / "out", [])


def test_cells_that_are_missing_are_counted(made, tmp_path):
    folder = made("one", {APART: {"M2S": 0.8, "linear": 0.7}}, seeds=2)
    (folder / "tiny" / "people-apart" / "m2s" / "seed-1" / "fold-2" / "cell.json").unlink()
    report_studies([folder], tmp_path / "out", [])
    assert "Not complete: 5 of 6 cells." in (tmp_path / "out" / "report.html").read_text()


def test_who_is_not_counted_is_said_of_all_parts_together(made):
    folder = made("one", {APART: {"linear": 0.7}})
    for fold, person in (("fold-1", "a"), ("fold-2", "c")):
        path = folder / "tiny" / "people-apart" / "linear" / "seed-0" / fold / "cell.json"
        kept = json.loads(path.read_text())
        kept["protocol"]["emotion"] += [f"Not counted, having test windows of one class alone: {person}."]
        for one in kept["results"]:
            one["figures"]["counts_by_subject"][person] = [[3, 1], [0, 0]]
        path.write_text(json.dumps(kept))
    (group,) = groups(folder)
    assert group.heads[0].lines == [
        "Tested: 2 people.",
        "Not counted, having test windows of one class alone: a, c.",
        "Split: stated.",
    ]


def damaged(kept):
    del kept["results"][0]["figures"]["kappa"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damaged, "cannot be read: no kappa; delete it"),
        (lambda kept: kept.update(cpu_s=None), "cannot be read: cpu_s: None; delete it"),
        (lambda kept: kept.update(protocol=[]), r"cannot be read: protocol: \[\]; delete it"),
    ],
)
def test_a_damaged_cell_is_named(made, tmp_path, damage, words):
    folder = made("one", {APART: {"M2S": 0.8}})
    path = next(folder.rglob("cell.json"))
    kept = json.loads(path.read_text())
    damage(kept)
    path.write_text(json.dumps(kept))
    with pytest.raises(UsageError, match=words):
        report_studies([folder], tmp_path / "out", [])
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be read"):
        report_studies([folder], tmp_path / "out", [])


def test_files_that_are_not_the_studys_own_are_named_or_passed_over(made, tmp_path):
    folder = made("one", {APART: {"M2S": 0.8}})
    rows = folder / "tiny" / "people-apart" / "m2s"
    (rows / "seed-0").rename(rows / "seed-0 copy")
    assert not read_study(folder).found[next(iter(read_study(folder).found))]
    (rows / "training.yaml").write_text("a: [")
    with pytest.raises(ConfigurationError, match=r"training\.yaml:"):
        report_studies([folder], tmp_path / "out", [])
    (folder / "study.yaml").write_text("")
    with pytest.raises(UsageError, match=r"study\.yaml: holds no study"):
        report_studies([folder], tmp_path / "out", [])


def test_the_page_of_the_docs_has_table_picture_and_claims_of_each_study(made, tmp_path):
    folders = [made(name, {APART: {"M2S": 0.8, "linear": 0.7}}, seeds=2) for name in ("one", "two")]
    docs = tmp_path / "docs"
    (docs / "static").mkdir(parents=True)
    page = docs / "study-results.md"
    page.write_text("".join(f"## {name}\n<!-- made: {name} -->\n<!-- end -->\n" for name in ("one", "two")))
    assert write_studies(folders[1:], docs) == page
    assert "<!-- made: one -->\n<!-- end -->" in page.read_text()
    write_studies(folders, docs)
    text = page.read_text()
    assert text.count("| M2S | **0.830 ± 0.026 (oracle 0.990)** |") == 2
    assert (
        "6 cells, 2 seeds, 36 s of one core, bci_m2s 0.2.0. [Every figure](study-tables/one/tables.md)"
        in text
    )
    assert "| linear | +0.100 [" in text
    assert "### Claims of the paper: tiny, people apart" in text
    assert "eye → eeg" in (docs / "static" / "study-one-people-apart.svg").read_text()
    assert len(lines(docs / "study-tables" / "two" / "cells.csv")) == 6 * 4
    (folders[0] / "tiny" / "people-apart").rename(tmp_path / "away")
    with pytest.raises(UsageError, match="without training files"):
        write_studies(folders[:1], docs)


def test_a_row_that_is_another_in_two_studies_is_refused(made, tmp_path):
    one = made("one", {APART: {"M2S": 0.8}})
    other = made("other", {APART: {"M2S": 0.8}}, changes={"pretrain": {"epochs": 9}})
    split = made("split", {APART: {"linear": 0.8}}, changes={"split": {"folds": 4}})
    newer = made("newer", {APART: {"M2S": 0.8}}, version="0.3.0")
    elsewhere = made("elsewhere", {APART: {"M2S": 0.8}}, changes={"data": {"root": "/another/copy"}})
    for folder, words in (
        (other, "tiny, people apart, M2S, in .*: other values of pretrain"),
        (split, "tiny, people apart, in .*: other values of split"),
        (newer, r"M2S, in .*: cells of bci_m2s 0\.2\.0 and 0\.3\.0"),
    ):
        with pytest.raises(UsageError, match=words) as told:
            join([read_study(one), read_study(folder)])
        assert "\n" not in str(told.value)
    assert join([read_study(one), read_study(elsewhere)]).n_cells == 2
    report_studies([newer], tmp_path / "out", [])
    assert "Versions: bci_m2s 0.3.0" in (tmp_path / "out" / "report.html").read_text()


def test_the_points_of_a_grid_are_read_from_the_training_files(made):
    folder = made("one", {APART: {"M2S": 0.8}})
    values = yaml.safe_load((folder / "study.yaml").read_text())
    values["grid"] = {"pretrain.predictions": [2, 1]}
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    before = folder / "tiny" / "people-apart" / "m2s"
    settings = yaml.safe_load((before / "training.yaml").read_text())
    for n in (1, 2):
        there = before / f"predictions-{n}"
        cell(there / "seed-0" / "all", "abcd", 0.7 + 0.1 * n, 0, "0.2.0", False)
        (there / "training.yaml").write_text(
            yaml.safe_dump(laid_over(settings, {"pretrain": {"predictions": n}}))
        )
    assert [group.point for group in groups(folder)] == [
        (("pretrain.predictions", 2),),
        (("pretrain.predictions", 1),),
    ]
    page = Page("a grid")
    add_grid(page, groups(folder))
    assert "[Heat map of eye → eeg]" in page.html([], [])


def test_the_command_takes_studies_and_says_what_it_needs(made, tmp_path):
    folder, out = made("one", {APART: {"linear": 0.8}}), tmp_path / "out"
    said = CliRunner().invoke(app, ["report", str(folder)])
    assert isinstance(said.exception, UsageError)
    assert "--output: missing" in str(said.exception)
    said = CliRunner().invoke(app, ["report", str(folder), str(tmp_path), "--output", str(out)])
    assert "not the folder of a study" in str(said.exception)
    (tmp_path / "study.yaml").write_text((folder / "study.yaml").read_text())
    said = CliRunner().invoke(app, ["report", str(folder), str(tmp_path), "--output", str(out)])
    assert "without training files" in str(said.exception)
    assert not out.exists()
    said = CliRunner().invoke(app, ["report", str(folder), "--output", str(out)])
    assert (said.exit_code, (out / "report.html").exists()) == (0, True)


@pytest.mark.usefixtures("painted")
def test_pictures_are_painted_into_the_page(made, tmp_path):
    folder = made("a", {APART: {"M2S": 0.8}})
    keep_curves(folder)
    report_studies([folder], tmp_path / "out", [])
    page = (tmp_path / "out" / "report.html").read_text()
    words = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,iVBOR', page)
    assert [text.split(":")[0] for text in words] == [
        "Balanced accuracy of every person by method and direction",
        "Confusion matrices of M2S",
        "Reliability diagrams",
        "Learning curves",
        "Seconds of one core by method and stage",
    ]
