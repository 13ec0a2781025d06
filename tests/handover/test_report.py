"""The report: what it says, that it needs no network, and that nothing of a stranger's runs in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.command_line import bci
from support.guided_files import write_guided
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import eeg

from bci_m2s.errors import OutputError
from bci_m2s.files.html_page import Page
from bci_m2s.handover.drifts import drifted
from bci_m2s.handover.methods import _units, methods_paragraph
from bci_m2s.handover.report import _warnings_of, write_report
from bci_m2s.handover.report_signals import add_signals
from bci_m2s.handover.votes import Labelled, count_votes
from bci_m2s.handover.whole import whole_of
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.facts import Answers, RecordedEvent, recording_facts
from bci_m2s.types import Chunk, Status, StreamInfo

EVIL = "<script>alert('x')</script>"


class Read(HTMLParser):
    """The text of a page, its tags, and whatever it would load."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = [(name, value or "") for name, value in attrs if name in ("src", "href", "action")]
        self.loaded += [value for _, value in values if not value.startswith(("data:image/png", "#"))]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of the small model with one trial, a marker that is HTML, and ages beside it."""
    times, samples = eeg(16)
    samples[2000:2600, 0] = 0.0  # flat
    marks = [(1001.0, EVIL), (1005.0, "trial/start/neutral"), (1015.0, "trial/stop/neutral")]
    chunks = [Chunk.of(np.array([at]), np.array([[text]], dtype=object)) for at, text in marks]
    folder = tmp_path_factory.mktemp("sessions") / "S1"
    record_session(folder, {"eeg": chunks_of(times, samples)}, chunks, drift="note")
    head = "status,local_s,age_ms,transport_ms,features_ms,inference_ms,publish_ms\n"
    (folder / "estimates.csv").write_text(
        head + "ok,1008,120,10,20,30,\nok,1009,140,10,20,30,1\ngap,,,,,,\n"
    )
    return folder


@pytest.fixture(scope="module")
def report(session: Path) -> Read:
    return Read(write_report(session))


def test_it_needs_no_network_and_runs_nothing(session: Path, report: Read) -> None:
    assert report.loaded == []
    assert "script" not in report.tags
    assert EVIL in report.text  # as text
    assert EVIL not in (session / "report.html").read_text("utf-8")
    assert (session / "report.html").stat().st_mode & 0o077 == 0


def test_it_says_what_the_session_was(report: Read) -> None:
    assert "Session S1" in report.text
    assert "SIMULATED: model is simulated" in report.text
    assert re.search(r"cap EEG 256 256\.00 5 4096 16\.0 s 0 0\.0 s", report.text)
    assert "age 130 139 140" in report.text
    assert "1 labelled trial counted (neutral 1; median length 10.0 s)" in report.text
    assert re.search(r"For emotion, [01] of 1 trial were answered as labelled", report.text)
    assert "no number right would suffice for p ≤ 0.05" in report.text
    assert "EEG: normaliser baseline {'duration_s': 2.0}" in report.text
    assert "did not end in order" not in report.text


def drift_event(kind: str, at_sample: object, drivers: str) -> RecordedEvent:
    fields = {"at_sample": at_sample, "drivers": drivers}
    return RecordedEvent(1.0, f"drift_{kind}", "", "eeg", fields)


def test_windows_beyond_the_limit_of_drift_are_counted_with_what_drove_them(session: Path) -> None:
    facts = recording_facts(open_recording(session / "session.xdf"))
    hop_n = round(256 * facts.session.window["hop_s"])
    events = [
        drift_event("started", 1000, "T7 beta; FP1 alpha; and 2 more"),
        drift_event("ended", 1000 + 6 * hop_n, "FP1 alpha"),
        drift_event("started", "nonsense", "F8 beta"),
        drift_event("started", 4096 - 4 * hop_n, "FP1 alpha"),  # and it lasts to the end
    ]
    whole = whole_of([replace(facts, events=tuple(events))])
    found = drifted(whole.takes[0].facts)["eeg"]
    assert (found.windows, found.times) == (10, 2)
    assert found.drivers == {"T7 beta": 6, "FP1 alpha": 10}
    clause = (
        "In 10 windows the features of EEG were further from the model's training than its limit "
        "(drift, driven most by FP1 alpha; T7 beta); their estimates were kept, each with a note."
    )
    assert clause in methods_paragraph(whole)
    page = Page("title")
    add_signals(page, whole.takes[0])
    assert "<td>FP1 alpha; T7 beta</td><td>their estimates were kept" in page.html([], [])
    assert "drift" not in methods_paragraph(whole_of([facts]))


def test_a_session_without_a_model_has_its_trials_and_self_reports(tmp_path: Path) -> None:
    folder = write_guided(tmp_path / "P1").path.parent
    (folder / "report.html").write_text("an earlier one")
    done = bci("report", folder)
    assert (done.returncode, done.stdout) == (0, f"report: {folder / 'report-2.html'}\n")
    assert (folder / "report.html").read_text() == "an earlier one"
    page = Read(folder / "report-2.html")
    assert "There are no estimates: no model ran, or they are lost." in page.text
    assert "No description of a session is in the file" in page.text
    assert "1 1 calm a.mp4 2.0 3.0 7 repeated late onset" in page.text
    assert "2 1 happy b <i>.mp4 15.0 3.0 7 fine thanks late onset" in page.text
    assert "3.0 s were lost in 1 gap" in page.text
    assert "Self-reports" in page.text
    with pytest.raises(OutputError, match="is not overwritten"):
        write_report("not looked at", folder / "report.html")


def test_a_stream_that_ended_before_the_recording_is_named_and_its_seconds_are_lost(tmp_path: Path) -> None:
    """The last sample of the EEG is at 24.0 s, of the eyes at 20.3 s, of the skin at 20.0 s."""
    folder = write_guided(tmp_path / "P1").path.parent
    page = Read(write_report(folder))
    assert "tracker: no sample came in the last 3.7 s of the recording." in page.text
    assert "band: no sample came in the last 4.0 s of the recording." in page.text
    assert "cap: no sample" not in page.text
    assert "10.7 s of samples lost, all streams" in page.text  # 3.0 s of them in the gap of the EEG
    assert "it ended before the recording did, and 3.7 s are missing there" in page.text
    assert re.search(r"cap EEG .* 3\.0 s were lost in 1 gap\.", page.text)
    shown = bci("show", folder / "session.xdf").stdout
    assert "tracker (Gaze): no sample came in the last 3.7 s of the recording" in shown
    alone = write_guided(tmp_path / "P2", guided=False).path.parent  # nothing says when that was to end
    assert "no sample came in the last" not in Read(write_report(alone)).text


def test_a_file_that_was_cut_off_gives_a_report_of_what_is_left(tmp_path: Path) -> None:
    written = write_guided(tmp_path / "P1", eye=False)
    content = written.path.read_bytes()
    written.path.write_bytes(content[: len(content) // 2])
    page = Read(write_report(written.path.parent))
    assert "The recording: " in page.text
    assert "There are no labelled trials in this recording." in page.text


@pytest.mark.parametrize(
    ("last", "is_crashed"), [("stopped", False), ("recording_stopped", False), ("marker", True)]
)
def test_a_take_that_was_ended_by_command_did_not_crash(last: str, is_crashed: bool) -> None:
    recording = SimpleNamespace(warnings=[], damage="")
    events, answers = [SimpleNamespace(kind="started"), SimpleNamespace(kind=last)], {"emotion": None}
    facts = SimpleNamespace(session="S", events=events, answers=answers, recording=recording, notes=[])
    warnings = _warnings_of(SimpleNamespace(facts=facts, notes=[]))
    assert ["killed or crashed" in text for text in warnings] == [True] * is_crashed


def votes_of(labels: str, answers: str):
    """Votes on trials of 10 s, each answered by one window; classes a, b, c. " " for no answer."""
    trials = [Labelled(n + 1, label, 10.0 * n, 10.0 * n + 9) for n, label in enumerate(labels)]
    times = np.array([10.0 * n + 8 for n in range(len(labels))])
    places = np.array(["abc".find(letter) for letter in answers])
    found = Answers(
        "emotion",
        ("a", "b", "c"),
        ("eeg",),
        times,
        np.eye(3)[places],
        np.where(places < 0, Status.GAP, Status.OK).astype(np.int64),
        np.zeros(len(labels), np.int64),
        np.zeros(len(labels), bool),
    )
    (votes,) = count_votes([("emotion", found)], trials, 5.0)
    return votes


def test_one_vote_per_trial_and_chance_counts_trials() -> None:
    votes = votes_of("aabbcc" * 2, "aabbca" + "aabb c")
    assert (votes.n_right, len(votes.truth), votes.silent) == (10, 11, (11,))
    assert votes.confusion.tolist() == [[4, 0, 0], [0, 4, 0], [1, 0, 2]]
    assert votes.balanced_accuracy == pytest.approx((1 + 1 + 2 / 3) / 3)


@pytest.mark.parametrize(("n", "needed"), [(12, 8), (15, 9), (24, 13), (60, 27)])
def test_how_many_must_be_right(n: int, needed: int) -> None:
    # three classes, P <= 0.05 (Combrisson & Jerbi 2015; computed)
    votes = votes_of("abc" * (n // 3), "abc" * (n // 3))
    assert votes.needed == needed
    low, high = votes.interval
    assert 0.7 < low < high <= 1.0


def test_a_window_that_begins_before_its_trial_has_no_vote() -> None:
    assert votes_of("ab", "ab").silent == ()
    trials = [Labelled(1, "a", 4.0, 9.0)]
    answers = Answers(
        "emotion",
        ("a", "b"),
        ("eeg",),
        np.array([8.0]),
        np.array([[1.0, 0.0]]),
        np.array([0]),
        np.array([0]),
        np.array([False]),
    )
    (votes,) = count_votes([("emotion", answers)], trials, 5.0)
    assert (len(votes.truth), votes.silent) == (0, (1,))


@pytest.mark.parametrize(
    ("units", "words"),
    [
        (("microvolts", "microvolts"), " in µV"),
        (("normalized", "normalized", "mm", ""), " (2 normalized, 1 in mm)"),
        (("", ""), ""),
        ((), ""),
    ],
)
def test_a_unit_is_said_of_the_channels_that_have_it(units: tuple[str, ...], words: str) -> None:
    info = StreamInfo("S", "Gaze", labels=tuple(f"c{n}" for n in range(len(units) or 2)), units=units)
    assert _units(SimpleNamespace(info=info)) == words


def test_text_from_outside_is_one_line_and_escaped() -> None:
    page = Page(f"a & b {EVIL}")
    page.section("x\ny<b>")
    page.table(["<i>"], [['"quoted"\x00']])
    made = page.html(["<u>"], ["<w>"])
    assert not re.search(r"<(script|b|i|u|w)>", made)
    assert "&lt;script&gt;" in made
    assert "x y&lt;b&gt;" in made


@pytest.mark.nightly
def test_the_shipped_recording_gives_a_whole_report(tmp_path: Path) -> None:
    recording = Path(__file__).parents[2] / "recordings" / "simulated-session.xdf"
    page = Read(write_report(recording, tmp_path / "report.html"))
    assert "SIMULATED: model and signals are simulated" in page.text
    assert "Power on the scalp" in page.text
    assert "filling 20, baseline 20, settling 8" in page.text
    assert "Answers against labels" in page.text
    assert "6.0 s were lost in 1 gap" in page.text
