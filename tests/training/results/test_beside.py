"""Another run's results: only of the same people in the same splits."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bci_m2s.errors import UsageError
from bci_m2s.training.data.splits import Split
from bci_m2s.training.results.beside import read_beside
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.means import mean_name

KEYS = {"train": ["a/1/1", "a/1/2"], "validation": ["b/1/1"], "test": ["c/1/1"]}
SPLIT = Split("all", *(frozenset(keys) for keys in KEYS.values()), by_subject=True)


def figures():
    return {"counts_by_subject": {"c": [[1, 0], [0, 1]]}, "confusion": [[1, 0], [0, 1]]}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "released"
    folder.mkdir()
    made = [
        Result(method, "eeg", "eye", head, "all", 0, figures())
        for head in ("valence", "arousal")
        for method in ("pretrained", "linear")
    ]
    (folder / "results.json").write_text(json.dumps({"results": [asdict(one) for one in made]}))
    (folder / "run.json").write_text(json.dumps({"splits": {"all": KEYS}}))
    return folder


def test_the_method_of_another_run_has_the_name_of_its_folder(run):
    (found,) = read_beside(run, [SPLIT], ["valence"])
    assert (found.method, found.head, found.direction) == ("released", "valence", "eeg → eye")
    assert found.figures == figures()


def test_means_of_seeds_and_results_on_other_data_are_taken_too(run):
    below = run / "on-other"
    below.mkdir()
    made = [Result(name, "eeg", "eye", "valence", "all", 0, figures()) for name in ("m", mean_name("m"))]
    (below / "results.json").write_text(json.dumps({"results": [asdict(one) for one in made]}))
    found = read_beside(run, [SPLIT], ["valence"], Path("on-other"))
    assert [one.method for one in found] == ["released", mean_name("released")]


def test_other_people_are_refused(run):
    other = Split("all", SPLIT.train | {"d/1/1"}, SPLIT.validation, SPLIT.test, by_subject=True)
    with pytest.raises(UsageError, match="all: other people train, validate or test there"):
        read_beside(run, [other], ["valence"])
    with pytest.raises(UsageError, match="fold-1: other people"):
        read_beside(run, [SPLIT, Split("fold-1", *[frozenset()] * 3, by_subject=True)], ["valence"])


def test_what_is_no_evaluated_run_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(UsageError, match=r"results\.json: missing; run bci-m2s evaluate"):
        read_beside(tmp_path, [SPLIT], ["valence"])
    (run / "results.json").write_text(json.dumps({"results": []}))
    with pytest.raises(UsageError, match="no results of a run"):
        read_beside(run, [SPLIT], ["valence"])
    (run / "results.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_beside(run, [SPLIT], ["valence"])
    old = Result("pretrained", "eeg", "eye", "valence", "all", 0, {"by_subject": {"c": 1.0}})
    (run / "results.json").write_text(json.dumps({"results": [asdict(old)]}))
    with pytest.raises(UsageError, match="evaluate that run again"):
        read_beside(run, [SPLIT], ["valence"])
