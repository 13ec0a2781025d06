"""``bci-m2s verify SESSION.xdf``: replay a recorded session and compare every estimate."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bci_m2s.review.verify import Verification, verify
from bci_m2s.session.terminal.view import make_console

DIFFERENT_STATUS = 1


def verify_file(file: Path, model: str | None, device: str | None, seed: int) -> int:
    """Verify a recording, print the result, return the exit status. Raises what ``verify`` raises."""
    console = make_console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        result = verify(
            file,
            model,
            device,
            seed,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    return print_verification(console, file, result)


def print_verification(console: Console, file: Path, result: Verification) -> int:
    """Print a result; 0 when all came back, else ``DIFFERENT_STATUS``."""
    for note in result.notes:
        console.print(f"note: {note}", style="yellow")
    counts = ", ".join(f"{name} {count}" for name, count in result.equal.items()) or "none"
    how = "bit for bit" if result.tolerance == 0 else f"within {result.tolerance:g}"
    total = sum(result.equal.values())
    console.print(
        f"{total} answers come back {how} ({counts}); {result.made} of them are estimates, the others "
        "state why there was none"
    )
    if result.tolerance:
        console.print(f"largest difference between probabilities: {result.largest:.2g}")
    if result.unrecorded:
        console.print(
            f"the replay made {result.unrecorded} more windows: skipped because inference was late, "
            "not chosen, or after the end"
        )
    if result.first is not None:
        console.print(f"{file}: DIFFERENT. First: {result.first.describe()}", style="bold red")
        return DIFFERENT_STATUS
    if not total:
        console.print(f"{file}: no recorded answer to compare with", style="yellow")
        return DIFFERENT_STATUS
    console.print(f"{file}: verified", style="green")
    return 0
