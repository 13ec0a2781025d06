"""What people see of a session: its takes while they run, and each one summed up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bci_m2s.session.terminal.run import show
from bci_m2s.session.terminal.view import print_summary, recording_line
from bci_m2s.text import printable, typed

if TYPE_CHECKING:
    from bci_m2s.session.operator_commands import Commands
    from bci_m2s.session.takes import EstimatingTake, Takes


class Watch:
    """Shows a session on the terminal. One thread uses it, the session's."""

    _said = ""

    def begins(self, takes: Takes, commands: Commands) -> None:
        """The session is about to run. commands : of its operator"""

    def show(
        self,
        take: EstimatingTake,
        console: Console,
        stop: threading.Event,
        end: float,
        title: str,
        tick: Callable[[], None],
        headline: Callable[[], str] | None,
    ) -> None:
        """Show a take until it ends; parameters as for ``terminal.run.show``."""
        show(take.engine, console, stop, end, take.pipeline.heads, title, tick, headline)

    def tell(self, take: EstimatingTake, console: Console) -> None:
        """Say once, in a line that stays, that windows are skipped, and that none are any more."""
        if (line := take.engine.overload.line) and line != self._said:
            self._said = line
            console.print(line, style="yellow", soft_wrap=True)

    def sum_up(
        self,
        takes: Takes,
        console: Console,
        truth: Sequence[tuple[float, float, str]],
        caution: str,
        said: Sequence[str],
    ) -> None:
        """The take that has ended, in figures.

        said : notes that were printed; truth, caution : as for ``print_summary``
        """
        take = takes.now
        publisher, snapshot = take.engine.publisher, take.engine.reporter.snapshot()
        print_summary(
            console,
            publisher.statistics,
            snapshot.health,
            take.engine.skipped,
            truth,
            publisher.markers,
            caution,
            [*(note for note in take.pipeline.notes if note not in said), *last_notes(takes)],
            is_one_line=snapshot.chosen is not None,
        )
        for problem in snapshot.problems:
            console.print(printable(problem, 500), style="yellow")
        if snapshot.recording is not None:
            console.print(recording_line(snapshot.recording))

    def say_saved(self, console: Console, folder: Path, is_guided: bool) -> None:
        """Say where the take's files are, see ``say_saved``."""
        say_saved(console, folder, is_guided)


def last_notes(takes: Takes) -> list[str]:
    """What is known of a take only when it has ended."""
    came = [text for _, text, _ in takes.now.engine.publisher.markers]
    return [*takes.now.pipeline.never_used, *takes.settings.baseline.unmet(came)]


def say_saved(console: Console, folder: Path, is_guided: bool = False) -> None:
    """Say where everything is that is there and holds something, and what comes next.

    is_guided : whoever guides the session says what comes next
    """
    try:
        saved = sorted(path.name for path in folder.iterdir() if path.is_dir() or path.stat().st_size)
    except OSError:
        saved = []
    if saved:
        console.print(f"saved in {folder}: {', '.join(saved)}")
        if {"session.xdf", "session.yaml"} <= {*saved} and not is_guided:
            console.print(
                f"Next: bci-m2s report {typed(folder)}, bci-m2s verify {typed(folder)}", soft_wrap=True
            )
    else:
        console.print(f"nothing is saved in {folder}", style="bold red")
