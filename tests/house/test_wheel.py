"""A wheel built from the repository brings its pipelines and models, and writes nothing into itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bci_m2s.files.shipped import folder, names
from bci_m2s.signal.sections import LIBRARY

pytestmark = pytest.mark.nightly
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    wheels = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run(build, check=True, timeout=240)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, timeout=240
    )
    return target


def everything_below(folder):
    return {
        (path.relative_to(folder), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def test_it_works_from_an_empty_folder(installation, tmp_path):
    before = everything_below(installation)
    environment = {**os.environ, "PYTHONPATH": str(installation), "PYTHONDONTWRITEBYTECODE": "1"}

    def bci(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "bci_m2s", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    where = "import bci_m2s; print(bci_m2s.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(installation)
    for name in names("pipelines", ".yaml"):
        done = bci("check", name)
        assert done.returncode == 0, done.stderr
        assert str(installation) in done.stdout
    done = bci("bench")
    assert done.returncode == 0, done.stderr
    assert "features" in done.stdout
    done = bci("demo", "--headless", "--duration", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Summary" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert everything_below(installation) == before


def test_everything_that_stands_beside_the_package_is_in_the_wheel(installation):
    for kind, suffix in (("pipelines", ".yaml"), ("models", ".safetensors"), ("benchmarks", ".py")):
        shipped = {path.name for path in (installation / "bci_m2s" / "shipped" / kind).glob(f"*{suffix}")}
        assert shipped == {path.name for path in folder(kind).glob(f"*{suffix}")}
        assert shipped


def test_type_checkers_are_told_that_it_is_typed(installation):
    assert (installation / "bci_m2s" / "py.typed").is_file()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_wheel_has_the_compiled_filters(installation):
    assert (installation / "bci_m2s" / "signal" / LIBRARY.name).stat().st_size > 1000
    assert "py3-none-" in (next(installation.glob("bci_m2s-*.dist-info")) / "WHEEL").read_text()
