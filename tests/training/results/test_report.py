"""Curves of a training: a table of every column, whole or not at all."""

from __future__ import annotations

import csv

import pytest

from bci_m2s.training.results.report import write_curves


def test_a_table_holds_every_column_that_any_row_has(tmp_path):
    write_curves(tmp_path / "loss", [{"epoch": 1, "train": 0.5}, {"epoch": 2, "validation": 0.25}], "", [])
    with (tmp_path / "loss.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "train": "0.5", "validation": ""},
        {"epoch": "2", "train": "", "validation": "0.25"},
    ]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path):
    class Interrupted:
        def __str__(self):
            raise KeyboardInterrupt

    write_curves(tmp_path / "loss", [{"epoch": 1}], "", [])
    before = (tmp_path / "loss.csv").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_curves(tmp_path / "loss", [{"epoch": 2}, {"epoch": Interrupted()}], "", [])
    assert (tmp_path / "loss.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["loss.csv"]
