"""Which training files make the tables, and what they become."""

from pathlib import Path

import pytest

from bci_m2s.errors import UsageError
from bci_m2s.training.page.plan import RELEASED, SETS, Part, parts, seeds_of, write_training_file
from bci_m2s.training.training_file import load_training

SHIPPED = Path(__file__).resolve().parents[3] / "pipelines" / "train"


def test_a_name_means_a_set_or_a_part_of_one():
    assert len(parts()) == len(set(parts()))
    assert {part.data for part in parts()} == set(SETS)
    assert {part.protocol for part in parts(["eegmat"])} == {"all", "few-2", "few-4", "unpaired"}
    few = parts(["stress-predict-few"])
    assert {part.name for part in few if not part.recipe} == {
        "stress-predict-few-2",
        "stress-predict-few-4",
    }
    assert parts(["eegmat-unpaired"]) == [Part("eegmat", "unpaired")]
    with pytest.raises(UsageError, match=r"--only: got 'eegmat-fw'.*nearest: 'eegmat-few-4'"):
        parts(["eegmat-fw"])


def test_of_the_released_recipe_quick_tables_have_one_seed_unless_more_seeds_are_asked_for():
    own, released = Part("eegmat", "all"), Part("eegmat", "all", RELEASED)
    assert list(seeds_of(own, range(3), quick=True)) == [0, 1, 2]
    assert list(seeds_of(released, range(3), quick=True)) == [0]
    assert list(seeds_of(released, range(10), quick=True)) == list(range(10))
    assert list(seeds_of(released, range(2), quick=False)) == [0, 1]


def test_quick_tables_have_fewer_parts_and_windows(tmp_path):
    assert set(parts(quick=True)) < set(parts())
    new = Part("stress-predict", "new-4")
    assert parts([new.name], quick=True) == [new]
    assert new not in parts(quick=True)
    assert new in parts(quick=True, seeds=10)
    few = {part for part in parts(quick=True, seeds=10) if part.recipe}
    assert {part.protocol for part in few} == {"all"}
    made = {}
    for quick in (True, False):
        path = tmp_path / f"{quick}.yaml"
        write_training_file(Part("stress-predict", "new-2"), SHIPPED, path, [0], quick=quick)
        made[quick] = load_training(path)
    assert made[True].windows.every_hops == 3 * made[False].windows.every_hops
    assert {*made[False].controls} - {*made[True].controls} == {"permuted"}
    assert made[True].pretrain == made[False].pretrain


def test_what_shares_a_pre_training_comes_after_it():
    every = parts()
    for number, part in enumerate(every):
        assert every.index(part.pretrained_as) <= number
    assert Part("eegmat", "few-4", RELEASED).pretrained_as == Part("eegmat", "all", RELEASED)
    assert Part("eegmat", "unpaired").pretrained_as == Part("eegmat", "unpaired")


@pytest.mark.parametrize("data", SETS)
def test_every_part_is_a_training_file_that_differs_in_its_labels(data, tmp_path):
    made = {}
    for part in parts([data]):
        path = tmp_path / part.folder / f"{part.name}.yaml"
        write_training_file(part, SHIPPED, path, [0, 1], quick=False)
        made[part] = load_training(path)
    first = made[Part(data, "all")]
    for part, settings in made.items():
        assert settings.seeds == (0, 1)
        assert (settings.data, settings.split.seed, settings.pair) == (first.data, 0, first.pair)
        labels = settings.labels
        number = int(part.protocol[-1]) if part.protocol[-1].isdigit() else None
        assert labels.people == {"few": number, "new": 0}.get(part.protocol[:3])
        assert labels.new_person_trials == (number if part.protocol.startswith("new") else 0)
        assert labels.unpaired == (part.protocol == "unpaired")
        assert settings.controls == (() if part.recipe else first.controls)
        if not part.recipe:
            assert settings.pretrain == first.pretrain
    for part, settings in made.items():
        same = made[part.pretrained_as]
        assert (settings.pretrain, settings.windows, settings.split, settings.contract) == (
            same.pretrain,
            same.windows,
            same.split,
            same.contract,
        )
