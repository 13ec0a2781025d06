"""A seeded thousand of damaged files, over every loader; ``run.py`` beside this does as many as wanted."""

import pytest
from fuzz_loaders import LOADERS
from fuzz_runs import run


def test_the_shares_make_a_thousand():
    assert sum(loader.share for loader in LOADERS.values()) >= 1000


@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_gives_data_or_one_line(name):
    failures = []
    outcome = run(name, LOADERS[name].share, 0, failures.append)
    assert not failures, f"example {failures[0].number}: {failures[0].trace}"
    assert outcome.refused > 0
    assert outcome.read > 0  # some damage does no harm, or the loader refuses everything
