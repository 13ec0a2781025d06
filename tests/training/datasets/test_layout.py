"""What is said of the files of a data set."""

from pathlib import Path

from bci_m2s.training.datasets.layout import Problem, said_once


def test_what_recordings_have_in_common_is_said_once_with_their_number():
    common = [Problem(Path(f"{n}.xdf"), f"P{n}", "1", 0, "no Gaze", left_out=False) for n in range(3)]
    alone = Problem(Path("0.xdf"), "P0", "1", 2, "ends where it begins")
    first, second = said_once([common[0], alone, *common[1:]], 4)
    assert first == "note: no Gaze (in 3 of 4 recordings)"
    assert second == f"left out: {alone}"


def test_streams_that_are_called_as_their_file_are_alike():
    texts = [
        Problem(Path(f"P{n}.fif"), f"P{n}", "1", 0, f"eeg: stream 'P{n}': no unit", left_out=False)
        for n in range(3)
    ]
    assert said_once(texts, 3) == ["note: eeg: stream '…': no unit (in 3 of 3 recordings)"]
    assert said_once(texts[:1], 3) == [f"note: {texts[0]}"]
