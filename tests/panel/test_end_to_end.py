"""The panel and real processes: an engine that it follows, starts and ends; and its own death."""

import contextlib
import csv
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
import yaml
from PyQt6.QtCore import QByteArray, QSettings, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QMessageBox
from support.lateness import Lateness
from support.panel_sessions import FakeSession
from support.panel_windows import LIMIT_S, until

from bci_m2s.lsl.network import local_clock
from bci_m2s.lsl.outlet import make_outlet
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file, save_model
from bci_m2s.panel.app import PanelOptions, quit_on_signals
from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.operate import first_start
from bci_m2s.panel.operate.offers import find_offers
from bci_m2s.panel.window import PanelWindow
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.types import StreamInfo

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, and the command folder's rules"),
]
ROOT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-m", "bci_m2s")
BUTTON, FIRST_BUTTON = "trial/start/positive", "trial/start/negative"  # of the third key and the first
FREE_TEXT = "person R yawns 2x – ☃"
MODALITIES = ("eeg", "eye")
N_CONNECTIONS = 6  # of a panel: status, estimates, evidence of both, and both signals
OF_THE_SIGNAL = {
    "marker",
    "baseline_complete",
    "handover",
    "skipped",
}  # events that come without anybody's doing


# ---- processes and windows ----


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """Settings, logs and command sockets of this module's own, here and in every child process."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            (folder / name[4:7]).mkdir(mode=0o700)
            patch.setenv(name, str(folder / name[4:7]))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr("bci_m2s.panel.window.FRAME_MS", 250)  # nobody looks at the traces
        for name in ("SESSIONS_FIRST_S", "AGAIN_S"):  # it looks around more often than it does for people
            patch.setattr(first_start, name, 0.3)
        patch.chdir(folder)
        yield folder


class Processes:
    """Processes that are started here, and are gone when this is closed."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, *arguments, **environment):
        """``python -m bci_m2s ARGUMENTS``; what it prints goes to the attribute ``log``."""
        log = self.folder / f"process-{len(self.started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*PYTHON, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        process.log = log
        self.started.append(process)
        return process

    def close(self):
        for process in self.started:
            with contextlib.suppress(OSError):
                process.terminate()
        for process in self.started:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def open_window(folder, **options):
    """A panel in this process that looks for sessions."""
    client = SessionClient(options.get("session", ""))
    store = QSettings(str(folder / "panel.ini"), QSettings.Format.IniFormat)
    window = PanelWindow(client, store, PanelOptions(**options), folder)
    window.show()
    client.start()
    return window


def end_window(window):
    """Close a panel; an engine that it started, and that runs yet, is ended too."""
    engine = window.first_start.engine
    window.close()
    window.shut_down()
    window.deleteLater()
    if engine is not None and engine.status is None:
        os.kill(engine._process.pid, signal.SIGKILL)


@pytest.fixture
def panel(qapp, tmp_path):
    """Opens panels."""
    assert qapp is not None
    opened = []

    def make(**options):
        opened.append(open_window(tmp_path, **options))
        return opened[-1]

    yield make
    for window in opened:
        end_window(window)


# ---- one session, from its beginning to its end ----


@dataclass
class Story:
    """What an operator did to a session, and what was seen of it.

    folder : of the first take; window : the panel that started the session, and its engine
    lateness : of the machine meanwhile
    replies : of the engine: local time, request, answer; given_s : when each marker was given
    killed_s, returned_s : a second panel's death, and when a third one listened; reports : when status
        reports came after that; closed : the third one's exit status, what it printed and its settings
    baseline_s : when it was begun anew; refusal : what was said to an end of it that came too soon
    words : of the panel in the end
    All times are those of the local clock.
    """

    folder: Path
    window: PanelWindow
    engine: first_start.EngineProcess
    lateness: Lateness
    replies: list = field(default_factory=list)
    given_s: dict = field(default_factory=dict)
    killed_s: float = 0.0
    returned_s: float = 0.0
    reports: set = field(default_factory=set)
    baseline_s: float = 0.0
    refusal: str = ""
    closed: tuple = ()
    words: str = ""

    def replies_to(self, do, count=1):
        """The replies to a kind of command; waits until there are `count`."""
        replies = lambda: [reply for _, request, reply in self.replies if request.get("do") == do]  # noqa: E731
        until(lambda: len(replies()) >= count, f"no reply to {do}")
        return replies()


def write_small_demo(folder):
    """The demo with the four channels of muse-4ch, windows of 2.5 s and baselines of 5 s."""
    demo, tensors = load_model_file(find_model("demo-62ch-eye"))
    muse, eeg = load_model_file(find_model("muse-4ch"))
    fields = demo.model_dump(mode="json")
    modalities = {
        "eeg": muse.model_dump(mode="json")["modalities"]["eeg"],
        "eye": fields["modalities"]["eye"],
    }
    for modality in modalities.values():
        modality["normaliser"]["params"] = {"duration_s": 5.0}
        modality["drift"] = None  # its limits are of other windows
    fields |= {"modalities": modalities, "window": {"steps": 5, "step_s": 0.5, "hop_s": 0.25}}
    eye = {key: value for key, value in tensors.items() if key.startswith("eye.")}
    kept = {key: value for key, value in (eeg | eye).items() if ".drift." not in key}
    save_model(folder / "small.safetensors", Contract.model_validate(fields), kept)
    pipeline = yaml.safe_load((ROOT / "pipelines" / "demo.yaml").read_text()) | {
        "model": "small.safetensors"
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(pipeline))
    return path


@pytest.fixture(scope="module")
def story(qapp, home, tmp_path_factory):
    """A session that a panel starts for the only headset, played once; the tests read what it left."""
    assert qapp is not None
    folder = tmp_path_factory.mktemp("story")
    with contextlib.closing(Processes(folder)) as processes, Lateness() as lateness:
        # at rest: the baseline is not ended by a marker
        headset = processes.start("simulate", "--montage", "muse", "--rest", "600")
        window = open_window(folder, pipeline=str(write_small_demo(folder)))
        try:
            engine = begin_session(window, headset)
            (session,) = (home / "sessions").iterdir()
            story = Story(session, window, engine, lateness)
            window.commander.replied.connect(lambda *reply: story.replies.append((local_clock(), *reply)))
            give_markers(story)
            close_panels(story, headset, processes)
            record_again(story)
            begin_a_baseline(story)
            end_session(story)
        finally:
            end_window(window)
    return story


def begin_session(window, headset):
    """Wait until a panel has started an engine that listens to a headset, and let it record."""
    engine = until(lambda: window.first_start.engine, headset.log.read_text)
    until(lambda: window.empty.headline.text().startswith("Starting"), window.empty.headline.text)
    until(lambda: window.arrangement.main.isVisibleTo(window), engine.last_words)
    until(lambda: window.commander.is_connected, engine.last_words)
    until(lambda: window.client.status.get("commands"), "no status report came")
    assert set(window.presenter.traces) == set(MODALITIES)
    until(lambda: window.client.readers["eeg"].received > 100, "no sample of the headset is shown")
    record(window, True)
    return engine


def record(window, on):
    action = window.actions_by_name["record"]
    # an engine that is late with its report takes no commands, and shows no recording, until it comes
    until(lambda: action.isEnabled() and action.isChecked() != on, "the engine takes no commands")
    action.trigger()
    until(lambda: action.isChecked() == on, f"the recording is not {'on' if on else 'off'}")


def give_markers(story):
    window = story.window
    button = window.controls.button("marker-3")
    until(button.isEnabled, "the engine takes no commands")  # its connection may come a moment later
    story.given_s[BUTTON] = local_clock()
    button.click()
    story.replies_to("mark")
    until(button.isEnabled, "the engine takes no commands")
    window.controls.field.setText(FREE_TEXT)
    story.given_s[FREE_TEXT] = local_clock()
    QTest.keyClick(window.controls.field, "\r")
    story.replies_to("mark", 2)


def close_panels(story, headset, processes):
    """A panel more, which is killed, and another one, which is asked to close."""
    client = story.window.client

    def opened(**environment):
        process = processes.start("panel", "--session", client.facts.session_id, **environment)
        senders = story.engine._process.pid, headset.pid
        until(lambda: is_connected(process, senders), process.log.read_text, every_ms=300)
        return process

    opened().kill()
    story.killed_s = local_clock()
    settings = processes.folder / "settings"
    settings.mkdir()
    again = opened(XDG_CONFIG_HOME=str(settings))
    story.returned_s = local_clock()
    again.send_signal(signal.SIGINT)
    story.closed = again.wait(60), again.log.read_text(), settings
    until(lambda: story.reports.add(client.status_received_s) or len(story.reports) > 2, "no more reports")


def is_connected(panel, senders):
    """Whether a panel listens to all that this process's panel listens to, engine's and headset's."""
    assert panel.poll() is None, panel.log.read_text()
    theirs = ports_used(panel.pid)
    if len(theirs) < N_CONNECTIONS:
        return False
    offered = {
        port.laddr.port for pid in senders for port in connections(pid) if port.status == psutil.CONN_LISTEN
    }
    ours = ports_used(os.getpid()) & offered
    return len(ours) >= N_CONNECTIONS and ours <= theirs


def ports_used(pid):
    """Ports of others that a process is connected to."""
    return {port.raddr.port for port in connections(pid) if port.status == psutil.CONN_ESTABLISHED}


def connections(pid):
    return psutil.Process(pid).net_connections("tcp")


def record_again(story):
    record(story.window, False)
    story.replies_to("record_off")
    record(story.window, True)
    story.replies_to("record_on")
    # without estimates there would be nothing to verify
    made = lambda: estimates_made(story.folder / "take-2")  # noqa: E731
    until(lambda: made() > 1, "the second take holds no estimates", every_ms=300)


def begin_a_baseline(story):
    window = story.window

    def states():
        return {stream["baseline"]["state"] for stream in window.client.status["streams"]}

    until(lambda: states() == {"complete"}, lambda: f"the first baseline: {states()}")
    action = window.actions_by_name["baseline"]
    until(
        lambda: action.isEnabled() and action.text() == "Baseline",
        "the button does not know of the complete baseline",
    )
    story.baseline_s = local_clock()
    action.trigger()
    until(lambda: action.text() == "End baseline", "no baseline began")
    action.trigger()  # too soon
    story.refusal = story.replies_to("baseline_end")[0].get("error", "")
    until(
        lambda: story.refusal in [message.text for message in window.messages.history], "refusal not shown"
    )
    story.given_s[FIRST_BUTTON] = local_clock()
    window.controls.button("marker-1").click()
    story.replies_to("mark", 3)


def end_session(story):
    window = story.window
    window.actions_by_name["stop"].trigger()
    (box,) = window.findChildren(QMessageBox)
    box.button(QMessageBox.StandardButton.Yes).click()
    until(lambda: story.engine.status is not None, story.engine.last_words)
    block = window.views.answer.blocks["eeg", "emotion"]
    until(lambda: "has ended" in block.toolTip(), "the panel does not say that the session has ended")
    story.words = block.toolTip()
    until(lambda: not window.actions_by_name["stop"].isEnabled(), "an ended session can be ended")
    until(lambda: window.first_start.engine is None, "the engine is not let go of")


def operator_markers(folder):
    """{text: stamp} of the operator's marker stream in a take's recording."""
    (stream,) = [
        stream
        for stream in open_recording(folder / "session.xdf").streams
        if stream.info.name == "bci_m2s operator markers"
    ]
    texts = [str(text) for text in stream.read(0, stream.n_samples)[:, 0]]
    return dict(zip(texts, stream.times.tolist(), strict=True))


def estimates_of(folder, modality):
    """Rows of a take's table for a modality, also while it is written."""
    table = folder / "estimates.csv"
    lines = table.read_text().splitlines() if table.exists() else []
    return [row for row in csv.DictReader(lines) if row["modality"] == modality]


def estimates_made(folder):
    """How many estimates a take holds, of the modality that has the fewest."""
    rows = [estimates_of(folder, modality) for modality in MODALITIES]
    return min(sum(row["status"] == "ok" for row in of_modality) for of_modality in rows)


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_markers_are_in_the_recording_of_their_take(story):
    first, second = operator_markers(story.folder), operator_markers(story.folder / "take-2")
    assert list(first) == [BUTTON, FREE_TEXT]
    assert list(second) == [FIRST_BUTTON]
    answered_s = {
        request["text"]: answered for answered, request, reply in story.replies if request["do"] == "mark"
    }
    for text, stamp_s in (first | second).items():
        assert story.given_s[text] <= stamp_s <= answered_s[text]


def test_both_recordings_verify(story):
    for take in (story.folder, story.folder / "take-2"):
        result = verify(take / "session.xdf")
        assert result.first is None
        assert result.tolerance == 0.0
        assert set(result.equal) == set(MODALITIES)
        assert min(result.equal.values()) > 1


def test_a_killed_panel_is_nothing_to_the_engine(story):
    assert story.returned_s > story.killed_s > 0  # and another one has connected to everything again
    assert len(story.reports) > 2
    for modality in MODALITIES:
        made_s = [float(row["local_s"]) for row in estimates_of(story.folder, modality)]
        during = [at_s for at_s in made_s if story.killed_s < at_s < story.returned_s]
        around = [story.killed_s, *during, story.returned_s]
        assert len(during) > 2
        assert max(b - a for a, b in itertools.pairwise(around)) < 1.5 + 10 * story.lateness.worst_s
    events = [event for event in events_of(story.folder) if event["local_s"] > story.killed_s]
    kinds = {event["kind"] for event in events if event["local_s"] < story.returned_s}
    assert kinds <= OF_THE_SIGNAL


def test_a_baseline_begins_anew_and_cannot_end_at_once(story):
    begun = [event for event in events_of(story.folder / "take-2") if event["kind"] == "baseline_started"]
    assert {event["modality"] for event in begun} == set(MODALITIES)
    assert all(0 <= event["local_s"] - story.baseline_s < LIMIT_S for event in begun)
    assert "baseline" in story.refusal


def test_the_operator_ends_the_session(story):
    assert "stopped by the operator" in story.words
    assert story.replies_to("stop") == [{"ok": True, "said": "the session ends"}]
    assert story.engine.status == 0
    assert not psutil.pid_exists(story.engine._process.pid)
    (log,) = story.window.first_start._folder.glob("engine-*.log")
    assert "Summary" in log.read_text()


def check_geometry(file):
    """Check that a panel's settings hold where its window was."""
    geometry = QSettings(str(file), QSettings.Format.IniFormat).value("window/geometry")
    assert isinstance(geometry, QByteArray)
    assert len(geometry) > 20


def test_ctrl_c_closes_the_panel_and_its_geometry_is_kept(story):
    status, printed, settings = story.closed
    assert status == 0, printed
    assert "Traceback" not in printed
    (file,) = settings.rglob("panel.conf")
    check_geometry(file)


# ---- without a session ----


@pytest.fixture
def senders():
    """Offers streams that nobody sends on."""
    kept = []

    def offer(*infos):
        kept.extend(make_outlet(info, 1) for info in infos)

    yield offer
    kept.clear()


def fitting_streams(**changes):
    """Streams that the shipped demo pipeline takes, as its contract has them; `changes` to the EEG."""
    (offer,) = find_offers("demo")
    infos = [
        StreamInfo(
            name=wanted.name,
            type=wanted.type,
            source_id=f"test-{modality}",
            rate_hz=offer.contract.modalities[modality].rate_min_hz,
            labels=offer.contract.modalities[modality].channels,
            units=offer.contract.modalities[modality].units,
        )
        for modality, wanted in offer.needs.items()
        if modality != "markers"
    ]
    marks = StreamInfo("Simulated markers", "Markers", "test-marks", "", "", 0.0, ("m",), ("",), "string")
    return [replace(infos[0], **changes), *infos[1:], marks]


@pytest.fixture
def looks(monkeypatch):
    """What each look around found."""
    seen = []

    class Counted(first_start.Lookout):
        def __call__(self):
            found = super().__call__()
            seen.append(found)
            return found

    monkeypatch.setattr(first_start, "Lookout", Counted)
    return seen


def test_two_headsets_are_the_users_choice(panel, senders, looks):
    senders(*fitting_streams(), *fitting_streams(source_id="test-other")[:1])
    window = panel(pipeline="demo")
    until(lambda: "several for eeg" in window.empty.details.text(), window.empty.details.text)
    before = len(looks)
    until(lambda: len(looks) >= before + 2 * first_start.SURE_LOOKS, "it stopped to look")
    assert window.first_start.engine is None
    assert "Choose streams" in window.empty.headline.text()


def test_a_stream_that_does_not_fit_is_named_with_what_is_needed(panel, senders, looks):
    eeg, *others = fitting_streams()
    senders(replace(eeg, labels=eeg.labels[:32], units=eeg.units[:32]), *others)
    window = panel(pipeline="demo")
    until(lambda: "also needs" in window.empty.details.text(), window.empty.details.text)
    until(lambda: looks and len(looks[-1]) == 3, "not all streams were seen")
    why = "'Simulated EEG' does not fit: eeg: "

    def is_explained():  # once the sender of another test is forgotten
        text = window.empty.details.text()
        return {"32 channels", "62 channels"} <= set(re.findall(r"\d\d channels", text)) and (
            f"{eeg.labels[32]!r}" in text.partition(why)[2]
        )

    until(is_explained, window.empty.details.text)
    assert window.first_start.engine is None


def test_an_engine_that_fails_says_why(panel, senders, looks, tmp_path, monkeypatch):
    senders(*fitting_streams())
    file = tmp_path / "broken.yaml"
    file.write_text("model: demo-62ch-eye\nstreams:\n  eeg: {name: Simulated EEG}\n")

    def found_then_broken(pipeline):
        offers = find_offers(pipeline)
        file.write_text("model: demo-62ch-eye\nstream:\n  eeg: {name: Simulated EEG}\n")
        return offers

    monkeypatch.setattr(first_start, "find_offers", found_then_broken)
    window = panel(pipeline=str(file))
    until(lambda: window.messages.shown and window.messages.shown.kind == "error", "no error is shown")
    assert "the engine ended: error: " in window.messages.shown.text
    assert "stream: unknown key" in window.messages.shown.text
    before = len(looks)
    until(lambda: len(looks) >= before + 2 * first_start.SURE_LOOKS, "it stopped to look")
    assert window.first_start.engine is None  # not again
    until(lambda: "broken: fits" in window.empty.details.text(), window.empty.details.text)
    assert len(list(tmp_path.glob("engine-*.log"))) == 1


def test_a_session_that_goes_without_a_word_is_forgotten(panel):
    session = FakeSession()
    window = panel()
    try:
        until(lambda: window.arrangement.main.isVisibleTo(window), "the session is not shown")
    finally:
        session.close()
    until(lambda: not window.arrangement.main.isVisibleTo(window), "it is waited for, for ever")
    assert window.client.facts is None
    assert window.empty.isVisible()


# ---- the command ----


def test_sigterm_closes_the_panel_and_its_geometry_is_kept(panel, qapp, tmp_path):
    """As Ctrl-C closes the last panel of the story, another program; this is what it does around Qt."""
    window = panel()
    QTimer.singleShot(0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with quit_on_signals():
        assert qapp.exec() == 0
    assert not window.isVisible()
    assert signal.getsignal(signal.SIGTERM) is before
    check_geometry(tmp_path / "panel.ini")
    # Qt asks again to quit once the last window has closed; no event loop of a later test would run then.
    qapp.processEvents()
    QTimer.singleShot(0, qapp.quit)
    qapp.exec()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a display needs no variable")
def test_without_a_display_one_line_says_so():
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [*PYTHON, "panel"], env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "no display" in line
