"""Options of ``bci-m2s study`` that do not go together are refused in one line."""

from pathlib import Path

import pytest
from support.command_line import bci, refused

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", 0], "--workers: got 0, expected 1 or more"),
        (["--executor", "slurm"], "--executor: got 'slurm', expected local or dask"),
        (["--executor", "dask"], "--scheduler: got --executor dask, expected an address with dask"),
        (["--scheduler", "tcp://a:1"], "--scheduler: got --executor local and --scheduler tcp://a:1"),
        (["--windows", 9], "--windows: got 9 without --cost"),
        (["--cost", "no-such-folder"], "--cost: no-such-folder: no cell of a study is done here"),
        (["--resume", "--output", "no-such-folder"], "no-such-folder: no study here; start it without"),
    ],
)
def test_wrong_options_are_one_line(options, words):
    assert words in refused("study", "simulated", *options)


def test_without_a_study_the_shipped_ones_are_listed():
    lines = bci("study").stdout.splitlines()
    shipped = {path.stem for path in (PIPELINES / "studies").glob("*.yaml")}
    assert {line.split()[0] for line in lines} == shipped != set()
    assert "simulated                Simulated people, EEG and eyes" in lines
