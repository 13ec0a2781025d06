"""Commands to a running engine: each does what it says, or is refused in words."""

import contextlib
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.small_sessions import (
    EEG_INFO,
    Collector,
    ScriptedSource,
    eeg,
    engine_of,
    paced_engine,
    pipeline,
)

from bci_m2s.errors import CommandError, DeviceError
from bci_m2s.recording.recorder import Recorder
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.server import ControlServer
from bci_m2s.session.operator_commands import Commands
from bci_m2s.sources.operator import OperatorMarkers
from bci_m2s.types import Chunk, Status

LIMIT_S = 120.0
LONG = {"normaliser": {"name": "baseline", "params": {"duration_s": 60.0}}}


def chunks_of(seconds, size=64):
    times, samples = eeg(seconds)
    return [Chunk.of(times[i : i + size], samples[i : i + size]) for i in range(0, len(times), size)]


class Patient(ScriptedSource):
    """A source that does not finish when it has nothing more."""

    def pull(self, timeout_s):
        if self._chunks:
            return super().pull(timeout_s)
        time.sleep(min(timeout_s, 0.01))
        return Chunk.empty(self.info.n_channels)


def wait_until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


@contextlib.contextmanager
def running(seconds=8.0, made=None, markers=True, **options):
    """An engine that has taken `seconds` of signal in simulated time, which then stands still:
    (engine, sink)."""
    sink, made = Collector(), made or pipeline(**options)
    source = Patient(EEG_INFO, chunks_of(seconds))
    own = [OperatorMarkers(lambda: engine.clock())] if markers else []
    engine = paced_engine(made, {"eeg": source}, [sink], markers=own)
    engine.start()
    try:
        wait_until(lambda: len(sink.estimates) == 4 * seconds)
        yield engine, sink
    finally:
        engine.finish()
    assert engine.failure is None


def commands_of(engine, record_on=None, record_off=None, is_recorded=True):
    """What an operator may ask of a session with this engine."""
    stop = engine.request_stop if engine is not None else None
    now = SimpleNamespace(engine=engine, is_recorded=is_recorded)
    takes = {"now": now, "record_on": record_on, "record_off": record_off}
    return Commands(SimpleNamespace(**takes, stop=stop, takes_markers=True))


def kinds(sink):
    return [event.kind for event in sink.events]


def test_a_marker_reaches_events_history_and_status():
    with running() as (engine, sink):
        commands = commands_of(engine)
        before = engine.clock()
        assert commands.handle({"do": "mark", "text": "coffee\n"}) == {"said": "marker 'coffee' written"}
        wait_until(lambda: "marker" in kinds(sink))
        (event,) = [one for one in sink.events if one.kind == "marker"]
        assert (event.message, event.fields["origin"]) == ("coffee", "operator")
        assert before <= event.fields["marker_s"] <= engine.clock()
        wait_until(lambda: commands.handle({"do": "history"})["markers"])
        (marker,) = commands.handle({"do": "state"})["status"]["markers"]
        assert marker[1:] == ["coffee", "operator"]
        assert commands.handle({"do": "history"})["markers"] == [marker]
        # the change is reported at once, not with the next second
        wait_until(lambda: any(report.values["markers"] for report in sink.reports))


def test_a_marker_says_that_nothing_is_being_recorded():
    with running() as (engine, _):
        said = commands_of(engine, is_recorded=False).handle({"do": "mark", "text": "late"})["said"]
        assert said == "marker 'late' written; nothing is being recorded"


def test_history_holds_what_was_answered():
    with running() as (engine, sink):
        engine.publisher.release([], LIMIT_S)  # what a sink has is in the history a moment later
        history = commands_of(engine).handle({"do": "history"})
        line = history["lines"]["eeg"]["emotion"]
        assert line["classes"] == list(engine.publisher.statistics.heads["emotion"])
        places = [round((one.stamps.published_s - line["t"][0]) // 1.0) for one in sink.estimates]
        assert sorted(set(places)) == [round(t_s - line["t"][0]) for t_s in line["t"]]
        for place, share, mean in zip(sorted(set(places)), line["share"], line["p"], strict=True):
            those = [one for one, its in zip(sink.estimates, places, strict=True) if its == place]
            p = np.array([one.probabilities for one in those if one.status is Status.OK])
            assert share == pytest.approx(len(p) / len(those), abs=1e-4)
            assert mean == [None] * 3 if not len(p) else mean == pytest.approx(p.mean(axis=0), abs=1e-4)
        assert any(line["share"])


def test_a_baseline_is_started_and_ended_before_its_time():
    with running(20.0, eeg=LONG) as (engine, sink):
        commands = commands_of(engine)
        state = commands.handle({"do": "state"})["status"]["streams"][0]
        assert state["baseline"]["state"] == "collecting"
        assert 30 < state["baseline"]["seconds_left"] < 60
        assert state["clock_offset_s"] == 0.0
        assert commands.handle({"do": "baseline_end"}) == {"said": "eeg: baseline ended"}
        assert commands.handle({"do": "state"})["status"]["streams"][0]["baseline"] == {
            "state": "complete",
            "seconds_left": 0.0,
        }
        with pytest.raises(CommandError, match="eeg: baseline: complete already"):
            commands.handle({"do": "baseline_end"})
        assert commands.handle({"do": "baseline_start"}) == {"said": "eeg: baseline started"}
        again = commands.handle({"do": "baseline_start"})["said"]
        assert again == "eeg: baseline started again: what was collected is dropped, with 60 s to go"
        with pytest.raises(
            CommandError,
            match=r"eeg: baseline: got 0\.0 s of usable signal, expected at least 10 s; it goes on",
        ):
            commands.handle({"do": "baseline_end"})
        wait_until(lambda: kinds(sink).count("command_refused") == 2)
        assert commands.handle({"do": "state"})["status"]["streams"][0]["baseline"]["state"] == "collecting"
    fields = {event.kind: event.fields for event in sink.events}
    n = 20 * 256
    assert (fields["baseline_ended"]["at_sample"], fields["baseline_started"]["at_sample"]) == (n, n)
    assert 30 < fields["baseline_ended"]["seconds_left"] < 60


@pytest.mark.parametrize(
    ("name", "why"), [("training", "the scaler of the training serves everyone"), ("rolling", "move with")]
)
def test_a_model_without_a_baseline_says_so(name, why):
    with running(eeg={"normaliser": {"name": name, "params": {}}}) as (engine, sink):
        for do in ("baseline_start", "baseline_end"):
            with pytest.raises(CommandError, match=f"no baseline to start or end: eeg: .*{why}"):
                commands_of(engine).handle({"do": do})
        wait_until(lambda: kinds(sink).count("command_refused") == 2)
        assert engine.reporter.report().values["streams"][0]["baseline"]["state"] == "none"


def test_a_baseline_that_waits_for_its_marker_has_nothing_to_end():
    with running(made=pipeline(wait_for_marker=True)) as (engine, _):
        assert engine.reporter.report().values["streams"][0]["baseline"]["state"] == "waiting"
        with pytest.raises(CommandError, match="waits for its marker"):
            engine.end_baseline()
        engine.start_baseline()
        assert engine.reporter.report().values["streams"][0]["baseline"]["state"] == "collecting"


def test_where_nothing_is_estimated_there_is_no_baseline():
    engine = engine_of(None, {"cap": Patient(EEG_INFO, chunks_of(1))}, [Collector()], time.monotonic)
    engine.start()
    for refused in (engine.start_baseline, engine.end_baseline):
        with pytest.raises(CommandError, match="there is no baseline"):
            refused()
    engine.finish()


def test_without_the_operators_source_a_marker_is_refused():
    with running(markers=False) as (engine, _), pytest.raises(CommandError, match="takes no markers"):
        commands_of(engine).handle({"do": "mark", "text": "x"})


def test_after_the_end_everything_is_refused_at_once():
    with running() as (engine, _):
        pass
    for refused in (lambda: engine.mark("x"), engine.start_baseline, engine.end_baseline):
        with pytest.raises(CommandError):
            refused()
    with pytest.raises(CommandError, match="the session has ended"):
        engine.start_baseline()


def test_an_inference_thread_that_hangs_is_given_up_and_the_command_never_done(monkeypatch):
    entered, go, made = threading.Event(), threading.Event(), pipeline(eeg=LONG)
    monkeypatch.setattr("bci_m2s.engine.calls.Calls.request.__defaults__", (0.1,))
    with running(made=made) as (engine, sink):
        monkeypatch.setattr(made, "take_marker", lambda *_: entered.set() or go.wait(LIMIT_S))
        engine.mark("hang")
        assert entered.wait(LIMIT_S)
        with pytest.raises(CommandError, match=r"did not get to it within 0\.1 s; not done"):
            engine.start_baseline()
        monkeypatch.undo()
        go.set()
        with pytest.raises(CommandError, match="it goes on"):
            engine.end_baseline()  # the thread works again, and what was withdrawn before stays undone
    assert "baseline_started" not in kinds(sink)


def test_where_inference_failed_baselines_are_refused_and_markers_go_on(tmp_path):
    def broken(*_):
        raise DeviceError("the GPU is gone")

    made, sink = pipeline(), Collector()
    made._predictor.predict_all = broken
    recorder = Recorder(tmp_path / "s.xdf", time.monotonic)
    source, markers = Patient(EEG_INFO, chunks_of(10)), [OperatorMarkers(time.monotonic)]
    engine = engine_of(made, {"eeg": source}, [sink], time.monotonic, markers, recorder)
    engine.start()
    wait_until(lambda: "inference_failed" in kinds(sink))
    with pytest.raises(CommandError, match="no more estimates: the GPU is gone"):
        engine.start_baseline()
    engine.mark("went dark")
    wait_until(lambda: "marker" in kinds(sink))
    engine.finish()
    assert isinstance(engine.failure, DeviceError)


def test_stop_ends_the_session():
    with running() as (engine, _):
        assert commands_of(engine).handle({"do": "stop"}) == {"said": "the session ends"}
        assert engine.wait(LIMIT_S)


def test_the_recording_is_switched_by_what_the_session_gives():
    commands = commands_of(None, lambda: "recording into a", lambda: "recording ended")
    assert commands.handle({"do": "record_on"}) == {"said": "recording into a"}
    assert commands.handle({"do": "record_off"}) == {"said": "recording ended"}


def test_the_recording_is_switched_by_one_at_a_time():
    inside, go = threading.Event(), threading.Event()

    def slow():
        inside.set()
        go.wait(LIMIT_S)
        return "on"

    commands, replies = commands_of(None, slow, lambda: "off"), []
    first = threading.Thread(target=lambda: replies.append(commands.handle({"do": "record_on"})))
    first.start()
    assert inside.wait(LIMIT_S)
    with pytest.raises(CommandError, match="already being started or ended"):
        commands.handle({"do": "record_off"})
    go.set()
    first.join(LIMIT_S)
    assert replies == [{"said": "on"}]
    assert commands.handle({"do": "record_off"}) == {"said": "off"}


def test_a_guided_session_keeps_its_recording_and_its_folder():
    commands = commands_of(None, lambda: "on", lambda: "off")
    commands.protocol = lambda action, value: f"{action} {value}"
    assert commands.handle({"do": "protocol", "action": "answer", "value": "7"}) == {"said": "answer 7"}
    for request in ({"do": "record_on"}, {"do": "record_off"}, {"do": "filename", "text": "{run:2}"}):
        with pytest.raises(CommandError, match="from its beginning to its end"):
            commands.handle(request)


def test_another_engine_takes_over():
    with running() as (engine, _):
        commands = commands_of(None)
        commands.engine = engine
        assert commands.handle({"do": "state"})["status"]["state"] == "ok"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "do: got None, expected a command; valid: mark, "),
        ({"do": 7}, "do: got 7"),
        ({"do": ["mark"]}, "do: got"),
        ({"do": "baseline_strat"}, "nearest: 'baseline_start'"),
        ({"do": "mark"}, "mark: text: got nothing, expected a text"),
        ({"do": "mark", "text": 3}, "mark: text: got int, expected a text"),
        ({"do": "stop", "now": 1}, "stop: 'now' is not a field of it; valid: do"),
        ({"do": "\x1b[31m" * 100}, "do: got "),
    ],
)
def test_requests_are_checked(request_, words):
    with pytest.raises(CommandError) as refused:
        commands_of(None).handle(request_)
    assert words in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


def test_through_the_pipe(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    with running() as (engine, sink):
        session_id = "ab" * 16
        with (
            contextlib.closing(ControlServer(session_id, commands_of(engine).handle)),
            contextlib.closing(ControlClient.find(session_id)) as client,
        ):
            assert client.request({"do": "mark", "text": "☃"})["ok"] is True
            assert client.request({"do": "history"})["bin_s"] == 1.0
            assert client.request({"do": "state"})["status"]["state"] == "ok"
            assert "nearest: 'mark'" in client.request({"do": "marks"})["error"]
            assert client.request({"do": "stop"}) == {"ok": True, "said": "the session ends"}
        wait_until(lambda: "marker" in kinds(sink))
        assert engine.wait(LIMIT_S)


def test_history_knows_how_often_an_answer_comes():
    """A second of silence weighs as much as a second of answers, also where these come once a second."""
    made = pipeline()
    made.hop_s = 1.0
    engine = engine_of(made, {"eeg": Patient(EEG_INFO)}, [Collector()], time.monotonic)
    for second, status in enumerate((Status.STALE, Status.GAP)):
        for one in made.no_estimates("eeg", status, "silent"):
            engine.publisher.history.add(
                replace(one, stamps=replace(one.stamps, published_s=float(second)))
            )
    (bins,) = engine.publisher.history._lines.values()
    assert bins._all[:2].tolist() == [1.0, 1.0]
