"""Brain, Body, and Behaviour's files with made-up events."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

FIXATION_S, SACCADE_S = 0.4, 0.1
CLIPS_S = (60, 40, 55, 50, 45)


def event_texts(seconds: float, session: int) -> dict[str, str]:
    """The content of each table: a fixation and a saccade every half second, a blink every 5 or 2.5 s.

    In session 1 the heart beats 60 times a minute, in session 2 75 times.
    """
    tables = {
        "fixations": ["start_time\tend_time\tduration\tx_pos\ty_pos\tvdx_pos\tvdy_pos"],
        "saccades": [
            "start_time\tend_time\tduration\tstart_x\tstart_y\tend_x\tend_y\tstart_vdx\tstart_vdy\tend_vdx\tend_vdy"
        ],
        "blinks": ["start_time\tend_time\tduration"],
        "rpeak_timestamps": ["timestamp"],
    }
    for index in range(int(seconds * 2)):
        start_s, side = index / 2, 4.0 * (index % 2)
        middle_s = start_s + FIXATION_S
        stop_s = middle_s + SACCADE_S
        tables["fixations"].append(f"{start_s}\t{middle_s}\t{FIXATION_S}\t600\t500\t{side}\t1.0")
        tables["saccades"].append(
            f"{middle_s}\t{stop_s}\t{SACCADE_S}\t600\t500\t700\t500\t{side}\t1.0\t{4.0 - side}\t1.0"
        )
    every_s = 5.0 / session
    for index in range(int(seconds / every_s)):
        start_s = index * every_s + 1.42  # inside a saccade, as EyeLink has them
        tables["blinks"].append(f"{start_s}\t{start_s + 0.06}\t0.06")
    beat_s = 60 / (60, 75)[session - 1]
    beats = [0.1 + beat_s * index for index in range(int(seconds / beat_s))]
    tables["rpeak_timestamps"] += [str(beat) for beat in beats]
    return {table: "\n".join(lines) + "\n" for table, lines in tables.items()}


def write_events(root: Path, people: Sequence[int] = (1,), clips: Sequence[int] = (1, 2, 3, 4, 5)) -> None:
    """Both sessions of each person."""
    root.mkdir(parents=True, exist_ok=True)
    for session in (1, 2):
        for clip in clips:
            for table, text in event_texts(CLIPS_S[clip - 1], session).items():
                for person in people:
                    event_file(root, person, session, clip, table).write_bytes(
                        gzip.compress(text.encode(), 1)
                    )


def event_file(root: Path, person: int, session: int, clip: int, table: str) -> Path:
    """Where a table is."""
    return root / f"sub-{person:02d}_ses-{session:02d}_task-stim{clip:02d}_desc-{table}.tsv.gz"
