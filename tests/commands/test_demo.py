"""The demo as a user runs it: estimates soon, from both modalities, and honest about what they are."""

import csv
import subprocess
import sys

import pytest
import yaml

pytestmark = pytest.mark.live


def test_the_demo_gives_estimates_from_both_modalities(tmp_path):
    out = tmp_path / "out"
    options = ["--headless", "--duration", "18", "--output", str(out)]
    command = [sys.executable, "-m", "bci_m2s", "demo", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Signals are simulated" in done.stdout
    assert "say nothing about real feelings" in done.stdout
    with (out / "estimates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for modality in ("eeg", "eye"):
        mine = [row for row in rows if row["modality"] == modality]
        good = [row for row in mine if row["status"] == "ok"]
        assert good, f"no estimate from {modality}"
        # settling, a 5-s window and the 10-s baseline: the first estimate within 20 s of signal
        assert int(good[0]["last_sample"]) < 20 * (1000 if modality == "eeg" else 120)
    session = yaml.safe_load((out / "session.yaml").read_text())
    assert session["simulated_signals"]["seed"] == 0
    assert session["model"]["simulated"] is True
