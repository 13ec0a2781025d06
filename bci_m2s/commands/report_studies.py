"""``bci-m2s report STUDY…``: several studies in one report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bci_m2s.errors import UsageError
from bci_m2s.text import printable

STUDY = "study.yaml"  # what the folder of a study holds


def are_studies(folders: Sequence[Path]) -> bool:
    """Whether folders hold studies, all of them. Raises UsageError for several of another kind."""
    others = [folder for folder in folders if not (folder / STUDY).is_file()]
    if others and len(folders) > 1:
        raise UsageError(f"{printable(others[0])}: not the folder of a study; of several, all have to be")
    return not others


def report_studies_and_print(folders: Sequence[Path], output: Path | None) -> Path:
    """Write the report and print where it is. Raises as ``report_studies``."""
    if output is None:
        raise UsageError("--output: missing; name a new folder for the report and tables of these studies")
    from bci_m2s.session.terminal.view import make_console
    from bci_m2s.training.study.joined import report_studies

    path = report_studies(folders, output, ["bci-m2s", *sys.argv[1:]])
    make_console().print(f"report: {printable(path)}", soft_wrap=True)
    return path
