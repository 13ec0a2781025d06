"""The pages of the headsets: what they say to `bci-m2s new` works, and `check` takes their pipelines."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest
from support.command_line import bci

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "headsets").glob("*.md"))
STAND_IN = "bci-m2s new my-lab --montage standard-32"  # for devices that `new` knows from the network alone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pipelines_of_a_headset_are_right(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (line,) = re.findall(r"^bci-m2s new my-lab.*$", text, re.MULTILINE)
    words = shlex.split(line if "--montage" in line else STAND_IN, comments=True)[1:]
    with contextlib.chdir(tmp_path):
        made = bci(*words, "--yes")
        assert made.returncode == 0, made.stderr
        assert blocks
        for block in blocks:
            Path("my-lab", "page.yaml").write_text(block, encoding="utf-8")
            done = bci("check", "my-lab/page.yaml")
            assert done.returncode == 0, done.stderr
            assert "my-lab/page.yaml: ok" in done.stdout
