"""Every sink: what comes out is what went in, nothing is overwritten, closing twice is harmless."""

import csv
import json
import math
import time
import uuid
from dataclasses import replace

import numpy as np
import pylsl
import pytest

from bci_m2s.errors import OutputError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.sinks import SINKS
from bci_m2s.types import Estimate, Event, Stamps, Status

NAN = math.nan
SESSION = SessionDescription.model_validate(
    {
        "heads": {"emotion": ["negative", "neutral", "positive"]},
        "modalities": ["eeg", "eye"],
        "voices": ["eeg", "eye", "eeg+eye"],
        "model": {"name": "m", "simulated": True},
        "outlet_name": f"test-{uuid.uuid4().hex[:8]}",
    }
)
MADE = Estimate(
    "eye",
    "emotion",
    10,
    1289,
    5.0,
    10.0,
    Status.OK,
    "",
    np.array([0.1, 0.2, 0.7]),
    0.7,
    Stamps(100.0, 100.001, 100.002, 100.004, 100.0045, 1.8e9),
)
REFUSED = Estimate(
    "eeg",
    "emotion",
    0,
    9,
    5.0,
    5.1,
    Status.GAP,
    'gap, "quoted", µ',
    np.full(3, NAN),
    NAN,
    Stamps(101.0, NAN, NAN, NAN, 101.5, 1.8e9),
)
TWO_HEADS = SESSION.model_copy(
    update={
        "outlet_name": f"test-{uuid.uuid4().hex[:8]}",
        "heads": {**SESSION.heads, "arousal": ("low", "neutral", "high")},
    }
)
AROUSAL = replace(
    MADE, head="arousal", probabilities=np.array([0.1, 0.3, 0.6]), confidence=0.6, unknown=False
)
EVENT = Event("gap", "eeg: gap of 1 s", 12.5, 1.8e9, {"lost_samples": 255})
OFFLINE = Event("marker", "x", NAN, 1.8e9)


def sink(name, folder, session=SESSION):
    return SINKS[name](folder, session)


@pytest.mark.parametrize("name", ["table", "events"])
def test_files_are_never_overwritten_and_must_be_creatable(name, tmp_path):
    made = sink(name, tmp_path)
    made.open()
    made.close()
    before = made.path.read_bytes()
    with pytest.raises(OutputError, match="cannot be created: File exists"):
        sink(name, tmp_path).open()
    assert made.path.read_bytes() == before
    with pytest.raises(OutputError, match="No such file"):
        sink(name, tmp_path / "missing").open()


def test_the_table_reads_back(tmp_path):
    made = sink("table", tmp_path)
    made.open()
    made.take(MADE)
    made.take(REFUSED)
    with made.path.open(newline="", encoding="utf-8") as file:  # before closing: rows are flushed
        rows = list(csv.DictReader(file))
    made.close()
    assert [row["index"] for row in rows] == ["0", "1"]
    assert [row["head"] for row in rows] == ["emotion", "emotion"]
    good, none = rows
    assert (good["modality"], good["status"], good["label"]) == ("eye", "ok", "positive")
    assert float(good["p_positive"]) == 0.7
    assert float(good["age_ms"]) == pytest.approx(4.5)
    assert float(good["wall_s"]) == 1.8e9
    stages = [float(good[f"{stage}_ms"]) for stage in ("transport", "features", "inference", "publish")]
    assert stages == pytest.approx([1.0, 1.0, 2.0, 0.5])
    assert (none["status"], none["reason"], none["label"], none["p_neutral"]) == (
        "gap",
        REFUSED.reason,
        "",
        "",
    )
    assert float(none["age_ms"]) == pytest.approx(500)


def test_an_unknown_answer_keeps_its_probabilities(tmp_path):
    made = sink("table", tmp_path)
    made.open()
    made.take(replace(MADE, unknown=True))
    made.close()
    with made.path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["status"], row["label"]) == ("ok", "unknown")
    assert (float(row["confidence"]), float(row["p_positive"])) == (0.7, 0.7)


def test_heads_share_a_table_and_each_fills_its_own_classes(tmp_path):
    made = sink("table", tmp_path, TWO_HEADS)
    made.open()
    made.take(MADE)
    made.take(AROUSAL)
    made.close()
    with made.path.open(newline="", encoding="utf-8") as file:
        emotion, arousal = csv.DictReader(file)
    assert (emotion["head"], emotion["label"], emotion["p_high"]) == ("emotion", "positive", "")
    assert (arousal["head"], arousal["label"], arousal["p_negative"]) == ("arousal", "high", "")
    assert [float(arousal[f"p_{name}"]) for name in ("low", "neutral", "high")] == [0.1, 0.3, 0.6]


def test_the_table_opens_in_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    made = sink("table", tmp_path)
    made.open()
    made.take(MADE)
    made.take(REFUSED)
    made.close()
    table = pandas.read_csv(made.path)
    assert table["confidence"].isna().tolist() == [False, True]
    assert table["p_negative"].dtype == float


def test_events_are_lines_of_json_with_both_clocks(tmp_path):
    made = sink("events", tmp_path)
    made.open()
    made.take(EVENT)
    made.take(OFFLINE)
    first, second = map(json.loads, made.path.read_text(encoding="utf-8").splitlines())
    made.close()
    assert first["kind"] == "gap"
    assert (first["local_s"], first["wall_s"], first["lost_samples"]) == (12.5, 1.8e9, 255)
    assert first["utc"].startswith("2027-01-15T08:00:00.000")
    assert second["local_s"] is None


def test_the_outlet_sends_labelled_estimates(tmp_path):
    made = sink("outlet", tmp_path)
    made.open()
    found = pylsl.resolve_byprop("name", SESSION.outlet_name, timeout=60)
    assert len(found) == 1
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=60)
    info = inlet.info(timeout=60)
    assert (info.type(), info.nominal_srate()) == ("Emotion", 0)
    labels = ["negative", "neutral", "positive", "confidence", "age", "status", "modality", "unknown"]
    assert info.get_channel_labels() == labels
    assert info.get_channel_units()[-4:] == ["milliseconds", "code", "code", "code"]
    assert info.desc().child_value("simulated") == "true"
    assert info.desc().child_value("head") == "emotion"
    codes = info.desc().child("codes")
    assert codes.child("status").child_value("gap") == str(int(Status.GAP))
    assert codes.child("modality").child_value("eye") == "1"
    made.take(MADE)
    made.take(REFUSED)
    got, limit = [], time.monotonic() + 120
    while len(got) < 2 and time.monotonic() < limit:
        samples, stamps = inlet.pull_chunk(timeout=0.2)
        got += list(zip(samples, stamps, strict=True))
    np.testing.assert_allclose(got[0][0], [0.1, 0.2, 0.7, 0.7, 4.5, 0, 1, 0], rtol=1e-5)
    np.testing.assert_allclose(got[1][0], [NAN, NAN, NAN, NAN, 500, Status.GAP, 0, 0], rtol=1e-5)
    np.testing.assert_allclose([stamp for _, stamp in got], [100.0, 101.0])
    inlet.close_stream()
    made.close()


class Kept:
    """An outlet that keeps what it was given."""

    def __init__(self):
        self.stamps = []

    def push_sample(self, values, stamp_s):
        assert len(values)
        self.stamps.append(stamp_s)


def stamps_sent(monkeypatch, tmp_path, session, *estimates):
    """The stamps under which estimates go out, by the head's place in the session."""
    kept = []
    monkeypatch.setattr("bci_m2s.sinks.outlets.make_outlet", lambda *_: kept.append(Kept()) or kept[-1])
    monkeypatch.setattr("bci_m2s.sinks.outlets.pylsl.local_clock", lambda: 200.0)
    made = sink("outlet", tmp_path, session)
    made.open()
    for estimate in estimates:
        made.take(estimate)
    return [outlet.stamps for outlet in kept]


def stamped(stamp_s, **changes):
    return replace(MADE, stamps=replace(MADE.stamps, last_sample_s=stamp_s), **changes)


def test_stamps_of_an_outlet_never_go_back(tmp_path, monkeypatch):
    """Two modalities share it, and the one whose window ends later may be published first."""
    given = [(100.0, "eeg"), (99.9, "eye"), (100.25, "eeg"), (100.15, "eye"), (100.4, "eye")]
    estimates = [stamped(stamp_s, modality=modality) for stamp_s, modality in given]
    (sent,) = stamps_sent(monkeypatch, tmp_path, SESSION, *estimates)
    assert sent == [100.0, 100.0, 100.25, 100.25, 100.4]
    assert [estimate.stamps.last_sample_s for estimate in estimates] == [stamp_s for stamp_s, _ in given]


def test_a_stamp_of_the_future_does_not_hold_up_the_others(tmp_path, monkeypatch):
    sent = stamps_sent(monkeypatch, tmp_path, SESSION, stamped(1.8e9), stamped(150.0), stamped(200.5))
    assert sent == [[200.0, 200.0, 200.5]]


def test_each_head_has_stamps_of_its_own(tmp_path, monkeypatch):
    later = replace(AROUSAL, stamps=replace(AROUSAL.stamps, last_sample_s=120.0))
    assert stamps_sent(monkeypatch, tmp_path, TWO_HEADS, later, stamped(110.0)) == [[110.0], [120.0]]


def test_every_head_has_a_stream_of_its_own(tmp_path):
    made = sink("outlet", tmp_path, TWO_HEADS)
    made.open()
    inlets = {}
    for head in TWO_HEADS.heads:
        found = pylsl.resolve_byprop("name", f"{TWO_HEADS.outlet_name}-{head}", timeout=60)
        assert len(found) == 1
        inlets[head] = pylsl.StreamInlet(found[0])
        inlets[head].open_stream(timeout=60)
        info = inlets[head].info(timeout=60)
        assert info.desc().child_value("head") == head
        assert info.get_channel_labels()[:3] == list(TWO_HEADS.heads[head])
    made.take(MADE)
    made.take(replace(AROUSAL, unknown=True))
    for head, expected in (("emotion", [0.1, 0.2, 0.7, 0.7]), ("arousal", [0.1, 0.3, 0.6, 0.6])):
        sample, _ = inlets[head].pull_sample(timeout=60)
        np.testing.assert_allclose(sample[:4], expected, rtol=1e-5)
        assert sample[-1] == (head == "arousal")  # unknown
        inlets[head].close_stream()
    made.close()


def test_the_status_stream_keeps_little_for_a_display_that_hangs(tmp_path, monkeypatch):
    """Reports are long texts; liblsl would keep 36000 of them for whoever does not read."""
    kept, plain = [], pylsl.StreamOutlet

    def outlet(info, **options):
        kept.append(options["max_buffered"])
        return plain(info, **options)

    monkeypatch.setattr(pylsl, "StreamOutlet", outlet)
    made = sink("status", tmp_path)
    made.open()
    made.close()
    assert kept == [1]
