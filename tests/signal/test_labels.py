"""Which channel a name means, and labels that a file renames."""

import pytest

from bci_m2s.errors import StreamError
from bci_m2s.signal.labels import electrode_names, find_channels, renamed


@pytest.mark.parametrize(
    "spelt",
    [
        *(
            "FP1",
            "fp1",
            " Fp1 ",
            "Fp1.",
            "Fp1..",
            "EEG Fp1-Ref",
            "EEG-Fp1",
            "EEG Fp1",
            "EEG:Fp1",
            "Muse_Fp1",
        ),
        *("POL Fp1", "FP1-A1", "Fp1-M2", "EEG Fp1-LE", "EEG Fp1-(A1+A2)/2", "Fp1-AVG"),
    ],
)
def test_one_electrode_under_its_spellings(spelt):
    assert find_channels(["FP1"], ["Cz", spelt, "FP2"]) == [[1]]


@pytest.mark.parametrize("other", ["Fp1-F7", "Fp10", "EEG Fp1 copy", "AFp1", "EEG", "-", "Fp1-Cz", ""])
def test_another_channel_is_none(other):
    assert find_channels(["FP1"], ["Cz-A1", other]) == [[]]


def test_a_reference_that_all_labels_end_in_is_none_of_their_names():
    assert find_channels(["C3", "C4"], ["C4-Cz", "C3-Cz"]) == [[1], [0]]
    assert find_channels(["C3"], ["C4-P4", "C3-P3"]) == [[]]  # bipolar
    assert find_channels(["C3"], ["C3-Cz"]) == [[]]  # one alone may be


def test_older_names_and_the_names_of_today_are_one_electrode():
    assert find_channels(["T7", "T8", "P7", "P8"], ["T3", "T4", "T5", "T6"]) == [[0], [1], [2], [3]]
    assert find_channels(["T3"], ["EEG T7-Ref"]) == [[0]]
    assert find_channels(["T3", "T7"], ["T7", "T3"]) == [[1], [0]]
    assert find_channels(["T3", "T7"], ["T7"]) == [[], [0]]  # no column for two channels


def test_the_nearest_spelling_counts_and_two_of_a_kind_are_both_candidates():
    assert find_channels(["TP9"], ["tp9", "TP9", "EEG TP9-Ref"]) == [[1]]
    assert find_channels(["TP9"], ["EEG TP9-Ref", "tp9"]) == [[1]]
    assert find_channels(["TP9"], ["EEG TP9-Ref", "TP9."]) == [[0, 1]]
    assert find_channels(["TP9"], ["TP9", "AF7", "TP9"]) == [[0, 2]]


def test_names_with_underscores_are_one_word():
    labels = ["gaze_x", "gaze_y", "pupil_left"]
    assert find_channels(["gaze_y", "pupil_right"], labels) == [[1], []]


def test_a_pattern_renames_many():
    labels = ("EEG Fp1-Ref", "EEG Fp2-Ref", "EEG A1-Ref", "ECG")
    rename = {"EEG *-Ref": "*", "EEG A1-Ref": "M1"}
    assert renamed(labels, rename, "stream 'cap'") == ("Fp1", "Fp2", "M1", "ECG")
    assert renamed(("ch*", "ch1"), {"ch*": "Cz"}, "") == ("Cz", "ch1")  # a label as it stands


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        ({"Cz": "x"}, "stream 'cap': rename: the stream has no channel 'Cz'; valid: EEG Fp1"),
        ({"EXG *": "*"}, "stream 'cap': rename: no channel fits 'EXG [*]'"),
        ({"EEG *": "Cz"}, "got 'EEG [*]': 'Cz', expected one [*] on each side"),
        ({"EEG *": "*", "* Fp1": "x*"}, "channel 'EEG Fp1' fits 'EEG [*]' .'Fp1'. and '[*] Fp1' .'xEEG'."),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(rename, words):
    with pytest.raises(StreamError, match=words):
        renamed(("EEG Fp1", "EEG Fp2"), rename, "stream 'cap'")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["EEG Fp1-Ref", "EEG Fp2-Ref", "Muse_TP9"], ["Fp1", "Fp2", "TP9"]),
        (["T3", "EEG T4-LE", "CH1"], ["T3", "T4", "CH1"]),
        (["EEG Fp1", "Fp1.", "C3-A1", "C3-A2"], ["EEG Fp1", "Fp1.", "C3-A1", "C3-A2"]),  # which of two?
        (["Fp1-Fp2", "Cz"], ["Fp1-Fp2", "Cz"]),  # bipolar
    ],
)
def test_names_of_electrodes_find_their_labels(labels, names):
    assert electrode_names(labels) == names
    assert find_channels(names, labels) == [[column] for column in range(len(labels))]
