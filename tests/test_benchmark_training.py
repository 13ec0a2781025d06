"""The training benchmark runs, its sides agree, and a side that is wrong stops it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TINY = ["--rounds", "2", "--batch", "6", "--channels", "3"]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=110.0,
        check=False,
    )


def test_it_prints_both_sides_and_their_ratio() -> None:
    done = run_python("training.py", *TINY)
    assert done.returncode == 0, done.stderr
    assert "batch 6, 5 steps, 3 × 5 and 33 features" in done.stdout
    agreed = re.search(r"agree to (\d\.\de-\d+) ", done.stdout)
    assert agreed is not None
    assert float(agreed[1]) < 1e-9
    taken = {
        name: re.search(rf"^{name} +(\d+\.\d+) s a step$", done.stdout, re.M)
        for name in ("plain", "bci_m2s")
    }
    assert all(row is not None and float(row[1]) > 0 for row in taken.values()), done.stdout
    assert re.search(r"^plain / bci_m2s  \d+\.\d+ \(\d+\.\d+–\d+\.\d+\)$", done.stdout, re.M)


def test_sides_that_disagree_are_not_timed() -> None:
    spoilt = f"import training; training._three = lambda values: values; training.main({TINY!r})"
    done = run_python("-c", spoilt)
    assert done.returncode == 1
    assert re.search(r"the sides disagree: \d", done.stderr)
    assert "s a step" not in done.stdout
