"""Real Muse recordings give estimates, by replay and from a live stream, or say why not."""

import csv

import pytest
from support import command_line
from support.command_line import skipped_by
from support.nightly import often

from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

LONG_ENOUGH = ("P001", "P032", "P050")
TWO_BAD_ELECTRODES = ("P002", "P003")  # TP9 and AF8 swing from end to end of the converter's range
TOO_SHORT = ("P023", "P031")


def file_of(shared_data, person):
    return shared_data / "muse" / f"muse2_sub-{person}_ses-S001_task-Default_run-001_eeg.xdf"


def bci(*arguments, **options):
    done = command_line.bci(*arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows_of(folder):
    if not (folder / "estimates.csv").is_file():
        return []
    with (folder / "estimates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def made_in(folder):
    return [row for row in rows_of(folder) if row["status"] == "ok"]


@pytest.mark.parametrize("person", often(LONG_ENOUGH, ("P032",)))
def test_replay_gives_estimates(shared_data, tmp_path, person):
    text = bci("replay", file_of(shared_data, person), "--output", tmp_path / "out")
    assert "pipeline muse.yaml" in text
    rows = made_in(tmp_path / "out")
    assert len(rows) >= 5
    for row in rows:
        total = sum(float(row[key]) for key in ("p_negative", "p_neutral", "p_positive"))
        assert total == pytest.approx(1)
        assert row["age_ms"] == ""  # nothing is live


@pytest.mark.parametrize("person", often(TWO_BAD_ELECTRODES, ("P003",)))
def test_a_recording_with_two_bad_electrodes_of_four_names_them(shared_data, tmp_path, person):
    bci("replay", file_of(shared_data, person), "--output", tmp_path / "out")
    assert made_in(tmp_path / "out") == []
    assert "2 of 4 channels bad (noisy: TP9, AF8)" in (tmp_path / "out" / "estimates.csv").read_text()


@pytest.mark.parametrize("person", often(TOO_SHORT, ("P031",)))
def test_a_recording_that_is_too_short_says_so(shared_data, tmp_path, person):
    text = bci("replay", file_of(shared_data, person), "--output", tmp_path / "out")
    assert made_in(tmp_path / "out") == []
    assert "no estimate from" in text
    assert "s left" in text


def test_loops_leave_honest_gaps(shared_data, tmp_path):
    bci("replay", file_of(shared_data, "P050"), "--output", tmp_path / "once")
    bci("replay", file_of(shared_data, "P050"), "--loop", 3, "--output", tmp_path / "thrice")
    once, thrice = made_in(tmp_path / "once"), made_in(tmp_path / "thrice")
    assert once
    assert thrice[: len(once)] == [
        {**row, "wall_s": late["wall_s"], "inference_ms": late["inference_ms"]}
        for row, late in zip(once, thrice, strict=False)
    ]
    assert len(thrice) == 3 * len(once)
    assert (tmp_path / "thrice" / "events.jsonl").read_text().count('"gap"') == 2


@pytest.mark.live
def test_the_same_estimates_come_live_from_a_separate_sender(shared_data, tmp_path):
    recording = file_of(shared_data, "P001")
    bci("replay", recording, "--output", tmp_path / "replayed")
    last = made_in(tmp_path / "replayed")[-1]["last_sample"]

    def is_last():
        return any(row["last_sample"] == last for row in rows_of(tmp_path / "live"))

    spec = SenderSpec(recording=str(recording), streams=("EEG",), wait_s=120.0)
    with SenderProcess(spec) as sender:
        pin = f"eeg={sender.infos[0].source_id}"  # whatever else is sent just then
        arguments = ("run", "muse", "--stream", pin, "--headless", "--output", tmp_path / "live")
        text = bci(*arguments, until=is_last)
    replayed, live = made_in(tmp_path / "replayed"), made_in(tmp_path / "live")
    by_window = {row["last_sample"]: row for row in replayed}
    for row in live:
        twin = by_window[row["last_sample"]]
        for key in ("first_sample", "label", "p_positive"):  # bit for bit: in the shortest exact text
            assert row[key] == twin[key]
    # a machine that falls behind says so; every other window is there
    told = {row["last_sample"] for row in rows_of(tmp_path / "live") if row["status"] == "late"}
    assert len(by_window.keys() - told) - len(live) <= skipped_by(text)
    ages = [row["age_ms"] for row in live]
    first = next(i for i, age in enumerate(ages) if age)  # none until the sender's clock is known
    assert all(0 < float(age) < 5000 for age in ages[first:])
