"""A guided session whose eye tracker or display goes away in its middle."""

import csv

import pytest
import yaml
from support.guided_sessions import PROTOCOL, recorded_markers

from bci_m2s.commands.session import run_guided
from bci_m2s.recording.trials import kept_trials
from bci_m2s.review.verify import verify
from bci_m2s.session.protocol.controls import Controls
from bci_m2s.session.protocol.settings import RatingSettings
from bci_m2s.sources.simulated import SimulatedSource

FAILS_S = 45.0  # after the tracker's first sample, on the session's clock


@pytest.mark.nightly
def test_an_eye_tracker_that_falls_silent_costs_its_estimates_and_nothing_else(tmp_path, monkeypatch):
    pull = SimulatedSource.pull

    def failing(source, timeout_s):
        chunk = pull(source, timeout_s)
        first_s = source.__dict__.setdefault("first_s", chunk.times[0] if len(chunk.times) else None)
        is_late = len(chunk.times) and first_s is not None and chunk.times[-1] > first_s + FAILS_S
        return source._empty() if source.info.type == "Gaze" and is_late else chunk

    monkeypatch.setattr(SimulatedSource, "pull", failing)
    person = {"montage": "seed-62", "eeg_rate_hz": 250.0, "subject": 3}
    settings = {**PROTOCOL, "pipeline": "demo", "simulated": person, "fast_speed": 5.0}
    path = tmp_path / "films.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    run_guided(str(path), tmp_path / "out", fast=True, panel=False)

    kept = kept_trials(recorded_markers(tmp_path / "out" / "session.xdf"))
    assert len(kept) == 6
    assert kept[-1].flags == ("eye: no samples in the whole trial",)
    with (tmp_path / "out" / "estimates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    fails_s = float(rows[0]["local_s"]) + FAILS_S
    after = [row for row in rows if float(row["local_s"]) > fails_s + 5.0]
    assert {row["status"] for row in after if row["modality"] == "eye"} == {"stale"}
    assert sum(row["status"] == "ok" for row in after if row["modality"] == "eeg") > 50
    assert verify(tmp_path / "out" / "session.xdf").first is None


def test_a_question_ends_unanswered_once_nobody_can_answer_it():
    """As where the panel is closed, or its display has gone."""
    looks = iter([True, True, False])
    controls = Controls(lambda: 0.0, speed=1000.0)
    assert controls.wait_for_answer(RatingSettings(scale="valence"), 0.0, lambda: next(looks)) is None
    assert controls.question is None
