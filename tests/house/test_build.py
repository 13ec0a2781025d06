"""Installing compiles the filters; without a compiler it works all the same, and says so."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from bci_m2s.signal.sections import SOURCE, compiled

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path, build):
    """A copy of what is compiled."""
    source = tmp_path / build.SOURCE
    source.parent.mkdir(parents=True)
    shutil.copy(SOURCE, source)
    return tmp_path


class App:
    def __init__(self):
        self.warnings = []

    def display_warning(self, words):
        self.warnings.append(words)


def hooked(build, tree):
    hook = build.CompileSections(str(tree), {}, None, None, "", "wheel", App())
    data = {"artifacts": []}
    hook.initialize("standard", data)
    return data, hook.app.warnings


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform not in ("linux", "darwin"), reason="no cc")
def test_what_is_compiled_is_taken(build, tree, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -O2")  # Python's own need not be here: then cc
    data, warnings = hooked(build, tree)
    assert not warnings
    assert data["artifacts"] == ["bci_m2s/signal/libsections.so"]
    assert data["tag"].startswith("py3-none-")
    assert compiled(tree / build.LIBRARY) is not None
    assert {path.name for path in (tree / build.LIBRARY).parent.iterdir()} == {
        "sections.c",
        "libsections.so",
    }


@pytest.mark.parametrize("how", ["no compiler", "a compiler that fails", "a source that is wrong"])
def test_without_a_compiler_the_wheel_is_made_without_it(build, tree, monkeypatch, tmp_path, how):
    (tree / build.LIBRARY).write_text("of another time")
    if how == "a source that is wrong":
        (tree / build.SOURCE).write_text("int filter( {")
    else:
        monkeypatch.setenv("CC", "false" if how == "a compiler that fails" else "no-such-compiler")
        monkeypatch.setenv("PATH", f"{tmp_path}")
        if how == "a compiler that fails":
            monkeypatch.setenv("CC", shutil.which("false", path="/bin:/usr/bin"))
    data, (warning,) = hooked(build, tree)
    assert data == {"artifacts": []}
    assert warning.startswith("filters: not compiled, scipy's loop is used: ")
    assert len(warning) > 60
    assert not (tree / build.LIBRARY).exists()


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform not in ("linux", "darwin"), reason="no cc")
@pytest.mark.parametrize("words", ["'no end of quotes", "true"])
def test_words_for_a_compiler_that_make_nothing_are_passed_over(build, tree, monkeypatch, words):
    monkeypatch.setenv("CC", words)
    assert build.compile_sections(tree) == ""
    assert compiled(tree / build.LIBRARY) is not None


def test_a_library_that_can_be_neither_written_nor_removed_ends_no_installation(build, tree):
    """As in a source folder that is mounted to be read only."""
    (tree / build.LIBRARY).mkdir()
    data, (warning,) = hooked(build, tree)
    assert data == {"artifacts": []}
    assert warning.startswith("filters: not compiled, scipy's loop is used: ")


def test_a_source_archive_brings_the_source_alone(build, tree):
    hook = build.CompileSections(str(tree), {}, None, None, "", "sdist", App())
    data = {"artifacts": []}
    hook.initialize("standard", data)
    assert data == {"artifacts": []}
    assert not (tree / build.LIBRARY).exists()
