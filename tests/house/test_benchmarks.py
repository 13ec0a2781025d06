"""The benchmarks run and print their ratios. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LIMIT_S = 110.0
NUMBER = r"\d+\.\d+"
RATIO = rf"{NUMBER} \({NUMBER}–{NUMBER}\)"


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )


def test_acquisition_measures_both_receivers_and_loses_nothing() -> None:
    tiny = ("--rounds", "1", "--seconds", "0.4", "--channels", "8", "--rate", "500")
    done = run_python("acquisition.py", *tiny)
    assert done.returncode == 0, done.stderr
    rows = {
        label: re.search(rf"^{label} +({NUMBER}) +({NUMBER}) +{NUMBER} % +(\d+) +(\d+)$", done.stdout, re.M)
        for label in ("pylsl, blocking", "bci_m2s engine")
    }
    for label, row in rows.items():
        assert row is not None, (label, done.stdout)
        p50_ms, p95_ms = float(row[1]), float(row[2])
        assert 0 < p50_ms <= p95_ms
        assert int(row[3]) > 0
        assert int(row[4]) == 0
    assert re.search(rf"^bci_m2s / pylsl +{RATIO} +{RATIO} +{RATIO}$", done.stdout, re.M), done.stdout
    assert "mne-lsl" not in done.stdout
    assert re.search(rf"^load {NUMBER}–{NUMBER}", done.stdout, re.M)


def test_acquisition_refuses_an_interpreter_without_mne_lsl(tmp_path: Path) -> None:
    done = run_python("acquisition.py", "--mne-lsl-python", str(tmp_path / "python"))
    assert done.returncode == 1
    assert re.fullmatch(r"--mne-lsl-python: .*No such file.*\n", done.stderr)


def test_features_compares_every_way_with_ours() -> None:
    done = run_python("features.py", "--channels", "3", "--rate", "256", "--hops", "6")
    assert done.returncode == 0, done.stderr
    for way in ("window 1 s", "window 5 s", "plain loop"):
        pattern = rf"^{way} +{NUMBER} +{NUMBER} +{NUMBER} +({NUMBER}) +{NUMBER}–{NUMBER}$"
        row = re.search(pattern, done.stdout, re.M)
        assert row is not None, (way, done.stdout)
        assert float(row[1]) > 0


def test_features_times_nothing_when_the_ways_disagree() -> None:
    code = "import features; features.SAME_SIGNAL_NATS = 0.0; features.main(['--channels', '2'])"
    done = run_python("-c", code)
    assert done.returncode == 1
    assert "disagree: nothing was timed" in done.stderr
    assert "median ms" not in done.stdout


def test_features_refuses_a_rate_with_half_samples() -> None:
    done = run_python("features.py", "--rate", "250")
    assert done.returncode == 2
    assert "--rate: got 250, expected a multiple of 4" in done.stderr


def test_recording_runs_both_ways_and_loses_nothing() -> None:
    done = run_python("recording.py", "--rounds", "1", "--seconds", "1.5")
    assert done.returncode == 0, done.stderr
    for way in ("outlets alone", "recording too"):
        row = re.search(rf"^{way} +({NUMBER}) +({NUMBER}) +{NUMBER} +(\d+) +(\d+)$", done.stdout, re.M)
        assert row is not None, (way, done.stdout)
        assert 0 < float(row[1]) <= float(row[2])
        assert int(row[3]) > 4
        assert int(row[4]) == 0
    assert re.search(rf"^with / without: age p50 {RATIO}, age p99 {RATIO}, CPU {RATIO}$", done.stdout, re.M)
