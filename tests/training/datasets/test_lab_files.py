"""Own recordings as labs have them: the same trials from BIDS as from XDF, and what is left out."""

from pathlib import Path

import mne
import numpy as np
import pytest
from rich.console import Console
from support.bids_files import RATE_HZ, values, write_bids
from support.e4_files import BEGIN_S, write_e4, zip_e4
from support.model_files import contract_fields
from support.raw_files import read_all, samples_of, xdf

from bci_m2s.model.contract import Contract
from bci_m2s.recording.file_names import subject_and_session
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.dataset_check import check_dataset
from bci_m2s.training.datasets.contents import state_of
from bci_m2s.training.datasets.markers import MarkerSettings
from bci_m2s.training.datasets.recorded_files import natural
from bci_m2s.training.datasets.recordings import find_recordings
from bci_m2s.training.settings import TrainingSettings

MARKS = [(101.25, "go/neutral"), (103.25, "end"), (106.0, "go/positive")]
OF_EVENTS = MarkerSettings(start="stim/(?P<label>.+)", stop="", duration_s="annotated")


def contract():
    return Contract.model_validate(contract_fields())


def read(root, markers=None):
    return read_all(find_recordings(root, contract(), markers).read_raw, root)


def write_xdf(path: Path) -> None:
    labels, units = ("TP9", "AF7", "AF8", "TP10"), ("uV",) * 4
    times = 100.0 + np.arange(len(values())) / RATE_HZ
    path.write_bytes(xdf([("cap", "EEG", RATE_HZ, labels, units, times, values()[:, :4])], MARKS))


def test_trials_of_a_bids_folder_are_those_of_the_same_data_as_xdf(tmp_path):
    (tmp_path / "xdf").mkdir()
    write_xdf(tmp_path / "xdf" / "sub-01_ses-01_eeg.xdf")
    by_stops = MarkerSettings(start="go/(?P<label>.+)", stop="end")
    expected = read(tmp_path / "xdf", by_stops)[0]["01", "01"][0]
    write_bids(tmp_path / "bids")
    sessions, problems = read(tmp_path / "bids", OF_EVENTS)
    (found,) = sessions["01", "01"]
    times, samples = samples_of(found, "eeg")
    known_times, known = samples_of(expected, "eeg")
    np.testing.assert_allclose(times, known_times - 100.0, atol=1e-9)
    np.testing.assert_allclose(samples, known, atol=1e-3)
    (trial,) = found.trials
    assert trial.labels == expected.trials[0].labels == {"emotion": 1}
    assert (trial.start_s, trial.stop_s) == (1.25, 3.25)
    assert expected.trials[0].stop_s - expected.trials[0].start_s == 2.0
    texts = [problem.text for problem in problems]
    assert "1 marker ('stim/positive') without a duration: no trial; see data.markers.duration_s" in texts
    assert not any(problem.left_out for problem in problems)


def test_the_line_frequency_beside_a_file_is_held_against_the_models_notch(tmp_path):
    write_bids(tmp_path)
    fields = contract_fields()
    fields["modalities"]["eeg"]["feature"]["params"]["notch_hz"] = [50.0]
    problems = []
    list(
        find_recordings(tmp_path, Contract.model_validate(fields), OF_EVENTS).read_raw(
            tmp_path, problems.append
        )
    )
    assert "eeg: line frequency 60 Hz; the model's notch_hz is [50.0]" in [one.text for one in problems]


def test_labels_that_are_numbers_are_given_names(tmp_path):
    write_bids(tmp_path)
    markers = MarkerSettings(
        start="(?P<label>[127])", stop="", column="value", duration_s=1.0,
        labels={"1": "neutral", "2": "positive", "7": "negative"},
    )  # fmt: skip
    sessions, _ = read(tmp_path, markers)
    (segment,) = sessions["01", "01"]
    assert [(trial.start_s, trial.labels["emotion"]) for trial in segment.trials] == [
        (1.25, 1),
        (4.5, 0),
        (6.0, 2),
    ]


def test_a_column_that_is_not_there_leaves_the_file_out_and_names_the_nearest(tmp_path):
    write_bids(tmp_path)
    sessions, problems = read(tmp_path, MarkerSettings(column="valu"))
    assert sessions == {}
    assert "markers have no column 'valu'" in problems[-1].text
    assert "'value'" in problems[-1].text


def test_a_channel_of_another_kind_is_named(tmp_path):
    write_bids(tmp_path)
    fields = contract_fields()
    eeg = fields["modalities"]["eeg"]
    eeg["channels"], eeg["units"] = [*eeg["channels"], "chin"], ["uV"] * 5
    eeg["feature"]["n_features"] = 25
    problems = []
    list(find_recordings(tmp_path, Contract.model_validate(fields)).read_raw(tmp_path, problems.append))
    assert any("chin: of type 'EMG' in this file" in problem.text for problem in problems)


def test_runs_are_segments_and_what_bids_keeps_aside_is_left_out(tmp_path):
    for run in ("10", "2"):
        write_bids(tmp_path, run=run)
    (tmp_path / "sourcedata").mkdir()
    write_xdf(tmp_path / "sourcedata" / "sub-01.xdf")
    sessions, problems = read(tmp_path, OF_EVENTS)
    names = [segment.streams["eeg"].chunks.path.name for segment in sessions["01", "01"]]
    assert names == [f"sub-01_ses-01_task-x_run-{run}_eeg.edf" for run in ("2", "10")]
    assert [trial.name for segment in sessions["01", "01"] for trial in segment.trials] == ["1", "2"]
    (aside,) = [problem for problem in problems if problem.left_out]
    assert str(aside).endswith("/sourcedata: BIDS keeps originals and results there")


def test_one_recording_in_two_formats_counts_once(tmp_path):
    path = write_bids(tmp_path)
    write_xdf(path.with_suffix(".xdf"))
    sessions, problems = read(tmp_path, OF_EVENTS)
    assert [len(segments) for segments in sessions.values()] == [1]
    assert any(f"taken for the same recording as {path.name}" in problem.text for problem in problems)


def test_annotations_of_fif_have_durations_too(tmp_path):
    raw = mne.io.RawArray(
        values()[:, :4].T * 1e-6,
        mne.create_info(["TP9", "AF7", "AF8", "TP10"], RATE_HZ, "eeg"),
        verbose="error",
    )
    raw.set_annotations(mne.Annotations([1.0, 5.0], [2.0, 0.0], ["stim/neutral", "stim/positive"]))
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    sessions, problems = read(tmp_path, OF_EVENTS)
    (segment,) = sessions["a", "1"]
    (trial,) = segment.trials
    assert (trial.start_s, trial.stop_s) == (1.0, 3.0)
    assert any("('stim/positive') without a duration" in problem.text for problem in problems)


def test_files_that_mne_continues_are_no_recordings_of_their_own(tmp_path):
    raw = mne.io.RawArray(values()[:, :1].T, mne.create_info(["Cz"], RATE_HZ, "eeg"), verbose="error")
    for name in ("a_raw.fif", "a_raw-1.fif", "._b.edf"):
        raw.save(tmp_path / "x_raw.fif", overwrite=True, verbose="error")
        (tmp_path / "x_raw.fif").rename(tmp_path / name)
    lines = check_dataset(tmp_path, "recordings")
    assert [line for line in lines if line.startswith("subject")] == [
        "subject a, session 1: eeg 1 channel (Cz), 256 Hz, 8.0 s"
    ]


@pytest.mark.parametrize("names", [["r2", "r10"], ["a1b2", "a1b10"], ["a", "a1"]])
def test_numbers_in_names_count_as_numbers(names):
    assert sorted(map(Path, reversed(names)), key=natural) == list(map(Path, names))


def write_table(path, begin_s=BEGIN_S + 4, label=True):
    """The EEG of the other tests as a table, with a column of labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["time (s),TP9 (uV),AF7 (uV),AF8 (uV),TP10 (uV)" + (",label" if label else "")]
    for index, row in enumerate(values()[:, :4]):
        text = ",".join(f"{value:g}" for value in row)
        word = ("very calm" if 1.25 <= index / RATE_HZ < 3.25 else "") if label else None
        lines.append(f"{begin_s + index / RATE_HZ:.7f},{text}" + ("" if word is None else f",{word}"))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_with_labels_gives_the_same_trials_as_xdf(tmp_path):
    (tmp_path / "xdf").mkdir()
    write_xdf(tmp_path / "xdf" / "P01.xdf")
    by_stops = MarkerSettings(start="go/(?P<label>.+)", stop="end")
    expected = read(tmp_path / "xdf", by_stops)[0]["P01", "1"][0]
    write_table(tmp_path / "csv" / "P01_eeg.csv")
    markers = MarkerSettings(
        start="(?P<label>.+)", stop="", duration_s="annotated", labels={"very calm": "neutral"}
    )
    sessions, problems = read(tmp_path / "csv", markers)
    (found,) = sessions["P01", "1"]
    np.testing.assert_array_equal(samples_of(found, "eeg")[1], samples_of(expected, "eeg")[1])
    times, known = samples_of(found, "eeg")[0], samples_of(expected, "eeg")[0]
    np.testing.assert_allclose(times - times[0], known - known[0], atol=1e-6)
    (trial,) = found.trials
    assert trial.labels == expected.trials[0].labels
    begin_s = trial.start_s - times[0]
    assert begin_s == pytest.approx(expected.trials[0].start_s - known[0], abs=1e-6)
    assert trial.stop_s - trial.start_s == pytest.approx(2.0, abs=1e-6)
    assert [problem.text for problem in problems] == [
        "eye: no stream of type 'Gaze' with samples; valid: EEG, Markers"
    ]


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_tables_and_a_watch_in_one_folder_are_one_session(tmp_path, form):
    folder = tmp_path / "P01"
    write_table(folder / "eeg.csv", label=False)
    (folder / "markers.csv").write_text(f"time,label\n{BEGIN_S + 5.25},neutral\n")
    zip_e4(folder / "1700000000_A00204.zip") if form == "zip" else write_e4(folder / "E4")
    fields = contract_fields()
    fields["modalities"]["eye"] |= {
        "stream_type": "Peripheral", "rate_min_hz": 4.0, "channels": ["EDA", "TEMP"],
        "units": ["microsiemens", "celsius"],
    }  # fmt: skip
    markers = MarkerSettings(start="(?P<label>neutral)", stop="", duration_s=2.0)
    problems = []
    data = find_recordings(tmp_path, Contract.model_validate(fields), markers)
    ((segment,),) = data.read_raw(tmp_path, problems.append)
    assert (segment.subject, segment.session) == ("P01", "1")
    assert set(segment.streams) == {"eeg", "eye"}
    eeg, skin = (samples_of(segment, name)[0] for name in ("eeg", "eye"))
    assert skin[0] - eeg[0] == pytest.approx(-4.0)
    (trial,) = segment.trials
    assert trial.start_s - eeg[0] == pytest.approx(1.25)
    assert not any(problem.left_out for problem in problems)


def test_what_is_said_of_files_reaches_their_reader(tmp_path):
    path = write_table(tmp_path / "P01.csv")
    path.write_text(path.read_text().replace("time (s)", "clock").replace(" (uV)", ""))
    told = (FileSettings(time="clock"),)
    facts = {"eeg": StreamFacts(unit="mV")}
    read_raw = find_recordings(tmp_path, contract(), None, facts, told).read_raw
    ((segment,),) = read_raw(tmp_path, lambda _problem: None)
    assert segment.streams["eeg"].info.units == ("mV",) * 4
    assert samples_of(segment, "eeg")[1].shape == (8 * RATE_HZ, 4)
    sessions, problems = read(tmp_path)
    assert sessions == {}
    assert "no column of time" in problems[0].text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("P01_eeg.csv", ("P01", "1")),
        ("P01.csv", ("P01", "1")),
        ("eeg.csv", ("eeg", "1")),
        ("P01/eeg.csv", ("P01", "1")),
        ("P01/S2/E4/EDA.csv", ("P01", "S2")),
        ("S2/S2_E4_Data/EDA.csv", ("S2", "1")),
        ("P01/1554394387_A00204.zip", ("P01", "1")),
        ("sub-01/ses-02/eeg/sub-01_ses-02_eeg.csv", ("01", "02")),
        ("P01/session.xdf", ("P01", "1")),
        ("/home/x/P01/eeg.csv", ("P01", "1")),
    ],
)
def test_whose_a_file_is(path, expected):
    assert subject_and_session(Path(path)) == expected


def test_what_stands_beside_a_recording_is_part_of_its_state(tmp_path):
    path = write_bids(tmp_path)
    before = state_of([path])
    assert state_of([path]) == before
    (path.parent / "sub-01_ses-01_task-x_events.tsv").write_text(
        "onset\tduration\ttrial_type\n1\t2\tstim/neutral\n"
    )
    assert state_of([path]) != before


def test_features_are_computed_again_when_events_change(tmp_path):
    path = write_bids(tmp_path / "data")
    fields = contract_fields()
    fields["modalities"].pop("eye")
    settings = TrainingSettings.model_validate(
        {
            "contract": fields,
            "pair": ["eeg"],
            "data": {"format": "recordings", "root": tmp_path / "data", "markers": OF_EVENTS.model_dump()},
        }
    )
    (session,) = load_sessions(settings, tmp_path / "cache", Console(quiet=True))
    assert len(session.trials) == 1
    events = path.parent / "sub-01_ses-01_task-x_events.tsv"
    events.write_text(events.read_text().replace("6\tn/a", "6\t1.5"))
    (session,) = load_sessions(settings, tmp_path / "cache", Console(quiet=True))
    assert len(session.trials) == 2
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2
