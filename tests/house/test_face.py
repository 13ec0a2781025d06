"""What `import bci_m2s` offers: every public name, and nothing heavy before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bci_m2s
from bci_m2s import errors

ROOT = Path(__file__).resolve().parents[2]


def run(code):
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_the_package_loads_nothing_but_itself():
    code = "import sys; before = set(sys.modules); import bci_m2s; print(sorted(set(sys.modules) - before))"
    assert ast.literal_eval(run(code)) == ["__future__", "bci_m2s"]


@pytest.mark.parametrize("name", bci_m2s.__all__)
def test_every_name_is_there(name):
    assert getattr(bci_m2s, name) is not None
    assert name in dir(bci_m2s)


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "bci_m2s" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert seen == {(module, name) for name, module in bci_m2s._MODULE.items()}
    assert {name for _, name in seen} | {"__version__"} == set(bci_m2s.__all__)


def test_every_error_is_public():
    ours = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, bci_m2s.BciM2sError)
    }
    assert ours <= set(bci_m2s.__all__)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'bci_m2s' has no attribute 'load'"):
        bci_m2s.load  # noqa: B018
