"""The demo as a user runs it: estimates soon, from both modalities, and honest about what they are."""

import csv
import json

import pytest
import yaml
from support.command_line import bci

pytestmark = pytest.mark.live


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.nightly
def test_the_demo_gives_estimates_from_both_modalities(tmp_path):
    out = tmp_path / "out"

    def rows():
        if not (out / "estimates.csv").is_file():
            return []
        with (out / "estimates.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def both_answer():
        return {"eeg", "eye"} <= {row["modality"] for row in rows() if row["status"] == "ok"}

    done = bci("demo", "--headless", "--duration", 0, "--output", out, until=both_answer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Signals are simulated" in done.stdout
    assert "say nothing about real feelings" in done.stdout
    assert both_answer()
    # settling and a 5-s window, no baseline to wait for: an answer from both within 12 s of signal
    assert "baseline_complete" not in {event["kind"] for event in events_of(out)}
    for modality in ("eeg", "eye"):
        statuses = [row["status"] for row in rows() if row["modality"] == modality]
        assert statuses.index("ok") < 12 / 0.25
    session = yaml.safe_load((out / "session.yaml").read_text())
    assert session["simulated_signals"]["seed"] == 0
    assert session["model"]["simulated"] is True
