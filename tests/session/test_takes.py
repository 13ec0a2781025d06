"""Recording on and off while a session runs: nothing lost, every recording verifies, outlets stay."""

import contextlib
import json
import os
import shutil
import threading
import time
import uuid

import numpy as np
import pylsl
import pytest
import yaml
from support.lateness import Lateness
from support.recorded_sessions import chunks_of, write_pipeline
from support.rights import assert_rights
from support.running_sessions import LIMIT_S, Endless, Running, quiet_session, until
from support.senders import sending
from support.small_sessions import EEG_INFO, ScriptedSource, eeg

from bci_m2s.engine.publisher import Publisher
from bci_m2s.errors import CommandError, DeviceError, OutputError
from bci_m2s.lsl.network import local_clock
from bci_m2s.model.predictor import Predictor
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.session import run, take_control, take_folders
from bci_m2s.session.companions import Companions
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Environment, connect
from bci_m2s.sources.lsl import LslSource
from bci_m2s.sources.sender_process import SenderSpec
from bci_m2s.types import Status

pytestmark = pytest.mark.live


@pytest.fixture
def seen(monkeypatch):
    """The takes of every session that is played, as they are made."""
    found = []

    class Watched(Companions):
        def __init__(self, session_id, made, *rest):
            super().__init__(session_id, made, *rest)
            found.append(made)

    monkeypatch.setattr(run, "Companions", Watched)
    return found


def made(session):
    """Answers with probabilities in the current take."""
    return sum(session.now.engine.publisher.statistics.made.values())


def wait_for_more(session, count, running):
    before = made(session)
    until(lambda: made(session) > before + count, running)


def proven(folder, model):
    """Estimates of a recording that come back, all of which do."""
    result = verify(folder / "session.xdf", str(model / "small.safetensors"))
    assert result.first is None
    return result.made


def kinds_of(folder):
    return [json.loads(line)["kind"] for line in (folder / "events.jsonl").read_text().splitlines()]


def raw_samples(path):
    (stream,) = [one for one in open_recording(path).streams if one.info.type == "EEG"]
    return stream.read(0, stream.n_samples)


# ---- without a network ----


def test_a_session_without_a_folder_records_when_it_is_asked_to(tmp_path, monkeypatch, seen):
    monkeypatch.chdir(tmp_path)
    source = Endless()
    with quiet_session(tmp_path, source, pipeline={"shared_with_group": True}) as running:
        until(lambda: seen and made(seen[0]) > 5, running)
        (session,) = seen
        assert not (tmp_path / "sessions").exists()
        assert session.about()["take"] == {"session": "small", "number": 0, "folder": None}
        with pytest.raises(CommandError, match="nothing is being recorded"):
            session.record_off()

        folders = []
        for number in (1, 2):
            assert session.record_on().startswith("recording into sessions")
            folders.append(session.now.folder.path)
            assert session.about()["take"]["number"] == number
            assert session.about()["take"]["folder"] == folders[-1].name
            with pytest.raises(CommandError, match="recording already, into sessions"):
                session.record_on()
            until(lambda: made(session) > 5, running)
            engine = session.now.engine
            assert "recording closed" in session.record_off()
            assert session.now.engine is engine
            assert engine.reporter.snapshot().recording is None
            wait_for_more(session, 3, running)

        monkeypatch.setattr("bci_m2s.recording.disk.LEAST_FREE_BYTES", float("inf"))
        with pytest.raises(OutputError, match="free space"):
            session.record_on()
        wait_for_more(session, 3, running)  # estimates go on
    assert running.failure is None
    assert session.switch.ended == "stopped at the terminal"
    with pytest.raises(CommandError, match="the session has ended"):
        session.record_on()

    assert [one.name for one in folders[1:]] == ["take-2"]
    assert folders[1].parent == folders[0]
    assert folders[0].name.endswith("-small")
    assert_rights(folders[0], shared=True)
    for folder in folders:
        kept = {one.name for one in folder.iterdir()} - {"take-2", "take-3"}
        expected = {"session.xdf", "session.xdf.sums", "session.yaml", "estimates.csv", "events.jsonl"}
        assert kept == expected | {"baseline.json"}
        kinds = kinds_of(folder)
        assert kinds[0] == "started"
        assert "baseline_adopted" in kinds  # at once, so no rest is needed again
        assert kinds[-1] == "recording_stopped"
        assert proven(folder, tmp_path) > 5
    assert yaml.safe_load((folders[1] / "session.yaml").read_text())["take"] == 2
    assert source.closed
    # every sample of a take, from the first one that came after the switch
    every = np.concatenate([eeg(0.25, seed=number)[1] for number in range(source.given)])
    for folder in folders:
        samples = raw_samples(folder / "session.xdf")
        assert len(samples) % 64 == 0
        first = next(n for n in range(0, len(every), 64) if (every[n : n + 64] == samples[:64]).all())
        np.testing.assert_array_equal(samples, every[first : first + len(samples)])


def test_two_folders_of_one_second_and_one_in_use(tmp_path, monkeypatch, seen):
    monkeypatch.chdir(tmp_path)
    with quiet_session(tmp_path) as running:
        until(lambda: seen and seen[0].now.engine.publisher.statistics.refused, running)
        (session,) = seen
        monkeypatch.setattr(take_folders, "datetime", _Frozen)
        taken = tmp_path / "sessions" / "2026-03-04T050607-small"
        taken.mkdir(parents=True)
        (taken / "notes.txt").write_text("mine")
        assert "2026-03-04T050607-small-2" in session.record_on()
    assert running.failure is None
    assert [one.name for one in taken.iterdir()] == ["notes.txt"]


class _Frozen:
    @staticmethod
    def now(zone=None):
        from datetime import datetime

        return datetime(2026, 3, 4, 5, 6, 7, tzinfo=zone)


def test_a_stop_while_takes_change_is_a_stop(tmp_path, monkeypatch, seen):
    """The command may come at any moment: here while the next pipeline is being built."""
    monkeypatch.chdir(tmp_path)
    plain = build.make_pipeline
    with quiet_session(tmp_path) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen

        def stopping(*arguments):
            session.stop()
            return plain(*arguments)

        monkeypatch.setattr(build, "make_pipeline", stopping)
        with contextlib.suppress(CommandError):  # it may have begun for a moment
            session.record_on()
        until(lambda: not running.is_alive())
    assert running.failure is None
    assert session.switch.ended == "stopped by the operator"


def test_a_session_that_ends_by_itself_says_why(tmp_path, seen):
    with quiet_session(tmp_path, duration_s=0.5) as running:
        until(lambda: not running.is_alive())
    assert seen[0].switch.ended == "its 0.5 s are over"
    (tmp_path / "second").mkdir()
    with quiet_session(tmp_path / "second", ScriptedSource(EEG_INFO, chunks_of(*eeg(3)))) as running:
        until(lambda: not running.is_alive())
    assert seen[1].switch.ended == "the signals have ended"


def test_where_estimates_failed_no_recording_begins_and_off_ends_well(tmp_path, monkeypatch, seen):
    plain, broken = Predictor.predict_all, threading.Event()

    def fail_later(self, modality, features):
        if broken.is_set():
            raise DeviceError("cuda:0: inference failed: launch failure")
        return plain(self, modality, features)

    monkeypatch.setattr(Predictor, "predict_all", fail_later)
    folder = tmp_path / "out"
    folder.mkdir()
    with quiet_session(tmp_path, folder=folder) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen
        broken.set()
        until(lambda: session.now.engine.inference_problem, running)
        session.record_off()
        with pytest.raises(CommandError, match="which failed: cuda:0"):
            session.record_on()
    assert isinstance(running.failure, DeviceError)
    assert session.switch.ended.startswith("failed: cuda:0")
    broken.clear()
    assert proven(folder, tmp_path)


def test_results_that_could_not_be_written_are_reported_at_once_and_fail_the_session(
    tmp_path, monkeypatch, seen
):
    folder = tmp_path / "out"
    folder.mkdir()
    with quiet_session(tmp_path, folder=folder) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen
        (table,) = [one for one in session.now.files if type(one).__name__ == "TableSink"]
        monkeypatch.setattr(type(table), "problem", property(lambda one: f"{one.path}: No space left"))
        with pytest.raises(OutputError, match="No space left"):
            session.record_off()
        monkeypatch.undo()
        until(lambda: made(session) > 10, running)  # the session goes on
    assert isinstance(running.failure, OutputError)
    assert proven(folder, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_an_output_folder_that_is_deleted_is_noticed_and_the_last_words_name_the_recording(tmp_path, seen):
    folder = tmp_path / "out"
    folder.mkdir()
    with quiet_session(tmp_path, folder=folder) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        shutil.rmtree(folder)
        recorder = seen[0].now.engine.reporter.recorder
        until(lambda: "deleted" in recorder.state().problem, running)
    assert isinstance(running.failure, OutputError)
    assert str(running.failure).startswith(f"{folder / 'session.xdf'}: deleted")
    assert "nothing is saved" in running.printed
    assert "saved in" not in running.printed.replace("nothing is saved in", "")


def test_a_writer_that_hangs_does_not_keep_a_recording_open(tmp_path, monkeypatch, seen):
    folder, hold = tmp_path / "out", threading.Event()
    folder.mkdir()
    monkeypatch.setattr("bci_m2s.engine.engine.RELEASE_S", 0.1)
    plain = Publisher._publish

    def hanging(self, item):
        while hold.is_set():
            time.sleep(0.01)
        plain(self, item)

    monkeypatch.setattr(Publisher, "_publish", hanging)
    with quiet_session(tmp_path, folder=folder) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        hold.set()
        reply = seen[0].record_off()
        assert len(raw_samples(folder / "session.xdf"))
        hold.clear()
    assert "recording closed" in reply
    assert running.failure is None


def test_a_recording_that_failed_does_not_end_the_session_when_the_next_one_begins(
    tmp_path, monkeypatch, seen
):
    folder = tmp_path / "out"
    folder.mkdir()
    with quiet_session(tmp_path, folder=folder) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen
        (table,) = [one for one in session.now.files if type(one).__name__ == "TableSink"]
        monkeypatch.setattr(type(table), "problem", property(lambda one: f"{one.path}: No space left"))
        with pytest.raises(OutputError, match="No space left"):
            session.record_off()
        monkeypatch.undo()
        assert "take-2" in session.record_on()
        until(lambda: made(session) > 5, running)
        assert not session.switch.ended
    assert isinstance(running.failure, OutputError)  # the first recording is not whole, and that is said
    assert "from the previous take" in running.printed
    assert session.switch.ended == "stopped at the terminal"
    assert proven(folder / "take-2", tmp_path) > 5


def test_a_take_that_is_late_is_not_asked_for_twice_and_its_file_is_ended(tmp_path, monkeypatch, seen):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(take_control, "SWITCH_S", 0.05)
    go = threading.Event()

    def failing(*_):
        go.wait(LIMIT_S)
        raise DeviceError("cuda:0: gone")

    with quiet_session(tmp_path) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen
        monkeypatch.setattr(build, "make_pipeline", failing)
        with pytest.raises(CommandError, match="has not begun"):
            session.record_on()
        with pytest.raises(CommandError, match="about to begin"):
            session.record_on()
        assert len(list((tmp_path / "sessions").iterdir())) == 1
        recorder = session.switch._next.recorder
        number = recorder.add_stream(EEG_INFO)
        assert recorder.samples(number, chunks_of(*eeg(0.25))[0])
        go.set()
        until(lambda: not running.is_alive())
    assert isinstance(running.failure, DeviceError)
    assert session.switch.ended == "failed"
    assert not recorder.samples(number, chunks_of(*eeg(0.25))[0])  # closed, though its take never came
    assert recorder.state().samples_written == 50  # and whole


def test_a_baseline_under_way_is_not_forgotten_when_a_recording_begins(tmp_path, monkeypatch, seen):
    """Its marker has come already, and will not come again."""
    monkeypatch.chdir(tmp_path)
    source = Endless()
    asked = {"baseline": {"start": "marker"}, "markers": {"type": "Markers"}}
    with quiet_session(tmp_path, source, pipeline=asked) as running:
        until(lambda: seen and seen[0].now.engine.publisher.statistics.refused, running)
        (session,) = seen
        assert session.now.pipeline.state("eeg").baseline == "waiting"
        source.hold.set()
        session.now.engine.start_baseline()
        session.record_on()
        source.hold.clear()
        until(lambda: made(session) > 5, running)
        folder = session.now.folder.path
    assert running.failure is None
    assert kinds_of(folder).count("baseline_started") == 1
    assert proven(folder, tmp_path) > 5


def test_a_marker_given_while_takes_change_is_in_the_next_one(tmp_path, monkeypatch, seen):
    monkeypatch.chdir(tmp_path)
    plain, replies = build.make_pipeline, []
    with quiet_session(tmp_path) as running:
        until(lambda: seen and made(seen[0]) > 2, running)
        (session,) = seen
        before = session.now.engine

        def marking(*arguments):
            marker = threading.Thread(target=lambda: replies.append(before.mark("at the switch")))
            marker.start()
            return plain(*arguments)

        monkeypatch.setattr(build, "make_pipeline", marking)
        session.record_on()
        until(lambda: replies and session.now.engine.publisher.markers, running)
        assert [text for _, text, _ in session.now.engine.publisher.markers] == ["at the switch"]
        session.record_off()
    (folder,) = (tmp_path / "sessions").iterdir()
    assert kinds_of(folder).count("marker") == 1


def test_without_outlets_there_is_nothing_to_draw_and_no_panel(tmp_path, monkeypatch, seen):
    monkeypatch.setattr("bci_m2s.session.companions.start_panel", pytest.fail)
    monkeypatch.setattr("bci_m2s.session.companions.has_display", lambda: True)
    with quiet_session(tmp_path, panel=True) as running:
        until(lambda: seen and seen[0].now.engine.publisher.statistics.refused, running)
    assert running.failure is None
    assert "no panel: small.yaml: outlet.enabled is false" in running.printed


# ---- over LSL ----


@pytest.fixture
def lsl_plan(tmp_path):
    name = f"takes-{uuid.uuid4().hex[:8]}"
    streams = {"eeg": {"name": "Simulated EEG", "type": "EEG"}}
    path = write_pipeline(tmp_path, streams=streams, outlet={"name": name})
    simulated = {"montage": "muse", "eeg_rate_hz": 256.0, "rest_s": 3.0, "trial_s": 6.0, "pause_s": 1.0}
    spec = SenderSpec(simulated=simulated, streams=("eeg",), wait_s=LIMIT_S)
    with sending(spec) as sender:
        plan = build.make_plan(str(path))
        yield build.pinned(plan, {"eeg": sender.infos[0].source_id})


class Listener:
    """A display's side of a session: its status and estimates, from the network alone."""

    def __init__(self, name):
        self.reports, self.answers, self.stamps_s, self.uids, self.session = [], [], [], {}, None
        self._resolver, self._name, self._inlets = pylsl.ContinuousResolver(), name, {}

    def serve(self):
        for info in self._resolver.results():
            if info.name() in (self._name, f"{self._name}-status"):
                self.uids.setdefault(info.type(), set()).add(info.uid())
                if info.uid() not in self._inlets:
                    inlet = pylsl.StreamInlet(info, recover=False, processing_flags=0)
                    if info.type() == "bci_m2s-status":
                        described = inlet.info(timeout=60)  # kept: its elements die with it
                        self.session = json.loads(described.desc().child_value("session"))
                    self._inlets[info.uid()] = (inlet, info.type())
        for inlet, kind in self._inlets.values():
            with contextlib.suppress(pylsl.util.LostError):
                rows, stamps_s = inlet.pull_chunk()
                for row, stamp_s in zip(rows, stamps_s, strict=True):
                    if kind == "Emotion":
                        self.answers.append(row)
                        self.stamps_s.append(stamp_s)
                    else:
                        self.reports.append(json.loads(row[0]))

    def wait(self, condition, running):
        until(lambda: self.serve() or condition(), running)


def test_record_off_and_on_over_lsl(tmp_path, lsl_plan, monkeypatch, seen):
    """Both recordings verify, no sample and no answer is lost at the switch, a display sees one session."""
    stamps, plain = [], LslSource.pull

    def pull(self, timeout_s):
        chunk = plain(self, timeout_s)
        if len(chunk) and self.info.type == "EEG":
            stamps.append(chunk.times.copy())
        return chunk

    monkeypatch.setattr(LslSource, "pull", pull)
    folder = tmp_path / "out"
    folder.mkdir()
    display = Listener(lsl_plan.settings.outlet.name)
    connected = connect(lsl_plan, Environment(local_clock, lambda _: None, lambda: False))
    with Lateness() as lateness, Running(lsl_plan, connected, folder=folder) as running:
        ok = [0]

        def answered(more):
            return sum(row[-3] == Status.OK for row in display.answers) >= ok[0] + more

        display.wait(lambda: answered(3) and display.reports, running)
        assert display.reports[-1]["take"]["folder"] == "out"
        assert display.reports[-1]["ended"] == ""
        assert display.reports[-1]["commands"] is True
        assert display.reports[-1]["recording"]["samples"] > 0
        first_s = display.reports[-1]["recording"]["elapsed_s"]
        assert 5 < first_s < LIMIT_S
        client = ControlClient.find(display.session["session_id"])
        with contextlib.closing(client):
            assert "recording closed" in client.request({"do": "record_off"}, LIMIT_S)["said"]
            display.wait(lambda: display.reports[-1]["recording"] is None, running)
            assert client.request({"do": "mark", "text": "between"}, LIMIT_S)["ok"]
            begun = time.monotonic()
            engines = [seen[0].now.engine]
            assert "take-2" in client.request({"do": "record_on"}, LIMIT_S)["said"]
            switched_s = time.monotonic() - begun
            engines.append(seen[0].now.engine)
            assert client.request({"do": "mark", "text": "inside"}, LIMIT_S)["ok"]
            # the recording's own pipeline has settled, and answers
            display.wait(lambda: made(seen[0]) >= 8, running)
            assert seen[0].now.engine.answering is seen[0].now.pipeline
            display.wait(lambda: display.reports[-1]["take"]["number"] == 2, running)
            assert display.reports[-1]["take"]["folder"] == "take-2"
            assert display.reports[-1]["take"]["number"] == 2
            again_s = display.reports[-1]["recording"]["elapsed_s"]
            assert 5 < again_s < display.reports[-1]["elapsed_s"] - first_s
            history = client.request({"do": "history"}, LIMIT_S)
            client.request({"do": "stop"}, LIMIT_S)
        display.wait(lambda: display.reports[-1]["ended"], None)
        until(lambda: not running.is_alive())
    assert running.failure is None
    assert switched_s < 4.0 + 4 * lateness.worst_s
    assert display.reports[-1]["ended"] == "stopped by the operator"
    assert {kind: len(uids) for kind, uids in display.uids.items()} == {"Emotion": 1, "bci_m2s-status": 1}
    # one history and one clock for both takes
    assert [text for _, text, _ in history["markers"]] == ["between", "inside"]
    elapsed = [report["elapsed_s"] for report in display.reports]
    assert elapsed == sorted(elapsed)

    # from the first answer to the last of both takes there is one for each hop
    oks = [row[-3] == Status.OK for row in display.answers]
    assert all(oks[oks.index(True) :])
    steps_s = np.diff(display.stamps_s[oks.index(True) :])
    assert steps_s.min() > 0
    skipped = sum(engine.skipped for engine in engines)  # only where the machine falls behind
    assert steps_s.max() < 0.25 * (1 + skipped) + 0.01
    assert "handover" in kinds_of(folder / "take-2")

    for path, marks in ((folder, 0), (folder / "take-2", 1)):
        assert proven(path, tmp_path) >= 3
        assert kinds_of(path).count("marker") == marks
    assert "baseline_adopted" in kinds_of(folder / "take-2")
    # what the inlet gave is without a hole, and the second recording is the end of it
    every = np.concatenate(stamps)
    np.testing.assert_allclose(np.diff(every), 1 / 256, atol=1e-6)
    (recorded,) = [
        one for one in open_recording(folder / "take-2" / "session.xdf").streams if one.info.type == "EEG"
    ]
    np.testing.assert_array_equal(recorded.times, every[-recorded.n_samples :])


def test_a_session_tells_a_display_all_that_it_needs(tmp_path, seen):
    """A large description arrives whole: names of 310 features, of a model with 62 channels."""
    del seen
    plan = build.make_plan("demo")
    other = pylsl.StreamInfo("bci_m2s-status", "bci_m2s-status", 1, 0, "string", uuid.uuid4().hex)
    other = pylsl.StreamOutlet(other)  # of a session that has the usual name already
    streams = {
        "eeg": {"source": "simulated", "stream": "eeg"},
        "eye": {"source": "simulated", "stream": "eye"},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"model": "demo-62ch-eye", "streams": streams}))
    plan = build.make_plan(str(tmp_path / "own.yaml"))
    connected = connect(plan, Environment(local_clock, lambda _: None, lambda: False))
    display = Listener("bci_m2s-2")
    with Running(plan, connected) as running:
        display.wait(lambda: display.session, running)
        session = display.session
        del other
        raw = pylsl.resolve_byprop(
            "source_id", session["streams"]["eeg"]["panel"]["source_id"], timeout=LIMIT_S
        )
    assert running.failure is None
    assert len(session["features"]["eeg"]) == 310
    assert session["features"]["eeg"][:2] == ["FP1.delta", "FP1.theta"]
    assert session["outlet_name"] == "bci_m2s-2"
    assert "has this name, so this one is 'bci_m2s-2'" in running.printed
    assert len(session["features"]["eye"]) == 33
    assert session["coordinates"]["emotion"]["positive"] == [0.7, 0.5]
    assert len(session["session_id"]) == 32
    assert session["streams"]["eeg"]["panel"]["type"] == raw[0].type() == "bci_m2s-raw"
    assert not (tmp_path / "sessions").exists()
