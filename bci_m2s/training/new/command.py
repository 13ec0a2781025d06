"""``bci-m2s new``: files for one's own model, from what is there."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bci_m2s.errors import OutputError, UsageError
from bci_m2s.files.whole import write_whole
from bci_m2s.simulator.devices import find_device
from bci_m2s.text import printable
from bci_m2s.training.new.decide import Decisions
from bci_m2s.training.new.files import pipeline_yaml, training_yaml
from bci_m2s.training.new.look import Found, look_at_device, look_at_recordings, look_at_streams
from bci_m2s.training.new.protocol import protocol_py, readme_md
from bci_m2s.training.new.trackers import find_tracker
from bci_m2s.training.new.wishes import NONE, Wishes
from bci_m2s.training.training_file import load_training

FILES = ("training.yaml", "pipeline.yaml", "protocol.py", "README.md")
WAIT_S = 2.0


def new_project(folder: Path, wishes: Wishes, console: Console) -> None:
    """``bci-m2s new FOLDER``: what was found and decided, said on `console`.

    Raises
    ------
    UsageError
        For wishes that what is there cannot fulfil.
    OutputError
        One of the files is there already.
    """
    for name in FILES:
        if (folder / name).exists():
            raise OutputError(f"{folder / name}: exists already and is not overwritten")
    found = _look(wishes, console)
    console.print(f"looked at {found.where}")
    for note in found.notes:
        console.print(printable(f"note: {note}"), style="yellow")
    decide = Decisions(wishes, found, console)
    project = decide.project(folder)
    texts = (
        training_yaml(project),
        pipeline_yaml(project),
        protocol_py(project),
        readme_md(project, found.where),
    )
    files = dict(zip(FILES, texts, strict=True))
    _prove(files["training.yaml"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(folder / name, text, overwrite=False)
    console.print(f"{folder}: {', '.join(FILES)}")
    first = "record people (README.md), then " if not project.people else ""
    console.print(
        f"Next: {first}cd {folder}; bci-m2s check training.yaml; bci-m2s pretrain training.yaml; "
        f"bci-m2s finetune training.yaml --out {project.name}.safetensors"
    )


def _look(wishes: Wishes, console: Console) -> Found:
    if wishes.source is not None:
        with console.status("reading recordings") as status:
            return look_at_recordings(wishes.source, lambda name: status.update(f"reading {name}"))
    if wishes.montage:
        tracker = find_tracker(wishes.eye) if wishes.eye not in ("", NONE) else None
        device = find_device(wishes.montage) if wishes.montage != NONE else None
        return look_at_device(device, tracker)
    from bci_m2s.lsl.network import list_streams
    from bci_m2s.training.new.stamps import astray_on_network

    with console.status(f"looking for LSL streams, {WAIT_S:g} s"):
        found = look_at_streams(list_streams(WAIT_S, describe=True), "the LSL streams on the network")
        signals = (*found.eeg, *found.eye, *found.skin)
        found = replace(found, astray=frozenset(astray_on_network(signals)))
    if not (found.eeg or found.eye or found.skin):
        raise UsageError(
            "no EEG, gaze or skin conductance on the network: start the program that sends it, or give "
            "recordings (--from FOLDER) or a device (--montage NAME, see bci-m2s montages)"
        )
    return found


def _prove(training: str) -> None:
    """Refuse to write a training file that would be refused. Raises ConfigurationError."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "training.yaml"
        path.write_text(training, encoding="utf-8")
        load_training(path)


def is_asked() -> bool:
    """Whether somebody at a terminal can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()
