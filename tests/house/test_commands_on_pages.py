"""What is to be typed or saved on the pages: the program takes it, and the tutorials do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from bci_m2s.commands.cli import app
from bci_m2s.session.protocol.settings import ProtocolSettings
from bci_m2s.session.setup.config import PipelineSettings

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


def test_whole_files_on_the_pages_have_the_keys_of_the_program():
    kinds = {("model", "streams"): PipelineSettings, ("pipeline", "trials"): ProtocolSettings}
    checked = 0
    for page in PAGES:
        for _, block in blocks(page, "yaml"):
            found = yaml.safe_load(block)
            for keys, settings in kinds.items():
                if set(keys) <= set(found):
                    settings.model_validate(found)
                    checked += 1
    assert checked > 18


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_tutorial_does_what_it_says(tmp_path):
    page = ROOT / "docs" / "tutorial.md"
    said = "".join(done(kind, block, tmp_path) for kind, block in blocks(page, "bash|yaml"))
    assert said.count(": verified") == 2
    assert "eeg: promoted" in said
    assert (tmp_path / "sub-P001" / "report.html").is_file()
    assert (tmp_path / "dataset" / "dataset_description.json").is_file()


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_whole_way_to_a_model_of_ones_own_does_what_it_says(tmp_path):
    kind, block = blocks(ROOT / "docs" / "own-model.md", "bash")[0]
    assert "saved in sessions/sub-P009: " in done(kind, block, tmp_path)
    estimates = tmp_path / "my-lab" / "sessions" / "sub-P009" / "estimates.csv"
    assert ",ok," in estimates.read_text(encoding="utf-8")


def blocks(page: Path, kinds: str) -> list[tuple[str, str]]:
    """Kind and text of each block of code."""
    return re.findall(rf"```({kinds})\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def done(kind: str, block: str, folder: Path) -> str:
    """Save a file under the name in its first line, or do what is to be typed; return what was printed."""
    if kind == "yaml":
        (folder / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
        return ""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-eu", "-c", block],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "DISPLAY": "", "WAYLAND_DISPLAY": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    return ran.stdout
