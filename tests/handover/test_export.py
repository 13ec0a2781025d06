"""Sessions handed over: what is read back is what was recorded, the official validator passes."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import bci, refused
from support.guided_files import EYE_LATER_S, GAP_S, Written, write_guided
from support.raw_files import xdf

from bci_m2s.commands.export import screen_of
from bci_m2s.errors import OutputError, UsageError
from bci_m2s.handover import bids
from bci_m2s.handover.bids_events import Screen
from bci_m2s.handover.export import Wanted, export_session

SCREEN = Screen(0.6, (0.53, 0.3), (1920, 1080))
PREFIX = "sub-P1_ses-1_task-film_run-01"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_guided(tmp_path_factory.mktemp("sessions") / "P1")


@pytest.fixture(scope="module")
def dataset(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three exports into one data set: with a screen, without one, without EEG."""
    root = tmp_path_factory.mktemp("my.data") / "dataset"  # mne-bids would take .dat for a file's ending
    export_session(written.path, root, "bids", Wanted("P1", "1", "film", screen=SCREEN))
    again = export_session(written.path.parent, root)
    assert again.prefix == "sub-P1_ses-1_task-filmtask_run-01"
    assert again.said[0] == "taken from the recording: --subject P1 --session 1 --task filmtask --run 1"
    assert "--screen-distance" in again.said[-1]
    alone = write_guided(written.path.parents[1] / "P2", eeg=False, guided=False)
    assert (
        "no EEG: everything is in beh/"
        in export_session(alone.path, root, "bids", Wanted(screen=SCREEN)).said
    )
    return root


def packed_rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter="\t"))


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def eeg_folder(dataset: Path) -> Path:
    return dataset / "sub-P1" / "ses-1" / "eeg"


def test_mne_bids_reads_back_every_sample_and_every_event(dataset: Path, written: Written) -> None:
    from mne_bids import BIDSPath, read_raw_bids

    path = BIDSPath(subject="P1", session="1", task="film", run="01", datatype="eeg", root=dataset)
    raw = read_raw_bids(path, verbose="error")
    places = np.rint((written.eeg_s - written.eeg_s[0]) * 128).astype(int)
    values = raw.get_data()[:, places].T
    np.testing.assert_array_equal((values * 1e6).astype(np.float32), written.eeg)
    assert (raw.info["sfreq"], raw.ch_names) == (128.0, ["TP9", "AF7", "AF8", "TP10"])
    found = {(one["description"], round(one["onset"], 6), one["duration"]) for one in raw.annotations}
    assert ("BAD_gap", GAP_S[0], 3.0) in found
    assert {("calm", 2.0, 3.0), ("calm", 6.0, 3.0), ("happy", 15.0, 3.0)} <= found
    assert ("break/start", 20.0, 0.0) in found


def test_each_eye_has_its_own_rate_and_the_stamps_of_its_sender(dataset: Path, written: Written) -> None:
    for number, (side, columns) in enumerate((("left", (0, 1, 2)), ("right", (3, 4, 5))), 1):
        base = eeg_folder(dataset) / f"{PREFIX}_recording-eye{number}_physio"
        about, rows = read_json(base.with_suffix(".json")), packed_rows(base.with_suffix(".tsv.gz"))
        assert about["Columns"] == [
            "timestamp",
            "x_coordinate",
            "y_coordinate",
            "pupil_size",
            "sender_time",
        ]
        assert (about["RecordedEye"], about["SamplingFrequency"], about["StartTime"]) == (side, 60.0, 0.3)
        assert about["x_coordinate"]["Units"] == about["y_coordinate"]["Units"] == "arbitrary"
        assert "diameter" in about["pupil_size"]["Description"]
        values = np.array([[float("nan" if cell == "n/a" else cell) for cell in row] for row in rows])
        np.testing.assert_array_equal(values[:, 4], written.eye_s)
        np.testing.assert_array_equal(values[:, 1:4].astype(np.float32), written.eye[:, columns])
        np.testing.assert_allclose(values[:, 0], EYE_LATER_S + np.arange(len(rows)) / 60, atol=1e-6)
    lost = packed_rows(eeg_folder(dataset) / f"{PREFIX}_recording-eye1_physioevents.tsv.gz")
    assert lost == [["2.300000", "0.500000", "lost", "no gaze"]]
    head = (eeg_folder(dataset) / f"{PREFIX}_recording-eye1_physio.tsv.gz").read_bytes()[:8]
    assert head[3:] == bytes(5)  # neither name nor time


def test_trials_and_ratings_are_columns_and_a_table_of_their_own(dataset: Path) -> None:
    rows = [row for row in table(eeg_folder(dataset) / f"{PREFIX}_events.tsv") if row["kind"] == "trial"]
    assert [row["excluded"] for row in rows] == ["repeated", "n/a", "n/a"]
    assert [row["rating_valence"] for row in rows] == ["7", "7", "7"]
    assert rows[2]["rating_how_was_it_"] == "fine thanks"
    assert (rows[2]["item"], rows[2]["block"], rows[2]["flags"]) == ("b <i>.mp4", "2", "late onset")
    answers = table(dataset / "sub-P1" / "ses-1" / "beh" / f"{PREFIX}_beh.tsv")
    assert [(row["trial"], row["attempt"], row["trial_type"]) for row in answers] == [
        ("1", "1", "calm"),
        ("1", "2", "calm"),
        ("2", "1", "happy"),
    ]
    assert not {"onset", "duration"} & answers[0].keys()  # else BEH_ONSET_DURATION
    screens = [
        read_json(path).get("StimulusPresentation") for path in eeg_folder(dataset).glob("*_events.json")
    ]
    assert sorted(screens, key=bool) == [None, SCREEN.described()]


def test_a_session_without_trials_has_its_markers_as_they_are(dataset: Path) -> None:
    (path,) = dataset.glob("sub-P2/ses-1/beh/*_events.tsv")
    assert [(row["onset"], row["trial_type"], row["kind"]) for row in table(path)] == [
        ("2.000000", "stim/on", "marker"),
        ("4.000000", "stim/off", "marker"),
    ]
    skin = read_json(path.parent / "sub-P2_ses-1_task-emotion_run-01_recording-gsr_physio.json")
    assert (skin["PhysioType"], skin["EDA"]["Units"]) == ("generic", "µS")


def test_the_data_set_passes_the_official_validator(dataset: Path) -> None:
    command = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run(
        [command, dataset, "--max-rows", "-1", "--ignoreWarnings", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    assert [one for one in found if one["severity"] == "error"] == []
    assert done.returncode == 0
    lines = (dataset / "participants.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["participant_id", "sub-P1", "sub-P2"]


def test_a_run_that_is_there_is_refused_and_nothing_changes(dataset: Path, written: Written) -> None:
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    with pytest.raises(
        OutputError, match=f"has {PREFIX} already; nothing is overwritten, give another --run"
    ):
        export_session(written.path, dataset, "bids", Wanted("P1", "1", "film"))
    assert {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()} == before


def test_a_disk_that_fails_leaves_nothing(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bids, "write_physio", fail)
    with pytest.raises(OutputError, match="No space left"):
        export_session(written.path, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_it_says_how_to_get_them(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pybv", None)
    with pytest.raises(
        OutputError, match=r"pybv is not installed; pip install 'bci_m2s\[bids\]' brings it"
    ):
        export_session(written.path, tmp_path / "set")


def test_a_folder_of_something_else_is_refused(written: Written, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"holds files but no dataset_description\.json"):
        export_session(written.path, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"subject": "P 1"}, "--subject: got 'P 1', expected letters and digits alone"),
        ({"task": "film-1"}, "--task: got 'film-1'"),
    ],
)
def test_labels_that_bids_does_not_allow_are_refused(
    written: Written, tmp_path: Path, wanted: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        export_session(written.path, tmp_path / "set", "bids", Wanted(**wanted))


def test_fif_and_csv_hold_the_same(written: Written, tmp_path: Path) -> None:
    import mne

    export_session(written.path, tmp_path / "fif", "fif")
    assert sorted(path.name for path in (tmp_path / "fif").iterdir()) == [
        "eeg_raw.fif",
        "eye_raw.fif",
        "gsr_raw.fif",
    ]
    raw = mne.io.read_raw_fif(tmp_path / "fif" / "eeg_raw.fif", verbose="error")
    assert ("happy", 15.0) in {(one["description"], round(one["onset"], 6)) for one in raw.annotations}
    export_session(written.path, tmp_path / "csv", "csv")
    rows = list(csv.DictReader((tmp_path / "csv" / "eeg.csv").read_text("utf-8").splitlines()))
    assert len(rows) == len(written.eeg)
    np.testing.assert_array_equal([np.float32(row["TP9 (microvolts)"]) for row in rows], written.eeg[:, 0])
    assert [float(row["sender_time_s"]) for row in rows] == written.eeg_s.tolist()
    events = list(csv.DictReader((tmp_path / "csv" / "events.csv").read_text("utf-8").splitlines()))
    assert ("15.000000", "happy", "7") in {
        (one["onset_s"], one["text"], one["rating_valence"]) for one in events
    }
    with pytest.raises(OutputError, match="nothing is overwritten"):
        export_session(written.path, tmp_path / "csv", "csv")


def test_the_command_says_what_it_wrote(written: Written, tmp_path: Path) -> None:
    done = bci("export", written.path.parent, "--to", "csv", "--output", tmp_path / "out")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"{tmp_path / 'out'}: csv")
    assert "no clock offsets were recorded for 'marks'" in done.stdout
    error = refused("export", written.path, "--to", "bid", "--output", tmp_path / "x")
    assert error == "error: --to: got 'bid'; nearest: 'bids'\n"


def test_stamps_that_run_backwards_and_names_in_greek_are_handed_over(tmp_path: Path) -> None:
    times = 100 + np.arange(300)[::-1] / 100
    values = np.zeros((300, 3))
    values[50:60] = np.nan
    streams = [
        ("cap", "EEG", 100.0, ("µ", "A", "A"), ("uV", "", "furlongs"), times, values),
        ("eye", "Gaze", 0.0, ("x", "y", "pupil"), ("", "", ""), times, values),
    ]
    (tmp_path / "odd.xdf").write_bytes(xdf(streams, [(101.0, "trial/start/$a_{b}$")]))
    for kind in ("bids", "fif", "csv"):
        export_session(tmp_path / "odd.xdf", tmp_path / kind, kind)
    assert all(read_json(path) for path in (tmp_path / "bids").rglob("*.json"))
    assert "NaN" not in "".join(path.read_text() for path in (tmp_path / "bids").rglob("*.json"))
    (lost,) = (tmp_path / "bids").rglob("*physioevents.tsv.gz")
    assert all(float(row[1]) >= 0 for row in packed_rows(lost))


def test_a_screen_is_given_whole_or_not_at_all() -> None:
    assert screen_of(0.0, "", "") is None
    assert screen_of(0.6, "0.53x0.3", "1920x1080") == SCREEN
    with pytest.raises(UsageError, match="--screen-size: got none"):
        screen_of(0.6, "", "1920x1080")
    with pytest.raises(UsageError, match="--screen-resolution: got '1920'"):
        screen_of(0.6, "0.5x0.3", "1920")
