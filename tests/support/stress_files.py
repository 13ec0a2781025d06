"""Stress-Predict's files with made-up signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

BEGIN_S = 1_644_227_574
STRETCHES_S = (600, 380, 280, 640, 300, 130, 700)  # rest, stress, rest, ... as in the data set


def write_stress_predict(
    root: Path, people: Sequence[int] = (2,), stretches_s: Sequence[int] = STRETCHES_S, quick: bool = False
) -> None:
    """Files of 9 s before the first stretch, and as long as all stretches.

    The pulse has 75 beats a minute. Skin conductance is the second of the recording in thousandths of a
    microsiemens, so that it tells where a sample stands.

    quick : the pulse is noise, which takes no time to make
    """
    root.mkdir(parents=True, exist_ok=True)
    lines = ["person,start_unix_s,end_unix_s,label"]
    seconds = sum(stretches_s) + 9
    for number in people:
        begin_s = BEGIN_S + 10_000 * number
        start_s = begin_s + 9
        for index, length_s in enumerate(stretches_s):
            label = ("rest", "stress")[index % 2]
            lines.append(f"S{number:02d},{start_s},{start_s + length_s},{label}")
            start_s += length_s
        beats = np.arange(seconds * 64) / 64 * 1.25 % 1.0
        pulse = 50 * np.exp(-40 * (beats - 0.3) ** 2)
        if quick:
            pulse = np.arange(len(beats)) % 7.0
        at_s = np.arange(seconds * 4) / 4
        for name, rate_hz, values, form in (
            ("BVP", 64, pulse, "%.2f"),
            ("EDA", 4, at_s / 1000, "%.5f"),
            ("TEMP", 4, 33 + at_s / 10_000, "%.5f"),
        ):
            content = [f"{begin_s:.2f}", f"{rate_hz:.6f}", *(form % value for value in values)]
            (root / f"S{number:02d}_{name}.csv").write_text("\n".join(content) + "\n")
    (root / "trials.csv").write_text("\n".join(lines) + "\n")
