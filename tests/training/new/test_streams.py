"""Which channels are electrodes, which are gaze, and how many degrees a unit of it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.training.new.electrodes import find_electrodes
from bci_m2s.training.new.look import look_at_streams
from bci_m2s.training.new.project import EegPart
from bci_m2s.training.new.skin import SkinPart
from bci_m2s.training.new.trackers import TRACKERS, Screen, degrees_per_unit, recognise
from bci_m2s.types import StreamInfo

# What the senders' source code or documentation says that they send.
EEG = {
    "muse-lsl": ("TP9 AF7 AF8 TP10 Right_AUX", 4),
    "BlueMuse": ("TP9 AF7 AF8 TP10 Right_AUX Secondary_Timestamp", 4),
    "EmotivPRO": ("Timestamp Counter Interpolate AF3 T7 Pz T8 AF4 HardwareMarker Markers", 5),
    "LiveAmp": ("Fp1 Fp2 AUX_1 ACC_X ACC_Y ACC_Z SampleCounter DeviceTrigger STETriggerIn STESync", 2),
    "g.Nautilus": ("Cz Pz ACC_X Counter Link_Quality Battery_Level Digital_IOs Validation_Indicator", 2),
    "eego": ("Fp1 M1 BIP01 TRIGGER", 2),
}


@pytest.mark.parametrize("sender", EEG)
def test_nothing_but_electrodes_is_in_the_montage(sender):
    labels = tuple(label.replace("_", " ") for label in EEG[sender][0].split())
    found = find_electrodes(StreamInfo("x", "EEG", labels=labels, units=("",) * len(labels)))
    assert len(found.kept) == EEG[sender][1]
    assert set(found.kept) | set(found.left_out) == set(labels)


def test_unit_twins_and_missing_labels_leave_a_channel_out():
    labels, units = ("C3", "C4", "Cz", "cz", "", "E17"), ("uV", "g", "", "", "", "nV")
    found = find_electrodes(StreamInfo("x", "EEG", labels=labels, units=units))
    assert found.kept == ("C3", "E17")
    assert found.left_out["C4"] == "measured in g"


@pytest.mark.parametrize("name", TRACKERS)
def test_a_known_tracker_is_recognised_among_more_channels(name):
    columns = TRACKERS[name].columns
    labels = ("frame", *columns.values(), "more")
    if "ch1" in labels:  # it goes by number
        labels = default_labels(43)
        assert recognise(StreamInfo("x", "Gaze", labels=labels, units=("",) * 43)) is None
    info = StreamInfo(TRACKERS[name].stream_name, "Gaze", labels=labels, units=("",) * len(labels))
    assert recognise(info) is TRACKERS[name]


def test_an_unknown_tracker_is_put_together_by_words():
    labels = ("time", "GazeLeftX", "GazeLeftY", "PupilDiameterLeft", "PupilDiameterRight")
    tracker = recognise(StreamInfo("x", "ET", labels=labels, units=("", "px", "px", "mm", "mm")))
    assert tracker is not None
    assert tracker.gaze_unit == "pixels"
    assert list(tracker.columns.values()) == list(labels[1:])
    assert recognise(StreamInfo("x", "EEG", labels=("Fp1", "Eye"), units=("", ""))) is None
    labels = ("x.gaze_point.left", "y.gaze_point.left", "diameter.pupil.left", "valid.pupil.left")
    tracker = recognise(StreamInfo("x", "Gaze", labels=(*labels, "diameter.pupil.right"), units=("",) * 5))
    assert tracker is not None
    assert tracker.columns["pupil_y"] == "diameter.pupil.right"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("", "as recorded"), ("linked ears", ["a1", "a2"]), ("common average", "average"), ("FCz", ["fcz"])],
)
def test_a_stated_reference_is_the_models(stated, expected):
    info = StreamInfo("x", "EEG", rate_hz=250.0, labels=("C3",), units=("nV",), reference=stated)
    part = EegPart(info, ("C3",))
    assert part.reference == expected
    assert part.unit == "nanovolts"


@pytest.mark.parametrize(
    ("rate_hz", "bands", "top_hz"), [(500.0, 5, 50.0), (128.0, 5, 50.0), (100.0, 5, 45.0), (64.0, 4, 28.8)]
)
def test_bands_end_where_the_sampling_rate_does(rate_hz, bands, top_hz):
    part = EegPart(StreamInfo("x", "EEG", rate_hz=rate_hz, labels=("C3",), units=("uV",)), ("C3",))
    assert len(part.bands_hz) == bands
    assert max(high for _, high in part.bands_hz.values()) == pytest.approx(top_hz)
    assert part.notch_hz == ([50.0] if rate_hz > 102 else [])


def test_degrees_are_those_of_the_screen():
    # 53 × 30 cm at 65 cm, as docs/features.md works it out
    assert degrees_per_unit("normalized", Screen()) == (44.4, 26.0)
    assert degrees_per_unit("pixels", Screen()) == pytest.approx((44.36 / 1920, 25.99 / 1080), abs=5e-5)
    assert degrees_per_unit("degrees", Screen()) is None


@pytest.mark.parametrize("label", ["EDA", "gsr", "EDA (uS)", "skin_conductance", "wrist-EDA"])
def test_skin_conductance_is_known_by_its_label(label):
    info = StreamInfo(
        "watch",
        "Peripheral",
        rate_hz=4.0,
        labels=("TEMP", label),
        units=("celsius", "microsiemens"),
    )
    found = look_at_streams([info, replace(info, name="thermometer", labels=("TEMP", "LEDA"))], "here")
    assert found.skin == [info]
    part = SkinPart(info)
    assert (part.channel, part.unit, part.rates_hz) == (label, "uS", (4.0, 64.0))
    assert found.notes == ["stream 'thermometer' of type 'Peripheral': no EEG, gaze or skin; not used"]


def test_streams_are_sorted_whatever_their_type_says():
    infos = [
        StreamInfo("amp", "Signal", rate_hz=256.0, labels=("Fp1", "Fp2", "Cz"), units=("",) * 3),
        StreamInfo(
            "Tobii", "Eye", rate_hz=60.0, labels=tuple(TRACKERS["tobii"].columns.values()), units=("",) * 4
        ),
        StreamInfo("Mic", "Audio", rate_hz=44100.0, labels=("left", "right"), units=("", "")),
        StreamInfo("Lab", "Markers", labels=("marker",), units=("",), channel_format="string"),
    ]
    found = look_at_streams(infos, "here")
    assert [info.name for info in found.eeg] == ["amp"]
    assert [info.name for info in found.eye] == ["Tobii"]
    assert found.notes == ["stream 'Mic' of type 'Audio': no EEG, gaze or skin; not used"]
