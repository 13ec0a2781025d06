"""The books find what is wrong: recordings with a hole, a repeat, a wrong gap, a false estimate."""

import json
import mmap

import numpy as np
import pytest

from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.soak.accounts import settle_accounts
from bci_m2s.soak.fault_spec import FaultSpec, Sent
from bci_m2s.soak.faulty_stream import FaultyStream
from bci_m2s.soak.usage import Usage, growth_mib_per_h, measure
from bci_m2s.types import StreamInfo

LABELS = ("COUNT", "RUN", "A", "B", "C", "D")
SPEC = FaultSpec("cap", labels=LABELS, seed=4)
RATE_HZ = 250.0


def samples_of(numbers, run=0):
    samples = FaultyStream(FaultSpec("cap", labels=LABELS, seed=4, run=run), 0.0).true_samples(numbers)
    return np.asarray(numbers) / RATE_HZ, samples


def stream(info, times, samples):
    return RecordedStream(info, np.asarray(times), lambda start, stop: samples[start:stop])


def books(monkeypatch, times, samples, gaps=(), windows=(), sent=None):
    """Account for a recording that is made of these parts. windows : (first, last) of OK estimates."""
    lines = [json.dumps({"kind": "gap", "modality": "eeg", **gap}) for gap in gaps]
    estimates = np.array([[0.0, first, last] for first, last in windows]).reshape(-1, 3)
    labels = ("status", "first_sample.eeg", "last_sample.eeg")
    text = np.array(lines, dtype=object).reshape(-1, 1)
    streams = (
        stream(StreamInfo("cap", "EEG", labels=LABELS), times, samples),
        stream(StreamInfo("e", EVENTS_TYPE, labels=("event",)), np.zeros(len(text)), text),
        stream(StreamInfo("x", ESTIMATES_TYPE, labels=labels), np.zeros(len(estimates)), estimates),
    )
    monkeypatch.setattr("bci_m2s.soak.accounts.open_recording", lambda path: Recording(path, streams))
    (account,) = settle_accounts("x.xdf", {"eeg": sent or Sent({0: SPEC})})
    return account


def gap_after(times, place, lost, **fields):
    return {"after_s": times[place], "step_s": 0.0, "lost_samples": lost, "at_sample": place + 1, **fields}


def test_a_sound_recording_has_nothing_to_tell(monkeypatch):
    times, samples = samples_of(np.arange(100, 2000))
    account = books(monkeypatch, times, samples, windows=[(0, 624), (62, 687)])
    assert (account.recorded, account.in_gaps, account.outside, account.windows) == (1900, 0, 0, 2)
    assert account.broken == []


def test_a_hole_that_was_not_logged_is_found(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:1000])
    account = books(monkeypatch, times, samples)
    assert (account.outside, account.in_gaps) == (60, 0)
    assert account.broken == ["eeg: run 0: 60 samples after 499 are missing and in no logged gap"]


def test_a_hole_inside_a_logged_gap_is_accounted_for(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:1000])
    account = books(monkeypatch, times, samples, [gap_after(times, 499, 60)])
    assert (account.outside, account.in_gaps, account.broken) == (0, 60, [])


def test_a_gap_of_another_length_is_reported(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:1000])
    account = books(monkeypatch, times, samples, [gap_after(times, 499, 40)])
    assert account.broken == ["eeg: run 0: gap after 499: 40 samples logged as lost, 60 missing"]


def test_a_logged_gap_somewhere_else_does_not_help(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:1000])
    assert books(monkeypatch, times, samples, [gap_after(times, 300, 60)]).outside == 60


def test_breaks_that_were_summed_up_cover_what_lies_between(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:570, 630:1000])
    gap = gap_after(times, 499, 120, breaks=2, at_sample=512)
    assert books(monkeypatch, times, samples, [gap]).in_gaps == 120
    assert books(monkeypatch, times, samples, [{**gap, "at_sample": 505}]).outside == 60


def test_samples_that_come_twice_are_found(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 490:1000])
    account = books(monkeypatch, times, samples)
    assert account.repeated == 1
    assert account.broken == ["eeg: run 0: sample 490 came after 499"]


def test_the_end_of_a_run_and_the_begin_of_the_next_must_be_logged(monkeypatch):
    _, before = samples_of(np.arange(500))
    _, after = samples_of(np.arange(30, 500), run=1)
    samples = np.concatenate([before, after])
    times = np.r_[np.arange(500), np.arange(900, 1370)] / RATE_HZ
    sent = Sent({0: SPEC, 1: SPEC}, pushed={0: 505})
    account = books(monkeypatch, times, samples, sent=sent)
    assert account.outside == 35
    account = books(monkeypatch, times, samples, [gap_after(times, 499, 400)], sent=sent)
    assert (account.in_gaps, account.runs, account.broken) == (35, 2, [])


def test_an_estimate_across_a_hole_is_found(monkeypatch):
    times, samples = samples_of(np.r_[0:500, 560:1000])
    gaps = [gap_after(times, 499, 60)]
    windows = [(0, 499), (500, 900)]
    assert books(monkeypatch, times, samples, gaps, windows).broken == []
    (words,) = books(monkeypatch, times, samples, gaps, [*windows, (300, 500)]).broken
    assert words == "eeg: 1 estimates use a hole, the first one samples 300 to 500"


def test_an_estimate_on_a_refused_sender_is_found(monkeypatch):
    times, samples = samples_of(np.arange(1000))
    sent = Sent({0: SPEC}, refused={0})
    (words,) = books(monkeypatch, times, samples, windows=[(10, 20)], sent=sent).broken
    assert "1 estimates use a refused sender" in words


@pytest.mark.parametrize(("channels", "found"), [(1, 0), (2, 1)])
def test_an_estimate_on_false_channels_is_found(monkeypatch, channels, found):
    times, samples = samples_of(np.arange(1000))
    samples[100:400, 2 : 2 + channels] = 0.0
    account = books(monkeypatch, times, samples, windows=[(0, 600)])
    assert len(account.broken) == found


def test_an_estimate_on_samples_that_are_not_there_is_found(monkeypatch):
    times, samples = samples_of(np.arange(1000))
    (words,) = books(monkeypatch, times, samples, windows=[(0, 1000)]).broken
    assert "samples that are not recorded" in words


def usages(mib):
    return [Usage(10.0 * number, value, 1, 1) for number, value in enumerate(mib)]


def test_growth_is_the_slope_after_the_warm_up():
    at_h = np.arange(300) * 10 / 3600
    warm = np.minimum(np.arange(300) * 2.0, 40.0)
    assert growth_mib_per_h(usages(300 + warm + 6 * at_h)) == pytest.approx(6.0, abs=1e-6)
    assert abs(growth_mib_per_h(usages(300 + warm + np.where(at_h > 0.8, 5, 0)))) < 1e-6
    assert np.isnan(growth_mib_per_h(usages([300.0] * 5)))
    assert np.isnan(growth_mib_per_h([]))


def test_usage_is_that_of_this_process():
    before = measure(0.0)
    room = mmap.mmap(-1, 64 * 2**20)  # pages of its own, whatever the heap has left from other tests
    held = np.frombuffer(room, np.float64)
    held[:] = 1.0
    after = measure(1.0)
    assert 50 < after.rss_mib - before.rss_mib < 90
    assert before.threads >= 1
    assert before.descriptors >= 3
    assert held.sum() == 2**23
