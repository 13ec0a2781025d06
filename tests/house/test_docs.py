"""The pages that are written by scripts are current, and every link in the docs leads somewhere."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import bci_m2s
from bci_m2s.commands.bench.found import files
from bci_m2s.features import EXTRACTORS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("[hs]e*/*.md"), *ROOT.glob("*.md")])


@pytest.fixture
def make_reference(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(DOCS)
    import make_reference

    return make_reference


def test_the_reference_is_current(make_reference):
    written = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert written == make_reference.reference(), "run: python docs/make_reference.py"


def test_the_tables_of_performance_are_current(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(DOCS)
    import make_performance

    written = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert written == make_performance.page(written), "run: python docs/make_performance.py"
    assert written.count("\n| figure | unit |") == len(files())


def test_the_python_page_has_every_public_name():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (\w+)$", text, re.MULTILINE)
    assert sorted([*listed, "__version__"]) == sorted(bci_m2s.__all__)


def test_the_example_on_the_python_page_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "api.md", "exec"), names)
    assert len(names["starts"]) == 2
    assert set(names["answers"]) <= {"negative", "neutral", "positive", "unknown"}
    assert len(names["answers"]) > 10
    said = capsys.readouterr().out
    assert "BASELINE" in said or "FILLING" in said
    assert "model 'demo': no such file" in said


def test_the_reference_has_every_feature_and_every_parameter_of_it(make_reference):
    assert set(make_reference.FEATURES) == set(EXTRACTORS)
    for name, (_, defaults, numbers) in make_reference.FEATURES.items():
        described = {row[0].strip("`") for row in make_reference.feature_rows(name)}
        assert {*defaults, *numbers} <= described, name


def test_the_picture_of_the_floors_is_current(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import make_architecture

    now = (make_architecture.floors(), make_architecture.arrows())
    assert make_architecture.drawn() == now, "run: python docs/make_architecture.py"


def test_the_readme_has_every_folder_in_the_order_of_the_floors(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import make_architecture

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^  (\w+)/ ", text, re.MULTILINE)
    floor = {room: number for number, row in enumerate(make_architecture.floors()) for room in row}
    assert sorted(listed) == sorted(floor)
    assert [floor[room] for room in listed] == sorted((floor[room] for room in listed), reverse=True)


def test_what_the_architecture_names_exists():
    """`file.py` `Name` or `Class.method`: a definition in that file."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)` `([\w.]+)`", text)
    missing = []
    for file, name in named:
        scope: ast.AST | None = ast.parse((ROOT / "bci_m2s" / file).read_text(encoding="utf-8"))
        for part in name.split("."):
            definitions = (ast.ClassDef, ast.FunctionDef)
            inside = scope.body if isinstance(scope, ast.Module | ast.ClassDef) else []
            scope = next((d for d in inside if isinstance(d, definitions) and d.name == part), None)
        if scope is None:
            missing.append(f"{file} {name}")
    assert len(named) > 25
    assert missing == []


def test_version_changelog_and_citation_agree():
    changes = (DOCS / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d[\w.]*) — (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert newest is not None
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert bci_m2s.__version__ == newest[1]
    assert f"\nversion: {newest[1]}\ndate-released: {newest[2]}\n" in citation


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_what_is_promised_has_its_tests():
    """`tests/…/test_x.py::test_y`, and after it names of the same file."""
    missing, count, file = [], 0, ""
    for path, name in re.findall(
        r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", (DOCS / "promises.md").read_text("utf-8")
    ):
        file = path or file
        count += 1
        if f"\ndef {name}(" not in (ROOT / file).read_text(encoding="utf-8"):
            missing.append(f"{file}::{name}")
    assert count > 40
    assert missing == []


def test_what_troubleshooting_quotes_is_said():
    """What is in code at the start of a row, between its dots, is a text of the program."""
    rows = re.findall(r"^\| (`.*?`) .*\|$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bci_m2s").rglob("*.py"))
    texts = [part.strip(" ;:") for row in rows for part in row.strip("`").split("…")]
    assert len(rows) > 25
    assert [text for text in texts if len(text) > 3 and text not in said] == []


def test_every_page_has_a_place_on_the_site():
    """A page in no section is a warning of Sphinx, which is an error in `.ci/run`."""
    placed = set()
    for section in (DOCS / "sections").glob("*.md"):
        (tree,) = re.findall(r"```{toctree}\n:hidden:\n\n(.*?)```", section.read_text("utf-8"), re.DOTALL)
        placed |= {(section.parent / f"{name}.md").resolve() for name in tree.split()}
    assert placed == {*DOCS.glob("*.md"), *DOCS.glob("headsets/*.md")} - {DOCS / "index.md"}


def test_the_page_on_extending_shows_what_the_example_package_has():
    text = (DOCS / "extend.md").read_text(encoding="utf-8")
    package = ROOT / "examples" / "plugin"
    code = (package / "bci_m2s_example.py").read_text(encoding="utf-8")
    entries = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "entry-points"
    ]
    (shown,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert tomllib.loads(shown)["project"]["entry-points"].items() <= entries.items()
    assert all(f"`{group}`" in text for group in entries)
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                line = block.splitlines()[node.lineno - 1].split("#")[0].strip().removesuffix(" ...")
            elif isinstance(node, ast.Assign) and node.col_offset == 0:
                line = block.splitlines()[node.lineno - 1]
            else:
                continue
            assert line in code, line
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        assert isinstance(yaml.safe_load(block), dict)
