"""Says at once, and in a line that stays, when a recording cannot be written, and when it is again."""

from __future__ import annotations

from rich.console import Console

from bci_m2s.recording.recorder import Recorder
from bci_m2s.text import printable


class RecordingNotice:
    """Looks at a recorder a few times a second. recorder : None where nothing is recorded"""

    def __init__(self, recorder: Recorder | None, console: Console) -> None:
        self._recorder, self._console = recorder, console
        self._had_problem = False
        self._lost = 0

    def look(self) -> None:
        """Print what has changed since the last look."""
        if self._recorder is None:
            return
        state = self._recorder.state()
        if state.problem and not self._had_problem:
            self._say(
                f"NOT RECORDED: {printable(state.problem, 300)}; samples wait in memory, and it is tried "
                "again each second: free some space now",
                "bold red",
            )
        elif self._had_problem and not state.problem:
            lost = state.lost_samples - self._lost
            words = f"{lost} samples are LOST" if lost else "nothing is lost"
            self._say(f"recorded again: {words}", "bold red" if lost else "green")
        if not state.problem:
            self._lost = state.lost_samples
        self._had_problem = bool(state.problem)

    def _say(self, words: str, style: str) -> None:
        self._console.print(words, style=style, soft_wrap=True, markup=False)
