"""``bci-m2s show``: recordings in words and as a picture, whoever made the file."""

import io
import json
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.nightly import nightly
from support.recorded_sessions import MARKER_INFO, chunks_of, record_session
from support.small_sessions import EEG_INFO, EYE_INFO, eeg, eye

from bci_m2s.colours import CLASS_COLOURS
from bci_m2s.commands.show import MOST_EVENT_LINES, show_file
from bci_m2s.errors import OutputError, RecordingError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ESTIMATES_TYPE
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.review import draw_signals as session_signals
from bci_m2s.review.draw_answers import label, lines_of, runs_of, thinned
from bci_m2s.review.draw_signals import binned
from bci_m2s.review.facts import recording_facts
from bci_m2s.review.picture import session_figure
from bci_m2s.sinks.recording import RecordSink
from bci_m2s.types import Estimate, Event, Stamps, Status, StreamInfo

LENGTH_S = 60
EVERY_S = 0.5  # an answer
SESSION = {
    "bci_m2s": "0.1.0",
    "mode": "live",
    "begun_utc": "2026-01-02T03:04:05+00:00",
    "pipeline": {"file": "lab.yaml", "modality": "auto", "streams": {"eeg": {"source": "lsl"}}},
    "model": {"name": "small", "simulated": True},
    "heads": {"emotion": ["negative", "positive"]},
    "modalities": ["eeg", "eye"],
    "voices": ["eeg", "eye"],
    "streams": {"eeg": {"name": "cap", "uid": ""}, "eye": {"name": "tracker", "uid": ""}},
    "device": "cpu",
    "versions": {"numpy": "2.0"},
}


class WritesAtOnce:
    """A recorder's face over a plain writer, so that each stamp is what a test says."""

    def __init__(self, writer):
        self.writer = writer
        self.add_stream, self.clock_offset = writer.add_stream, writer.clock_offset

    def clock(self):
        return 0.0

    def samples(self, stream, chunk):
        self.writer.samples(stream, chunk.times, chunk.samples)


def answer(time_s, modality, status=Status.OK, share=0.75, unknown=False):
    ok = status is Status.OK
    shares = np.array([1 - share, share]) if ok else np.full(2, math.nan)
    stamps = Stamps(last_sample_s=1000 + time_s, published_s=1000.01 + time_s)
    confidence = max(share, 1 - share) if ok else math.nan
    return Estimate(
        modality, "emotion", 0, 1, 0.0, time_s, status, "", shares, confidence, stamps, unknown=unknown
    )


def answers_of_a_session():
    """Baseline until 10 s, EEG until 20 s, silence, eye from 23 s (unknown until 26 s), EEG from 40 s."""
    for time_s in np.arange(0, LENGTH_S, EVERY_S):
        if time_s < 10:
            yield answer(time_s, "eeg", Status.BASELINE)
        elif time_s < 20 or time_s >= 40:
            yield answer(time_s, "eeg")
        elif time_s >= 23:
            yield answer(time_s, "eye", share=0.25, unknown=time_s < 26)


def quality(time_s, channel, state):
    fields = {"modality": "eeg", "channel": channel, "state": state}
    return Event("quality", f"eeg: channel {channel} {state}", 1000 + time_s, 0.0, fields)


EVENTS = [
    Event("started", "engine started", 1000.1, 0.0),
    Event("marker", "trial/start", 1012.2, 0.0, {"marker_s": 1012.0}),
    Event("stale", "eeg: signal 0.8 s old", 1020.8, 0.0, {"modality": "eeg"}),
    *(quality(44 + place / 100, name, "flat") for place, name in enumerate(EEG_INFO.labels[:3])),
    *(quality(50 + place / 100, name, "good") for place, name in enumerate(EEG_INFO.labels[:3])),
    Event("gap", "eeg: gap of 6 s (1536 samples)", 1026.1, 0.0, {"modality": "eeg"}),
]


def signals():
    """EEG without 20–26 s and with three flat channels in 44–50 s; an eye that is lost in 30–32 s."""
    times, samples = eeg(LENGTH_S)
    samples[(times >= 1044) & (times < 1050), :3] = 5.0
    here = (times < 1020) | (times >= 1026)
    seen_times, seen = eye(LENGTH_S)
    seen[(seen_times >= 1030) & (seen_times < 1032), 2:4] = 0.0
    return {EEG_INFO: (times[here], samples[here]), EYE_INFO: (seen_times, seen)}


def write_session(path, session=SESSION, answers=None, events=EVENTS, markers=("trial/start",), raw=None):
    """A session with exactly known times. markers : 12 s after the start, one second apart."""
    writer = XdfWriter(path)
    for info, (times, samples) in (signals() if raw is None else raw).items():
        stream = writer.add_stream(info)
        writer.samples(stream, times, samples)
        writer.clock_offset(stream, 1001.0, 0.0)
    stream = writer.add_stream(MARKER_INFO)
    texts = np.array([[text] for text in markers], object).reshape(-1, 1)
    writer.samples(stream, 1012.0 + np.arange(len(markers)), texts)
    if session is not None:
        sink = RecordSink(WritesAtOnce(writer), SessionDescription.model_validate(session))
        sink.open()
        for one in answers_of_a_session() if answers is None else answers:
            sink.take(one)
        for event in events:
            sink.take(event)
    writer.close()
    return path


def shown(path, picture=None):
    """What ``show`` prints, as in a pipe."""
    out = io.StringIO()
    show_file(path, picture, Console(file=out, width=240, highlight=False, markup=False))
    return out.getvalue()


def facts_of(path):
    return recording_facts(open_recording(path))


def figure_of(path):
    stages = []
    figure = session_figure(facts_of(path), CLASS_COLOURS, stages.append)
    assert "drawing" in stages
    return figure, {axes.get_label(): axes for axes in figure.axes}


# ---- words ----


def test_words_of_a_session(tmp_path):
    text = shown(write_session(tmp_path / "s.xdf"))
    lines = text.splitlines()
    assert "started 2026-01-02T03:04:05+00:00" in lines[0]
    assert "pipeline lab.yaml, model 'small'" in text
    assert "mode live, modality auto, device cpu" in text
    assert any(line.startswith("SIMULATED: model") for line in lines)
    (cap,) = [line.split() for line in lines if line.startswith("cap ")]
    n = 256 * (LENGTH_S - 6)
    assert cap == ["cap", "EEG", "256,", "256.00", "5", str(n), "60.0", "s", "1,", "6.00", "s",
                   "0.00", "to", "0.00", "ms"]  # fmt: skip
    assert "emotion: 114 answers, 94 of them estimates" in text
    assert "eeg: 60 estimates (negative 0, positive 60, unknown 0); none: baseline 20" in text
    assert "eye: 34 estimates (negative 28, positive 0, unknown 6)" in text
    listed = [line.split(maxsplit=3) for line in lines[lines.index("events") + 1 :]]
    assert [(row[0], row[2], row[3]) for row in listed] == [
        ("0.1", "started", "engine started"),
        ("12.0", "marker", "trial/start"),  # the sender's stamp, and once
        ("20.8", "stale", "eeg: signal 0.8 s old"),
        ("26.1", "gap", "eeg: gap of 6 s (1536 samples)"),
        ("44.0", "quality", "eeg: channels flat: AF7, AUX, TP9"),
        ("50.0", "quality", "eeg: channels good again: AF7, AUX, TP9"),
    ]
    assert max(map(len, lines[1:])) <= 100
    assert text == "\n".join(line.rstrip() for line in lines) + "\n"


def test_words_of_a_session_that_an_engine_recorded(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": chunks_of(*eeg(14))})
    text = shown(path)
    assert "pipeline small.yaml, model " in text
    assert f" {14 * 256} " in text
    rows = open_recording(path).pick([ESTIMATES_TYPE])[0].n_samples
    assert f"emotion: {rows} answers" in text
    assert "engine stopped" in text


def test_words_of_a_foreign_file(tmp_path):
    text = shown(write_session(tmp_path / "s.xdf", session=None))
    assert "not a session of bci_m2s" in text
    assert "tracker" in text
    assert "12.0 s  marker             trial/start" in text
    assert "estimates" not in text
    assert "SIMULATED" not in text


def test_words_of_real_files(shared_data):
    text = shown(shared_data / "muse" / "muse2_sub-P001_ses-S001_task-Default_run-001_eeg.xdf")
    assert "Muse (ACC): stamps run backwards 2 times" in text
    text = shown(shared_data / "xdf" / "ex_clock_resets.xdf")
    assert "1, 273.55 s  -325609.6 s ± 326731 s" in text
    assert "warning: stream 'BioSemi': its sender's clock began again at sample 12876" in text
    lines = [line for line in text.splitlines()[1:] if not line.startswith("warning: ")]
    assert max(map(len, lines)) <= 100
    assert "marker             175 until 570.7 s: " in text


def test_damage_is_said_and_the_rest_shown(tmp_path):
    path = write_session(tmp_path / "s.xdf")
    path.write_bytes(path.read_bytes()[:-700])
    text = shown(path)
    assert "warning: " in text
    assert "cap " in text
    path.write_bytes(b"no recording")
    with pytest.raises(RecordingError):
        shown(path)


def test_text_of_the_file_is_data(tmp_path):
    evil = "\x1b[31m[bold]$x^{$ \N{SNOWMAN}\n脑电\x07"
    raw = {StreamInfo(evil, "EEG", rate_hz=256.0, labels=("$a", "[/b]", "\x1bc"), units=("$", "", "")):
           (eeg(9)[0], eeg(9)[1][:, :3])}  # fmt: skip
    session = {
        **SESSION,
        "model": {"name": evil, "simulated": False},
        "heads": {evil: ["$", "\x1b"]},
        "begun_utc": evil,
    }
    answers = [replace(answer(t, "eeg"), head=evil) for t in range(9)]
    path = write_session(tmp_path / "s.xdf", session, answers, markers=[evil] * 3, raw=raw)
    text = shown(path, tmp_path / "p.png")  # a formula that cannot be parsed would raise here
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    assert "[bold]" in text


@pytest.mark.parametrize(
    "session",
    [
        {"streams": 5, "model": "x", "pipeline": [], "versions": 3, "heads": 7, "modalities": "eeg"},
        *nightly(
            {"streams": {"eeg": None}, "model": {"name": {"a": 1}}, "heads": {}, "voices": [1, None]}, 5
        ),
        {"pipeline": {"streams": {"eeg": {"source": "simulated"}}}},
    ],
)
def test_a_description_of_nonsense_hides_nothing_else(tmp_path, session):
    path = write_session(tmp_path / "s.xdf")
    before, after = json.dumps({"session": SESSION})[1:-1], json.dumps({"session": session})[1:-1]
    content = path.read_bytes()
    assert content.count(before.encode()) == 1
    path.write_bytes(content.replace(before.encode(), after.ljust(len(before)).encode()))
    text = shown(path, tmp_path / "p.png")
    assert "94 of them estimates" in text
    assert ("SIMULATED: signals" in text) is ("simulated" in after)


def test_many_events_end_in_a_count(tmp_path):
    events = [
        Event("failover" if place % 2 else "gap", f"n{place}", 1000 + place / 10, 0.0, {"modality": "eeg"})
        for place in range(300)
    ]
    text = shown(write_session(tmp_path / "s.xdf", events=events, markers=["go", "stop"] * 10))
    lines = text[text.index("\nevents\n") :].strip().splitlines()[1:]
    assert len(lines) == MOST_EVENT_LINES + 1
    listed = sum(int(line.split("marker")[1].split()[0]) for line in lines[:-1] if "  marker " in line)
    listed += sum(1 for line in lines[:-1] if "  marker " not in line)
    assert f"and {320 - listed} more: " in lines[-1]


def test_many_markers_are_reported_by_their_texts_or_by_their_ends(tmp_path):
    text = shown(write_session(tmp_path / "s.xdf", session=None, markers=["go", "stop", "go"] * 20))
    assert "marker             60 until 71.0 s: go 40, stop 20" in text
    text = shown(write_session(tmp_path / "t.xdf", session=None, markers=[f"m{n}" for n in range(60)]))
    assert "marker             60 until 71.0 s: m0 … m59" in text


def test_stamps_of_another_clock_are_noted(tmp_path):
    times, samples = eeg(10)
    times[100] = 1e300
    times[101] = -np.inf
    raw = {EEG_INFO: (times, samples)}
    text = shown(write_session(tmp_path / "s.xdf", raw=raw), tmp_path / "p.png")
    assert "1 stamps are more than a day from the others" in text
    assert " 2560 " in text


# ---- picture ----


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The picture of the usual session, and its axes by label."""
    return figure_of(write_session(tmp_path_factory.mktemp("drawn") / "s.xdf"))


def test_the_picture_has_what_the_session_had(drawn):
    figure, axes = drawn
    assert list(axes)[:7] == [
        "markers", "answers emotion", "makers emotion", "stream eeg", "stream eye", "overview", "eye",
    ]  # fmt: skip
    assert "SIMULATED: model" in figure.get_suptitle()
    assert all(axes[name].get_xlim() == axes["eye"].get_xlim() for name in list(axes)[:7])
    assert axes["eye"].get_xlabel() == "seconds from the start"
    assert axes["eye"].get_ylabel() == "pupil, mm"
    assert [text.get_text() for text in axes["markers"].texts] == ["trial/start"]


def test_no_probability_is_drawn_where_there_is_no_estimate(drawn):
    _, axes = drawn
    negative, positive = axes["answers emotion"].collections[:2]
    edges = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in negative.get_paths()]
    assert np.allclose(edges, [(10, 20), (23, 60)])
    first = positive.get_paths()[0].vertices
    assert np.allclose([first[:, 1].min(), first[:, 1].max()], [0.25, 1.0])
    assert [text.get_text() for text in axes["answers emotion"].get_legend().texts] == [
        "positive",
        "negative",
    ]


def test_the_strips_say_who_and_why(drawn):
    _, axes = drawn
    makers = axes["makers emotion"]
    words = [text.get_text() for text in makers.get_legend().texts]
    assert words == ["made by eeg", "made by eye", "baseline", "unknown"]
    bars = dict(zip(words, [extents(one) for one in makers.collections[:4]], strict=True))
    assert np.allclose(bars["made by eeg"], [(10, 20), (40, 60)])
    assert np.allclose(bars["made by eye"], [(23, 40)])
    assert np.allclose(bars["baseline"], [(0, 10)])
    assert np.allclose(bars["unknown"], [(23, 26)])


def extents(collection):
    return [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in collection.get_paths()]


def test_gaps_bad_channels_and_stale_are_in_the_stream_strip(drawn):
    _, axes = drawn
    strip = axes["stream eeg"]
    words = [text.get_text() for text in strip.get_legend().texts]
    assert words == ["bad channels", "gap", "stale from here"]
    bad, gap, stale = strip.collections[:3]
    assert bad.get_paths()[0].vertices[:, 1].max() == 3
    assert np.allclose(extents(gap), [(20, 26)], atol=0.01)
    assert np.allclose(stale.get_segments()[0][:, 0], 20.8)
    assert axes["stream eye"].get_legend() is None
    assert axes["stream eye"].texts[0].get_text() == "no gap, no bad channel"


def test_the_overview_shows_flat_channels_and_the_outage(drawn):
    _, axes = drawn
    image = axes["overview"].collections[0]
    rms = image.get_array().reshape(5, -1)
    assert rms.mask[:, 20:26].all()
    assert not rms.mask[:, :20].any()
    assert (rms[:3, 44:50] < image.norm.vmin).all()
    assert np.allclose(rms[3:, 44:50], 10, rtol=0.2)  # the noise's standard deviation
    colours = {tick.get_text(): tick.get_color() for tick in axes["overview"].get_yticklabels()}
    assert [name for name, colour in colours.items() if colour != "black"] == list(EEG_INFO.labels[:3])
    bar = axes["overview"].child_axes[0]
    assert "RMS of each second, µV" in bar.get_ylabel()


def test_a_lost_pupil_leaves_a_hole(drawn):
    _, axes = drawn
    line = axes["eye"].lines[0]
    times_s, values = line.get_data()
    assert np.isnan(values[(times_s > 30.1) & (times_s < 31.9)]).all()
    assert np.nanmin(values) > 2


def test_modalities_side_by_side_have_a_panel_each(tmp_path):
    session = {**SESSION, "pipeline": {"modality": "each"}}
    answers = [answer(t + shift, name) for t in range(20) for shift, name in ((0, "eeg"), (0.1, "eye"))]
    path = write_session(tmp_path / "s.xdf", session, answers)
    _, axes = figure_of(path)
    assert {"answers emotion from eeg", "answers emotion from eye"} <= set(axes)
    taking_turns = write_session(tmp_path / "t.xdf")
    assert [name for name, _ in lines_of(facts_of(taking_turns))] == ["emotion"]


def test_nothing_but_markers_is_a_picture_too(tmp_path):
    raw = {}
    path = write_session(tmp_path / "s.xdf", session=None, raw=raw, markers=[f"m{n}" for n in range(500)])
    figure, axes = figure_of(path)
    assert list(axes) == ["markers"]
    texts = axes["markers"].texts
    assert 20 < len(texts) < 80
    assert f"{len(texts)} of 500" in axes["markers"].get_ylabel()
    assert axes["markers"].get_xlabel() == "min:s from the start"
    assert "SIMULATED" not in figure.get_suptitle()


def test_the_file_is_a_png_of_the_promised_size_and_never_replaced(tmp_path):
    path, picture = write_session(tmp_path / "s.xdf"), tmp_path / "p.png"
    assert f"picture: {picture}" in shown(path, picture)
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (1600, 900)
    with pytest.raises(OutputError, match="exists already"):
        shown(path, picture)
    assert picture.read_bytes() == content
    with pytest.raises(OutputError, match=r"expected '\.png'"):
        shown(path, tmp_path / "p.jpg")
    with pytest.raises(OutputError, match="no such folder"):
        shown(path, tmp_path / "none" / "p.png")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.png", "s.xdf", "s.xdf.sums"]


# ---- parts ----


def test_columns_are_what_numpy_says_however_the_file_is_read(tmp_path, monkeypatch):
    times, samples = eeg(10, seed=3)
    samples += np.array([0, 1e5, 0, 0, 0], np.float32)  # an offset that a sum of squares would drown in
    samples[300:400, 0] = np.nan
    samples[700, 2] = 1e8
    facts = facts_of(write_session(tmp_path / "s.xdf", session=None, raw={EEG_INFO: (times, samples)}))
    (one,) = [stream for stream in facts.streams if stream.is_regular]
    clean = np.where(np.abs(samples) < 1e7, samples, np.nan).astype(np.float64).reshape(10, 256, 5)
    for values in (4_000_000, 35):
        monkeypatch.setattr(session_signals, "BLOCK_VALUES", values)
        made = binned(one, 10.0, 1.0)
        assert np.allclose(made.rms, np.nanstd(clean, axis=1), rtol=1e-6)
        assert np.allclose(made.mean, np.nanmean(clean, axis=1), rtol=1e-9)


def test_runs_end_in_silence():
    times_s = np.array([0.0, 1, 2, 3, 10, 11])
    here = np.array([False, True, True, True, True, False])
    assert runs_of(times_s, here) == [(1, 4, 4.0), (4, 5, 11.0)]
    assert runs_of(times_s, ~here) == [(0, 1, 1.0), (5, 6, 12.0)]
    assert runs_of(np.empty(0), np.empty(0, bool)) == []


def test_thinned_keeps_what_comes_first():
    places = np.arange(10.0)
    assert thinned(places, 3) == [0, 3, 6, 9]
    assert thinned(places, 3, first=[4, 5]) == [0, 4, 7]
    assert thinned(np.empty(0), 3) == []


def test_a_label_draws_as_it_is_written():
    assert label("a$b", 10) == r"a\$b"
    assert label("脑\x1b电", 10) == "???"
    assert label("x" * 20, 5) == "xxxx…"


def test_a_recording_without_a_sample_is_shown(tmp_path):
    raw = {EEG_INFO: (np.empty(0), np.empty((0, 5), np.float32))}
    path = write_session(tmp_path / "s.xdf", session=None, raw=raw, markers=())
    text = shown(path, tmp_path / "p.png")
    assert "0.0 s" in text.splitlines()[0]
    assert any(line.startswith("cap ") for line in text.splitlines())
