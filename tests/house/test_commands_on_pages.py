"""What is to be typed or saved on the pages: the program takes it (tutorials are run by `.ci/run`)."""

from __future__ import annotations

import re
import shlex
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


PAGE = """\
```yaml
# kept.yaml
a: 1
```
```bash
mkdir -p new && cd new
```
```bash
cat ../kept.yaml
echo 0.5 s
```
"""


def test_a_tutorial_that_does_not_do_what_it_says_is_noticed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    from run_tutorials import Wrong, walk

    def walk_through(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        walk(tmp_path / "page.md", tmp_path / name)

    walk_through("right", PAGE + "```text\na: 1\n0.7 s…\n```\n")
    with pytest.raises(Wrong, match=r"page.md:12: not printed .*: a: 2"):
        walk_through("unsaid", PAGE + "```text\na: 2\n```\n")
    with pytest.raises(Wrong, match=r"(?s)page.md:8: ended with status 1.*why"):
        walk_through("failed", PAGE.replace("0.5 s", "why; false"))


def blocks(page: Path, kinds: str) -> list[tuple[str, str]]:
    """Kind and text of each block of code."""
    return re.findall(rf"```({kinds})\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
