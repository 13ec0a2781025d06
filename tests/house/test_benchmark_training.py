"""The training benchmark runs, its sides agree, and a side that is wrong stops it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
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
    in_single = re.search(r"^in float32 the loss to (\S+), gradients to (\S+)$", done.stdout, re.M)
    assert in_single is not None
    assert max(map(float, in_single.groups())) < 1e-4
    taken = {
        name: re.search(rf"^{name} +(\d+\.\d+) s a step, best \d+\.\d+ s$", done.stdout, re.M)
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


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark as a module, in this process."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("training")


def test_cuda_is_refused_where_there_is_none(training: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(SystemExit, match="no CUDA device"):
        training.main([*TINY, "--device", "cuda"])
    assert "s a step" not in capsys.readouterr().out


def test_half_precision_is_a_side_like_the_others(training: Any) -> None:
    """The bf16 side of --device cuda, taken on the CPU: its loss is near, and not the same."""
    torch.manual_seed(0)
    batch, model = training.make_batch(6, 3), training.pair_model(3, 0.0)
    ways = training.Way(), training.Way(half=True)
    exact, half = (training.Side(model, way).loss(batch, 1).item() for way in ways)
    assert 0 < abs(half - exact) < 0.05 * exact


def test_all_sides_of_cuda_run_where_there_is_one() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    done = run_python("training.py", *TINY, "--device", "cuda")
    assert done.returncode == 0, done.stderr
    for name in ("plain", "bci_m2s", "bf16", "bf16, compiled"):
        assert re.search(rf"^{name} +\d+\.\d+ s a step", done.stdout, re.M), done.stdout
