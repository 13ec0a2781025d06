"""``trials.csv``: one row per attempt at a trial, with what the participant answered."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from bci_m2s.files.whole import write_whole
from bci_m2s.recording.trials import GuidedTrial

TABLE = "trials.csv"
COLUMNS = (
    "trial",
    "attempt",
    "block",
    "label",
    "item",
    "start_s",
    "stop_s",
    "onset_spread_s",
    "excluded",
    "flags",
)


def write_trials(folder: Path, trials: Sequence[GuidedTrial], scales: Sequence[str]) -> None:
    """Write a session's table, whole or not at all. scales : columns of answers. Raises OutputError."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, *scales])
    for trial in trials:
        numbers = [f"{value:.6f}" if math.isfinite(value) else "" for value in _numbers(trial)]
        table.writerow(
            [
                trial.number,
                trial.attempt,
                trial.block,
                trial.label,
                trial.item,
                *numbers,
                trial.excluded,
                "; ".join(trial.flags),
                *(trial.ratings.get(scale, "") for scale in scales),
            ]
        )
    write_whole(folder / TABLE, text.getvalue(), private=True)


def _numbers(trial: GuidedTrial) -> tuple[float, float, float]:
    return trial.start_s, trial.stop_s, trial.onset_spread_s
