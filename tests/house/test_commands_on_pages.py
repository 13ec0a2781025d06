"""Every `bci-m2s …` on a page is one that the parser takes, and the tutorial does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from bci_m2s.commands.cli import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = typer.main.get_command(app)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINES = sorted(
    {
        (str(page.relative_to(ROOT)), line.strip())
        for page in PAGES
        for block in re.findall(r"```(?:bash|text)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in re.findall(r"(?:^|&& |; )(bci-m2s .*)$", block.replace("\\\n", " "), re.MULTILINE)
    }
)


def refusal(line: str) -> str:
    """What the command line's parser says of it; "" where it takes it. Nothing is run."""
    words = shlex.split(re.split(r" [&;|]|\bdone\b", line)[0], comments=True)[1:]
    command = COMMANDS
    try:
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            command = command.commands[words.pop(0)]
        command.make_parser(command.context_class(command)).parse_args(words)
    except KeyError as unknown:
        return f"no command {unknown}"
    except Exception as problem:
        return str(problem)
    return ""


def test_the_commands_on_the_pages_are_those_of_the_command_line():
    assert len(LINES) > 80
    assert [(page, line, refusal(line)) for page, line in LINES if refusal(line)] == []


def test_what_is_not_a_command_is_noticed():
    assert refusal("bci-m2s rum muse") == "no command 'rum'"
    assert "--output-folder" in refusal("bci-m2s run muse --output-folder x  # a comment")


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_tutorial_does_what_it_says(tmp_path):
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    said = ""
    for kind, block in re.findall(r"```(bash|yaml)\n(.*?)```", text, re.DOTALL):
        if kind == "yaml":
            name = block.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(block, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-eu", "-c", block],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=580,
            check=False,
        )
        said += done.stdout
        assert done.returncode == 0, said[-3000:]
    assert said.count(": verified") == 2
    assert "eeg: promoted" in said
    assert (tmp_path / "sub-P001" / "report.html").is_file()
    assert (tmp_path / "dataset" / "dataset_description.json").is_file()
