"""A counter among the channels shows losses that regular stamps hide; it is never a signal."""

from dataclasses import replace

import numpy as np
import pytest
from support.recorded_sessions import chunks_of
from support.small_sessions import EEG_INFO, RATE_HZ, eeg, pipeline

INFO = replace(EEG_INFO, labels=(*EEG_INFO.labels, "Counter"), units=(*EEG_INFO.units, ""))


def run(missing, size=32, seconds=20.0):
    """Statuses, lost samples and gaps of a stream that lacks samples, stamped as if it did not."""
    times, samples = eeg(seconds)
    counted = np.column_stack([samples, np.arange(len(samples)) % 256])
    kept = np.delete(counted, missing, axis=0)
    made = pipeline({"eeg": INFO})
    estimates = [
        estimate
        for chunk in chunks_of(times[: len(kept)], kept, size)
        for estimate in made.push("eeg", chunk)
    ]
    gaps = [(event.message, event.fields["at_sample"]) for event in made.emitted if event.kind == "gap"]
    return [(each.status, each.last_index) for each in estimates], made.state("eeg").lost_samples, gaps


def test_a_long_loss_begins_a_new_segment():
    n = int(0.2 * RATE_HZ)
    statuses, lost, gaps = run(np.s_[3000 : 3000 + n])
    assert lost == n
    assert gaps == [(f"eeg: {n} samples lost by the sender's own count; its stamps show no gap", 3000)]
    assert "GAP" in {status.name for status, last in statuses if last > 3000}
    assert (statuses, lost, gaps) == run(np.s_[3000 : 3000 + n], size=7)


def test_a_loss_that_stamps_show_too_is_told_by_them():
    times, samples = eeg(20.0)
    counted = np.column_stack([samples, np.arange(len(samples))])
    counted[3000:, -1] += 3  # a count that includes more than what is missing by the stamps
    kept, at = np.delete(counted, np.s_[3000:3128], axis=0), np.delete(times, np.s_[3000:3128])
    made = pipeline({"eeg": INFO})
    for chunk in chunks_of(at, kept):
        list(made.push("eeg", chunk))
    (gap,) = [event for event in made.emitted if event.kind == "gap"]
    assert gap.message.startswith("eeg: gap of 0.504 s")
    assert made.state("eeg").lost_samples == 131


def test_a_short_loss_is_counted_and_the_windows_go_on():
    statuses, lost, gaps = run(np.s_[3000:3012])
    assert lost == 12
    assert [at for _, at in gaps] == [3000]
    assert "GAP" not in {status.name for status, _ in statuses}


@pytest.mark.parametrize("missing", [[], np.s_[:100]])
def test_nothing_is_lost_where_nothing_is_missing_in_between(missing):
    _, lost, gaps = run(missing)
    assert (lost, gaps) == (0, [])


@pytest.mark.parametrize("size", [32, 1000])
def test_a_counter_that_stands_still_is_named_once(size):
    times, samples = eeg(20.0)
    counts = np.minimum(np.arange(len(samples)), 1000) % 256
    made = pipeline({"eeg": INFO})
    for chunk in chunks_of(times, np.column_stack([samples, counts]), size):
        list(made.push("eeg", chunk))
    said = [event for event in made.emitted if event.kind == "counter"]
    assert [event.message for event in said] == [
        "eeg: the sender's counter 'Counter' stands still: it shows no losses"
    ]
    assert said[0].fields["at_sample"] == 1000 + 2 * RATE_HZ - 1
    assert made.state("eeg").lost_samples == 0
