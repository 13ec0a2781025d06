"""Counting: percentiles, reasons, agreement with known states; and how a terminal shows it."""

import io
import math
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bci_m2s.engine.health import Snapshot, StreamHealth
from bci_m2s.engine.statistics import Statistics
from bci_m2s.recording.recorder import RecorderState
from bci_m2s.session.terminal.view import live_view, plain_line, print_summary, recording_line
from bci_m2s.signal.drift import Drift
from bci_m2s.types import Estimate, Stamps, Status

CLASSES = ("negative", "neutral", "positive")
NAN = math.nan
HEADS = {"emotion": CLASSES}
TWO_HEADS = {**HEADS, "arousal": ("low", "high")}


def made(end_s, number, age_s=0.01):
    shares = np.full(3, 0.1)
    shares[number] = 0.8
    stamps = Stamps(
        end_s + 100,
        end_s + 100 + age_s / 2,
        end_s + 100 + age_s / 2,
        end_s + 100 + age_s,
        end_s + 100 + age_s,
    )
    return Estimate("eeg", "emotion", 0, 1, end_s - 5, end_s, Status.OK, "", shares, 0.8, stamps)


def refused(status, reason):
    return Estimate("eeg", "emotion", 0, 1, NAN, NAN, status, reason, np.full(3, NAN), NAN)


HEALTH = StreamHealth("eeg", "cap", 1000.0, 999.6, 5000, 3, 0.004)


def test_counts_percentiles_and_agreement():
    statistics = Statistics(HEADS)
    for number in range(100):
        statistics.add(made(10.0 + number, number % 3, age_s=(number + 1) / 1000))
    statistics.add(refused(Status.GAP, "gap of 1 s"))
    assert statistics.made["eeg", "emotion"] == 100
    assert statistics.refused["eeg", Status.GAP] == 1
    assert statistics.last_reason["eeg"] == "gap of 1 s"
    np.testing.assert_allclose(
        statistics.percentiles_ms("age"), np.percentile(np.arange(1, 101), [50, 95, 99])
    )
    assert statistics.percentiles_ms("publish")[0] == pytest.approx(0, abs=1e-6)
    # windows (local time) end at 110 .. 209; a trial from 120 to 140 holds those that end at 125 .. 140
    agreement = statistics.agreement([(120.0, 140.0, "negative")], "eeg", "emotion")
    assert (agreement.shares, agreement.windows) == ((6 / 16,), 16)
    nothing = statistics.agreement([(120.0, 140.0, "negative")], "eye", "emotion")
    assert (nothing.shares, nothing.windows, nothing.is_enough) == ((), 0, False)
    assert math.isnan(nothing.share)
    assert math.isnan(nothing.interval[0])


def test_an_agreement_needs_trials_of_every_class_and_has_an_interval():
    statistics = Statistics(HEADS)
    for number in range(120):  # windows end at 110 .. 229, six to a trial
        statistics.add(made(10.0 + number, number // 10 % 3))
    spans = [
        (104.5 + 10 * k, 114.5 + 10 * k, ("negative", "neutral", "positive")[k % 3]) for k in range(12)
    ]
    agreement = statistics.agreement(spans, "eeg", "emotion")
    assert agreement.is_enough
    assert (agreement.share, agreement.fewest, len(agreement.shares)) == (0.5 + 0.5, 4, 12)
    # Wilson (1927) for 12 of 12: 12 / (12 + 1.96²)
    assert agreement.interval == (pytest.approx(12 / (12 + 1.96**2)), 1.0)
    half = [
        (start, end, "negative" if index % 2 else label) for index, (start, end, label) in enumerate(spans)
    ]
    mixed = statistics.agreement(half, "eeg", "emotion")
    low, high = mixed.interval
    assert low < mixed.share < high
    assert high - low > 0.45
    assert not statistics.agreement(spans[:11], "eeg", "emotion").is_enough
    only = [(start, end, "negative") for start, end, _ in spans]
    assert not statistics.agreement(only, "eeg", "emotion").is_enough  # nothing about other classes


def test_nothing_counted_is_nothing_shown():
    assert all(math.isnan(value) for value in Statistics(HEADS).percentiles_ms("age"))


def shown(thing):
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(thing)
    return console.file.getvalue()


def test_the_live_view_says_the_estimate_or_why_there_is_none():
    text = shown(live_view(Snapshot({("eeg", "emotion"): made(10, 2)}, [HEALTH], 12.0), HEADS, "demo"))
    assert "POSITIVE" in text
    assert "0.80" in text
    assert "age 10.0 ms" in text
    assert "999.6 of 1000 Hz, 5000 samples, lost 3, last 4.0 ms ago" in text
    text = shown(
        live_view(
            Snapshot({("eeg", "emotion"): refused(Status.BASELINE, "baseline, 7 s left")}, [HEALTH], 1.0),
            HEADS,
            "",
        )
    )
    assert "no estimate" in text
    assert "baseline, 7 s left" in text
    assert "waiting for the first window" in shown(live_view(Snapshot({}, [HEALTH], 1.0), HEADS, ""))


def test_plain_lines():
    line = plain_line(Snapshot({("eeg", "emotion"): made(10, 0)}, [HEALTH], 12.0), HEADS)
    assert line == "  12.0 s  EEG: negative 0.80 (age 10.0 ms)  |  EEG 999.6 of 1000 Hz, lost 3"
    assert "no estimate: gap" in plain_line(
        Snapshot({("eeg", "emotion"): refused(Status.GAP, "gap")}, [HEALTH], 1.0), HEADS
    )
    silent = replace(HEALTH, age_s=3.21)
    assert plain_line(Snapshot({}, [silent], 12.0), {}) == (
        "  12.0 s  EEG 999.6 of 1000 Hz, lost 3, last 3.2 s ago"
    )


def test_markers_may_be_silent_and_slow_streams_between_their_samples():
    markers = StreamHealth("marks", "marks", 0.0, NAN, 0, 0, NAN)
    assert markers.state == "ok"
    assert plain_line(Snapshot({}, [markers], 1.0), {}) == "   1.0 s  marks irregular, lost 0"
    slow = StreamHealth("temperature", "t", 0.5, 0.5, 9, 0, 3.9)
    assert (slow.state, replace(slow, age_s=4.1).state) == ("ok", "bad")
    assert (replace(HEALTH, lost=0).state, replace(HEALTH, age_s=NAN).state) == ("ok", "bad")


def test_a_disk_that_fills_up_is_reported_before_it_is_full():
    filling = RecorderState(Path("session.xdf"), 10**6, 500, 0, 0, "", 6e8, 600.0)
    words = "recording session.xdf: 1.0 MB, 500 samples, disk full in about 10 minutes"
    assert recording_line(filling) == words
    assert words in plain_line(Snapshot({}, [HEALTH], 1.0, recording=filling), HEADS)
    plenty = replace(filling, seconds_left=NAN)
    assert "disk" not in recording_line(plenty)
    assert "recording" not in plain_line(Snapshot({}, [HEALTH], 1.0, recording=plenty), HEADS)


def test_the_summary():
    console = Console(file=io.StringIO(), width=200)
    statistics = Statistics(HEADS)
    statistics.add(made(10, 2))
    statistics.add(refused(Status.SETTLING, "x"))
    statistics.add(refused(Status.BAD_SIGNAL, "2 of 4 channels bad"))
    print_summary(console, statistics, [HEALTH], 4, [(100.0, 200.0, "positive")])
    text = console.file.getvalue()
    print_summary(console, statistics, [HEALTH], 4, [(100.0, 200.0, "positive")], [(100.0, "x", "Task")])
    assert (
        "agreement with the trials' labels: 1 trial with an answer, too few to say"
        in console.file.getvalue()
    )
    assert "note:" not in console.file.getvalue()
    truth = [(100.0, 200.0, "positive")]
    print_summary(console, statistics, [HEALTH], 4, truth, caution="trained on this recording")
    assert "note: trained on this recording" in console.file.getvalue()
    print_summary(console, statistics, [HEALTH], 4, notes=["eeg: TP9: missing throughout (no samples)"])
    assert "note: eeg: TP9: missing throughout (no samples)\n" in console.file.getvalue()
    assert "EEG: 1 estimates (negative 0, neutral 0, positive 1)" in text
    drift = Drift(1.7, True, "T7 beta")
    assert ", drift 1.70 of limit 1" in plain_line(Snapshot({}, [replace(HEALTH, drift=drift)], 1.0), HEADS)
    paused = replace(HEALTH, lost=HEALTH.samples + 1)
    print_summary(console, statistics, [paused], 0)
    assert "missing by the stamps: a pause, or wrong stamps?\n" in console.file.getvalue()
    both = [HEALTH, replace(HEALTH, modality="eye")]
    print_summary(console, statistics, both, 0, is_one_line=True)
    assert "eye: no estimate by itself; EEG answered\n" in console.file.getvalue()
    assert "no estimate 1 time: settling" in text
    words = (
        "  agreement with the simulator's state: 1 trial with an answer, too few to say (12 and 2 per class"
    )
    assert words in text
    assert "no estimate 1 time: bad_signal (at last: 2 of 4 channels bad)" in text
    assert "5000 received, 3 lost\n" in text
    gone = replace(HEALTH, problem="lost, and it cannot be found again")
    print_summary(console, statistics, [gone], 0)
    assert "5000 received, 3 lost; lost, and it cannot be found again" in console.file.getvalue()
    assert "windows skipped because inference fell behind: 4" in text
    assert "age" in text


def test_answers_that_nothing_will_be_held_against_are_counted_and_not_kept():
    statistics = Statistics(HEADS, is_judged=False)
    tracemalloc.start()
    for number in range(2000):
        statistics.add(made(10.0 + number, 2))
        if number == 99:
            early = tracemalloc.get_traced_memory()[0]
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert statistics.made["eeg", "emotion"] == 2000
    assert late - early < 2000
    assert statistics.agreement([(100.0, 5000.0, "positive")], "eeg", "emotion").windows == 0


def test_unknown_answers_are_made_but_neither_a_class_nor_judged():
    statistics = Statistics(HEADS)
    statistics.add(made(10, 2))
    statistics.add(replace(made(11, 2), unknown=True))
    assert statistics.made["eeg", "emotion"] == 2
    assert (
        statistics.labels["eeg", "emotion", "positive"]
        == statistics.labels["eeg", "emotion", "unknown"]
        == 1
    )
    assert statistics.agreement([(100.0, 200.0, "positive")], "eeg", "emotion").windows == 1
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, statistics, [HEALTH], 0)
    assert "EEG: 2 estimates (negative 0, neutral 0, positive 1, unknown 1)" in console.file.getvalue()
    snapshot = Snapshot({("eeg", "emotion"): replace(made(10, 2), unknown=True)}, [HEALTH], 12.0)
    assert "EEG: unknown (positive 0.80) (age" in plain_line(snapshot, HEADS)
    view = shown(live_view(snapshot, HEADS, "demo"))
    assert re.search(r"UNKNOWN +negative", view)  # no number beside it: it is none of being unknown
    assert "positive" in view  # the probabilities stay


def test_several_heads_are_told_apart_and_a_refused_window_counts_once():
    statistics = Statistics(TWO_HEADS)
    arousal = replace(made(10, 0), head="arousal", probabilities=np.array([0.2, 0.8]))
    for one in (made(10, 2), arousal):
        statistics.add(one)
    for head in TWO_HEADS:
        statistics.add(replace(refused(Status.GAP, "gap"), head=head))
    assert statistics.refused["eeg", Status.GAP] == 1
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, statistics, [HEALTH], 0, [(100.0, 200.0, "positive")])
    text = console.file.getvalue()
    assert "EEG emotion: 1 estimates (negative 0, neutral 0, positive 1)" in text
    assert "EEG arousal: 1 estimates (low 0, high 1)" in text
    assert text.count("agreement") == 1  # the truth is about emotions
    latest = {("eeg", one.head): one for one in (made(10, 2), arousal)}
    line = plain_line(Snapshot(latest, [HEALTH], 12.0), TWO_HEADS)
    assert "EEG emotion: positive 0.80 (age 10.0 ms), EEG arousal: high 0.80 (age 10.0 ms)  |" in line
    assert "HIGH" in shown(live_view(Snapshot(latest, [HEALTH], 12.0), TWO_HEADS, "demo"))
