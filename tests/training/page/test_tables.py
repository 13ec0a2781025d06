"""Two parts of a small data set, run, stopped, gone on with, and put on a page."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.small_pairs import corpus, training_settings
from support.training_files import without_pictures

from bci_m2s.errors import UsageError
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.experiment import write_config
from bci_m2s.training.page import command, picture, plan, pooled, work
from bci_m2s.training.page.command import Wishes, make_results
from bci_m2s.training.page.plan import PageSet
from bci_m2s.training.results import statistics
from bci_m2s.training.training_file import load_training

FINETUNE = {"epochs": 2, "batch": 64, "learning_rates": [1e-2], "weight_decays": [1e-4]}
PAGE = "".join(
    f"<!-- made: {name} -->\n<!-- end -->\n"
    for name in ("tiny", "best", "aims", "state", "reading", "times")
)


@pytest.fixture
def wishes(tmp_path, monkeypatch):
    """A data set of two protocols and its training files; sessions are given, no feature is computed."""
    monkeypatch.setattr(plan, "SETS", {"tiny": PageSet("Tiny")})
    monkeypatch.setattr(plan, "QUICK_PROTOCOLS", ("all", "few-2"))
    for module in ("command", "overview", "reading"):
        monkeypatch.setattr(f"bci_m2s.training.page.{module}.SETS", plan.SETS)
    monkeypatch.setattr(command, "compute_features", lambda *_: None)
    monkeypatch.setattr(statistics.bootstrap, "__defaults__", (0, 100))  # draws
    monkeypatch.setattr(pooled, "N_BOOTSTRAP", 100)
    sessions = corpus(people=8, per_session=4)
    monkeypatch.setattr(work, "load_sessions", lambda *_: sessions)

    def checked(path: Path) -> Checked:
        settings = load_training(path)
        splits = make_splits(sessions, settings.split, "emotion")
        return Checked(path, settings, Listing(DATASETS["simulated"], []), splits, [])

    monkeypatch.setattr(work, "check_training", checked)
    shipped, docs = tmp_path / "shipped", tmp_path / "docs"
    (docs / "static").mkdir(parents=True)
    (docs / "results.md").write_text(f"# Results\n\n{PAGE}")
    shipped.mkdir()
    controls = ["linear", "pseudo", "permuted"]
    base = training_settings(
        pretrain={"epochs": 1, "batch": 64}, finetune=FINETUNE, controls=controls, permutations=2
    )
    few = {"finetune": FINETUNE | {"select": "last"}, "labels": {"people": 2}}
    released = {"finetune": FINETUNE, "controls": []}
    for name, changes in (("aligned", {}), ("few", few), ("released", released)):
        values = json.loads(base.model_dump_json()) | changes
        (shipped / f"tiny-{name}.yaml").write_text(yaml.safe_dump(values))
    return Wishes(tmp_path / "out", shipped, docs, quick=True, workers=1, seeds=2)


def made(wishes):
    """What is printed, and whether all went well."""
    console = Console(file=io.StringIO(), width=300)
    with without_pictures():
        status = make_results(wishes, console)
    return console.file.getvalue(), status


def test_from_nothing_to_a_page(wishes, monkeypatch):
    pretrained = []
    run_pretrain = work.run_pretrain
    monkeypatch.setattr(
        work, "run_pretrain", lambda *args: (pretrained.append(args[1]), run_pretrain(*args))[1]
    )
    # stopped in the middle: the third task has pre-trained
    run_finetune = work.run_finetune

    def stopped(checked, folder, *rest):
        if folder == wishes.out / "tiny" / "few-2" / "seed-0":
            raise KeyboardInterrupt
        run_finetune(checked, folder, *rest)

    monkeypatch.setattr(work, "run_finetune", stopped)
    with pytest.raises(KeyboardInterrupt):
        made(wishes)
    assert len(pretrained) == 3
    monkeypatch.setattr(work, "run_finetune", run_finetune)
    printed, status = made(wishes)
    assert status == 0, printed
    assert "2 of 5 were done before" in printed
    own, theirs = (
        (wishes.out / "tiny" / part / "seed-0" / "all" / "seed-0" / "pretrain.csv").read_text()
        for part in ("all", "few-2")
    )
    assert own == theirs  # down to the seconds: it was copied

    page = (wishes.docs / "results.md").read_text()
    assert "**Quick: 2 seeds**" in page
    assert "Not complete" not in page
    assert "### Labels of two people (quick)" in page
    row = next(line for line in page.splitlines() if line.startswith("| **M2S, aligned**"))
    assert row.count("[") == 5  # an interval in every direction
    assert "| released recipe |" in page
    assert "2 permutations" in page
    assert "Of " in page
    assert (wishes.docs / "static" / "results-tiny.svg").stat().st_size < 100_000
    assert not list(wishes.out.glob("tiny/*/seed-1/**/permuted*"))

    with (
        monkeypatch.context() as elsewhere
    ):  # a protocol that pictures do not show is shown where it is alone
        elsewhere.setattr(picture, "SHOWN", ("all",))
        printed, status = made(replace(wishes, only=("tiny-few-2",), page_only=True))
    assert status == 0, printed
    assert (wishes.out / "results-tiny.svg").exists()

    path = wishes.shipped / "tiny-few.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 3"))
    printed, status = made(wishes)
    assert "tiny-few-2 seed 1: other finetune: trained again but for pre-training" in printed
    assert "3 of 5 were done before" in printed
    page = (wishes.docs / "results.md").read_text()
    printed, status = made(wishes)
    assert "5 of 5 were done before" in printed
    assert (
        page.split("<!-- made: times")[0]
        == (wishes.docs / "results.md").read_text().split("<!-- made: times")[0]
    )


def test_a_number_of_seeds_that_makes_no_table_is_refused(wishes):
    with pytest.raises(UsageError, match="--seeds: got 0, expected 1 to"):
        made(replace(wishes, seeds=0))


def test_a_fault_in_one_part_leaves_the_others(wishes, monkeypatch):
    def faulty(_checked, folder, *_):
        if folder.name == "seed-0":
            raise IndexError("tuple index out of range")
        raise UsageError("no such thing")

    monkeypatch.setattr(work, "run_pretrain", faulty)
    wishes = replace(wishes, only=("tiny-all",))
    printed, status = made(wishes)
    assert "tiny-all seed 0: IndexError: tuple index out of range; see" in printed
    assert "tiny-all seed 1: no such thing" in printed
    assert status == 1
    assert "Traceback" in (wishes.out / "tiny" / "all" / "seed-0.log").read_text()


def test_other_settings_are_refused(wishes):
    path = wishes.shipped / "tiny-aligned.yaml"
    write_config(wishes.out / "tiny" / "all" / "seed-0", load_training(path))
    path.write_text(path.read_text().replace("epochs: 1", "epochs: 3"))
    with pytest.raises(UsageError, match="pretrain: the run was made with other values; delete that"):
        made(wishes)
