"""A session of several takes: one report that counts each trial once; runs of their own in an export."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.raw_files import xdf

from bci_m2s.errors import RecordingError, TrainingError
from bci_m2s.handover.export import export_session
from bci_m2s.handover.names import names_for
from bci_m2s.handover.report import write_report
from bci_m2s.handover.whole import read_whole
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.recording.file_names import recordings_in
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.trials import GuidedTrial, begin_text, end_text, rating_text
from bci_m2s.review.facts import recording_facts
from bci_m2s.review.labelled import takes_of_session

HZ = 64.0


def write_take(folder: Path, first: str, trials: list[GuidedTrial], cut: bool = False) -> None:
    """A take of 4 s per trial. first : its first marker; cut : the last trial has no end"""
    seconds = 4.0 * len(trials) + 2.0
    times = np.arange(int(seconds * HZ)) / HZ
    samples = np.random.default_rng(len(trials)).normal(scale=20, size=(len(times), 2)).astype(np.float32)
    marks = [(0.1, first)]
    for place, trial in enumerate(trials):
        at_s = 1.0 + 4.0 * place
        marks += [(at_s - 0.1, begin_text(trial)), (at_s, f"trial/start/{trial.label}")]
        if cut and trial is trials[-1]:
            break
        marks += [
            (at_s + 3.0, f"trial/stop/{trial.label}"),
            (at_s + 3.1, end_text(trial.number, trial.attempt)),
            (at_s + 3.2, rating_text(trial.number, "valence", "7")),
        ]
    folder.mkdir(parents=True)
    streams = [("cap", "EEG", HZ, ("TP9", "AF7"), ("microvolts",) * 2, times, samples)]
    (folder / "session.xdf").write_bytes(xdf(streams, marks, 0.0))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Killed in trial 2, which take 2 shows again."""
    folder = tmp_path_factory.mktemp("lab") / "sub-P7"
    write_take(
        folder, "session/start/films", [GuidedTrial(1, 1, "calm"), GuidedTrial(2, 1, "happy")], cut=True
    )
    write_take(
        folder / "take-2", "session/resume/2", [GuidedTrial(2, 2, "happy"), GuidedTrial(3, 1, "calm")]
    )
    return folder


def test_one_report_counts_the_trials_of_all_takes_once(session: Path) -> None:
    path = write_report(session)
    assert path == session / "report.html"
    page = re.sub(r"<style>.*?</style>|<[^>]+>", " ", path.read_text("utf-8"))
    text = re.sub(r"\s+", " ", page)
    assert re.search(r"(19\.9|20\.0) s recorded 2 takes", text)
    assert "3 labelled trials that count" in text
    assert "1 2 1 happy 5.0 – repeated" in text  # take 1
    assert "2 2 2 happy 1.0 3.0 7" in text
    assert "2 3 1 calm 5.0 3.0 7" in text
    assert "3 labelled trials counted (calm 2, happy 1; median length 3.0 s). Excluded: repeated 1." in text
    for title in ("Take 1: signals", "Take 2: signals", "Take 2: events"):
        assert title in text


def test_the_report_of_one_take_names_that_of_all(session: Path, tmp_path: Path) -> None:
    text = write_report(session / "take-2", tmp_path / "one.html").read_text("utf-8")
    assert f"of all of them: bci-m2s report {session}" in text
    assert "Take 2: signals" not in text


def test_a_take_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "S"
    write_take(folder / "take-2", "session/resume/1", [GuidedTrial(1, 2, "calm")])
    (folder / "session.xdf").write_bytes(b"")
    whole = read_whole(folder)
    assert [take.facts.recording.path.parent.name for take in whole.takes] == ["take-2"]
    assert "session.xdf: is empty" in whole.unread[0]
    (folder / "take-2" / "session.xdf").write_bytes(b"")
    with pytest.raises(RecordingError, match="is empty"):
        read_whole(folder)


def test_calibration_takes_all_takes_with_trials(session: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert [one.path for one in takes_of_session(session, said.append)] == recordings_in(session)
    assert said == []
    folder = tmp_path / "S"
    write_take(folder, "session/start/films", [GuidedTrial(1, 1, "calm")], cut=True)
    write_take(folder / "take-2", "session/resume/1", [GuidedTrial(1, 2, "calm")])
    assert [one.path.parent.name for one in takes_of_session(folder, said.append)] == ["take-2"]
    assert said == [f"note: {folder / 'session.xdf'}: no trial of it counts: left out"]
    later = folder / "take-2" / "session.xdf"
    later.write_bytes(later.read_bytes()[:-3])
    takes_of_session(folder / "take-2", said.append)
    assert said[-1].startswith(f"note: {later}: damaged at byte")
    later.write_bytes(b"")
    with pytest.raises(TrainingError, match="got none in 2 takes"):
        takes_of_session(folder, said.append)


def test_an_export_says_that_each_take_is_a_run(session: Path, tmp_path: Path) -> None:
    made = export_session(session / "take-2", tmp_path / "data")
    assert made.prefix == "sub-P7_ses-1_task-emotion_run-02"
    (line,) = [text for text in made.said if text.startswith("take ")]
    assert line == (
        "take 2 of 2: each is a run of its own, with the trials it holds; "
        f"the others: bci-m2s export {session}"
    )


def test_a_later_take_is_of_the_same_task(session: Path) -> None:
    """Its markers do not name the protocol."""
    facts = recording_facts(open_recording(session / "take-2" / "session.xdf"))
    described = SessionDescription.lenient({"protocol": {"name": "films", "speed": 1.0}})
    assert names_for(replace(facts, session=described)).task == "films"
