"""The benchmarks run and print their ratios. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NUMBER = r"\d+\.\d+"
RATIO = rf"{NUMBER} \({NUMBER}–{NUMBER}\)"
TINY = ["--rounds", "2", "--batch", "6", "--channels", "3"]  # of a training


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Loads a benchmark into this process."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def printed(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a benchmark as a program is run; returns what it printed."""

    def run(name: str, *arguments: str) -> str:
        benchmark(name).main(arguments)
        return capsys.readouterr().out

    return run


@pytest.mark.live
@pytest.mark.nightly  # its receivers look for the sender for a minute, which a busy machine exceeds
def test_acquisition_measures_both_receivers_and_loses_nothing(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSLAPICFG", "replaced by the benchmark, and then back")
    shown = printed("acquisition", "--rounds", "1", "--seconds", "0.4", "--channels", "8", "--rate", "500")
    rows = {
        label: re.search(rf"^{label} +({NUMBER}) +({NUMBER}) +{NUMBER} % +(\d+) +(\d+)$", shown, re.M)
        for label in ("pylsl, blocking", "bci_m2s engine")
    }
    for label, row in rows.items():
        assert row is not None, (label, shown)
        p50_ms, p95_ms = float(row[1]), float(row[2])
        assert 0 < p50_ms <= p95_ms
        assert int(row[3]) > 0
        assert int(row[4]) == 0
    assert re.search(rf"^bci_m2s / pylsl +{RATIO} +{RATIO} +{RATIO}$", shown, re.M), shown
    assert "mne-lsl" not in shown
    assert re.search(rf"^load {NUMBER}–{NUMBER}", shown, re.M)


def test_acquisition_refuses_an_interpreter_without_mne_lsl(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"--mne-lsl-python: .*No such file"):
        benchmark("acquisition").main(["--mne-lsl-python", str(tmp_path / "python")])


def test_features_compares_every_way_with_ours(printed: Callable[..., str]) -> None:
    shown = printed("features", "--channels", "3", "--rate", "256", "--hops", "6")
    for way in ("window 1 s", "window 5 s", "plain loop"):
        pattern = rf"^{way} +{NUMBER} +{NUMBER} +{NUMBER} +({NUMBER}) +{NUMBER}–{NUMBER}$"
        row = re.search(pattern, shown, re.M)
        assert row is not None, (way, shown)
        assert float(row[1]) > 0


def test_features_times_nothing_when_the_ways_disagree(
    benchmark: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmark("features"), "SAME_SIGNAL_NATS", 0.0)
    with pytest.raises(SystemExit, match="disagree: nothing was timed"):
        benchmark("features").main(["--channels", "2", "--rate", "256"])
    assert "median ms" not in capsys.readouterr().out


def test_features_refuses_a_rate_with_half_samples(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark("features").main(["--rate", "250"])
    assert "--rate: got 250, expected a multiple of 4" in capsys.readouterr().err


@pytest.mark.nightly
@pytest.mark.live
def test_recording_runs_both_ways_and_loses_nothing(printed: Callable[..., str]) -> None:
    shown = printed("recording", "--rounds", "1", "--seconds", "3")
    for way in ("outlets alone", "recording too"):
        row = re.search(rf"^{way} +({NUMBER}) +({NUMBER}) +{NUMBER} +(\d+) +(\d+)$", shown, re.M)
        assert row is not None, (way, shown)
        assert 0 < float(row[1]) <= float(row[2])
        assert int(row[3]) > 0
        assert int(row[4]) == 0
    assert re.search(rf"^with / without: age p50 {RATIO}, age p99 {RATIO}, CPU {RATIO}$", shown, re.M)


@pytest.mark.nightly
def test_training_prints_both_sides_and_their_ratio(printed: Callable[..., str]) -> None:
    shown = printed("training", *TINY)
    assert "batch 6, 5 steps, 3 × 5 and 33 features" in shown
    agreed = re.search(r"agree to (\d\.\de-\d+) ", shown)
    assert agreed is not None
    assert float(agreed[1]) < 1e-9
    in_single = re.search(r"^in float32 the loss to (\S+), gradients to (\S+)$", shown, re.M)
    assert in_single is not None
    assert max(map(float, in_single.groups())) < 1e-4
    for name in ("plain", "bci_m2s"):
        row = re.search(rf"^{name} +(\d+\.\d+) s a step, best \d+\.\d+ s$", shown, re.M)
        assert row is not None, shown
        assert float(row[1]) > 0
    assert re.search(r"^plain / bci_m2s  \d+\.\d+ \(\d+\.\d+–\d+\.\d+\)$", shown, re.M)


def test_sides_that_disagree_are_not_timed(
    benchmark: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmark("training"), "_three", lambda values: values)
    with pytest.raises(SystemExit, match=r"the sides disagree: \d"):
        benchmark("training").main(TINY)
    assert "s a step" not in capsys.readouterr().out


def test_cuda_is_refused_where_there_is_none(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    training = benchmark("training")
    if training.torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(SystemExit, match="no CUDA device"):
        training.main([*TINY, "--device", "cuda"])
    assert "s a step" not in capsys.readouterr().out


def test_half_precision_is_a_side_like_the_others(benchmark: Callable[[str], ModuleType]) -> None:
    """The bf16 side of --device cuda, taken on the CPU: its loss is near, and not the same."""
    training = benchmark("training")
    training.torch.manual_seed(0)
    batch, model = training.make_batch(6, 3), training.pair_model(3, 0.0)
    ways = training.Way(), training.Way(half=True)
    exact, half = (training.Side(model, way).loss(batch, 1).item() for way in ways)
    assert 0 < abs(half - exact) < 0.05 * exact


def test_all_sides_of_cuda_run_where_there_is_one(
    benchmark: Callable[[str], ModuleType], printed: Callable[..., str]
) -> None:
    if not benchmark("training").torch.cuda.is_available():
        pytest.skip("no CUDA device")
    shown = printed("training", *TINY, "--device", "cuda")
    for name in ("plain", "bci_m2s", "bf16", "bf16, compiled"):
        assert re.search(rf"^{name} +\d+\.\d+ s a step", shown, re.M), shown
