"""``bci-m2s recover``: a readable copy of a damaged recording, and what was lost."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.recording.recovery import recover
from bci_m2s.recording.recovery_report import RecoveryReport
from bci_m2s.session.terminal.view import make_console


def recover_file(path: Path, out: Path | None = None) -> RecoveryReport:
    """Recover `path` and print what was found; progress too, when the file is large.

    Returns normally when a copy was made or the file is whole. Raises RecordingError when nothing can
    be recovered, OutputError when the copy cannot be written.
    """
    console = make_console()

    def progress(phase: str, done: int, size: int) -> None:
        console.print(f"{phase}: {done / 1e6:.0f} of {size / 1e6:.0f} MB", style="dim")

    report = recover(path, out, progress=progress)
    for line in report.lines():
        console.print(line, soft_wrap=True)
    return report
