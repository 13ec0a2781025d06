"""``bci-m2s check FILE``: a pipeline, a training file or a protocol, whichever its keys say."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import kind_of
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import typed


def check_file(name: str) -> None:
    """Print what a file is and whether it is in order. Raises BciM2sError."""
    path = Path(name)
    kind = kind_of(read_yaml(path)[0]) if path.is_file() else None
    if kind == "training file":
        _check_training_file(path)
        return
    if kind == "protocol":
        _check_protocol(path)
        return
    from bci_m2s.commands.run import check_pipeline

    check_pipeline(name)


def _check_training_file(path: Path) -> None:
    from bci_m2s.training.check.training_file import check_training, describe

    console = make_console()
    with console.status(f"looking at {path} and its data"):
        checked = check_training(path, may_lack_data=True)
    for line, is_remark in describe(checked):
        console.print(line, style="yellow" if is_remark else "", soft_wrap=True)
    record = f"bci-m2s record --output {checked.settings.data.root}/sub-P001/ses-S001"
    next_step = record if checked.lacks_data else f"bci-m2s pretrain {path}"
    console.print(f"{path}: ok. Next: {next_step}", soft_wrap=True)


def _check_protocol(path: Path) -> None:
    from bci_m2s.commands.session import describe_protocol

    console = make_console()
    for line, is_remark in describe_protocol(path):
        console.print(line, style="yellow" if is_remark else "", soft_wrap=True)
    console.print(f"{path}: ok. Next: bci-m2s session {typed(path)} --output FOLDER", soft_wrap=True)
