"""Entries of installed packages: merged, loaded on use, and never in the way of a session without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.model_files import contract_fields

from bci_m2s import registry
from bci_m2s.commands import cli
from bci_m2s.errors import ContractError, ExtensionError
from bci_m2s.features import EXTRACTORS
from bci_m2s.model.contract import Contract
from bci_m2s.networks import NETWORKS
from bci_m2s.registry import Registry
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.sinks import SINKS
from bci_m2s.sources import SOURCES
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.methods import METHODS

GROUP = "bci_m2s.features"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package on the path, as pip would, with entry points of the features' group."""

    def install(package, entries, code):
        site = tmp_path / package
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}_code:{place}" for name, place in entries.items()]
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(lines))
        (site / f"{package}_code.py").write_text(code)
        monkeypatch.syspath_prepend(site)
        registry.installed.cache_clear()
        return Registry("feature", GROUP, {"de": "bci_m2s.features.de:DifferentialEntropy"}, ("push",))

    yield install
    monkeypatch.undo()
    registry.installed.cache_clear()


def test_an_entry_of_a_package_is_found_and_loaded_when_it_is_used(install):
    features = install("alpha", {"mine": "Mine"}, "class Mine:\n    push = None\n")
    assert "alpha_code" not in sys.modules
    assert list(features) == ["de", "mine"]
    assert "mine" in features
    assert "alpha_code" not in sys.modules
    assert features["mine"].__name__ == "Mine"
    assert features["mine"] is features["mine"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("", "AttributeError"),
        ("class Mine: ...", "it has no 'push'"),
    ],
)
def test_a_broken_package_is_one_line_when_it_is_used_and_nothing_before(install, code, why):
    features = install("broken", {"mine": "Mine"}, code)
    assert features["de"].__name__ == "DifferentialEntropy"
    with pytest.raises(ExtensionError) as caught:
        features["mine"]
    message = str(caught.value)
    assert message.startswith("feature 'mine': cannot be used from broken 1.0 (entry point mine = ")
    assert GROUP in message
    assert why in message
    assert "\n" not in message
    sys.modules.pop("broken_code", None)


RAISES = """
import numpy as np
class Mine:
    push = None
    def own(self):
        raise KeyError("heads")
    def by_a_library(self):
        np.zeros((2, 3)) @ np.zeros(2)
    def by_ours(self):
        from bci_m2s.text import is_number
        is_number(print)
"""


@pytest.mark.parametrize(
    ("method", "words"), [("own", "KeyError: 'heads' ("), ("by_a_library", "ValueError: matmul")]
)
def test_what_its_code_raises_later_is_one_line_with_the_place(install, capsys, monkeypatch, method, words):
    mine = install("late", {"mine": "Mine"}, RAISES)["mine"]()
    monkeypatch.setattr(cli, "app", getattr(mine, method))
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: late 1.0: ")
    assert words in line
    assert f"late_code.py, line {6 if method == 'own' else 8})" in line
    sys.modules.pop("late_code", None)


def test_what_bci_m2s_raises_is_not_blamed_on_a_package_that_called_it(install, monkeypatch):
    mine = install("caller", {"mine": "Mine"}, RAISES)["mine"]()
    monkeypatch.setattr(cli, "app", mine.by_ours)
    with pytest.raises(TypeError):
        cli.main()
    sys.modules.pop("caller_code", None)


def test_the_built_in_entry_wins_and_a_notice_says_so_once(install, capsys):
    features = install("greedy", {"de": "Mine"}, "raise SystemExit('must not be run')")
    assert list(features) == ["de"]
    assert capsys.readouterr().err == ""
    for _ in range(2):
        assert features["de"].__name__ == "DifferentialEntropy"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "note: feature 'de': the built-in one is used, not greedy 1.0 (entry point de = greedy_code:Mine) "
        f"(group '{GROUP}')"
    )


def test_of_two_packages_with_one_name_neither_is_used(install):
    install("first", {"mine": "Mine"}, "class Mine:\n    push = None\n")
    features = install("second", {"mine": "Mine"}, "class Mine:\n    push = None\n")
    assert features["de"].__name__ == "DifferentialEntropy"
    with pytest.raises(ExtensionError, match=r"2 packages .* first 1\.0 .* second 1\.0 .* all but one"):
        features["mine"]


def test_a_name_that_nobody_has(install):
    features = install("alpha", {"mine": "Mine"}, "")
    with pytest.raises(KeyError):
        features["mien"]
    assert features.unknown("mien") == (
        f"; nearest: 'mine'; no installed package has it in the group '{GROUP}'"
    )


@pytest.mark.parametrize(
    ("field", "group"),
    [("feature", "features"), ("normaliser", "normalisers"), ("network", "networks")],
)
def test_a_model_file_says_which_package_is_missing(field, group):
    fields = contract_fields()
    fields["modalities"]["eeg"][field]["name"] = "alpha-asymmetry"
    with pytest.raises(ContractError, match=f"'alpha-asymmetry'.* in the group 'bci_m2s.{group}'"):
        Contract.model_validate(fields)


def test_a_model_file_cannot_name_code(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    fields = contract_fields()
    fields["modalities"]["eeg"]["feature"]["name"] = "evil:Class"
    with pytest.raises(ContractError, match="known name"):
        Contract.model_validate(fields)
    assert not (tmp_path / "ran").exists()


def test_names_are_looked_up_without_loading_what_they_lead_to():
    code = (
        "import sys\nfrom bci_m2s.sources import SOURCES\nfrom bci_m2s.sinks import SINKS\n"
        "list(SOURCES), list(SINKS), SOURCES['lsl'], 'table' in SINKS\n"
        "print([name for name in ('torch', 'mne', 'pylsl') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout.strip() == "[]"


def test_every_built_in_entry_has_what_a_package_s_entry_must_have():
    for entries in (EXTRACTORS, NETWORKS, NORMALISERS, SOURCES, SINKS, DATASETS, METHODS):
        for name in set(entries) - {"distributed"}:  # it says only that features come from elsewhere
            assert all(hasattr(entries[name], attribute) for attribute in entries.needs), name
